//! Rows that a rule returns become findings: one per entity and slot of time, in any order of rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::RecordBatch;
use serde_json::Value;

use super::rows::{FIELDS, Rows};
use super::{Rule, cells};
use crate::findings::{Finding, Origin};

/// Rows of evidence that a finding carries.
const MOST_EVIDENCE: usize = 20;
/// Ids that a finding carries.
const MOST_IDS: usize = 50;
/// Findings of one rule in one run. More are a mistake in the rule, and nobody can read them.
const MOST_FINDINGS: usize = 100_000;

/// A row of evidence as JSON text, behind its time, object and record, by which the rows of a finding are ordered.
type Place = Arc<(i64, String, i64, String)>;

/// Gathers the rows of one rule.
#[derive(Debug)]
pub struct Collector<'a> {
    rule: &'a Rule,
    /// By the values of the entity columns as JSON and the start of the slot.
    groups: HashMap<String, Group>,
    rows: u64,
}

#[derive(Debug)]
struct Group {
    entities: Vec<Value>,
    slot: i64,
    first_seen: i64,
    last_seen: i64,
    event_count: i64,
    fields: [Option<(Place, String)>; FIELDS.len()],
    event_ids: BTreeSet<String>,
    request_ids: BTreeSet<String>,
    evidence: BTreeSet<Place>,
}

impl<'a> Collector<'a> {
    /// No rows yet.
    pub fn new(rule: &'a Rule) -> Self {
        Collector { rule, groups: HashMap::new(), rows: 0 }
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the rows of a batch. An error says what the rule's SQL has to return instead.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let rows = &Rows::read(batch, self.rule)?;
        let slot_length = self.rule.slot();
        let mut key = String::new();
        for row in 0..rows.len() {
            let time = rows.time(row)?;
            let first = rows.first_seen(row).unwrap_or(time);
            let slot = time.div_euclid(slot_length) * slot_length;
            rows.write_key(row, slot, &mut key);
            if !self.groups.contains_key(&key) {
                if self.groups.len() >= MOST_FINDINGS {
                    let advice = "make the SQL narrower or the entity coarser";
                    return Err(format!("more than {MOST_FINDINGS} findings; {advice}"));
                }
                self.groups.insert(key.clone(), Group::new(rows.entities(row), slot, time, first));
            }
            if let Some(group) = self.groups.get_mut(&key) {
                group.first_seen = group.first_seen.min(first);
                group.last_seen = group.last_seen.max(time);
                group.event_count = group.event_count.saturating_add(rows.event_count(row));
                group.add(rows, row, time);
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// The findings, in the order of [`Finding::order`].
    pub fn finish(self, created_at: DateTime<Utc>, run_id: &Arc<str>) -> Vec<Finding> {
        let rule = self.rule;
        let origin = Arc::new(origin(rule));
        let mut findings: Vec<Finding> = Vec::with_capacity(self.groups.len());
        for group in self.groups.into_values() {
            let entities: Vec<(&str, Value)> = rule.entity.iter().map(String::as_str).zip(group.entities).collect();
            let [account_id, region, principal, access_key_id, source_ip, user_agent, model_id, resource] =
                group.fields.map(|found| found.map(|(_, text)| text));
            findings.push(Finding {
                finding_id: Finding::id(&rule.id, &entities, group.slot),
                rule: origin.clone(),
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
                created_at,
                run_id: run_id.clone(),
                event_ids: group.event_ids.into_iter().collect(),
                request_ids: group.request_ids.into_iter().collect(),
                children: Vec::new(),
                entities: entities
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), cells::shortened(value)))
                    .collect(),
                lacks: Vec::new(),
                evidence: group.evidence.into_iter().map(Arc::unwrap_or_clone).map(|place| place.3).collect(),
                silenced: None,
            });
        }
        findings.sort_by(Finding::order);
        findings
    }
}

/// What findings repeat of their rule.
pub fn origin(rule: &Rule) -> Origin {
    Origin {
        rule_id: rule.id.clone(),
        rule_version: rule.version(),
        title: rule.title.clone(),
        severity: rule.severity,
        confidence: rule.confidence,
        kind: rule.kind,
        layer: rule.layer.as_str().into(),
        phase: rule.phase.as_str().into(),
        atlas: rule.atlas.clone(),
        attack: rule.attack.clone(),
        owasp: rule.owasp.clone(),
        threats: rule.threats.clone(),
        controls: rule.controls.clone(),
        triage: rule.triage.clone(),
        respond: rule.respond.clone(),
        false_positives: rule.false_positives.clone(),
        why: rule.why.clone(),
    }
}

impl Group {
    fn new(entities: Vec<Value>, slot: i64, time: i64, first: i64) -> Self {
        Group {
            entities,
            slot,
            first_seen: first,
            last_seen: time,
            event_count: 0,
            fields: Default::default(),
            event_ids: BTreeSet::new(),
            request_ids: BTreeSet::new(),
            evidence: BTreeSet::new(),
        }
    }

    /// Takes ids, fields and evidence of a row. Everything kept is the smallest of its kind, so order does not matter.
    fn add(&mut self, rows: &Rows, row: usize, time: i64) {
        rows.event_ids(row, &mut |id| keep_id(&mut self.event_ids, id));
        rows.request_ids(row, &mut |id| keep_id(&mut self.request_ids, id));
        let (object, record) = rows.provenance(row);
        let may_be_before = |place: &Place| (time, object, record) <= (place.0, place.1.as_str(), place.2);
        // Evidence is dear to write, so it is written only for rows that may be kept.
        let mut written: Option<Place> = None;
        let write = || Arc::new((time, object.to_owned(), record, rows.evidence(row)));
        for (field, kept) in self.fields.iter_mut().enumerate() {
            if !rows.has_field(row, field) || kept.as_ref().is_some_and(|(earlier, _)| !may_be_before(earlier)) {
                continue;
            }
            let place = written.get_or_insert_with(write).clone();
            if kept.as_ref().is_none_or(|(earlier, _)| place < *earlier) {
                *kept = rows.field(row, field).map(|text| (place, text));
            }
        }
        let is_full = self.evidence.len() >= MOST_EVIDENCE;
        if !is_full || self.evidence.last().is_some_and(may_be_before) {
            self.evidence.insert(written.unwrap_or_else(write));
            if self.evidence.len() > MOST_EVIDENCE {
                self.evidence.pop_last();
            }
        }
    }
}

/// Adds an id and keeps the smallest.
fn keep_id(ids: &mut BTreeSet<String>, id: &str) {
    if ids.contains(id) || ids.len() >= MOST_IDS && ids.last().is_some_and(|last| last.as_str() < id) {
        return;
    }
    ids.insert(id.to_owned());
    if ids.len() > MOST_IDS {
        ids.pop_last();
    }
}
