//! Rules over a window on an engine: findings, and a verdict for every rule.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use chrono::{Duration, Utc};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cost::Cost;
use super::coverage::Coverage;
use super::question::Question;
use super::scan::SharedScans;
use super::verdict::{Outcome, Report, Verdict};
use super::{Rule, duration};
use crate::engine::{Engine, Window};
use crate::error::Result;
use crate::findings::Finding;

/// How rules read tables. What they find is the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scans {
    /// Every table once for all rules, as far as their rows fit in memory.
    Shared,
    /// Every rule by itself: the reference.
    Alone,
}

/// Judges `rules` over `window`, up to `threads` of them at a time.
///
/// `window` is the span to judge; each rule sees its own lookback before it. Whether a rule can be judged is decided by the
/// rows of the window itself. A rule that fails has the verdict `Failed` and stops nothing; an error means that the tables
/// could not be read.
pub async fn run(
    engine: &Engine,
    rules: &[Rule],
    window: &Window,
    threads: usize,
    scans: Scans,
    run_id: &str,
) -> Result<Report> {
    let (created_at, began) = (Utc::now(), Instant::now());
    let shared = match scans {
        Scans::Shared => Some(SharedScans::over(engine).await?),
        Scans::Alone => None,
    };
    let engine = shared.as_ref().map_or(engine, SharedScans::engine);
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
        let cost = Cost::default();
        report.verdicts.push(Verdict { rule_id: rule.id.clone(), added: rule.added, outcome, rows: 0, cost });
    }
    // With more rules than threads, each rule runs on one thread: splitting small scans costs more than it gains.
    let partitions = if to_judge.len() > threads { 1 } else { threads.max(1) };
    let planned = to_judge.into_iter().filter_map(|(index, windowed)| {
        let rule = rules.get(index).cloned()?;
        Some((index, async move { Question::plan(&windowed, &rule, Some(partitions)).await }))
    });
    let mut questions: Vec<(usize, Question)> = Vec::new();
    for (index, planned) in all(planned, threads).await {
        match planned.and_then(|planned| planned) {
            Ok(question) => questions.push((index, question)),
            Err(reason) => report.fail(index, reason),
        }
    }
    let scanned = Instant::now();
    if let Some(shared) = &shared {
        shared.read().await?;
    }
    report.scanning = scanned.elapsed().as_secs_f64();
    let run_id: Arc<str> = run_id.into();
    let asked = questions.into_iter().filter_map(|(index, question)| {
        let (rule, run_id) = (rules.get(index).cloned()?, run_id.clone());
        Some((index, async move {
            let (answer, cost) = question.ask(&rule).await;
            (answer.map(|rows| (rows.rows(), rows.finish(created_at, &run_id))), cost)
        }))
    });
    for (index, asked) in all(asked, threads).await {
        let (answer, cost) = match asked {
            Ok((answer, cost)) => (answer, cost),
            Err(reason) => (Err(reason), Cost::default()),
        };
        match answer {
            Ok((rows, findings)) => report.answer(index, rows, findings, cost),
            Err(reason) => report.fail(index, reason),
        }
    }
    report.findings.sort_by(Finding::order);
    report.answering = scanned.elapsed().as_secs_f64() - report.scanning;
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

/// Runs the tasks, up to `threads` at a time, and returns what they return in the order given. A task that panics is an error.
async fn all<T: Send + 'static>(
    tasks: impl Iterator<Item = (usize, impl Future<Output = T> + Send + 'static)>,
    threads: usize,
) -> BTreeMap<usize, std::result::Result<T, String>> {
    let permits = Arc::new(Semaphore::new(threads.max(1)));
    let mut running = JoinSet::new();
    let mut places = BTreeMap::new();
    for (index, task) in tasks {
        let permits = permits.clone();
        let handle = running.spawn(async move {
            let _permit = permits.acquire().await;
            task.await
        });
        places.insert(handle.id(), index);
    }
    let mut done = BTreeMap::new();
    while let Some(ended) = running.join_next_with_id().await {
        let (id, returned) = match ended {
            Ok((id, returned)) => (id, Ok(returned)),
            Err(error) => (error.id(), Err(format!("the query engine broke down: {error}"))),
        };
        if let Some(index) = places.get(&id) {
            done.insert(*index, returned);
        }
    }
    done
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
