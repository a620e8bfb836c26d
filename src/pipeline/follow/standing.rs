//! Where a follower stands: plain figures that its loop updates and that metrics, health and the status line read.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::findings::Severity;
use crate::intake::arrivals::SourceState;
use crate::outputs::channels::ChannelState;
use crate::pipeline::Summary;

/// Where a follower stands, shared between its loop and those who watch it.
#[derive(Debug, Clone)]
pub struct Board(Arc<RwLock<Standing>>);

/// Where a follower stands. Counters begin at zero with each start of the process.
///
/// Names, addresses and troubles are shown to whoever may watch: they must not hold secrets (the path of a webhook is one).
/// What comes from logs (account, Region) is escaped and bounded where it is shown.
#[derive(Debug, Clone)]
pub struct Standing {
    /// When the process began to follow.
    pub started: DateTime<Utc>,
    /// True when all sources are open and the first cycle is done.
    pub ready: bool,
    /// The last sign of life, each second; an old one means that the process hangs.
    pub beat: Instant,
    /// The last turn of the loop. A turn over many or large objects may take minutes.
    pub turned: Instant,
    /// What was read.
    pub total: Summary,
    /// Findings announced, by severity.
    pub findings: BTreeMap<Severity, u64>,
    /// What rules said in the last cycle.
    pub rules: RuleCounts,
    /// How far each log is, by account and Region.
    pub streams: Vec<StreamState>,
    /// Commits to the lake.
    pub commits: u64,
    /// Commits that another process was faster than, and that were done again.
    pub conflicts: u64,
    /// Times that rules over longer spans were judged up to the watermark.
    pub settles: u64,
    /// Seconds from objects at hand to findings written, per cycle.
    pub cycle_seconds: Spread,
    /// Seconds of settling.
    pub settle_seconds: Spread,
    /// Seconds from the time of an object to its findings written, per object.
    pub delay_seconds: Spread,
    /// Where objects come from.
    pub sources: Vec<SourceState>,
    /// Where findings go.
    pub channels: Vec<ChannelState>,
    /// Why the follower as a whole does not get on (the lake cannot be written), as one sentence.
    pub trouble: Option<String>,
    /// Objects in hand that could not be read yet.
    pub unread: u64,
    /// Why nothing can be read just now, as one sentence.
    pub blocked: Option<String>,
}

/// How many rules gave which answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Rules with findings.
    pub fired: u64,
    /// Rules that looked and found nothing.
    pub quiet: u64,
    /// Rules whose evidence is not there.
    pub not_evaluated: u64,
    /// Rules whose SQL failed.
    pub failed: u64,
}

/// How far one log of one account in one Region is.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamState {
    /// Log type.
    pub log: &'static str,
    /// Account, as the log names it.
    pub account: String,
    /// Region, as the log names it.
    pub region: String,
    /// Time of its newest event.
    pub newest: DateTime<Utc>,
    /// Events before this time are taken to be complete.
    pub watermark: DateTime<Utc>,
}

/// Upper bounds of the buckets of a [`Spread`], in seconds.
pub const BOUNDS: [f64; 16] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

/// How durations spread: how many were at most as long as each of [`BOUNDS`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    within: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Board {
    /// A board that shows this.
    pub fn new(standing: Standing) -> Board {
        Board(Arc::new(RwLock::new(standing)))
    }

    /// Looks; keep it short, because the loop waits meanwhile.
    pub fn read(&self) -> RwLockReadGuard<'_, Standing> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what it shows.
    pub fn update(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes a sign of life.
    pub fn beat(&self) {
        self.update(|standing| standing.beat = Instant::now());
    }
}

impl Standing {
    /// A follower that began at `started` and has done nothing.
    pub fn new(started: DateTime<Utc>) -> Standing {
        Standing {
            started,
            ready: false,
            beat: Instant::now(),
            turned: Instant::now(),
            total: Summary::new(),
            findings: BTreeMap::new(),
            rules: RuleCounts::default(),
            streams: Vec::new(),
            commits: 0,
            conflicts: 0,
            settles: 0,
            cycle_seconds: Spread::default(),
            settle_seconds: Spread::default(),
            delay_seconds: Spread::default(),
            sources: Vec::new(),
            channels: Vec::new(),
            trouble: None,
            unread: 0,
            blocked: None,
        }
    }

    /// Everything that hinders: who (nobody in particular when it is the follower as a whole), and why.
    pub fn troubles(&self) -> Vec<(&str, &str)> {
        let whole = self.trouble.iter().chain(&self.blocked).map(|why| ("", why.as_str()));
        let sources = self.sources.iter().filter_map(|s| Some((s.source.as_str(), s.trouble.as_deref()?)));
        let channels = self.channels.iter().filter_map(|c| Some((c.name.as_str(), c.trouble.as_deref()?)));
        whole.chain(sources).chain(channels).collect()
    }
}

impl Spread {
    /// Adds a duration. What is no number, and what lies in the future by the clock, counts as zero.
    pub fn observe(&mut self, seconds: f64) {
        let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
        for (within, bound) in self.within.iter_mut().zip(BOUNDS) {
            *within += u64::from(seconds <= bound);
        }
        self.count += 1;
        self.sum += seconds;
    }

    /// Each upper bound in seconds, and how many were at most that long.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        BOUNDS.into_iter().zip(self.within)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Seconds of all together.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_counts_up_to_each_bound() {
        let mut spread = Spread::default();
        for seconds in [0.01, 0.4, 2.5, 7200.0, f64::NAN, -5.0] {
            spread.observe(seconds);
        }
        let up_to = |bound: f64| spread.buckets().find(|(known, _)| *known == bound).map(|(_, count)| count);
        assert_eq!(
            (up_to(0.01), up_to(0.5), up_to(2.0), up_to(3.0), up_to(3600.0)),
            (Some(3), Some(4), Some(4), Some(5), Some(5))
        );
        assert_eq!(spread.count(), 6);
        assert!((spread.sum() - 7202.91).abs() < 1e-9, "{}", spread.sum());
    }

    #[test]
    fn a_panic_of_one_writer_does_not_blind_the_watchers() {
        let board = Board::new(Standing::new(Utc::now()));
        let other = board.clone();
        let died = std::thread::spawn(move || other.update(|_| panic!("on purpose"))).join();
        assert!(died.is_err());
        board.update(|standing| standing.total.objects = 7);
        assert_eq!(board.read().total.objects, 7);
    }
}
