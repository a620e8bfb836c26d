//! How a live source is: counters, what is wrong right now, and words about it in the log when that changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::intake::names;

/// A refused message is trouble for this long.
const REFUSAL_LASTS: Duration = Duration::from_secs(600);
/// Time between two words about refused messages.
const REFUSAL_WORDS: Duration = Duration::from_secs(60);

/// How one source is. Counts are of messages for queues and of objects for prefixes and folders, since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceState {
    /// The place as it was given; safe to show.
    pub source: String,
    /// `sqs`, `s3` or `folder`.
    pub kind: &'static str,
    /// Messages that wait in the queue, about and as of half a minute ago; objects of the last listing that are new and
    /// wait their turn. `None` when unknown.
    pub waiting: Option<u64>,
    /// Taken and not finished: on their way to the consumer, or with it.
    pub in_flight: u64,
    /// Taken from the source.
    pub received: u64,
    /// Finished, or with nothing in them to read.
    pub finished: u64,
    /// Messages that are not S3 events, counted each time they come. They are left in the queue, whose redrive policy
    /// should move them to a dead-letter queue.
    pub refused: u64,
    /// Messages in the dead-letter queue of the queue, where it has one that may be read.
    pub dead_letters: Option<u64>,
    /// Of what is in flight, the oldest time at which a message was sent or an object written.
    pub oldest: Option<DateTime<Utc>>,
    /// What is wrong right now and what to do, safe to show; `None` when well.
    pub trouble: Option<String>,
    /// Requests and listings that failed.
    pub failures: u64,
    /// True when the last look found nothing new.
    pub caught_up: bool,
}

/// The state of a source, shared with those who work on its arrivals.
#[derive(Debug)]
pub(super) struct Status {
    pub source: Arc<str>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: SourceState,
    /// What is in flight: count and oldest time of each lot.
    lots: BTreeMap<u64, (u64, Option<DateTime<Utc>>)>,
    next: u64,
    refusal: Option<(Instant, String)>,
    said: Option<Instant>,
}

impl Status {
    pub fn new(place: &str, kind: &'static str) -> Status {
        let source = names::text(place.as_bytes());
        let state = SourceState { source: source.clone(), kind, ..SourceState::default() };
        let inner = Inner { state, lots: BTreeMap::new(), next: 0, refusal: None, said: None };
        Status { source: source.into(), inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn state(&self) -> SourceState {
        let inner = self.inner();
        let mut state = inner.state.clone();
        state.in_flight = inner.lots.values().map(|(count, _)| count).sum();
        state.oldest = inner.lots.values().filter_map(|(_, time)| *time).min();
        if state.trouble.is_none() {
            let fresh = inner.refusal.as_ref().filter(|(at, _)| at.elapsed() < REFUSAL_LASTS);
            state.trouble = fresh.map(|(_, reason)| reason.clone());
        }
        state
    }

    /// A lot was taken from the source; the number is for [`Status::settled`].
    pub fn took(&self, count: u64, oldest: Option<DateTime<Utc>>) -> u64 {
        let mut inner = self.inner();
        inner.state.received += count;
        inner.next += 1;
        let lot = inner.next;
        inner.lots.insert(lot, (count, oldest));
        lot
    }

    /// A lot was finished, or given back.
    pub fn settled(&self, lot: u64, finished: bool) {
        let mut inner = self.inner();
        if let Some((count, _)) = inner.lots.remove(&lot)
            && finished
        {
            inner.state.finished += count;
        }
    }

    pub fn looked(&self, found_new: bool) {
        self.inner().state.caught_up = !found_new;
    }

    pub fn waiting(&self, count: Option<u64>) {
        self.inner().state.waiting = count;
    }

    pub fn dead_letters(&self, count: Option<u64>) {
        self.inner().state.dead_letters = count;
    }

    /// Something failed; `reason` is safe to show.
    pub fn failed(&self, reason: String) {
        let mut inner = self.inner();
        inner.state.failures += 1;
        if inner.state.trouble.as_ref() != Some(&reason) {
            tracing::warn!(source = &*self.source, "{reason}");
            inner.state.trouble = Some(reason);
        }
    }

    /// A look went well: whatever was wrong has passed.
    pub fn well(&self) {
        if self.inner().state.trouble.take().is_some() {
            tracing::info!(source = &*self.source, "works again");
        }
    }

    /// A message is none of those that can be read; `reason` is safe to show.
    pub fn refused(&self, reason: &str) {
        let mut inner = self.inner();
        inner.state.refused += 1;
        let reason = format!("a message {reason}; it is left in the queue for the dead-letter queue");
        if inner.said.is_none_or(|at| at.elapsed() >= REFUSAL_WORDS) {
            inner.said = Some(Instant::now());
            tracing::warn!(source = &*self.source, refused = inner.state.refused, "{reason}");
        }
        inner.refusal = Some((Instant::now(), reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_are_counted_until_they_are_settled() {
        let status = Status::new("s3://b/\u{1b}[31m", "s3");
        let time = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        let first = status.took(3, time("2026-10-02T00:00:00Z"));
        let second = status.took(2, time("2026-10-01T00:00:00Z"));
        status.took(1, None);
        let state = status.state();
        assert_eq!((state.received, state.in_flight, state.finished), (6, 6, 0));
        assert_eq!((state.source.as_str(), state.oldest), ("s3://b/%1B[31m", time("2026-10-01T00:00:00Z")));
        status.settled(second, false);
        status.settled(first, true);
        status.settled(first, true);
        let state = status.state();
        assert_eq!((state.received, state.in_flight, state.finished, state.oldest), (6, 1, 3, None));
    }

    #[test]
    fn trouble_passes_and_refusals_stay_a_while() {
        let status = Status::new("q", "sqs");
        status.failed("gone".to_owned());
        status.failed("gone".to_owned());
        let state = status.state();
        assert_eq!((state.trouble.as_deref(), state.failures), (Some("gone"), 2));
        status.refused("is not JSON");
        assert_eq!(status.state().trouble.as_deref(), Some("gone"));
        status.well();
        let state = status.state();
        assert!(state.trouble.is_some_and(|text| text.contains("is not JSON")) && state.refused == 1);
    }
}
