//! The way from a source to the consumer: waits while it is busy, ends when receiving is stopped, pauses between looks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::memory::Memory;
use super::status::Status;
use super::{Arrival, Claim, Pace};
use crate::intake::{Found, Intake, Problem};

/// Objects of a listing that are handed out together, and their bytes; one larger object goes alone.
const LOT_OBJECTS: usize = 100;
const LOT_BYTES: u64 = 64 << 20;

/// What a source has of the world.
pub(super) struct Outlet {
    pub intake: Arc<Intake>,
    pub status: Arc<Status>,
    pub pace: Pace,
    arrivals: mpsc::Sender<Arrival>,
    stop: watch::Receiver<bool>,
}

impl Outlet {
    pub fn new(
        intake: Arc<Intake>,
        status: Arc<Status>,
        pace: Pace,
        arrivals: mpsc::Sender<Arrival>,
        stop: watch::Receiver<bool>,
    ) -> Outlet {
        Outlet { intake, status, pace, arrivals, stop }
    }

    /// True when nothing more shall be received, or nobody is there to take it.
    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow() || self.arrivals.is_closed()
    }

    /// Returns when nothing more shall be received, or nobody is there to take it.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        drop(stop.wait_for(|stopped| *stopped).await);
    }

    /// Hands an arrival over when there is room for it. Gives it back when receiving was stopped meanwhile.
    pub async fn push(&self, arrival: Arrival) -> Option<Arrival> {
        let room = tokio::select! {
            biased;
            () = self.stopped() => None,
            room = self.arrivals.reserve() => room.ok(),
        };
        match room {
            Some(room) => {
                room.send(arrival);
                None
            }
            None => Some(arrival),
        }
    }

    /// Waits. False when receiving was stopped meanwhile.
    pub async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stopped() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// Hands out those of the objects that are new, in the order of batches and in lots. False when receiving was stopped.
    pub async fn hand_out(&self, memory: &Arc<Memory>, mut found: Vec<Found>) -> bool {
        found.retain(|found| memory.wants(found));
        found.sort_by(|a, b| (a.day.is_none(), a.day, &a.uri).cmp(&(b.day.is_none(), b.day, &b.uri)));
        found.dedup_by(|later, first| later.uri == first.uri);
        let mut waiting = found.len();
        self.status.looked(waiting > 0);
        let mut lot = Vec::new();
        let mut bytes = 0;
        for found in found {
            let full = lot.len() >= LOT_OBJECTS || bytes + found.size > LOT_BYTES;
            if full && !lot.is_empty() {
                self.status.waiting(Some(waiting as u64));
                waiting -= lot.len();
                if !self.push_lot(memory, std::mem::take(&mut lot)).await {
                    return false;
                }
                bytes = 0;
            }
            bytes += found.size;
            lot.push(found);
        }
        self.status.waiting(Some(waiting as u64));
        let pushed = lot.is_empty() || self.push_lot(memory, lot).await;
        self.status.waiting(Some(0));
        pushed
    }

    async fn push_lot(&self, memory: &Arc<Memory>, lot: Vec<Found>) -> bool {
        let claim = Claim::Objects(memory.take(&lot, &self.status));
        let arrival = Arrival { source: self.status.source.clone(), found: lot, problems: Vec::new(), claim };
        self.push(arrival).await.is_none()
    }

    /// Tells the consumer what is wrong with the place.
    pub async fn complain(&self, problems: Vec<Problem>) {
        if !problems.is_empty() {
            let source = self.status.source.clone();
            self.push(Arrival { source, found: Vec::new(), problems, claim: Claim::Nothing }).await;
        }
    }

    /// Hands out what a prefix or folder holds now, as a batch lists it.
    pub async fn once(&self, place: &str) {
        let listing = self.intake.list(&[place.to_owned()]).await;
        if let Some(problem) = listing.problems.iter().find(|problem| !problem.empty) {
            self.status.failed(format!("{}: {}", problem.place, problem.reason));
        }
        let memory = Memory::new(self.pace.poll);
        if self.hand_out(&memory, listing.found).await {
            self.status.looked(false);
            self.complain(listing.problems).await;
        }
    }
}

/// Pauses between attempts at something that fails: longer and longer, up to half a minute, and never in step with others.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    pub fn next(&mut self) -> Duration {
        let pause = Backoff::FIRST.saturating_mul(2u32.saturating_pow(self.failures)).min(Backoff::LONGEST);
        self.failures = self.failures.saturating_add(1);
        let chance = (Uuid::new_v4().as_u128() & 0xff) as u32;
        pause / 2 + pause / 2 * chance / 255
    }

    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Attempts that failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_again() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..100).map(|_| backoff.next()).collect();
        assert!((250..=500).contains(&pauses[0].as_millis()) && (500..=1000).contains(&pauses[1].as_millis()));
        assert!(pauses[10..].iter().all(|pause| (15..=30).contains(&pause.as_secs())), "{pauses:?}");
        assert!(pauses[10..].iter().any(|pause| *pause != pauses[10]), "all the same");
        backoff.reset();
        assert!(backoff.failures() == 0 && backoff.next() <= Duration::from_millis(500));
    }
}
