//! The tests inside a rule: events go through the real decoder and the SQL, which fires or not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::chain::Chain;
use super::coverage::Coverage;
use super::question::{Draft, Found};
use super::rule::Test;
use super::{Rule, Shelf, children, incidents, samples};
use crate::engine::window::{dated_schema, with_date};
use crate::engine::{Engine, Settings, Window, sql_error};
use crate::error::{Error, Result};
use crate::findings::Finding;
use crate::logs::{LOG_TYPES, NoBodies, framing};
use crate::table::Table;

/// Outcome of one test of a rule.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The rule.
    pub rule_id: String,
    /// The test's name.
    pub test: String,
    /// What went wrong, if anything did.
    pub problem: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.problem.as_deref().unwrap_or("ok");
        write!(f, "{}, test \"{}\": {told}", self.rule_id, self.test)
    }
}

impl Test {
    /// Start of the window that it judges.
    fn start(&self) -> Option<DateTime<Utc>> {
        self.fresh_from.map(|offset| samples::base_time() + offset)
    }
}

/// Tables of all logs.
pub(super) fn tables() -> impl Iterator<Item = &'static Table> {
    LOG_TYPES.iter().map(|log| log.table)
}

/// Runs every test of `rules` on `threads` threads. The rules that chains name are among them, or built in. Outcomes come in the order of the rules and their tests.
pub async fn run(rules: &[Rule], threads: usize) -> Result<Vec<Outcome>> {
    let children = named(rules)?;
    let rules: Arc<[Rule]> = rules.into();
    let next = Arc::new(AtomicUsize::new(0));
    let done: Arc<Mutex<BTreeMap<usize, Vec<Outcome>>>> = Arc::default();
    let mut workers = Vec::new();
    for _ in 0..threads.clamp(1, rules.len().max(1)) {
        let (rules, children, next, done) = (rules.clone(), children.clone(), next.clone(), done.clone());
        workers.push(tokio::spawn(async move {
            let mut bench = Bench::new().await?;
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(rule) = rules.get(index) else { return Ok(()) };
                let outcomes = bench.test(rule, &children).await?;
                done.lock().unwrap_or_else(PoisonError::into_inner).insert(index, outcomes);
            }
        }));
    }
    for worker in workers {
        let ended: Result<()> =
            worker.await.map_err(|error| Error::Rule(format!("a rule's test broke down: {error}")))?;
        ended?;
    }
    let done = std::mem::take(&mut *done.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(done.into_values().flatten().collect())
}

/// The rules that the chains among `rules` and their tests name, as far as there are any.
fn named(rules: &[Rule]) -> Result<Arc<[Rule]>> {
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for rule in rules {
        ids.extend(rule.chain.iter().flat_map(Chain::rules).map(String::from));
        ids.extend(rule.tests()?.into_iter().flat_map(|test| test.rules));
    }
    if ids.is_empty() {
        return Ok(Arc::from([]));
    }
    let built_in = Shelf::built_in()?;
    let all = rules.iter().chain(built_in.rules().iter().filter(|rule| rules.iter().all(|own| own.id != rule.id)));
    Ok(all.filter(|rule| ids.contains(&rule.id)).cloned().collect())
}

/// One engine that is used for test after test: building a session costs more than a test does.
struct Bench {
    stages: Vec<(&'static Table, Arc<Stage>)>,
    engine: Engine,
    windowed: HashMap<Window, Arc<Engine>>,
}

impl Bench {
    async fn new() -> Result<Bench> {
        let mut stages = Vec::new();
        for table in tables() {
            stages.push((table, Arc::new(Stage::empty(table)?)));
        }
        let settings = Settings { threads: 1, ..Settings::default() };
        let providers = stages.iter().map(|(table, stage)| (*table, stage.clone() as Arc<dyn TableProvider>)).collect();
        Ok(Bench { engine: Engine::new(settings, providers).await?, stages, windowed: HashMap::new() })
    }

    async fn test(&mut self, rule: &Rule, children: &[Rule]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for test in rule.tests()? {
            let problem = match &rule.chain {
                None => self.play(rule, &test).await.err(),
                Some(chain) => self.play_chain(rule, chain, &test, children).await.err(),
            };
            outcomes.push(Outcome { rule_id: rule.id.clone(), test: test.name, problem });
        }
        Ok(outcomes)
    }

    /// Plays one test; the error says what was expected and what happened.
    async fn play(&mut self, rule: &Rule, test: &Test) -> std::result::Result<(), String> {
        let rows = self.fill(test)?;
        let start = test.start();
        let findings = self.judge(rule, Window { start, lookback: rule.lookback, end: None }).await?;
        match (test.fires, findings.is_empty()) {
            (true, true) => Err(format!("should fire, but found nothing fresh in {rows}")),
            (false, false) => Err(format!("should stay quiet, but fired:\n{}", told(&findings))),
            (false, true) => Ok(()),
            (true, false) => {
                let fresh = Window { start, ..Window::default() };
                let engine = self.engine_for(fresh).await.map_err(|error| error.to_string())?;
                let logs: Vec<&str> = rule.logs.iter().map(String::as_str).collect();
                let coverage = Coverage::measure(engine, std::slice::from_ref(rule), &logs).await;
                let missing = coverage.map_err(|error| error.to_string())?.missing(rule, "the test's events");
                let told = |missing| {
                    format!("fires, but a run would not evaluate the rule: {missing}; change needs or the events")
                };
                missing.map_or(Ok(()), |missing| Err(told(missing)))
            }
        }
    }

    /// Plays one test of a chain: the rules that it names are judged first. A run over what lies before the test's window keeps
    /// its findings for the chain.
    async fn play_chain(
        &mut self,
        rule: &Rule,
        chain: &Chain,
        test: &Test,
        children: &[Rule],
    ) -> std::result::Result<(), String> {
        let rows = self.fill(test)?;
        let start = test.start();
        let view = Window { start, lookback: rule.lookback, end: None };
        let before = start.map(|start| Window { end: Some(start), ..Window::default() });
        let is_child =
            |child: &&Rule| chain.rules().chain(test.rules.iter().map(String::as_str)).any(|id| id == child.id);
        let (mut made, mut kept) = (Vec::new(), Vec::new());
        for child in children.iter().filter(is_child) {
            let failed = |reason: String| format!("{} failed: {reason}", child.id);
            if let Some(before) = &before {
                kept.extend(self.judge(child, before.clone()).await.map_err(failed)?);
            }
            made.extend(self.judge(child, Window { lookback: child.lookback, ..view.clone() }).await.map_err(failed)?);
        }
        let mut stored = children::of_run(&kept, chain);
        stored.retain(|child| start.is_some_and(|start| child.last_seen >= start - rule.lookback));
        stored.iter_mut().for_each(|child| child.fresh = false);
        let steps = children::with_stored(children::of_run(&made, chain), stored);
        let (created_at, run_id) = (samples::base_time(), "test".into());
        let incidents = incidents::find(&self.engine, &view, rule, steps, created_at, &run_id).await;
        let (_, incidents) = incidents.map_err(|error| error.to_string())?;
        match (test.fires, incidents.is_empty()) {
            (true, true) => {
                let mut seen: Vec<&str> =
                    kept.iter().chain(&made).map(|finding| finding.rule.rule_id.as_str()).collect();
                seen.sort_unstable();
                Err(format!("should fire, but {rows} make no chain of what was found: {}", seen.join(", ")))
            }
            (false, false) => Err(format!("should stay quiet, but fired:\n{}", told(&incidents))),
            _ => Ok(()),
        }
    }

    /// What a rule finds in a window.
    async fn judge(&mut self, rule: &Rule, window: Window) -> std::result::Result<Vec<Finding>, String> {
        let lookback = if window.start.is_some() { window.lookback } else { Duration::zero() };
        let engine = self.engine_for(Window { lookback, ..window }).await.map_err(|error| error.to_string())?;
        // As hunts do: of a history, what can matter.
        let draft = Draft::of(engine, rule, None).await?;
        let found = match (lookback.is_zero(), draft.clone().reduced().await) {
            (false, Ok(reduced)) => reduced.found().await.ok(),
            _ => None,
        };
        let question = match found {
            Some(Found::Question(question)) => *question,
            Some(Found::Nothing(_)) => return Ok(Vec::new()),
            None => draft.plan().await?,
        };
        let (collected, _) = question.ask(rule).await;
        Ok(collected.map_err(|failure| failure.reason)?.finish(samples::base_time(), &"test".into()))
    }

    /// Decodes the test's events into the tables; says how many rows each has.
    fn fill(&self, test: &Test) -> std::result::Result<String, String> {
        self.engine.forget();
        self.windowed.values().for_each(|engine| engine.forget());
        let mut rows: BTreeMap<&str, Vec<RecordBatch>> = BTreeMap::new();
        for (object, bytes) in samples::objects(&test.events) {
            let decoded = framing::decode(&object, &bytes, &NoBodies, samples::base_time().timestamp_micros());
            if let Some(refused) = &decoded.found.quarantine {
                let reason = refused.rows.column_by_name("reason").map(|column| super::cells::value(column, 0));
                return Err(format!("the decoder refused an event: {}", reason.unwrap_or_default()));
            }
            if decoded.found.foreign > 0 {
                let kind = decoded.found.foreign_kind.unwrap_or("something else");
                return Err(format!("the decoder took an event for {kind}; which of its fields is overridden?"));
            }
            for batch in decoded.batches {
                rows.entry(batch.table.name).or_default().push(batch.stored());
            }
        }
        let mut told = Vec::new();
        for (table, stage) in &self.stages {
            let batches = rows.remove(table.name).unwrap_or_default();
            let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
            if count > 0 {
                told.push(format!("{count} {} row{}", table.name, if count == 1 { "" } else { "s" }));
            }
            stage.set(batches).map_err(|error| error.to_string())?;
        }
        Ok(if told.is_empty() { "no rows at all".into() } else { told.join(", ") })
    }

    async fn engine_for(&mut self, window: Window) -> Result<&Arc<Engine>> {
        if !self.windowed.contains_key(&window) {
            let engine = Arc::new(self.engine.windowed(&window).await?);
            self.windowed.insert(window.clone(), engine);
        }
        self.windowed.get(&window).ok_or_else(|| Error::Rule("a window of a rule's test went missing".into()))
    }
}

/// What fired, for people: the entities and the first row of each finding.
fn told(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings.iter().take(5) {
        let entities = serde_json::Value::Object(finding.entities.clone());
        let first = finding.evidence.first().map(ToString::to_string).unwrap_or_default();
        lines.push(format!("    {entities}\n      {first}"));
    }
    if findings.len() > lines.len() {
        lines.push(format!("    and {} more", findings.len() - lines.len()));
    }
    lines.join("\n")
}

/// A table whose rows change between queries, under plans and views that stay.
#[derive(Debug)]
struct Stage {
    schema: SchemaRef,
    rows: RwLock<Arc<MemTable>>,
}

impl Stage {
    fn empty(table: &Table) -> Result<Stage> {
        let schema = dated_schema(table);
        let rows = MemTable::try_new(schema.clone(), vec![Vec::new()]).map_err(sql_error)?;
        Ok(Stage { schema, rows: RwLock::new(Arc::new(rows)) })
    }

    fn set(&self, batches: Vec<RecordBatch>) -> Result<()> {
        let dated = batches.iter().map(with_date).collect::<Result<Vec<_>>>()?;
        let rows = MemTable::try_new(self.schema.clone(), vec![dated]).map_err(sql_error)?;
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rows);
        Ok(())
    }
}

#[async_trait]
impl TableProvider for Stage {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner).clone();
        rows.scan(state, projection, filters, limit).await
    }
}
