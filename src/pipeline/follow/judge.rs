//! Judging what arrives: single rows at once, all else where new rows touched it and the logs are complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::TableProvider;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::Follow;
use super::memo::Memo;
use super::revisits::{Revisit, Revisits};
use super::standing::StreamState;
use super::watermark::{Stream, Watermarks};
use crate::detect::{self, Live, MICROS_PER_MINUTE, Outcome, Rule, Tuning};
use crate::engine::{Engine, Prices, Settings, Window, sql_error};
use crate::error::{Error, Result};
use crate::findings::Finding;
use crate::lake::{Journal, Lake, Position};
use crate::logs::LOG_TYPES;
use crate::pipeline::findings::{Kept, Reach, Shelved, Span};

/// What arrives is judged with one part of the memory, while rules settle with another.
const POOLS: usize = 2;

/// Rules over a lake that grows.
#[derive(Debug)]
pub struct Judge {
    live: Live,
    shelved: Shelved,
    position: Position,
    marks: Watermarks,
    revisits: Revisits,
    settings: Settings,
    prices: Prices,
    run_id: String,
    tuning: Arc<Tuning>,
    /// Where a stored state of a finding may lie.
    reach: Arc<Reach>,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Judged {
    /// Findings that were new, by severity of their rule.
    pub new: Vec<Finding>,
    /// Rules that found something, and rules that found nothing.
    pub fired: usize,
    /// See [`Judged::fired`].
    pub quiet: usize,
    /// Rules that failed, and why.
    pub failed: Vec<String>,
}

impl Judge {
    /// Goes on where the last follower of the lake stopped.
    pub async fn resume(
        lake: &Lake,
        journal: &Journal,
        rules: Vec<Rule>,
        tuning: Tuning,
        how: &Follow,
    ) -> Result<Judge> {
        let settings = Settings { memory: how.engine.memory / POOLS, ..how.engine.clone() };
        let prices = how.prices.clone();
        let memo = Memo::load(lake).await?;
        let mut revisits = Revisits::default();
        for rule in &rules {
            for &(first, last) in memo.revisits.get(&rule.id).into_iter().flatten() {
                revisits.touch(rule, &BTreeSet::from([first, last]));
            }
        }
        let reach: Arc<Reach> = Arc::new(rules.iter().map(|rule| (rule.id.clone(), rule.reach())).collect());
        let engine = Engine::with_prices(settings.clone(), journal.providers()?, prices.clone()).await?;
        let (live, failed) = Live::plan(&engine, rules, settings.threads).await?;
        for failure in failed {
            tracing::warn!(rule = %failure.escape_debug(), "a rule cannot be planned; it is not judged");
        }
        Ok(Judge {
            live,
            shelved: Shelved::default(),
            position: memo.position,
            marks: Watermarks::new(how.delays.clone(), memo.streams),
            revisits,
            settings,
            prices,
            run_id: how.ingest.run_id.clone(),
            tuning: Arc::new(tuning),
            reach,
        })
    }

    /// Remembers where it is, for the next start.
    pub async fn save(&self, lake: &Lake) -> Result<()> {
        let streams = self.marks.streams().map(|(stream, newest)| (stream.clone(), newest)).collect();
        Memo::new(self.position.clone(), streams, self.revisits.minutes()).save(lake).await
    }

    /// How far the logs are.
    pub fn streams(&self, now: DateTime<Utc>, caught_up: bool) -> Vec<StreamState> {
        self.marks.states(now, caught_up)
    }

    /// Looks at the rows that came into the lake since the last look: what single rows tell is found at once; rules over
    /// more than one row are noted to look again.
    pub async fn look(&mut self, lake: &Lake, journal: &mut Journal) -> Result<Judged> {
        let now = journal.position()?;
        let logs = LOG_TYPES.iter().map(|log| log.table);
        if logs.clone().all(|table| now.get(table.name) == self.position.get(table.name)) {
            return Ok(Judged::default());
        }
        let mut tables = Vec::new();
        for table in logs {
            tables.push((table, journal.added_since(table, &self.position).await?));
        }
        let mut minutes = BTreeMap::new();
        for (table, rows) in &tables {
            let found = self.survey(table.name, rows.clone()).await?;
            if !found.is_empty() {
                minutes.insert(table.name, found);
            }
        }
        let touched = self.live.touch(&tables, &minutes, &self.run_id).await?;
        for (index, minutes) in &touched.minutes {
            if let Some(rule) = self.live.rules().get(*index) {
                self.revisits.touch(rule, minutes);
            }
        }
        let findings = tuned(&self.tuning, touched.findings);
        let kept = self.shelved.keep(lake, journal, &findings, &[], &self.reach).await?;
        self.position = now;
        let mut failed = Vec::new();
        for (index, reason) in touched.failed {
            let Some(rule) = self.live.rules().get(index) else { continue };
            failed.push(format!("{}: {reason}", rule.id));
            let concerned = rule.logs.iter().filter_map(|log| minutes.get(log.as_str())).flatten().copied().collect();
            self.revisits.touch(rule, &concerned);
        }
        Ok(Judged { failed, ..self.judged(kept, findings) })
    }

    /// What rules have to look at again and can, because the logs are complete there; all of it with `all`. Chains
    /// come when no other rule is due. Nothing when no rule is due.
    pub fn due(&mut self, caught_up: bool, all: bool) -> Option<Due> {
        self.due_of(caught_up, all, false).or_else(|| self.due_of(caught_up, all, true))
    }

    fn due_of(&mut self, caught_up: bool, all: bool, chains: bool) -> Option<Due> {
        let now = Utc::now();
        let mut due = Due::default();
        let wanted = |(_, rule): &(usize, &Rule)| rule.chain.is_some() == chains;
        for (index, rule) in self.live.rules().iter().enumerate().filter(wanted) {
            // What single rows tell does not wait for others.
            let complete =
                (!all && !self.live.is_row_by_row(index)).then(|| self.marks.of_logs(&rule.logs, now, caught_up));
            for Revisit { window, span: (start, end) } in self.revisits.ready(rule, complete) {
                due.rules.push(rule.clone());
                due.views.push(window);
                due.spans.push(Span {
                    rule_id: rule.id.clone(),
                    rule_version: rule.version(),
                    start: Some(start),
                    end: Some(end),
                    removes: true,
                    sees_all: false,
                });
            }
            let minutes = self.revisits.take(rule, complete);
            if !minutes.is_empty() {
                due.minutes.push((rule.clone(), minutes));
            }
        }
        (!due.rules.is_empty()).then_some(due)
    }

    /// Takes back what could not be looked at.
    pub fn take_back(&mut self, minutes: &[(Rule, BTreeSet<i64>)]) {
        for (rule, minutes) in minutes {
            self.revisits.touch(rule, minutes);
        }
    }

    /// Takes over what a settling did: chains have to look at what changed, failed rules at the same again.
    pub fn settled(&mut self, settled: Settled, due: &[(Rule, BTreeSet<i64>)]) -> Judged {
        for (rule, minutes) in due.iter().filter(|(rule, _)| settled.failed.contains_key(&rule.id)) {
            self.revisits.touch(rule, minutes);
        }
        let failed = settled.failed.into_iter().map(|(rule, reason)| format!("{rule}: {reason}")).collect();
        let (fired, quiet) = (settled.fired, settled.quiet);
        Judged { fired, quiet, failed, ..self.judged(settled.kept, settled.findings) }
    }

    /// What settles beside it.
    pub async fn settler(&self, lake: &Lake, span: i64) -> Result<Settler> {
        Ok(Settler {
            lake: lake.clone(),
            journal: lake.begin_in_spans(span).await?,
            shelved: Shelved::default(),
            tuning: self.tuning.clone(),
            settings: self.settings.clone(),
            prices: self.prices.clone(),
            run_id: self.run_id.clone(),
            reach: self.reach.clone(),
        })
    }

    /// What a change of the stored findings means: the new ones, and that chains have to look again.
    fn judged(&mut self, kept: Kept, findings: Vec<Finding>) -> Judged {
        let minutes = kept.times.iter().map(|time| time.div_euclid(MICROS_PER_MINUTE)).collect();
        let new: BTreeSet<String> = kept.new.into_iter().collect();
        let mut new: Vec<Finding> = findings.into_iter().filter(|finding| new.contains(&finding.finding_id)).collect();
        for rule in self.live.rules().iter().filter(|rule| rule.chain.is_some()) {
            self.revisits.touch(rule, &minutes);
        }
        new.retain(|finding| finding.silenced.is_none());
        Judged { new, ..Judged::default() }
    }

    /// Takes note of the streams of a log; returns the minutes in which it has rows.
    async fn survey(&mut self, log: &'static str, rows: Arc<dyn TableProvider>) -> Result<BTreeSet<i64>> {
        // Stored columns.
        let account = match log {
            "cloudtrail" => "coalesce(recipientaccountid, useridentity_accountid)",
            "bedrock" => "accountid",
            _ => "account_id",
        };
        let region = if log == "cloudtrail" { "awsregion" } else { "region" };
        let sql = format!(
            "SELECT coalesce({account}, ''), coalesce({region}, ''), \
             CAST(date_trunc('minute', \"time\") AS BIGINT) AS minute, CAST(max(\"time\") AS BIGINT) \
             FROM new_rows GROUP BY 1, 2, 3"
        );
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        context.register_table("new_rows", rows).map_err(sql_error)?;
        let batches = context.sql(&sql).await.map_err(sql_error)?.collect().await.map_err(sql_error)?;
        let mut minutes = BTreeSet::new();
        for batch in batches {
            let (accounts, regions) = (column(&batch, 0, &DataType::Utf8)?, column(&batch, 1, &DataType::Utf8)?);
            let (starts, newest) = (column(&batch, 2, &DataType::Int64)?, column(&batch, 3, &DataType::Int64)?);
            for row in 0..batch.num_rows() {
                let text = |texts: &dyn Array| texts.as_string::<i32>().value(row).to_owned();
                let number = |numbers: &dyn Array| numbers.as_primitive::<Int64Type>().value(row);
                let stream = Stream { log: log.to_owned(), account: text(&accounts), region: text(&regions) };
                if let Some(time) = DateTime::from_timestamp_micros(number(&newest)) {
                    self.marks.see(stream, time);
                }
                minutes.insert(number(&starts).div_euclid(MICROS_PER_MINUTE));
            }
        }
        Ok(minutes)
    }
}

/// Rules that look again, each over spans of its own.
#[derive(Debug, Default)]
pub struct Due {
    rules: Vec<Rule>,
    views: Vec<Window>,
    spans: Vec<Span>,
    /// Rule by rule, the minutes (since 1970) that made it look.
    pub minutes: Vec<(Rule, BTreeSet<i64>)>,
}

/// What a settling did.
#[derive(Debug)]
pub struct Settled {
    findings: Vec<Finding>,
    kept: Kept,
    fired: usize,
    quiet: usize,
    /// Rule id -> why.
    failed: BTreeMap<String, String>,
}

/// Lets rules look again, beside the loop, with a view of the lake of its own.
#[derive(Debug)]
pub struct Settler {
    lake: Lake,
    journal: Journal,
    shelved: Shelved,
    tuning: Arc<Tuning>,
    settings: Settings,
    prices: Prices,
    run_id: String,
    reach: Arc<Reach>,
}

impl Settler {
    /// Judges rules over their spans, and makes the lake's findings what they are there.
    pub async fn settle(&mut self, due: Due) -> Result<Settled> {
        self.journal.refresh().await?;
        let providers = self.journal.providers()?;
        let engine = Engine::with_prices(self.settings.clone(), providers, self.prices.clone()).await?;
        let report =
            detect::judge(&engine, &due.rules, &self.tuning, due.views, self.settings.threads, &self.run_id).await?;
        let mut failed = BTreeMap::new();
        for verdict in &report.verdicts {
            if let Outcome::Failed(reason) = &verdict.outcome {
                failed.insert(verdict.rule_id.clone(), reason.clone());
            }
        }
        let mut spans = due.spans;
        spans.retain(|span| !failed.contains_key(&span.rule_id));
        let findings = tuned(&self.tuning, report.findings);
        let kept = self.shelved.keep(&self.lake, &mut self.journal, &findings, &spans, &self.reach).await?;
        let fired = report.verdicts.iter().filter(|verdict| matches!(verdict.outcome, Outcome::Fired(_))).count();
        let quiet = report.verdicts.len().saturating_sub(fired + failed.len());
        Ok(Settled { findings, kept, fired, quiet, failed })
    }
}

/// Findings to store, after the allow-lists and silences of the configuration.
fn tuned(tuning: &Tuning, findings: Vec<Finding>) -> Vec<Finding> {
    let mut tuned = tuning.apply(findings, Utc::now());
    tuned.kept.append(&mut tuned.silenced);
    tuned.kept
}

fn column(batch: &RecordBatch, index: usize, target: &DataType) -> Result<Arc<dyn Array>> {
    let column = batch.columns().get(index).ok_or_else(|| Error::Lake("a survey of new rows lacks a column".into()))?;
    cast(column, target).map_err(|error| sql_error(error.into()))
}
