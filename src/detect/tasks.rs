//! Tasks on all threads, whose results come in the order given.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Runs the tasks, up to `threads` at a time, and returns what they return in the order given. A task that panics is an error.
pub async fn all<T: Send + 'static>(
    tasks: impl Iterator<Item = (usize, impl Future<Output = T> + Send + 'static)>,
    threads: usize,
) -> BTreeMap<usize, std::result::Result<T, String>> {
    let permits = Arc::new(Semaphore::new(threads));
    let mut running = JoinSet::new();
    let mut places = HashMap::new();
    for (index, task) in tasks {
        let permits = permits.clone();
        let handle = running.spawn(async move {
            let _permit = permits.acquire().await;
            task.await
        });
        places.insert(handle.id(), index);
    }
    let mut done = BTreeMap::new();
    while let Some(ended) = running.join_next_with_id().await {
        let (id, returned) = match ended {
            Ok((id, returned)) => (id, Ok(returned)),
            Err(error) => (error.id(), Err(format!("the query engine broke down: {error}"))),
        };
        if let Some(index) = places.get(&id) {
            done.insert(*index, returned);
        }
    }
    done
}
