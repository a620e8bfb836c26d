//! Rules over a window on an engine: findings, and a verdict for every rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{Duration, Utc};
use datafusion::prelude::{DataFrame, col};
use futures::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::collect::Collector;
use super::coverage::Coverage;
use super::{Rule, duration};
use crate::engine::{Engine, Window, sql_error};
use crate::error::Result;
use crate::findings::Finding;

/// What a run says.
#[derive(Debug, Default)]
pub struct Report {
    /// Findings of all rules, in the order of [`Finding::order`].
    pub findings: Vec<Finding>,
    /// One verdict per rule, in the order in which the rules were given.
    pub verdicts: Vec<Verdict>,
    /// Seconds that the run took.
    pub seconds: f64,
}

/// What a run says about one rule.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The rule.
    pub rule_id: String,
    /// True for rules that a user added: when they fail, the rule has to change (exit code 2).
    pub added: bool,
    /// The answer.
    pub outcome: Outcome,
    /// Seconds that the rule took.
    pub seconds: f64,
    /// Fresh rows that its SQL returned.
    pub rows: u64,
}

/// The answer of a rule. Only `Quiet` says that there was nothing to find.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// This many findings.
    Fired(usize),
    /// Nothing, and the evidence was there.
    Quiet,
    /// The evidence is not there, because.
    NotEvaluated(String),
    /// The SQL failed, because.
    Failed(String),
}

impl Outcome {
    /// `fired`, `quiet`, `not evaluated` or `failed`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Fired(_) => "fired",
            Outcome::Quiet => "quiet",
            Outcome::NotEvaluated(_) => "not evaluated",
            Outcome::Failed(_) => "failed",
        }
    }

    /// Why there is no answer.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Outcome::NotEvaluated(reason) | Outcome::Failed(reason) => Some(reason),
            Outcome::Fired(_) | Outcome::Quiet => None,
        }
    }
}

impl Report {
    /// Exit code that failed rules ask for: 2 when one of the user's failed, 4 when one of ours did, else 0.
    pub fn exit_code(&self) -> u8 {
        let failed = |added: bool| {
            self.verdicts.iter().any(|verdict| verdict.added == added && matches!(verdict.outcome, Outcome::Failed(_)))
        };
        match (failed(true), failed(false)) {
            (true, _) => 2,
            (false, true) => 4,
            (false, false) => 0,
        }
    }
}

/// Judges `rules` over `window`, up to `threads` of them at a time.
///
/// `window` is the span to judge; each rule sees its own lookback before it. Whether a rule can be judged is decided by the
/// rows of the window itself. A rule that fails has the verdict `Failed` and stops nothing; an error means that the tables
/// could not be read.
pub async fn run(engine: &Engine, rules: &[Rule], window: &Window, threads: usize, run_id: &str) -> Result<Report> {
    let (created_at, began) = (Utc::now(), Instant::now());
    let judged = Window { lookback: Duration::zero(), ..window.clone() };
    let mut engines: BTreeMap<Duration, Arc<Engine>> = BTreeMap::new();
    let fresh = Arc::new(engine.windowed(&judged).await?);
    let coverage = Coverage::measure(&fresh, rules).await?;
    engines.insert(Duration::zero(), fresh);
    let place = describe(window);
    let mut report = Report::default();
    let mut to_judge: Vec<(usize, Arc<Engine>)> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let missing = coverage.missing(rule, &place);
        if missing.is_none() {
            // Without a start everything is fresh, and there is no history before it.
            let lookback = if window.start.is_some() { rule.lookback } else { Duration::zero() };
            let known = engines.get(&lookback).cloned();
            let windowed = match known {
                Some(windowed) => windowed,
                None => Arc::new(engine.windowed(&Window { lookback, ..window.clone() }).await?),
            };
            engines.insert(lookback, windowed.clone());
            to_judge.push((index, windowed));
        }
        let outcome = missing.map_or(Outcome::Quiet, Outcome::NotEvaluated);
        report.verdicts.push(Verdict { rule_id: rule.id.clone(), added: rule.added, outcome, seconds: 0.0, rows: 0 });
    }
    // With more rules than threads, each rule runs on one thread: splitting small scans costs more than it gains.
    let partitions = if to_judge.len() > threads { 1 } else { threads.max(1) };
    let permits = Arc::new(Semaphore::new(threads.max(1)));
    let mut tasks = JoinSet::new();
    let mut places = BTreeMap::new();
    for (index, windowed) in to_judge {
        let Some(rule) = rules.get(index).cloned() else { continue };
        let (permits, run_id) = (permits.clone(), run_id.to_owned());
        let task = tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let started = Instant::now();
            let answer = judge(&windowed, &rule, Some(partitions)).await;
            let answer = answer.map(|rows| (rows.rows(), rows.finish(created_at, &run_id)));
            (answer, started.elapsed().as_secs_f64())
        });
        places.insert(task.id(), index);
    }
    while let Some(done) = tasks.join_next_with_id().await {
        let (id, answer, seconds) = match done {
            Ok((id, (answer, seconds))) => (id, answer, seconds),
            Err(error) => (error.id(), Err(format!("the query engine broke down: {error}")), 0.0),
        };
        let Some(verdict) = places.get(&id).and_then(|index| report.verdicts.get_mut(*index)) else { continue };
        verdict.seconds = seconds;
        match answer {
            Ok((rows, findings)) => {
                verdict.rows = rows;
                verdict.outcome = if findings.is_empty() { Outcome::Quiet } else { Outcome::Fired(findings.len()) };
                report.findings.extend(findings);
            }
            Err(reason) => verdict.outcome = Outcome::Failed(reason),
        }
    }
    report.findings.sort_by(Finding::order);
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Runs one rule on an engine that shows its window, and gathers its fresh rows. `partitions` limits the threads it takes.
pub(super) async fn judge<'r>(
    engine: &Engine,
    rule: &'r Rule,
    partitions: Option<usize>,
) -> std::result::Result<Collector<'r>, String> {
    let sql = rule.bound_sql().map_err(|error| error.to_string())?;
    let frame = engine.sql(&sql).await.map_err(|error| error.to_string())?;
    if frame.schema().fields().iter().all(|field| field.name() != "fresh") {
        return Err("the SQL has to return `fresh`; select it, or bool_or(fresh) AS fresh".into());
    }
    let frame = frame.filter(col("fresh")).map_err(|error| sql_error(error).to_string())?;
    let frame = match partitions {
        Some(count) => {
            let (mut state, plan) = frame.into_parts();
            state.config_mut().options_mut().execution.target_partitions = count;
            DataFrame::new(state, plan)
        }
        None => frame,
    };
    let mut batches = frame.execute_stream().await.map_err(|error| sql_error(error).to_string())?;
    let mut collector = Collector::new(rule);
    while let Some(batch) = batches.next().await {
        collector.add(&batch.map_err(|error| sql_error(error).to_string())?)?;
    }
    Ok(collector)
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
