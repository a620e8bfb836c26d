//! What is known of every event behind a finding, and not only of the one whose value stands in a column.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::findings::Finding;

/// Evidence of a finding, read for questions about all of its events.
///
/// A column of a finding holds the value of its first row, and a row of an aggregate holds one of many values. So a value
/// stands for all events only in a column of the entity, by which findings are told apart, or when each event is there as
/// a row of evidence.
#[derive(Debug)]
pub struct Facts<'a> {
    finding: &'a Finding,
    rows: Vec<Map<String, Value>>,
    /// True when the rows are all the events.
    complete: bool,
}

impl<'a> Facts<'a> {
    /// Reads the evidence.
    pub fn of(finding: &'a Finding) -> Facts<'a> {
        let rows: Vec<Map<String, Value>> =
            finding.evidence.iter().filter_map(|row| serde_json::from_str(row).ok()).collect();
        let complete = usize::try_from(finding.event_count).is_ok_and(|count| count > 0 && count == rows.len());
        Facts { finding, complete: complete && rows.iter().all(is_one_event), rows }
    }

    /// True when the finding has the column.
    pub fn has(&self, column: &str) -> bool {
        self.finding.entities.contains_key(column) || self.rows.iter().any(|row| row.contains_key(column))
    }

    /// Values of the column that together are those of all events; `None` when some may be others, or none.
    pub fn all(&self, column: &str) -> Option<Vec<String>> {
        if let Some(value) = self.finding.entities.get(column) {
            return text(value).map(|text| vec![text]);
        }
        if !self.complete {
            return None;
        }
        self.rows.iter().map(|row| row.get(column).and_then(text)).collect()
    }

    /// Times of the first and the last event; `None` when events may lie before those that are known.
    pub fn span(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let known = !self.rows.is_empty()
            && self.rows.len() == self.finding.evidence.len()
            && self.rows.iter().all(|row| is_one_event(row) || row.get("first_seen").is_some_and(Value::is_string));
        known.then_some((self.finding.first_seen, self.finding.last_seen))
    }
}

/// True for a row that is an event, and does not stand for others.
fn is_one_event(row: &Map<String, Value>) -> bool {
    let counted = row.get("event_count").is_none_or(|count| count.as_i64() == Some(1));
    counted && row.get("_object").is_some_and(Value::is_string) && row.get("_record").is_some_and(Value::is_i64)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
