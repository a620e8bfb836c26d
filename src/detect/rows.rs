//! What a rule returned: its columns, looked up once per batch, and the values that findings need of a row.

use std::fmt::Write as _;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use serde_json::Value;

use super::{Rule, cells};

/// Columns that fill the column of the same name in a finding.
pub const FIELDS: [&str; 8] =
    ["account_id", "region", "principal", "access_key_id", "source_ip", "user_agent", "model_id", "resource"];

/// Columns that are not repeated in evidence: all rows are fresh, and ids have a column of the finding.
const NOT_EVIDENCE: [&str; 3] = ["fresh", "event_ids", "request_ids"];

/// Rows of one batch of a rule's answer.
#[derive(Debug)]
pub struct Rows {
    length: usize,
    time: ArrayRef,
    first_seen: Option<ArrayRef>,
    event_count: Option<ArrayRef>,
    entities: Vec<ArrayRef>,
    fields: [Option<ArrayRef>; FIELDS.len()],
    event_ids: Vec<ArrayRef>,
    request_ids: Vec<ArrayRef>,
    object: Option<ArrayRef>,
    record: Option<ArrayRef>,
    evidence: Vec<(String, ArrayRef)>,
}

impl Rows {
    /// The rows that `rule` returned. An error says what its SQL has to return instead.
    pub fn read(batch: &RecordBatch, rule: &Rule) -> Result<Rows, String> {
        let columns: Vec<(String, ArrayRef)> = batch
            .schema_ref()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| (field.name().clone(), cells::readable(column)))
            .collect();
        let find = |name: &str| columns.iter().find(|(known, _)| known == name).map(|(_, column)| column.clone());
        let converted = |name: &str, target: &DataType| match find(name) {
            Some(column) => cast(&column, target)
                .map(Some)
                .map_err(|_| format!("the column `{name}` is {}, not {target}", column.data_type())),
            None => Ok(None),
        };
        let entities: Result<Vec<ArrayRef>, String> = rule
            .entity
            .iter()
            .map(|name| find(name).ok_or_else(|| format!("the SQL has to return the entity column `{name}`")))
            .collect();
        let mut evidence: Vec<(String, ArrayRef)> =
            columns.iter().filter(|(name, _)| !NOT_EVIDENCE.contains(&name.as_str())).cloned().collect();
        evidence.sort_by(|(one, _), (other, _)| one.cmp(other));
        let text = |name: &str| find(name).filter(|column| *column.data_type() == DataType::Utf8);
        Ok(Rows {
            length: batch.num_rows(),
            time: converted("time", &cells::time_type())?.ok_or("the SQL has to return a column `time`")?,
            first_seen: converted("first_seen", &cells::time_type())?,
            event_count: converted("event_count", &DataType::Int64)?,
            entities: entities?,
            fields: FIELDS.map(find),
            event_ids: ["event_id", "event_ids"].into_iter().filter_map(find).collect(),
            request_ids: ["request_id", "request_ids"].into_iter().filter_map(find).collect(),
            object: text("_object"),
            record: find("_record").filter(|column| *column.data_type() == DataType::Int64),
            evidence,
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Event time, microseconds.
    pub fn time(&self, row: usize) -> Result<i64, String> {
        let missing = "a row has no `time`; take it from an event, for aggregates with max(time)";
        moment(&self.time, row).ok_or_else(|| missing.into())
    }

    /// Time of the first of several events, microseconds.
    pub fn first_seen(&self, row: usize) -> Option<i64> {
        self.first_seen.as_ref().and_then(|column| moment(column, row))
    }

    /// Events that the row stands for.
    pub fn event_count(&self, row: usize) -> i64 {
        self.event_count.as_ref().and_then(|column| number(column, row)).unwrap_or(1)
    }

    /// Values of the entity columns.
    pub fn entities(&self, row: usize) -> Vec<Value> {
        self.entities.iter().map(|column| cells::value(column, row)).collect()
    }

    /// Writes a text over `key` that is the same for rows of the same entities and slot, and no others: texts stand there
    /// with their length, so that no text can pose as two.
    pub fn write_key(&self, row: usize, slot: i64, key: &mut String) {
        key.clear();
        // Writing to a text cannot fail.
        let _ = write!(key, "{slot}");
        for column in &self.entities {
            let _ = match string(column, row) {
                Some(text) => write!(key, ",{}:{text}", text.len()),
                None => write!(key, ",={}", cells::value(column, row)),
            };
        }
    }

    /// Passes the ids of a kind to `take`: those of one event, or of a list of them.
    pub fn event_ids(&self, row: usize, take: &mut dyn FnMut(&str)) {
        ids(&self.event_ids, row, take);
    }

    /// The same for request ids.
    pub fn request_ids(&self, row: usize, take: &mut dyn FnMut(&str)) {
        ids(&self.request_ids, row, take);
    }

    /// URI of the object, and index of the record in it; empty and 0 when the rule does not return them.
    pub fn provenance(&self, row: usize) -> (&str, i64) {
        let object = self.object.as_ref().and_then(|column| string(column, row)).unwrap_or_default();
        let record = self.record.as_ref().and_then(|column| number(column, row)).unwrap_or_default();
        (object, record)
    }

    /// Whether the row has a value for a column of [`FIELDS`].
    pub fn has_field(&self, row: usize, field: usize) -> bool {
        self.fields.get(field).and_then(Option::as_ref).is_some_and(|column| column.is_valid(row))
    }

    /// That value as text.
    pub fn field(&self, row: usize, field: usize) -> Option<String> {
        let column = self.fields.get(field)?.as_ref()?;
        match cells::shortened(cells::value(column, row)) {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// The row as evidence, JSON text.
    pub fn evidence(&self, row: usize) -> String {
        cells::evidence(&self.evidence, row)
    }
}

fn moment(column: &ArrayRef, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.as_primitive::<TimestampMicrosecondType>().value(row))
}

fn number(column: &ArrayRef, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row))
}

fn string(column: &ArrayRef, row: usize) -> Option<&str> {
    column.as_string_opt::<i32>().filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

fn ids(columns: &[ArrayRef], row: usize, take: &mut dyn FnMut(&str)) {
    for column in columns {
        if let Some(id) = string(column, row) {
            take(id);
            continue;
        }
        if let Value::Array(items) = cells::value(column, row) {
            items.iter().filter_map(Value::as_str).for_each(&mut *take);
        }
    }
}
