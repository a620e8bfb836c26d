//! Rows that a rule returns become findings: one per entity and slot of time, in any order of rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use serde_json::Value;

use super::{Rule, cells};
use crate::findings::Finding;

/// Columns of a rule's answer that fill the column of the same name in a finding.
pub const FIELDS: [&str; 8] =
    ["account_id", "region", "principal", "access_key_id", "source_ip", "user_agent", "model_id", "resource"];

/// Columns that are not repeated in evidence: all rows are fresh, and ids have a column of the finding.
const NOT_EVIDENCE: [&str; 3] = ["fresh", "event_ids", "request_ids"];

/// Rows of evidence that a finding carries.
const MOST_EVIDENCE: usize = 20;
/// Ids that a finding carries.
const MOST_IDS: usize = 50;
/// Findings of one rule in one run. More are a mistake in the rule, and nobody can read them.
const MOST_FINDINGS: usize = 100_000;

/// Place of a row among the rows of its finding: time, object, record, and the row itself where those are equal.
type Place = (i64, String, i64, String);

/// Gathers the rows of one rule.
#[derive(Debug)]
pub struct Collector<'a> {
    rule: &'a Rule,
    groups: BTreeMap<(String, i64), Group>,
    rows: u64,
}

#[derive(Debug)]
struct Group {
    entities: Vec<Value>,
    first_seen: i64,
    last_seen: i64,
    event_count: i64,
    fields: [Option<(Place, String)>; FIELDS.len()],
    event_ids: BTreeSet<String>,
    request_ids: BTreeSet<String>,
    evidence: BTreeMap<Place, Value>,
}

impl<'a> Collector<'a> {
    /// No rows yet.
    pub fn new(rule: &'a Rule) -> Self {
        Collector { rule, groups: BTreeMap::new(), rows: 0 }
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the rows of a batch. An error says what the rule's SQL has to return instead.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let schema = batch.schema();
        let columns: Vec<ArrayRef> = batch.columns().iter().map(cells::readable).collect();
        let named = schema.fields().iter().map(|field| field.name().as_str()).zip(columns);
        let batch = RecordBatch::try_from_iter_with_nullable(named.map(|(name, column)| (name, column, true)));
        let batch = batch.map_err(|error| error.to_string())?;
        let times = converted(&batch, "time", &cells::time_type())?;
        let times = times.ok_or("the SQL has to return a column `time`")?;
        let firsts = converted(&batch, "first_seen", &cells::time_type())?;
        let counts = converted(&batch, "event_count", &DataType::Int64)?;
        let slot_length = self.rule.quiet.num_microseconds().unwrap_or(i64::MAX).max(1);
        for row in 0..batch.num_rows() {
            if times.is_null(row) {
                return Err("a row has no `time`; take it from an event, for aggregates with max(time)".into());
            }
            let time = times.as_primitive::<TimestampMicrosecondType>().value(row);
            let first = firsts.as_ref().filter(|column| column.is_valid(row));
            let first = first.map_or(time, |column| column.as_primitive::<TimestampMicrosecondType>().value(row));
            let count = counts.as_ref().filter(|column| column.is_valid(row));
            let count = count.map_or(1, |column| column.as_primitive::<Int64Type>().value(row));
            let mut entities = Vec::with_capacity(self.rule.entity.len());
            for name in &self.rule.entity {
                let column = batch
                    .column_by_name(name)
                    .ok_or_else(|| format!("the SQL has to return the entity column `{name}`"))?;
                entities.push(cells::value(column, row));
            }
            let key = (Value::Array(entities.clone()).to_string(), time.div_euclid(slot_length) * slot_length);
            if self.groups.len() >= MOST_FINDINGS && !self.groups.contains_key(&key) {
                return Err(format!("more than {MOST_FINDINGS} findings; make the SQL narrower or the entity coarser"));
            }
            let group = self.groups.entry(key).or_insert_with(|| Group::new(entities, time, first));
            group.first_seen = group.first_seen.min(first);
            group.last_seen = group.last_seen.max(time);
            group.event_count = group.event_count.saturating_add(count);
            group.add(&batch, row, time);
            self.rows += 1;
        }
        Ok(())
    }

    /// The findings, in the order of [`Finding::order`].
    pub fn finish(self, created_at: DateTime<Utc>, run_id: &str) -> Vec<Finding> {
        let rule = self.rule;
        let version = rule.version();
        let mut findings: Vec<Finding> = Vec::with_capacity(self.groups.len());
        for ((_, slot), group) in self.groups {
            let entities: Vec<(&str, Value)> = rule.entity.iter().map(String::as_str).zip(group.entities).collect();
            let [account_id, region, principal, access_key_id, source_ip, user_agent, model_id, resource] =
                group.fields.map(|found| found.map(|(_, text)| text));
            findings.push(Finding {
                finding_id: Finding::id(&rule.id, &entities, slot),
                rule_id: rule.id.clone(),
                rule_version: version.clone(),
                title: rule.title.clone(),
                severity: rule.severity,
                confidence: rule.confidence,
                kind: rule.kind,
                first_seen: DateTime::from_timestamp_micros(group.first_seen).unwrap_or_default(),
                last_seen: DateTime::from_timestamp_micros(group.last_seen).unwrap_or_default(),
                account_id,
                region,
                principal,
                access_key_id,
                source_ip,
                user_agent,
                model_id,
                resource,
                event_count: group.event_count,
                layer: rule.layer.as_str().into(),
                phase: rule.phase.as_str().into(),
                created_at,
                run_id: run_id.to_owned(),
                event_ids: group.event_ids.into_iter().collect(),
                request_ids: group.request_ids.into_iter().collect(),
                atlas: rule.atlas.clone(),
                attack: rule.attack.clone(),
                owasp: rule.owasp.clone(),
                threats: rule.threats.clone(),
                controls: rule.controls.clone(),
                triage: rule.triage.clone(),
                respond: rule.respond.clone(),
                false_positives: rule.false_positives.clone(),
                why: rule.why.clone(),
                entities: entities
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), cells::shortened(value)))
                    .collect(),
                evidence: group.evidence.into_values().collect(),
            });
        }
        findings.sort_by(Finding::order);
        findings
    }
}

impl Group {
    fn new(entities: Vec<Value>, time: i64, first: i64) -> Self {
        Group {
            entities,
            first_seen: first,
            last_seen: time,
            event_count: 0,
            fields: Default::default(),
            event_ids: BTreeSet::new(),
            request_ids: BTreeSet::new(),
            evidence: BTreeMap::new(),
        }
    }

    /// Takes ids, fields and evidence of a row. Everything kept is the smallest of its kind, so order does not matter.
    fn add(&mut self, batch: &RecordBatch, row: usize, time: i64) {
        let cell = |name: &str| batch.column_by_name(name).map_or(Value::Null, |column| cells::value(column, row));
        for (ids, columns) in
            [(&mut self.event_ids, ["event_id", "event_ids"]), (&mut self.request_ids, ["request_id", "request_ids"])]
        {
            for column in columns {
                keep_ids(ids, cell(column));
            }
        }
        let evidence = cells::evidence(batch, row, &NOT_EVIDENCE);
        let object = cell("_object").as_str().unwrap_or_default().to_owned();
        let place = (time, object, cell("_record").as_i64().unwrap_or_default(), evidence.to_string());
        for (name, kept) in FIELDS.iter().zip(&mut self.fields) {
            let text = match cells::shortened(cell(name)) {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            if kept.as_ref().is_none_or(|(earlier, _)| place < *earlier) {
                *kept = Some((place.clone(), text));
            }
        }
        self.evidence.insert(place, evidence);
        if self.evidence.len() > MOST_EVIDENCE {
            self.evidence.pop_last();
        }
    }
}

/// Adds an id, or a list of them, and keeps the smallest.
fn keep_ids(ids: &mut BTreeSet<String>, found: Value) {
    match found {
        Value::String(id) => {
            ids.insert(id);
        }
        Value::Array(items) => ids.extend(items.into_iter().filter_map(|item| item.as_str().map(str::to_owned))),
        _ => {}
    }
    while ids.len() > MOST_IDS {
        ids.pop_last();
    }
}

/// The column `name` in type `target`, if the batch has it.
fn converted(batch: &RecordBatch, name: &str, target: &DataType) -> Result<Option<ArrayRef>, String> {
    let Some(column) = batch.column_by_name(name) else { return Ok(None) };
    cast(column, target).map(Some).map_err(|_| format!("the column `{name}` is {}, not {target}", column.data_type()))
}
