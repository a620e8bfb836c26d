//! Following live sources: the same walk as in batch, a few objects at a time, for ever.
//!
//! A turn of the loop takes what arrived, publishes it, and judges it. Sources are told only after the publish, so that a
//! killed process gets the same objects again; the lake knows what it has. Findings go to the lake first, and from its log
//! to the channels, which know what they have. So nothing is lost and nothing comes twice, whenever the process ends.

mod again;
mod backstage;
mod judge;
mod memo;
mod revisits;
mod settling;
pub mod standing;
mod turn;
mod watermark;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::{filter_record_batch, is_null};
use datafusion::arrow::error::ArrowError;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use indicatif::ProgressBar;

pub use judge::Judged;
pub use standing::{Board, Standing};
pub use watermark::Delays;

use super::ingest::{Ingest, Reading};
use super::summary::Summary;
use crate::detect::{Rule, Tuning};
use crate::engine::{Prices, Settings};
use crate::error::{Error, Result};
use crate::findings::FINDINGS;
use crate::intake::Intake;
use crate::intake::arrivals::{Arrival, Arrivals};
use crate::lake::{Journal, Lake};
use crate::outputs::channels::Channels;
use again::Again;
use backstage::Backstage;
use judge::{Judge, Settler};
use settling::Running;
use turn::{TURN_OBJECTS, gather};

/// How a follower goes.
#[derive(Debug, Clone)]
pub struct Follow {
    /// Ends when the sources have nothing more, after everything was judged to the end.
    pub once: bool,
    /// How late events may arrive.
    pub delays: Delays,
    /// Least time between two settlings of rules over more than one row. Settling takes at most a fifth of the time.
    pub settle: Duration,
    /// Time between two compactions of the lake; none at zero.
    pub compact: Duration,
    /// What queries may use.
    pub engine: Settings,
    /// What rules know of the cost of models.
    pub prices: Prices,
    /// How objects are read.
    pub ingest: Ingest,
}

/// Microseconds of event time whose identities are read together, and let go of together.
const SPAN: i64 = 60 * 1_000_000;
/// How long channels may take at the end to deliver what waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long sources may take at the end to give back what nobody took.
const FAREWELL: Duration = Duration::from_secs(15);
/// When it is asked to end and a step takes longer than this, the step is given up: nothing is lost with it. Service
/// managers kill after a minute or so.
const GRACE: Duration = Duration::from_secs(45);
/// Longest time between two turns of the loop when there is nothing to do.
const TURN: Duration = Duration::from_secs(1);
/// Pauses between attempts to write a lake that cannot be written.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long an empty look counts as proof that nothing waits.
const CAUGHT_UP: Duration = Duration::from_secs(60);

/// The rooms that a follower walks through.
pub struct Rooms {
    /// Where rows and findings go.
    pub lake: Lake,
    /// What fetches objects.
    pub intake: Arc<Intake>,
    /// Where objects come from.
    pub arrivals: Arrivals,
    /// Where new findings are told.
    pub channels: Channels,
    /// What is looked for.
    pub rules: Vec<Rule>,
    /// What is not told of it.
    pub tuning: Tuning,
}

/// Follows until `stop` is done, or until the sources end. Returns what was read, and how many findings were new.
pub async fn follow(
    rooms: Rooms,
    how: &Follow,
    board: &Board,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(Summary, u64)> {
    let stop = stop.boxed().shared();
    let too_long = async {
        stop.clone().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        outcome = walk(rooms, how, board, stop.clone()) => outcome,
        () = too_long => Err(Error::Lake(format!(
            "asked to end, but a step took longer than {} seconds and was given up; the next start does it again",
            GRACE.as_secs()
        ))),
    }
}

/// Done when it shall end.
type Stop = Shared<BoxFuture<'static, ()>>;

async fn walk(rooms: Rooms, how: &Follow, board: &Board, stop: Stop) -> Result<(Summary, u64)> {
    let began = Instant::now();
    let Rooms { lake, intake, arrivals, mut channels, rules, tuning } = rooms;
    let bar = ProgressBar::hidden();
    let reading = Reading::new(&lake, &intake, &how.ingest, &bar)?;
    let journal = lake.begin_in_spans(SPAN).await?;
    let judge = Judge::resume(&lake, &journal, rules, tuning, how).await?;
    let settler = judge.settler(&lake, SPAN).await?;
    let backstage = Backstage::open(how.engine.threads)?;
    let told = match channels.position() {
        Some(position) => position,
        None => journal.position()?.get(FINDINGS.name).copied().unwrap_or_default(),
    };
    // Without it, findings that are stored and not yet told when the process ends would be lost to a new channel.
    channels.begin(told).await?;
    let mut follower = Follower {
        lake: &lake,
        how,
        board,
        reading,
        journal,
        judge,
        channels,
        told,
        backstage,
        settler: Some(settler),
        running: None,
        settled: Instant::now(),
        settling: Duration::ZERO,
        compacted: Instant::now(),
        compacting: None,
        emptied: None,
        again: Again::default(),
        stop,
    };
    let heart = tokio::spawn(beat(board.clone()));
    let outcome = follower.run(arrivals).await;
    heart.abort();
    follower.channels.close(PATIENCE).await;
    outcome?;
    let standing = board.read();
    let total = Summary { seconds: began.elapsed().as_secs_f64(), ..standing.total.clone() };
    Ok((total, standing.findings.values().sum()))
}

struct Follower<'a> {
    lake: &'a Lake,
    how: &'a Follow,
    board: &'a Board,
    reading: Reading<'a>,
    journal: Journal,
    judge: Judge,
    channels: Channels,
    /// Version of the findings table up to which the channels were told.
    told: u64,
    backstage: Backstage,
    /// What settles, when it is not at it.
    settler: Option<Settler>,
    running: Option<Running>,
    settled: Instant,
    /// How long the last settling took.
    settling: Duration,
    compacted: Instant,
    compacting: Option<tokio::task::JoinHandle<()>>,
    /// When the last look into the sources found nothing.
    emptied: Option<Instant>,
    /// What could not be read just now.
    again: Again,
    stop: Stop,
}

impl Follower<'_> {
    async fn run(&mut self, mut arrivals: Arrivals) -> Result<()> {
        // What the last follower stored and did not live to judge, or to tell.
        self.patiently(Step::Judge).await?;
        let mut ended = false;
        while !ended {
            let next = async {
                match self.again.is_full() {
                    true => std::future::pending().await,
                    false => arrivals.next().await,
                }
            };
            let first = tokio::select! {
                biased;
                () = self.stop.clone() => break,
                next = tokio::time::timeout(self.until_turn(), next) => next,
            };
            let mut turn = self.again.take_due();
            match first {
                Ok(Some(arrival)) => turn.extend(gather(arrival, &mut arrivals)),
                Ok(None) => ended = true,
                Err(_) => {}
            }
            let idle = turn.len() < TURN_OBJECTS && self.again.objects() == 0;
            if idle && arrivals.state().iter().all(|source| source.caught_up) {
                self.emptied = Some(Instant::now());
            }
            if !turn.is_empty() {
                self.turn(turn).await?;
            }
            if self.running.as_ref().is_some_and(|running| running.task.is_finished()) {
                self.finish_settling().await?;
            } else if self.running.is_none() && self.until_settling().is_zero() && !ended {
                // Rows that others stored have no source that would announce them.
                self.patiently(Step::Refresh).await?;
                self.start_settling(false);
            }
            self.show(&arrivals);
            self.board.update(|standing| (standing.ready, standing.turned) = (true, Instant::now()));
            self.compact().await;
        }
        let in_hand = self.again.take_all();
        let farewell = async {
            let _ = tokio::time::timeout(FAREWELL, Arrival::all_back(in_hand)).await;
            arrivals.close(FAREWELL).await;
        };
        let ((), settled) = tokio::join!(farewell, self.end_settling(!ended));
        let mut sound = settled?;
        while ended && self.how.once && sound {
            self.patiently(Step::Refresh).await?;
            if !self.start_settling(true) {
                break;
            }
            sound = self.finish_settling().await?;
        }
        if let Some(compacting) = self.compacting.take() {
            compacting.abort();
        }
        self.judge.save(self.lake).await
    }

    /// Does a step over the lake until it succeeds: a lake that cannot be read or written for a while stops nothing.
    async fn patiently(&mut self, step: Step) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.step(step).await {
            self.recover(error, &mut pause).await?;
        }
        self.board.update(|standing| standing.trouble = None);
        Ok(())
    }

    /// Makes ready for another attempt: takes in what others did to the lake, and opens it anew when that fails.
    async fn recover(&mut self, mut error: Error, pause: &mut Duration) -> Result<()> {
        loop {
            match error {
                Error::Conflict => self.board.update(|standing| standing.conflicts += 1),
                error => self.wait(error, pause).await?,
            }
            if self.journal.refresh().await.is_ok() {
                return Ok(());
            }
            match self.lake.begin_in_spans(SPAN).await {
                Ok(journal) => {
                    self.journal = journal;
                    return Ok(());
                }
                Err(failed) => error = failed,
            }
        }
    }

    async fn step(&mut self, step: Step) -> Result<()> {
        if step == Step::Refresh {
            self.journal.refresh().await?;
        }
        let judged = self.judge.look(self.lake, &mut self.journal).await?;
        self.announce(&judged);
        self.tell().await
    }

    fn announce(&mut self, judged: &Judged) {
        for failure in &judged.failed {
            tracing::warn!(rule = %failure.escape_debug(), "a rule failed; its rows are judged again");
        }
        self.board.update(|standing| {
            for finding in &judged.new {
                *standing.findings.entry(finding.rule.severity).or_default() += 1;
            }
        });
    }

    /// Tells the channels of findings that were added to the lake, by whomever.
    async fn tell(&mut self) -> Result<()> {
        let (commits, newest) = self.journal.appended_since(&FINDINGS, self.told).await?;
        for commit in commits {
            self.channels.offer(commit.version, &told(&commit.rows)?).await?;
            self.told = commit.version;
        }
        self.told = newest;
        Ok(())
    }

    /// Says what is wrong and waits for a lake that cannot be used just now. An output that takes nothing more (a reader
    /// that is gone, a full disk) ends the follower: the next start tells what this one could not.
    async fn wait(&self, error: Error, pause: &mut Duration) -> Result<()> {
        if self.how.once || matches!(error, Error::Output(_)) {
            return Err(error);
        }
        let text = error.to_string();
        tracing::error!(error = %text.escape_debug(), seconds = pause.as_secs_f64(), "trying again");
        self.board.update(|standing| standing.trouble = Some(text.clone()));
        tokio::select! {
            biased;
            () = self.stop.clone() => return Err(Error::Lake(format!(
                "asked to end while it could not go on: {text}; the next start reads again what was in hand"
            ))),
            () = tokio::time::sleep(*pause) => {}
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }

    /// Time until the loop turns when nothing arrives.
    fn until_turn(&self) -> Duration {
        let due = self.again.until_due().unwrap_or(TURN);
        self.until_settling().min(TURN).min(due)
    }

    fn is_caught_up(&self) -> bool {
        self.emptied.is_some_and(|emptied| emptied.elapsed() < CAUGHT_UP)
    }

    /// Puts the state of everything on the board.
    fn show(&self, arrivals: &Arrivals) {
        let streams = self.judge.streams(Utc::now(), self.is_caught_up());
        let (sources, channels) = (arrivals.state(), self.channels.state());
        self.board.update(|standing| {
            (standing.streams, standing.sources, standing.channels) = (streams, sources, channels);
        });
    }

    /// Joins the small files of many turns, beside the loop.
    async fn compact(&mut self) {
        if self.how.compact.is_zero() || self.compacted.elapsed() < self.how.compact {
            return;
        }
        if self.compacting.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.compacted = Instant::now();
        let lake = self.lake.clone();
        self.compacting = Some(self.backstage.handle().spawn(async move {
            // A commit of the loop may be faster; the next compaction takes these files too.
            if let Err(error) = lake.compact().await {
                tracing::info!(error = %error.to_string().escape_debug(), "small files stay for now");
            }
        }));
    }
}

/// The findings of a commit that are told: those that no silence covers.
fn told(rows: &RecordBatch) -> Result<RecordBatch> {
    let failed = |e: ArrowError| Error::Lake(format!("cannot read stored findings: {e}"));
    let Some(silenced) = rows.column_by_name("silenced") else { return Ok(rows.clone()) };
    filter_record_batch(rows, &is_null(silenced).map_err(failed)?).map_err(failed)
}

/// Shows that the process runs, also while a long step does.
async fn beat(board: Board) {
    loop {
        board.beat();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A step over the lake.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// Judges what this process stored.
    Judge,
    /// Judges what anybody stored.
    Refresh,
}
