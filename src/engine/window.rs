//! The window that rules are judged over, and the partition column that tells its days.

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use datafusion::arrow::array::{Array, Date32Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::sql_error;
use crate::error::Result;
use crate::lake::day_of;
use crate::table::{DATE, Table};

/// A span of event time that is judged, and how much history before it rules may look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Window {
    /// First instant that counts as fresh; everything before `end` when none.
    pub start: Option<DateTime<Utc>>,
    /// First instant after the window; no limit when none.
    pub end: Option<DateTime<Utc>>,
    /// History before `start` that is visible and not fresh.
    pub lookback: Duration,
}

impl Window {
    /// Condition on `time` and `date` that keeps the visible rows, in SQL over the stored columns; `true` when all are.
    pub fn visible(&self) -> String {
        let mut condition = self.visible_times();
        if let Some(start) = self.start {
            condition += &format!(" AND \"date\" >= '{}'", (start - self.lookback).format("%Y-%m-%d"));
        }
        if let Some(end) = self.end {
            condition += &format!(" AND \"date\" <= '{}'", end.format("%Y-%m-%d"));
        }
        condition
    }

    /// The same for views, which have no `date`: a condition on `time` alone.
    pub fn visible_times(&self) -> String {
        let mut parts = Vec::new();
        if let Some(start) = self.start {
            parts.push(format!("\"time\" >= '{}'", (start - self.lookback).to_rfc3339()));
        }
        if let Some(end) = self.end {
            parts.push(format!("\"time\" < '{}'", end.to_rfc3339()));
        }
        if parts.is_empty() { "true".into() } else { parts.join(" AND ") }
    }

    /// SQL expression of the column `fresh`.
    pub fn fresh(&self) -> String {
        self.start.map_or("true".into(), |start| format!("\"time\" >= '{}'", start.to_rfc3339()))
    }
}

/// Stored schema of a table followed by its partition column.
pub fn dated_schema(table: &Table) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = table.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DATE, DataType::Date32, true)));
    Arc::new(Schema::new(fields))
}

/// A batch in stored schema with its partition column computed from `time`.
pub fn with_date(batch: &RecordBatch) -> Result<RecordBatch> {
    let times = batch.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>();
    let days: Date32Array = match times {
        Some(times) => times.iter().map(|time| time.map(day_of)).collect(),
        None => Date32Array::new_null(batch.num_rows()),
    };
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DATE, DataType::Date32, true)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(days));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|e| sql_error(e.into()))
}
