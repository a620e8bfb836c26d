//! Rules over a window on an engine: findings, and a verdict for every rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Duration, Utc};
use datafusion::execution::memory_pool::MemoryPool;

use super::cost::Cost;
use super::coverage::Coverage;
use super::happened::Happened;
use super::question::{Draft, Found, Question, Reduced};
use super::scan::{Leaf, SharedScans};
use super::sight::{Sight, Sights};
use super::tasks::all;
use super::verdict::{Outcome, Report, Verdict};
use super::{Rule, Tuning, duration, incidents, selftest};
use crate::engine::{Engine, Window};
use crate::error::Result;
use crate::findings::Finding;

/// What a rule comes to, or why it fails.
type Tried<T> = std::result::Result<T, String>;

/// How long a question that ran out of memory waits for what others of its run still hold.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// How rules read tables. What they find is the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scans {
    /// Every table once for all rules, as far as their rows fit in memory.
    Shared,
    /// Every rule by itself: the reference.
    Alone,
}

/// Judges `rules` over `window`, up to `threads` of them at a time. Findings that `tuning` takes out are in the report, and no
/// step of a chain.
///
/// `window` is the span to judge; each rule sees its own lookback before it. Whether a rule can be judged is decided by the
/// rows of the window itself. A rule that fails has the verdict `Failed` and stops nothing; an error means that the tables
/// could not be read.
pub async fn run(
    engine: &Engine,
    rules: &[Rule],
    tuning: &Tuning,
    window: &Window,
    threads: usize,
    scans: Scans,
    run_id: &str,
) -> Result<Report> {
    let began = Instant::now();
    let views = rules.iter().map(|rule| view(window, rule)).collect();
    let mut run = Run::new(rules, tuning, views, threads, run_id);
    let shared = match scans {
        Scans::Shared => Some(SharedScans::over(engine).await?),
        Scans::Alone => None,
    };
    let source = shared.as_ref().map_or(engine, SharedScans::engine);
    let happened = async {
        match (scans, window.start) {
            (Scans::Shared, Some(_)) => Happened::within(engine, window).await.map(Some),
            _ => Ok(None),
        }
    };
    let (mut judgeable, happened) = tokio::try_join!(run.judgeable(source, window), happened)?;
    if let Some(happened) = happened {
        judgeable = run.happened(judgeable, &happened);
    }
    let drafts = run.drafts(judgeable).await;
    let drafts = match (&shared, window.start) {
        (Some(shared), Some(start)) => run.touched(drafts, shared, start).await?,
        _ => drafts,
    };
    let questions = match &shared {
        Some(shared) => run.reduced(drafts, shared).await?,
        None => run.plan(drafts).await,
    };
    run.judge(engine, shared.as_ref(), questions).await?;
    Ok(run.finish(began))
}

/// Judges each rule over a window of its own, whether or not its evidence is there: what holds in a part of the lake.
/// Chains among them are judged by what the others find, and by what the lake keeps.
///
/// `views` are of the order of `rules`, with the lookback that the rule is to see. Findings do not say what they lack: that is
/// told by the whole lake.
pub async fn judge(
    engine: &Engine,
    rules: &[Rule],
    tuning: &Tuning,
    views: Vec<Window>,
    threads: usize,
    run_id: &str,
) -> Result<Report> {
    let began = Instant::now();
    let mut run = Run::new(rules, tuning, views, threads, run_id);
    let shared = SharedScans::over(engine).await?;
    let mut all = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        run.report.verdicts.push(Verdict::new(rule, Outcome::Quiet));
        if rule.chain.is_none() {
            all.push((index, run.engine(shared.engine(), index).await?));
        }
    }
    let drafts = run.drafts(all).await;
    let questions = run.reduced(drafts, &shared).await?;
    run.judge(engine, Some(&shared), questions).await?;
    Ok(run.finish(began))
}

/// A run in progress.
struct Run<'a> {
    rules: &'a [Rule],
    tuning: &'a Tuning,
    /// What each rule looks at.
    views: Vec<Window>,
    engines: HashMap<Window, Arc<Engine>>,
    threads: usize,
    created_at: DateTime<Utc>,
    run_id: Arc<str>,
    /// What the logs can show; none when it was not measured.
    coverage: Option<Coverage>,
    report: Report,
}

impl<'a> Run<'a> {
    fn new(rules: &'a [Rule], tuning: &'a Tuning, views: Vec<Window>, threads: usize, run_id: &str) -> Run<'a> {
        Run {
            rules,
            tuning,
            views,
            engines: HashMap::new(),
            threads: threads.max(1),
            created_at: Utc::now(),
            run_id: run_id.into(),
            coverage: None,
            report: Report::default(),
        }
    }

    /// Gives each rule its verdict as far as the evidence decides it; returns the others with the engine that shows what
    /// they look at.
    async fn judgeable(&mut self, engine: &Engine, window: &Window) -> Result<Vec<(usize, Arc<Engine>)>> {
        let fresh = Window { lookback: Duration::zero(), ..window.clone() };
        let windowed = Arc::new(engine.windowed(&fresh).await?);
        // All logs, also those that no rule of this run reads: findings say what they lack.
        let logs: Vec<&str> = selftest::tables().map(|table| table.name).collect();
        let coverage = Coverage::measure(&windowed, self.rules, &logs).await?;
        let sights = Sights::over(&coverage, self.rules);
        self.report.accounts = sights.accounts();
        self.engines.insert(fresh, windowed);
        let place = describe(window);
        let mut judgeable = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            // Chains are judged when the other rules have their answers.
            let missing = if rule.chain.is_some() { None } else { coverage.missing(rule, &place) };
            if missing.is_none() && rule.chain.is_none() {
                judgeable.push((index, self.engine(engine, index).await?));
            }
            // Where nothing can be judged, one reason says it for all places.
            let sight = if missing.is_some() { Sight::default() } else { sights.of(rule) };
            let outcome = missing.map_or(Outcome::Quiet, Outcome::NotEvaluated);
            self.report.verdicts.push(Verdict { sight, ..Verdict::new(rule, outcome) });
        }
        self.coverage = Some(coverage);
        Ok(judgeable)
    }

    /// The engine that shows what the rule at `index` looks at.
    async fn engine(&mut self, engine: &Engine, index: usize) -> Result<Arc<Engine>> {
        let view = self.views.get(index).cloned().unwrap_or_default();
        if let Some(known) = self.engines.get(&view) {
            return Ok(known.clone());
        }
        let windowed = Arc::new(engine.windowed(&view).await?);
        self.engines.insert(view, windowed.clone());
        Ok(windowed)
    }

    /// Answers rules that want kinds of events of which there is none in the window. Returns the others.
    fn happened(&mut self, judgeable: Vec<(usize, Arc<Engine>)>, happened: &Happened) -> Vec<(usize, Arc<Engine>)> {
        let mut asked = Vec::new();
        for (index, engine) in judgeable {
            match self.rules.get(index).and_then(|rule| happened.quiet_places(rule)) {
                Some(shared) => self.report.answer(index, 0, Vec::new(), Cost { shared, ..Cost::default() }),
                None => asked.push((index, engine)),
            }
        }
        asked
    }

    /// Reads the SQL of rules on their engines.
    async fn drafts(&mut self, judgeable: Vec<(usize, Arc<Engine>)>) -> Vec<(usize, Draft)> {
        let partitions = self.partitions(judgeable.len());
        let tasks = judgeable.into_iter().filter_map(|(index, windowed)| {
            let rule = self.rules.get(index).cloned()?;
            Some((index, async move { Draft::of(&windowed, &rule, Some(partitions)).await }))
        });
        let done = all(tasks, self.threads).await;
        self.taken(done)
    }

    /// What worked; the rules of the others fail.
    fn taken<T>(&mut self, done: BTreeMap<usize, std::result::Result<Tried<T>, String>>) -> Vec<(usize, T)> {
        let mut taken = Vec::with_capacity(done.len());
        for (index, done) in done {
            match done.and_then(|done| done) {
                Ok(value) => taken.push((index, value)),
                Err(reason) => self.report.fail(index, reason),
            }
        }
        taken
    }

    /// Answers rules that want no row since `start`, the begin of the window: what they find has at least one fresh row, so they
    /// need not be asked, and their history need not be read. Returns the others.
    async fn touched(
        &mut self,
        drafts: Vec<(usize, Draft)>,
        shared: &SharedScans,
        start: DateTime<Utc>,
    ) -> Result<Vec<(usize, Draft)>> {
        let began = Instant::now();
        let places = shared.places();
        let tasks = drafts.into_iter().map(|(index, draft)| {
            let places = places.clone();
            (index, async move {
                let wanted = draft.reads().and_then(|reads| places.wanting(&reads));
                Ok((draft, wanted))
            })
        });
        let done = all(tasks, self.threads).await;
        let drafts = self.taken(done);
        let leaves = drafts.iter().flat_map(|(_, (_, wanted))| wanted.iter().flatten().cloned()).collect();
        let touched = shared.touched(leaves, start).await?;
        let (mut asked, mut unproven) = (Vec::new(), Vec::new());
        for (index, (draft, wanted)) in drafts {
            let is_touched = |leaf: &Arc<Leaf>| touched.iter().any(|touched| Arc::ptr_eq(leaf, touched));
            let Some(leaves) = wanted.filter(|leaves| !leaves.iter().any(is_touched)) else {
                asked.push((index, draft));
                continue;
            };
            self.report.answer(index, 0, Vec::new(), draft.unasked(leaves.len()));
            if self.is_added(index) {
                unproven.push((index, draft));
            }
        }
        self.report.scanning += began.elapsed().as_secs_f64();
        self.prove(unproven).await;
        Ok(asked)
    }

    /// Plans rules so that those that look back read only groups with a fresh row, whose keys are found first. Answers those
    /// for which there are none.
    async fn reduced(&mut self, drafts: Vec<(usize, Draft)>, shared: &SharedScans) -> Result<Vec<(usize, Question)>> {
        let tasks = drafts.iter().map(|(index, draft)| {
            let (draft, looks_back) = (draft.clone(), self.looks_back(*index));
            (*index, async move {
                match looks_back {
                    true => draft.reduced().await,
                    false => Ok(Reduced::from(draft)),
                }
            })
        });
        let reduced = all(tasks, self.threads).await;
        let began = Instant::now();
        let of = |reduced: &std::result::Result<Tried<Reduced>, String>| match reduced {
            Ok(Ok(reduced)) => reduced.searched(),
            _ => Vec::new(),
        };
        let searched: Vec<Arc<Leaf>> = reduced.values().flat_map(of).collect();
        shared.read_first(&searched).await?;
        self.report.scanning += began.elapsed().as_secs_f64();
        let tasks = reduced.into_iter().map(|(index, reduced)| (index, async move { reduced??.found().await }));
        let found = all(tasks, self.threads).await;
        let mut drafts: HashMap<usize, Draft> = drafts.into_iter().collect();
        let (mut questions, mut whole, mut unproven) = (Vec::new(), Vec::new(), Vec::new());
        for (index, found) in found {
            let draft = drafts.remove(&index).map(|draft| (index, draft));
            match found {
                Ok(Ok(Found::Question(question))) => questions.push((index, *question)),
                Ok(Ok(Found::Nothing(cost))) => {
                    self.report.answer(index, 0, Vec::new(), cost);
                    unproven.extend(draft.filter(|_| self.is_added(index)));
                }
                // Without the keys, as it is.
                _ => whole.extend(draft),
            }
        }
        self.prove(unproven).await;
        questions.extend(self.plan(whole).await);
        Ok(questions)
    }

    /// Fails those of a user's rules that cannot be planned, also where nothing happened that they want.
    async fn prove(&mut self, drafts: Vec<(usize, Draft)>) {
        self.plan(drafts).await;
    }

    /// True for a user's rule. Of ours it is known that they can be planned.
    fn is_added(&self, index: usize) -> bool {
        self.rules.get(index).is_some_and(|rule| rule.added)
    }

    fn looks_back(&self, index: usize) -> bool {
        self.views.get(index).is_some_and(|view| !view.lookback.is_zero())
    }

    /// Asks; `engine` is the one without shared scans.
    async fn judge(
        &mut self,
        engine: &Engine,
        shared: Option<&SharedScans>,
        questions: Vec<(usize, Question)>,
    ) -> Result<()> {
        let scanned = Instant::now();
        let pool = &engine.context().runtime_env().memory_pool;
        let held_by_others = pool.reserved();
        if let Some(shared) = shared {
            shared.read().await?;
        }
        let read = scanned.elapsed().as_secs_f64();
        self.report.scanning += read;
        // One at a time, so that each has all the memory.
        for index in self.ask(questions).await {
            given_back(pool, held_by_others).await;
            self.ask_spilling(engine, index).await?;
        }
        let (created_at, run_id) = (self.created_at, self.run_id.clone());
        incidents::judge(engine, self.rules, &self.views, self.tuning, created_at, &run_id, &mut self.report).await;
        self.report.answering = scanned.elapsed().as_secs_f64() - read;
        Ok(())
    }

    fn finish(mut self, began: Instant) -> Report {
        if let Some(coverage) = &self.coverage {
            coverage.tell(&mut self.report.findings);
        }
        self.report.findings.sort_by(Finding::order);
        self.report.seconds = began.elapsed().as_secs_f64();
        self.report
    }

    /// Threads for each of so many rules: with more rules than threads, one, since splitting small scans costs more than it
    /// gains.
    fn partitions(&self, rules: usize) -> usize {
        if rules > self.threads { 1 } else { self.threads }
    }

    /// Plans rules as they are.
    async fn plan(&mut self, drafts: Vec<(usize, Draft)>) -> Vec<(usize, Question)> {
        let tasks = drafts.into_iter().map(|(index, draft)| (index, async move { draft.plan().await }));
        let planned = all(tasks, self.threads).await;
        self.taken(planned)
    }

    /// Takes the answers of rules; returns those for which memory ended.
    async fn ask(&mut self, questions: Vec<(usize, Question)>) -> Vec<usize> {
        let tasks = questions.into_iter().filter_map(|(index, question)| {
            let (rule, created_at, run_id) = (self.rules.get(index).cloned()?, self.created_at, self.run_id.clone());
            Some((index, async move {
                let (answer, cost) = question.ask(&rule).await;
                (answer.map(|rows| (rows.rows(), rows.finish(created_at, &run_id))), cost)
            }))
        });
        let mut too_large = Vec::new();
        for (index, asked) in all(tasks, self.threads).await {
            match asked {
                Ok((Ok((rows, findings)), cost)) => self.report.answer(index, rows, findings, cost),
                Ok((Err(failure), _)) if failure.out_of_memory => too_large.push(index),
                Ok((Err(failure), _)) => self.report.fail(index, failure.reason),
                Err(reason) => self.report.fail(index, reason),
            }
        }
        too_large
    }

    /// Asks a rule again by itself, with joins that go to disk when memory ends.
    async fn ask_spilling(&mut self, engine: &Engine, index: usize) -> Result<()> {
        let (Some(rule), Some(view)) = (self.rules.get(index), self.views.get(index)) else { return Ok(()) };
        let windowed = engine.windowed(view).await?;
        let spilling = async {
            let draft = Draft::of(&windowed, rule, Some(1)).await?;
            draft.spilling(windowed.settings().memory).plan().await
        };
        match spilling.await {
            Err(reason) => self.report.fail(index, reason),
            Ok(question) => match question.ask(rule).await {
                (Ok(rows), cost) => {
                    let (count, findings) = (rows.rows(), rows.finish(self.created_at, &self.run_id));
                    self.report.answer(index, count, findings, cost);
                }
                (Err(failure), _) => self.report.fail(index, failure.reason),
            },
        }
        Ok(())
    }
}

/// The window with what `rule` sees before it. Without a start everything is fresh, and there is nothing before it.
fn view(window: &Window, rule: &Rule) -> Window {
    let lookback = if window.start.is_some() { rule.lookback } else { Duration::zero() };
    Window { lookback, ..window.clone() }
}

/// Waits until no more than `floor` bytes of `pool` are in use: tasks of a query that ended without its answer hold theirs
/// until they next yield. Memory that somebody else took meanwhile is waited for [`PATIENCE`] long at most.
async fn given_back(pool: &Arc<dyn MemoryPool>, floor: usize) {
    let began = Instant::now();
    while pool.reserved() > floor && began.elapsed() < PATIENCE {
        tokio::time::sleep(PATIENCE / 1_000).await;
    }
}

/// The window in words, for reasons.
fn describe(window: &Window) -> String {
    match (window.start, window.end) {
        (None, None) => "this lake".into(),
        (Some(start), None) => format!("this lake since {}", start.format("%Y-%m-%dT%H:%M:%SZ")),
        (None, Some(end)) => format!("this lake before {}", end.format("%Y-%m-%dT%H:%M:%SZ")),
        (Some(start), Some(end)) => {
            format!("the {} from {}", duration::show(end - start), start.format("%Y-%m-%dT%H:%M:%SZ"))
        }
    }
}
