//! Where a follower stands: plain figures that its loop updates and that metrics, health and the status line read.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::detect::{Outcome, Verdict};
use crate::findings::Severity;
use crate::intake::arrivals::SourceState;
use crate::logs::LOG_TYPES;
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
    /// The last turn of the loop; an old one means that it hangs.
    pub beat: Instant,
    /// Objects read.
    pub objects: u64,
    /// Records recognised as one of our logs, or too broken to tell: stored + duplicates + quarantined.
    pub read: u64,
    /// Records stored.
    pub stored: u64,
    /// Records that the lake already had.
    pub duplicates: u64,
    /// Records that could not be read.
    pub quarantined: u64,
    /// Readable records that are none of our logs.
    pub foreign: u64,
    /// Bytes as delivered.
    pub bytes: u64,
    /// Records stored, per log type.
    pub logs: Vec<(&'static str, u64)>,
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
    pub sources: Vec<Source>,
    /// Where findings go.
    pub channels: Vec<Channel>,
    /// Why the follower as a whole does not get on (the lake cannot be written), as one sentence.
    pub trouble: Option<String>,
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

/// A place that objects come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Source {
    /// Its address, without secrets.
    pub name: String,
    /// What it is, such as `sqs`, `folder` or `s3`.
    pub kind: &'static str,
    /// Messages or objects that wait, where that can be known.
    pub waiting: Option<u64>,
    /// Messages or objects that are being worked on.
    pub in_flight: u64,
    /// Messages or objects received.
    pub received: u64,
    /// Messages or objects done with.
    pub finished: u64,
    /// Messages or objects that could not be used.
    pub refused: u64,
    /// Messages in the dead-letter queue, where there is one that can be read.
    pub dead_letters: Option<u64>,
    /// When the oldest of what waits or is being worked on came to be.
    pub oldest: Option<DateTime<Utc>>,
    /// Requests to the source that failed.
    pub failures: u64,
    /// Why it cannot be read at the moment, as one sentence.
    pub trouble: Option<String>,
    /// True when nothing waited at the last look.
    pub caught_up: bool,
}

/// A place that findings go to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Channel {
    /// Its address, without secrets.
    pub name: String,
    /// What it is, such as `file`, `webhook` or `sns`.
    pub kind: &'static str,
    /// Findings that it has taken.
    pub delivered: u64,
    /// Findings that wait for it.
    pub waiting: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Why it takes nothing at the moment, as one sentence.
    pub trouble: Option<String>,
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

    /// Notes a turn of the loop.
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
            objects: 0,
            read: 0,
            stored: 0,
            duplicates: 0,
            quarantined: 0,
            foreign: 0,
            bytes: 0,
            logs: LOG_TYPES.iter().map(|log| (log.name, 0)).collect(),
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
        }
    }

    /// Adds what one ingest did.
    pub fn add(&mut self, summary: &Summary) {
        self.objects += summary.objects;
        self.read += summary.read;
        self.stored += summary.stored;
        self.duplicates += summary.duplicates;
        self.quarantined += summary.quarantined;
        self.foreign += summary.foreign;
        self.bytes += summary.bytes;
        for ((_, stored), log) in self.logs.iter_mut().zip(&summary.logs) {
            *stored += log.stored;
        }
    }

    /// Everything that hinders: who (nobody in particular when it is the follower as a whole), and why.
    pub fn troubles(&self) -> Vec<(&str, &str)> {
        let whole = self.trouble.iter().map(|why| ("", why.as_str()));
        let sources = self.sources.iter().filter_map(|s| Some((s.name.as_str(), s.trouble.as_deref()?)));
        let channels = self.channels.iter().filter_map(|c| Some((c.name.as_str(), c.trouble.as_deref()?)));
        whole.chain(sources).chain(channels).collect()
    }
}

impl RuleCounts {
    /// Counts verdicts.
    pub fn of(verdicts: &[Verdict]) -> RuleCounts {
        let mut counts = RuleCounts::default();
        for verdict in verdicts {
            match verdict.outcome {
                // It found something, whoever gets to see it.
                Outcome::Fired(_) | Outcome::Withheld(_) => counts.fired += 1,
                Outcome::Quiet => counts.quiet += 1,
                Outcome::NotEvaluated(_) => counts.not_evaluated += 1,
                Outcome::Failed(_) => counts.failed += 1,
                Outcome::Off => {}
            }
        }
        counts
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

impl From<SourceState> for Source {
    fn from(state: SourceState) -> Source {
        Source {
            name: state.source,
            kind: state.kind,
            waiting: state.waiting,
            in_flight: state.in_flight,
            received: state.received,
            finished: state.finished,
            refused: state.refused,
            dead_letters: state.dead_letters,
            oldest: state.oldest,
            failures: state.failures,
            trouble: state.trouble,
            caught_up: state.caught_up,
        }
    }
}

impl From<ChannelState> for Channel {
    fn from(state: ChannelState) -> Channel {
        Channel {
            name: state.name,
            kind: state.kind.as_str(),
            delivered: state.delivered,
            waiting: state.waiting,
            failures: state.failures,
            trouble: state.trouble,
        }
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
    fn an_ingest_adds_up() {
        let mut standing = Standing::new(Utc::now());
        let mut summary = Summary::new();
        (summary.objects, summary.read, summary.stored, summary.duplicates) = (1, 5, 3, 2);
        summary.logs[1].stored = 3;
        standing.add(&summary);
        standing.add(&summary);
        assert_eq!((standing.objects, standing.read, standing.stored, standing.duplicates), (2, 10, 6, 4));
        assert_eq!(standing.logs[1], (LOG_TYPES[1].name, 6));
    }

    #[test]
    fn a_panic_of_one_writer_does_not_blind_the_watchers() {
        let board = Board::new(Standing::new(Utc::now()));
        let other = board.clone();
        let died = std::thread::spawn(move || other.update(|_| panic!("on purpose"))).join();
        assert!(died.is_err());
        board.update(|standing| standing.objects = 7);
        assert_eq!(board.read().objects, 7);
    }
}
