//! The findings that chains are made of: those of this run, and those that the lake keeps.

use std::collections::{BTreeSet, HashMap, VecDeque};

use chrono::{DateTime, Duration, Utc};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use serde_json::Value;

use super::cells;
use super::chain::{Chain, Child, Link};
use crate::engine::{Engine, Window, sql_error};
use crate::error::Result;
use crate::findings::{FINDINGS, Finding};
use crate::logs::cloudtrail::CLOUDTRAIL;

/// Access keys that are followed back to who assumed their roles. More are no longer the story of one attack.
const MOST_KEYS: usize = 1_000;
/// Roles assumed one from another that are followed back.
const MOST_ROLES: usize = 5;
/// How long before its first use an access key may have been given out: the longest session of a role.
const LONGEST_SESSION: Duration = Duration::hours(12);

/// Findings of this run that are steps of the chain.
pub fn of_run<'a>(findings: impl IntoIterator<Item = &'a Finding>, chain: &Chain) -> Vec<Child> {
    let wanted = |finding: &&Finding| {
        let is_incident = !finding.children.is_empty();
        chain.steps.iter().any(|step| chain.is_step(step, &finding.rule.rule_id, finding.rule.severity, is_incident))
    };
    findings.into_iter().filter(wanted).map(Child::of).collect()
}

/// Findings of this run and of the lake, each once. What this run says of one counts, over the whole time of both: the run
/// may see only the part of its events that lies in the window.
pub fn with_stored(made: Vec<Child>, stored: Vec<Child>) -> Vec<Child> {
    let mut children: HashMap<String, Child> =
        stored.into_iter().map(|child| (child.finding_id.clone(), child)).collect();
    for mut child in made {
        if let Some(known) = children.get(&child.finding_id) {
            child.first_seen = child.first_seen.min(known.first_seen);
            child.last_seen = child.last_seen.max(known.last_seen);
        }
        children.insert(child.finding_id.clone(), child);
    }
    children.into_values().collect()
}

/// Findings that the lake keeps and the chain wants, as far as `view` shows them; none that were silenced.
pub async fn stored(engine: &Engine, view: &Window, chain: &Chain) -> Result<Vec<Child>> {
    if !engine.tables().any(|table| table.name == FINDINGS.name) {
        return Ok(Vec::new());
    }
    let mut condition = format!("silenced IS NULL AND {}", view.visible());
    if chain.steps.iter().all(|step| !step.rules.is_empty()) {
        condition.push_str(&format!(" AND rule_id IN ({})", quoted(chain.rules())));
    }
    let sql = format!(
        "SELECT finding_id, rule_id, title, severity, first_seen, \"time\", account_id, region, principal, access_key_id, \
         source_ip, model_id, resource, cardinality(children) > 0 AS is_incident, {} AS fresh FROM findings WHERE {condition}",
        view.fresh()
    );
    let mut children = Vec::new();
    for batch in engine.sql(&sql).await?.collect().await.map_err(sql_error)? {
        let columns: Vec<ArrayRef> = batch.columns().iter().map(cells::readable).collect();
        let text = |column: usize, row: usize| value(&columns, column, row).as_str().map(str::to_owned);
        let flag = |column: usize, row: usize| value(&columns, column, row).as_bool().unwrap_or_default();
        children.extend((0..batch.num_rows()).filter_map(|row| {
            let child = Child {
                finding_id: text(0, row)?,
                rule_id: text(1, row)?,
                title: text(2, row).unwrap_or_default(),
                severity: text(3, row)?.parse().ok()?,
                first_seen: moment(&columns, 4, row)?,
                last_seen: moment(&columns, 5, row)?,
                account_id: text(6, row),
                region: text(7, row),
                principal: text(8, row),
                access_key_id: text(9, row),
                source_ip: text(10, row),
                model_id: text(11, row),
                resource: text(12, row),
                is_incident: flag(13, row),
                fresh: flag(14, row),
                origins: BTreeSet::new(),
            };
            chain.steps.iter().any(|step| child.is_step(chain, step)).then_some(child)
        }));
    }
    Ok(children)
}

/// Adds to each child whose access key came of assuming a role who assumed it, and with which key, role by role.
pub async fn follow_roles(engine: &Engine, view: &Window, children: &mut [Child]) -> Result<()> {
    if !engine.tables().any(|table| table.name == CLOUDTRAIL.name) {
        return Ok(());
    }
    let mut assumed: HashMap<String, BTreeSet<(Link, String)>> = HashMap::new();
    let mut keys: BTreeSet<String> = children.iter().filter_map(|child| child.access_key_id.clone()).collect();
    let lookback = view.lookback + LONGEST_SESSION;
    let visible = Window { lookback, ..view.clone() }.visible_times();
    for _ in 0..MOST_ROLES {
        // Keys of users are given out once and for all.
        let asked: Vec<&str> =
            keys.iter().map(String::as_str).filter(|key| key.starts_with("ASIA")).take(MOST_KEYS).collect();
        if asked.is_empty() {
            break;
        }
        let sql = format!(
            "SELECT DISTINCT new_access_key_id, principal, access_key_id FROM assumed WHERE new_access_key_id IN ({}) AND {visible}",
            quoted(asked.into_iter())
        );
        keys = BTreeSet::new();
        for batch in engine.sql(&sql).await?.collect().await.map_err(sql_error)? {
            for (given, principal, key) in origins(&batch) {
                let known = assumed.entry(given).or_default();
                known.extend(principal.map(|principal| (Link::Principal, principal)));
                if let Some(key) = key {
                    known.insert((Link::AccessKey, key.clone()));
                    keys.insert(key);
                }
            }
        }
        keys.retain(|key| !assumed.contains_key(key));
    }
    for child in children {
        let mut waiting: VecDeque<String> = child.access_key_id.iter().cloned().collect();
        while let Some(key) = waiting.pop_front() {
            for origin in assumed.get(&key).into_iter().flatten() {
                if child.origins.insert(origin.clone()) && origin.0 == Link::AccessKey {
                    waiting.push_back(origin.1.clone());
                }
            }
        }
    }
    Ok(())
}

/// Access key that was given out, and principal and access key that asked for it.
fn origins(batch: &RecordBatch) -> Vec<(String, Option<String>, Option<String>)> {
    let columns: Vec<ArrayRef> = batch.columns().iter().map(cells::readable).collect();
    let text = |column: usize, row: usize| value(&columns, column, row).as_str().map(str::to_owned);
    (0..batch.num_rows()).filter_map(|row| Some((text(0, row)?, text(1, row), text(2, row)))).collect()
}

fn value(columns: &[ArrayRef], column: usize, row: usize) -> Value {
    columns.get(column).map_or(Value::Null, |column| cells::value(column, row))
}

fn moment(columns: &[ArrayRef], column: usize, row: usize) -> Option<DateTime<Utc>> {
    let times =
        columns.get(column)?.as_primitive_opt::<TimestampMicrosecondType>().filter(|times| times.is_valid(row))?;
    DateTime::from_timestamp_micros(times.value(row))
}

/// Texts as the items of `IN (...)`. They may come from logs.
fn quoted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<String> = texts.map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
    items.join(", ")
}
