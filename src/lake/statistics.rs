//! Statistics of a file: from Parquet metadata to the Delta log, and from the Delta log to the query planner.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::statistics::Statistics as ParquetStatistics;
use serde_json::{Map, Value, json};

/// How many leading columns carry minimum and maximum in the Delta log: Delta's own default.
pub const INDEXED_COLUMNS: usize = 32;

/// Statistics of a written file as the Delta protocol wants them ("Per-file Statistics"), JSON text.
pub fn to_delta(metadata: &ParquetMetaData, schema: &Schema) -> String {
    let mut lowest = Map::new();
    let mut highest = Map::new();
    let mut nulls = Map::new();
    let mut rows = 0;
    for group in metadata.row_groups() {
        rows += group.num_rows();
    }
    for (index, field) in schema.fields().iter().enumerate().take(INDEXED_COLUMNS) {
        if field.data_type().is_nested() {
            continue;
        }
        let Some(range) = column_range(metadata, index, field.data_type()) else { continue };
        if let (Some(low), Some(high)) = (range.low, range.high) {
            lowest.insert(field.name().clone(), low);
            highest.insert(field.name().clone(), high);
        }
        nulls.insert(field.name().clone(), json!(range.nulls));
    }
    json!({ "numRecords": rows, "minValues": lowest, "maxValues": highest, "nullCount": nulls }).to_string()
}

struct Range {
    low: Option<Value>,
    high: Option<Value>,
    nulls: u64,
}

/// Range of a flat column over all row groups. The column index equals the leaf index: only nested columns, which come
/// after the indexed ones, have several leaves.
fn column_range(metadata: &ParquetMetaData, index: usize, data_type: &DataType) -> Option<Range> {
    let mut range = Range { low: None, high: None, nulls: 0 };
    for group in metadata.row_groups() {
        let statistics = group.columns().get(index)?.statistics()?;
        range.nulls += statistics.null_count_opt().unwrap_or_default();
        let Some((low, high)) = written_bounds(statistics, data_type) else { continue };
        if range.low.as_ref().is_none_or(|known| less(&low, known)) {
            range.low = Some(low);
        }
        if range.high.as_ref().is_none_or(|known| less(known, &high)) {
            range.high = Some(high);
        }
    }
    Some(range)
}

fn written_bounds(statistics: &ParquetStatistics, data_type: &DataType) -> Option<(Value, Value)> {
    match (statistics, data_type) {
        (ParquetStatistics::Int64(s), DataType::Timestamp(TimeUnit::Microsecond, _)) => {
            Some((timestamp(*s.min_opt()?)?, timestamp(*s.max_opt()?)?))
        }
        (ParquetStatistics::Int64(s), _) => Some((json!(s.min_opt()?), json!(s.max_opt()?))),
        (ParquetStatistics::Int32(s), DataType::Int32) => Some((json!(s.min_opt()?), json!(s.max_opt()?))),
        (ParquetStatistics::Double(s), _) => Some((json!(s.min_opt()?), json!(s.max_opt()?))),
        (ParquetStatistics::Boolean(s), _) => Some((json!(s.min_opt()?), json!(s.max_opt()?))),
        (ParquetStatistics::ByteArray(s), DataType::Utf8) => {
            Some((json!(s.min_opt()?.as_utf8().ok()?), json!(s.max_opt()?.as_utf8().ok()?)))
        }
        _ => None,
    }
}

fn timestamp(micros: i64) -> Option<Value> {
    Some(json!(DateTime::from_timestamp_micros(micros)?.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)))
}

/// Order of two bounds of one column: numbers as numbers, text by bytes, false before true.
fn less(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a < b,
            _ => a.as_f64() < b.as_f64(),
        },
        (Value::String(a), Value::String(b)) => a < b,
        (Value::Bool(a), Value::Bool(b)) => !a & b,
        _ => false,
    }
}

/// Statistics from the Delta log as the planner wants them, one entry per column of `schema`.
///
/// Minima and maxima are given as inexact: they bound the values, but text is cut, so they need not occur.
pub fn from_delta(text: Option<&str>, schema: &Schema, size: u64) -> Arc<Statistics> {
    let mut statistics = Statistics::new_unknown(schema);
    statistics.total_byte_size = Precision::Inexact(size as usize);
    let parsed: HashMap<String, Value> = text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
    if let Some(rows) = parsed.get("numRecords").and_then(Value::as_u64) {
        statistics.num_rows = Precision::Exact(rows as usize);
    }
    for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
        *column = column_statistics(&parsed, field.name(), field.data_type());
    }
    Arc::new(statistics)
}

/// The same with minima and maxima as exact, which is how pruning wants bounds; never give these to the planner.
pub fn bounds(known: &Statistics) -> Arc<Statistics> {
    let exact = |bound: &Precision<ScalarValue>| bound.get_value().cloned().map_or(Precision::Absent, Precision::Exact);
    let mut bounds = known.clone();
    for column in &mut bounds.column_statistics {
        column.min_value = exact(&column.min_value);
        column.max_value = exact(&column.max_value);
    }
    Arc::new(bounds)
}

fn column_statistics(parsed: &HashMap<String, Value>, name: &str, data_type: &DataType) -> ColumnStatistics {
    let bound = |which: &str| -> Precision<ScalarValue> {
        let value = parsed.get(which).and_then(|values| values.get(name)).and_then(|v| scalar(v, data_type));
        value.map_or(Precision::Absent, Precision::Inexact)
    };
    let mut column = ColumnStatistics::new_unknown();
    column.min_value = bound("minValues");
    column.max_value = bound("maxValues");
    if let Some(nulls) = parsed.get("nullCount").and_then(|n| n.get(name)).and_then(Value::as_u64) {
        column.null_count = Precision::Exact(nulls as usize);
    }
    column
}

fn scalar(value: &Value, data_type: &DataType) -> Option<ScalarValue> {
    match data_type {
        DataType::Utf8View => Some(ScalarValue::Utf8View(Some(value.as_str()?.to_owned()))),
        DataType::Utf8 => Some(ScalarValue::Utf8(Some(value.as_str()?.to_owned()))),
        DataType::Int32 => Some(ScalarValue::Int32(Some(i32::try_from(value.as_i64()?).ok()?))),
        DataType::Int64 => Some(ScalarValue::Int64(Some(value.as_i64()?))),
        DataType::Float64 => Some(ScalarValue::Float64(Some(value.as_f64()?))),
        DataType::Boolean => Some(ScalarValue::Boolean(Some(value.as_bool()?))),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let time = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
            Some(ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), zone.clone()))
        }
        _ => None,
    }
}
