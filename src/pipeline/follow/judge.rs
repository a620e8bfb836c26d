//! Judging what arrives: single rows at once, all else where new rows touched it and the logs are complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::TableProvider;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::memo::Memo;
use super::revisits::Revisits;
use super::standing::StreamState;
use super::watermark::{Delays, Stream, Watermarks};
use crate::detect::{self, Live, Outcome, Rule, Tuning};
use crate::engine::{Engine, Settings, sql_error};
use crate::error::{Error, Result};
use crate::findings::{FINDINGS, Finding};
use crate::lake::{Journal, Lake, Position};
use crate::logs::LOG_TYPES;
use crate::pipeline::findings::{Kept, Shelved, Span};

/// What a rule's SQL calls the findings of other rules.
const FINDINGS_LOG: &str = FINDINGS.name;

/// Microseconds of a minute.
const MINUTE: i64 = 60_000_000;

/// Rules over a lake that grows.
#[derive(Debug)]
pub struct Judge {
    live: Live,
    shelved: Shelved,
    position: Position,
    marks: Watermarks,
    revisits: Revisits,
    settings: Settings,
    run_id: String,
    tuning: Tuning,
    /// How far apart the times of one finding may be: the longest slot of any rule.
    reach: Duration,
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
        delays: Delays,
        settings: Settings,
        run_id: &str,
    ) -> Result<Judge> {
        let memo = Memo::load(lake).await?;
        let mut revisits = Revisits::default();
        for rule in &rules {
            for &(first, last) in memo.revisits.get(&rule.id).into_iter().flatten() {
                revisits.touch(rule, &BTreeSet::from([first, last]));
            }
        }
        let reach = rules.iter().map(|rule| rule.quiet).max().unwrap_or_default();
        let engine = Engine::new(settings.clone(), journal.providers()?).await?;
        let (live, failed) = Live::plan(&engine, rules, settings.threads).await?;
        for failure in failed {
            tracing::warn!(rule = %failure.escape_debug(), "a rule cannot be planned; it is not judged");
        }
        Ok(Judge {
            live,
            shelved: Shelved::default(),
            position: memo.position,
            marks: Watermarks::new(delays, memo.streams),
            revisits,
            settings,
            run_id: run_id.to_owned(),
            tuning,
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
        let findings = self.tuned(touched.findings);
        let kept = self.shelved.keep(lake, journal, &findings, &[], Some(self.reach)).await?;
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

    /// Lets rules look again where new rows touched them, up to where the logs are complete; everywhere when `all` is there.
    pub async fn settle(&mut self, lake: &Lake, journal: &mut Journal, caught_up: bool, all: bool) -> Result<Judged> {
        let mut judged = self.settle_rules(lake, journal, caught_up, all, false).await?;
        let chains = self.settle_rules(lake, journal, caught_up, all, true).await?;
        judged.new.extend(chains.new);
        judged.failed.extend(chains.failed);
        (judged.fired, judged.quiet) = (judged.fired + chains.fired, judged.quiet + chains.quiet);
        Ok(judged)
    }

    /// Settles the rules over findings, or all others, which come first.
    async fn settle_rules(
        &mut self,
        lake: &Lake,
        journal: &mut Journal,
        caught_up: bool,
        all: bool,
        over_findings: bool,
    ) -> Result<Judged> {
        let now = Utc::now();
        let mut done: Vec<(Rule, Option<DateTime<Utc>>)> = Vec::new();
        let (mut rules, mut views, mut spans) = (Vec::new(), Vec::new(), Vec::new());
        for rule in self.live.rules().iter().filter(|rule| reads_findings(rule) == over_findings) {
            // What single rows tell does not wait for others.
            let complete =
                (!all && !self.live.is_row_by_row(&rule.id)).then(|| self.marks.of_logs(&rule.logs, now, caught_up));
            let ready = self.revisits.ready(rule, complete);
            if ready.is_empty() {
                continue;
            }
            done.push((rule.clone(), complete));
            for revisit in ready {
                rules.push(rule.clone());
                views.push(revisit.window);
                spans.push(Span {
                    rule_id: rule.id.clone(),
                    rule_version: rule.version(),
                    start: Some(revisit.span.0),
                    end: Some(revisit.span.1),
                    removes: true,
                });
            }
        }
        if rules.is_empty() {
            return Ok(Judged::default());
        }
        let engine = Engine::new(self.settings.clone(), journal.providers()?).await?;
        let report = detect::judge(&engine, &rules, views, self.settings.threads, &self.run_id).await?;
        let mut failed = BTreeMap::new();
        for verdict in &report.verdicts {
            if let Outcome::Failed(reason) = &verdict.outcome {
                failed.insert(verdict.rule_id.clone(), reason.clone());
            }
        }
        spans.retain(|span| !failed.contains_key(&span.rule_id));
        let findings = self.tuned(report.findings);
        let kept = self.shelved.keep(lake, journal, &findings, &spans, Some(self.reach)).await?;
        for (rule, complete) in &done {
            if !failed.contains_key(&rule.id) {
                self.revisits.done(rule, *complete);
            }
        }
        let fired = report.verdicts.iter().filter(|verdict| matches!(verdict.outcome, Outcome::Fired(_))).count();
        let quiet = report.verdicts.len() - fired - failed.len();
        let failed = failed.into_iter().map(|(rule, reason)| format!("{rule}: {reason}")).collect();
        Ok(Judged { fired, quiet, failed, ..self.judged(kept, findings) })
    }

    /// Findings to store, after the allow-lists and silences of the configuration.
    fn tuned(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let mut tuned = self.tuning.apply(findings, Utc::now());
        tuned.kept.append(&mut tuned.silenced);
        tuned.kept
    }

    /// What a change of the stored findings means: the new ones, and that rules over findings have to look again.
    fn judged(&mut self, kept: Kept, findings: Vec<Finding>) -> Judged {
        let minutes = kept.times.iter().map(|time| time.div_euclid(MINUTE)).collect();
        let new: BTreeSet<String> = kept.new.into_iter().collect();
        let mut new: Vec<Finding> = findings.into_iter().filter(|finding| new.contains(&finding.finding_id)).collect();
        for rule in self.live.rules().iter().filter(|rule| reads_findings(rule)) {
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
                minutes.insert(number(&starts).div_euclid(MINUTE));
            }
        }
        Ok(minutes)
    }
}

fn reads_findings(rule: &Rule) -> bool {
    rule.logs.iter().any(|log| log == FINDINGS_LOG)
}

fn column(batch: &RecordBatch, index: usize, target: &DataType) -> Result<Arc<dyn Array>> {
    let column = batch.columns().get(index).ok_or_else(|| Error::Lake("a survey of new rows lacks a column".into()))?;
    cast(column, target).map_err(|error| sql_error(error.into()))
}
