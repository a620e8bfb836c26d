//! Threads for what goes on beside the loop, settling and compaction: they yield to what arrives.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};

/// How much lower their priority is, see nice(2): where all cores are busy, they get a tenth of what the loop gets.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// A runtime of its own. Dropping it leaves the threads to end by themselves.
#[derive(Debug)]
pub(super) struct Backstage {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Backstage {
    /// Starts so many threads.
    pub(super) fn open(threads: usize) -> Result<Backstage> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(threads.max(1)).thread_name("backstage").enable_all();
        #[cfg(target_os = "linux")]
        builder.on_thread_start(|| {
            // On Linux this concerns the calling thread alone. Where it is refused, all threads are equal.
            let _ = rustix::process::nice(NICE);
        });
        let runtime = builder.build().map_err(|e| Error::Lake(format!("cannot start {threads} threads: {e}")))?;
        Ok(Backstage { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Where tasks begin.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Backstage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn threads_beside_the_loop_yield_and_others_do_not() {
        let own = || rustix::process::nice(0).unwrap();
        let before = own();
        let backstage = Backstage::open(2).unwrap();
        let theirs = backstage.handle().block_on(async {
            let worker = tokio::spawn(async move { own() }).await.unwrap();
            let blocking = tokio::task::spawn_blocking(own).await.unwrap();
            [worker, blocking]
        });
        assert_eq!((theirs, own()), ([(before + NICE).min(19); 2], before));
    }
}
