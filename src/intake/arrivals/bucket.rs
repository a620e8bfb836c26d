//! An S3 prefix that is listed again and again: all of it first, then the days since the last listing.

use std::time::Instant;

use chrono::{DateTime, Utc};

use super::memory::Memory;
use super::outlet::{Backoff, Outlet};
use crate::intake::days::{self, Days};
use crate::intake::{Found, prefixes};

/// A listing that takes long is not started again before several times as long has passed.
const SHARE: u32 = 4;

/// Lists until stopped, or once.
pub(super) async fn run(outlet: Outlet, place: String) {
    tokio::select! {
        biased;
        () = outlet.stopped() => {}
        () = receive(&outlet, &place) => {}
    }
}

async fn receive(outlet: &Outlet, place: &str) {
    if outlet.pace.once {
        return outlet.once(place).await;
    }
    let options = &outlet.intake.options;
    let memory = Memory::new(outlet.pace.poll);
    let mut backoff = Backoff::default();
    // Time of the last complete listing, when its days say where new objects will be.
    let mut last: Option<DateTime<Utc>> = None;
    loop {
        let (began, now) = (Instant::now(), Utc::now());
        let days = match last {
            Some(last) => {
                let since = options.since.map_or(last, |since| since.max(last));
                Days::new(Some(since), Some(options.until.map_or(now, |until| until.min(now))))
            }
            None => Days::new(options.since, options.until),
        };
        let (listing, _) = prefixes::look(&outlet.intake.s3, place, days).await;
        let pause = match listing.problems.first() {
            None => {
                backoff.reset();
                outlet.status.well();
                memory.keep_only(&listing.found);
                if last.is_some() || filed_by_day(&listing.found) {
                    last = Some(now);
                }
                outlet.pace.poll.max(began.elapsed() * SHARE)
            }
            Some(problem) => {
                outlet.status.failed(format!("{}: {}", problem.place, problem.reason));
                outlet.pace.poll.max(backoff.next())
            }
        };
        if !outlet.hand_out(&memory, listing.found).await {
            return;
        }
        if !listing.problems.is_empty() {
            // What was not listed may be new.
            outlet.status.looked(true);
        }
        if !outlet.pause(pause).await {
            return;
        }
    }
}

/// True when AWS files these objects, so that new ones come under the days to come.
fn filed_by_day(found: &[Found]) -> bool {
    let mut dated = found.iter().filter(|found| found.day.is_some()).peekable();
    dated.peek().is_some() && dated.all(|found| days::below_reserved(&found.uri).is_some())
}
