//! A turn of the loop: what arrived is read, published and judged; then its sources may forget it.

use std::collections::HashSet;
use std::time::Instant;

use chrono::Utc;

use super::again::Work;
use super::{FIRST_PAUSE, Follower, Step};
use crate::error::Result;
use crate::intake::Found;
use crate::intake::arrivals::{Arrival, Arrivals};
use crate::logs::framing;
use crate::pipeline::ingest::unread;
use crate::pipeline::summary::Summary;

/// Objects that one turn takes at most, and their bytes as delivered. A flood goes in large turns, which cost less each.
pub(super) const TURN_OBJECTS: usize = 2_000;
const TURN_BYTES: u64 = 256 << 20;
/// Objects of a turn that could not be read and are logged one by one.
const LOGGED: usize = 5;

impl Follower<'_> {
    /// Reads, judges and tells what arrived; then the sources may forget it.
    pub(super) async fn turn(&mut self, arrived: Vec<Work>) -> Result<()> {
        let began = Instant::now();
        let mut objects: Vec<Found> = arrived.iter().flat_map(|work| work.arrival.found.iter().cloned()).collect();
        objects.retain(|found| !framing::is_body(&found.uri));
        objects.sort_by(|a, b| a.uri.cmp(&b.uri));
        objects.dedup_by(|later, first| later.uri == first.uri && later.version == first.version);
        for problem in arrived.iter().flat_map(|work| &work.arrival.problems) {
            tracing::warn!(place = %problem.place.escape_debug(), reason = %problem.reason, "cannot be read");
        }
        let mut summary = Summary::new();
        self.read(&objects, &mut summary).await?;
        for problem in summary.problems.iter().take(LOGGED) {
            tracing::warn!(problem = %problem.escape_debug(), "partly unreadable");
        }
        let more = summary.problems.len().saturating_sub(LOGGED) as u64 + summary.unlisted_problems;
        if more > 0 {
            tracing::warn!(more, "partly unreadable");
        }
        let unread: HashSet<String> = std::mem::take(&mut summary.unread).into_iter().collect();
        self.board.update(|standing| standing.total.merge(&summary));
        let read = |work: &Work| work.arrival.found.iter().all(|found| !unread.contains(found.uri.as_str()));
        let (finished, failed): (Vec<Work>, Vec<Work>) = arrived.into_iter().partition(read);
        let progress = unread.len() < objects.len();
        Arrival::all_done(finished.into_iter().map(|work| work.arrival).collect()).await;
        self.hold(failed, progress, summary.problems.first()).await;
        self.patiently(Step::Judge).await?;
        let now = Utc::now();
        self.board.update(|standing| {
            standing.commits += 1;
            standing.cycle_seconds.observe(began.elapsed().as_secs_f64());
            for modified in objects.iter().filter_map(|found| found.modified) {
                standing.delay_seconds.observe((now - modified).as_seconds_f64());
            }
        });
        Ok(())
    }

    /// Keeps in hand what could not be read, and says so when nothing can be.
    async fn hold(&mut self, failed: Vec<Work>, progress: bool, reason: Option<&String>) {
        // A single run leaves what it cannot read for later: given back, it would come again at once.
        if !self.how.once {
            Arrival::all_back(self.again.keep(failed, progress)).await;
        }
        let objects = self.again.objects();
        // One object that is broken for good is no trouble of the whole.
        let blocked = reason.filter(|_| objects > 1 && !progress);
        let blocked = blocked.map(|reason| format!("{objects} objects cannot be read just now, such as {reason}"));
        self.board.update(|standing| (standing.unread, standing.blocked) = (objects as u64, blocked));
    }

    /// Publishes what the lake does not have of these objects, however often another process is faster.
    async fn read(&mut self, objects: &[Found], summary: &mut Summary) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        // What an attempt or another process published meanwhile is not unchanged.
        let mut is_told = false;
        loop {
            let outcome = async {
                let (new, unchanged) = unread(&mut self.journal, objects).await?;
                if !std::mem::replace(&mut is_told, true) {
                    summary.unchanged += unchanged;
                }
                if new.is_empty() { Ok(()) } else { self.reading.read(&mut self.journal, new, summary).await }
            };
            let Err(error) = outcome.await else { break };
            self.recover(error, &mut pause).await?;
        }
        self.board.update(|standing| standing.trouble = None);
        Ok(())
    }
}

/// Everything that is at hand, up to what one turn takes.
pub(super) fn gather(first: Arrival, arrivals: &mut Arrivals) -> Vec<Work> {
    let size = |arrival: &Arrival| arrival.found.iter().map(|found| found.size).sum::<u64>();
    let (mut objects, mut bytes) = (first.found.len(), size(&first));
    let mut turn = vec![Work::from(first)];
    while objects < TURN_OBJECTS
        && bytes < TURN_BYTES
        && let Some(next) = arrivals.try_next()
    {
        objects += next.found.len();
        bytes += size(&next);
        turn.push(next.into());
    }
    turn
}
