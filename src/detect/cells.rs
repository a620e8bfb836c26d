//! Values of a result as JSON, cut to sizes that a finding can carry.

use chrono::{DateTime, NaiveDate, SecondsFormat};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use datafusion::arrow::util::display::array_value_to_string;
use serde_json::{Map, Value};

/// Bytes of a text that evidence keeps. Long enough for a policy document's telling part or a prompt's beginning.
const TEXT_LIMIT: usize = 2_048;
/// Bytes of a row of evidence; beyond it, texts are cut to [`SHORT_TEXT_LIMIT`].
const ROW_LIMIT: usize = 16_384;
const SHORT_TEXT_LIMIT: usize = 256;
/// Items of a list that evidence keeps.
const LIST_LIMIT: usize = 50;

/// Type that times are read as.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The column in a type that [`value`] reads directly: views and dictionaries as plain text, all integers as 64 bits.
pub fn readable(column: &ArrayRef) -> ArrayRef {
    let target = match column.data_type() {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Dictionary(..) => DataType::Utf8,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            DataType::Int64
        }
        DataType::Float16 | DataType::Float32 | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Float64
        }
        DataType::Timestamp(..) => time_type(),
        _ => return column.clone(),
    };
    cast(column, &target).unwrap_or_else(|_| column.clone())
}

/// The value at `row`; null when there is none. Texts and lists are not cut.
pub fn value(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time_text(column.as_primitive::<TimestampMicrosecondType>().value(row)).into()
        }
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().value(row);
            NaiveDate::from_num_days_from_ce_opt(days.saturating_add(719_163)).map(|day| day.to_string()).into()
        }
        DataType::List(_) => {
            let items = readable(&column.as_list::<i32>().value(row));
            (0..items.len()).map(|item| value(&items, item)).collect()
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let named =
                fields.iter().zip(columns).map(|(field, column)| (field.name().clone(), value(&readable(column), row)));
            Value::Object(named.filter(|(_, value)| !value.is_null()).collect())
        }
        _ => array_value_to_string(column, row).map_or(Value::Null, Value::String),
    }
}

/// A time in microseconds as RFC 3339, with fractions only where there are any.
pub fn time_text(micros: i64) -> Option<String> {
    DateTime::from_timestamp_micros(micros).map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// A row as evidence, JSON text: name -> value in the order of `columns`, without nulls, cut to size. Columns are
/// [`readable`] and sorted by name.
pub fn evidence(columns: &[(String, ArrayRef)], row: usize) -> String {
    let mut text = String::from("{");
    for (name, column) in columns {
        if column.is_null(row) {
            continue;
        }
        let start = text.len();
        text.push_str(if start == 1 { "" } else { "," });
        push_text(&mut text, name);
        text.push(':');
        match column.data_type() {
            DataType::Utf8 if column.as_string::<i32>().value_length(row) <= TEXT_LIMIT as i32 => {
                push_text(&mut text, column.as_string::<i32>().value(row));
            }
            _ => match value(column, row) {
                Value::Null => text.truncate(start),
                mut other => {
                    cut(&mut other, TEXT_LIMIT);
                    text.push_str(&other.to_string());
                }
            },
        }
    }
    text.push('}');
    if text.len() > ROW_LIMIT { short_evidence(columns, row) } else { text }
}

/// The same for a row that is too long: every text is cut short.
fn short_evidence(columns: &[(String, ArrayRef)], row: usize) -> String {
    let values = columns.iter().map(|(name, column)| (name.clone(), value(column, row)));
    let mut whole = Value::Object(values.filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>());
    cut(&mut whole, SHORT_TEXT_LIMIT);
    whole.to_string()
}

/// Adds a text as JSON.
fn push_text(to: &mut String, text: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        to.push('"');
        to.push_str(text);
        to.push('"');
    } else {
        to.push_str(&Value::from(text).to_string());
    }
}

/// Shortens a value's texts to what a finding keeps.
pub fn shortened(mut value: Value) -> Value {
    cut(&mut value, TEXT_LIMIT);
    value
}

/// Shortens texts to `limit` bytes and lists to [`LIST_LIMIT`] items, saying how much text is gone.
fn cut(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) if text.len() > limit => {
            let kept = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            let gone = text.len() - kept;
            text.truncate(kept);
            text.push_str(&format!("… ({gone} bytes more)"));
        }
        Value::Array(items) => {
            items.truncate(LIST_LIMIT);
            items.iter_mut().for_each(|item| cut(item, limit));
        }
        Value::Object(fields) => fields.values_mut().for_each(|field| cut(field, limit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let mut text = Value::String("é".repeat(2_000));
        cut(&mut text, 1_001);
        let text = text.as_str().unwrap_or_default();
        assert!(text.starts_with('é') && text.ends_with("(3000 bytes more)"));
    }
}
