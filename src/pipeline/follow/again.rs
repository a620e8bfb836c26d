//! Arrivals whose objects could not be read: kept in hand and tried again, hidden from others meanwhile.
//!
//! Given back at once, each message of a flood would be received again and again while S3 throttles, and end in the
//! dead-letter queue. When enough is in hand, nothing more is taken from the sources.

use std::time::{Duration, Instant};

use crate::intake::arrivals::Arrival;

/// Objects in hand from which on nothing more is taken.
const MOST_OBJECTS: usize = 2_000;
/// What could not be read for so long is given back: its source knows whether the object was deleted or replaced.
const LONGEST_HELD: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An arrival that is worked on.
pub(super) struct Work {
    pub arrival: Arrival,
    /// Since when its objects cannot be read.
    failing: Option<Instant>,
}

impl From<Arrival> for Work {
    fn from(arrival: Arrival) -> Work {
        Work { arrival, failing: None }
    }
}

/// What is tried again.
#[derive(Default)]
pub(super) struct Again {
    waiting: Vec<Work>,
    pause: Duration,
    due: Option<Instant>,
}

impl Again {
    /// Keeps what could not be read; `progress` when something else could. Returns what is to be given back.
    pub fn keep(&mut self, failed: Vec<Work>, progress: bool) -> Vec<Arrival> {
        if failed.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let mut back = Vec::new();
        for work in failed {
            let since = work.failing.unwrap_or(now);
            match now.duration_since(since) < LONGEST_HELD {
                true => self.waiting.push(Work { failing: Some(since), ..work }),
                false => back.push(work.arrival),
            }
        }
        self.pause = if progress { FIRST_PAUSE } else { (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE) };
        // What fails meanwhile must not put off what waits already.
        let next = now + self.pause;
        self.due = Some(self.due.map_or(next, |due| due.min(next)));
        back
    }

    /// Takes everything, when it is time to try again.
    pub fn take_due(&mut self) -> Vec<Work> {
        if self.until_due().is_none_or(|pause| !pause.is_zero()) {
            return Vec::new();
        }
        self.due = None;
        std::mem::take(&mut self.waiting)
    }

    /// Takes everything, to be given back.
    pub fn take_all(&mut self) -> Vec<Arrival> {
        std::mem::take(&mut self.waiting).into_iter().map(|work| work.arrival).collect()
    }

    /// Time until something is tried again; nothing when nothing waits.
    pub fn until_due(&self) -> Option<Duration> {
        let due = self.due.filter(|_| !self.waiting.is_empty())?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Objects that wait.
    pub fn objects(&self) -> usize {
        self.waiting.iter().map(|work| work.arrival.found.len()).sum()
    }

    /// True when nothing more may be taken from the sources.
    pub fn is_full(&self) -> bool {
        self.objects() >= MOST_OBJECTS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::intake::arrivals::{Arrivals, Pace};
    use crate::intake::{Intake, Options};

    async fn arrival() -> Arrival {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), b"{}").unwrap();
        let places = [folder.path().display().to_string()];
        let pace = Pace { once: true, ..Pace::default() };
        let mut arrivals = Arrivals::start(Arc::new(Intake::new(Options::default())), &places, pace).unwrap();
        arrivals.next().await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_fails_is_tried_again_soon_and_given_back_after_long() {
        let mut again = Again::default();
        assert!(again.keep(vec![arrival().await.into()], false).is_empty());
        assert_eq!((again.objects(), again.is_full(), again.take_due().len()), (1, false, 0));
        let due = again.until_due().unwrap();
        assert!(due <= FIRST_PAUSE);
        // Other work, and what fails in it, puts nothing off.
        tokio::time::sleep(Duration::from_millis(20)).await;
        again.keep(Vec::new(), true);
        again.keep(vec![arrival().await.into()], false);
        assert!(again.until_due().unwrap() < due && again.pause == FIRST_PAUSE * 2);
        tokio::time::sleep(due).await;
        let mut failed = again.take_due();
        assert_eq!((failed.len(), again.objects(), again.until_due()), (2, 0, None));
        let Some(long_ago) = Instant::now().checked_sub(LONGEST_HELD) else { return };
        failed[0].failing = Some(long_ago);
        assert_eq!((again.keep(failed, true).len(), again.objects(), again.pause), (1, 1, FIRST_PAUSE));
        assert_eq!(again.take_all().len(), 1);
    }
}
