//! What a polled source has handed out: each version of an object once, and again when it was given back.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_128;

use super::status::Status;
use crate::intake::Found;

/// Longest wait before something that was given back is offered again.
const LONGEST: Duration = Duration::from_secs(600);

/// Versions of objects, by fingerprint: what a listing shows has to fit in memory, with 50 bytes or so for each.
#[derive(Debug)]
pub(super) struct Memory {
    /// Wait after something was given back for the first time.
    wait: Duration,
    known: Mutex<HashMap<u128, Mark>>,
    bell: Notify,
}

#[derive(Debug, Clone, Copy)]
enum Mark {
    /// With the consumer, after having been given back so many times.
    Out(u32),
    Done,
    /// Given back; offered again from then on.
    Back(u32, Instant),
}

impl Memory {
    pub fn new(wait: Duration) -> Arc<Memory> {
        Arc::new(Memory { wait, known: Mutex::default(), bell: Notify::new() })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u128, Mark>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True for an object that is to be handed out.
    pub fn wants(&self, found: &Found) -> bool {
        match self.known().get(&print(found)) {
            None => true,
            Some(Mark::Out(_) | Mark::Done) => false,
            Some(Mark::Back(_, from)) => Instant::now() >= *from,
        }
    }

    /// Waits until something is given back, or was since the last call. May ring for nothing.
    pub async fn given_back(&self) {
        self.bell.notified().await;
    }

    /// When the first of those that were given back may be offered again.
    pub fn next(&self) -> Option<Instant> {
        let known = self.known();
        known.values().filter_map(|mark| if let Mark::Back(_, from) = mark { Some(*from) } else { None }).min()
    }

    /// Notes that these objects go to the consumer.
    pub fn take(self: &Arc<Memory>, lot: &[Found], status: &Arc<Status>) -> Taken {
        let prints: Vec<u128> = lot.iter().map(print).collect();
        let mut known = self.known();
        for print in &prints {
            let times = if let Some(Mark::Back(times, _)) = known.get(print) { *times } else { 0 };
            known.insert(*print, Mark::Out(times));
        }
        let oldest = lot.iter().filter_map(|found| found.modified).min();
        let number = status.took(lot.len() as u64, oldest);
        Taken { memory: self.clone(), status: status.clone(), number, prints, finished: false }
    }

    /// Forgets what a complete listing does not show any more and the consumer does not have.
    pub fn keep_only(&self, found: &[Found]) {
        let shown: HashSet<u128> = found.iter().map(print).collect();
        let mut known = self.known();
        known.retain(|print, mark| matches!(mark, Mark::Out(_)) || shown.contains(print));
        if known.len() < known.capacity() / 4 {
            known.shrink_to_fit();
        }
    }
}

fn print(found: &Found) -> u128 {
    xxh3_128(format!("{}\0{}", found.uri, found.version).as_bytes())
}

/// Objects that the consumer has; dropped before they are done, they are given back.
#[derive(Debug)]
pub(super) struct Taken {
    memory: Arc<Memory>,
    status: Arc<Status>,
    number: u64,
    prints: Vec<u128>,
    finished: bool,
}

impl Taken {
    pub fn done(mut self) {
        self.finished = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut known = self.memory.known();
        for print in &self.prints {
            let Some(mark) = known.get_mut(print) else { continue };
            *mark = match *mark {
                _ if self.finished => Mark::Done,
                Mark::Out(times) => {
                    let wait = self.memory.wait.saturating_mul(2u32.saturating_pow(times)).min(LONGEST);
                    Mark::Back(times.saturating_add(1), Instant::now() + wait)
                }
                other => other,
            };
        }
        drop(known);
        self.status.settled(self.number, self.finished);
        if !self.finished {
            self.memory.bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{Options, local};

    fn one_file() -> (tempfile::TempDir, Vec<Found>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), b"{}").unwrap();
        let listing =
            local::below(folder.path(), folder.path(), crate::intake::days::Days::default(), Options::default().limit);
        (folder, listing.found)
    }

    #[test]
    fn each_version_goes_out_once_unless_it_is_given_back() {
        let (_folder, lot) = one_file();
        let (memory, status) = (Memory::new(Duration::from_millis(20)), Arc::new(Status::new("f", "folder")));
        assert!(memory.wants(&lot[0]));
        let taken = memory.take(&lot, &status);
        assert!(!memory.wants(&lot[0]) && status.state().in_flight == 1);
        drop(taken);
        assert!(!memory.wants(&lot[0]) && memory.next().is_some(), "it has to wait");
        std::thread::sleep(Duration::from_millis(25));
        assert!(memory.wants(&lot[0]));
        let taken = memory.take(&lot, &status);
        drop(taken);
        std::thread::sleep(Duration::from_millis(25));
        assert!(!memory.wants(&lot[0]), "the second wait is longer");
        std::thread::sleep(Duration::from_millis(25));
        memory.take(&lot, &status).done();
        assert!(!memory.wants(&lot[0]) && memory.next().is_none());
        let newer = Found { version: "2".to_owned(), ..lot[0].clone() };
        assert!(memory.wants(&newer));
        assert_eq!((status.state().received, status.state().finished), (3, 1));
    }

    #[test]
    fn what_is_not_listed_any_more_is_forgotten_unless_it_is_out() {
        let (_folder, lot) = one_file();
        let (memory, status) = (Memory::new(Duration::ZERO), Arc::new(Status::new("f", "folder")));
        let taken = memory.take(&lot, &status);
        memory.keep_only(&[]);
        assert!(!memory.wants(&lot[0]));
        taken.done();
        memory.keep_only(&lot);
        assert!(!memory.wants(&lot[0]));
        memory.keep_only(&[]);
        assert!(memory.wants(&lot[0]));
    }
}
