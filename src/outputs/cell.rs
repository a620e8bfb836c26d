//! One value as text or as JSON, whatever its Arrow type.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

/// Columns of a batch with dictionaries unpacked, so that no value has to be looked up twice.
pub fn columns(batch: &RecordBatch) -> Vec<ArrayRef> {
    let unpacked = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, value) => cast(column, value).unwrap_or_else(|_| column.clone()),
        _ => column.clone(),
    };
    batch.columns().iter().map(unpacked).collect()
}

/// True for types whose values are aligned to the right.
pub fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

/// Appends a value as text: timestamps as RFC 3339 in UTC, nested values as JSON, nothing for null.
pub fn text(array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) {
        return;
    }
    match string(array, row) {
        Some(value) => out.push_str(value),
        None if array.data_type().is_nested() => json(array, row, out),
        None => plain(array, row, out),
    }
}

/// Appends a value as JSON.
pub fn json(array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) {
        out.push_str("null");
        return;
    }
    if let Some(value) = string(array, row) {
        quote(value, out);
        return;
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            out.push('{');
            for (index, (field, column)) in fields.iter().zip(columns.columns()).enumerate() {
                separate(index, out);
                quote(field.name(), out);
                out.push(':');
                json(column, row, out);
            }
            out.push('}');
        }
        DataType::List(_) => items(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => items(&array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => items(&array.as_fixed_size_list().value(row), out),
        DataType::ListView(_) => items(&array.as_list_view::<i32>().value(row), out),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for entry in 0..entries.len() {
                separate(entry, out);
                let mut key = String::new();
                text(entries.column(0), entry, &mut key);
                quote(&key, out);
                out.push(':');
                json(entries.column(1), entry, out);
            }
            out.push('}');
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match take(dictionary.values(), &dictionary.keys().slice(row, 1), None) {
                Ok(value) => json(&value, 0, out),
                Err(_) => out.push_str("null"),
            }
        }
        DataType::Boolean => plain(array, row, out),
        kind if kind.is_integer() => plain(array, row, out),
        kind if kind.is_floating() => {
            let mut number = String::new();
            plain(array, row, &mut number);
            let finite = !number.contains(['N', 'i']); // NaN, inf
            out.push_str(if finite { &number } else { "null" });
        }
        _ => {
            let mut value = String::new();
            plain(array, row, &mut value);
            quote(&value, out);
        }
    }
}

/// Appends text as a JSON string. Characters that move cursors or hide are escaped, which changes nothing for readers of JSON.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if super::escape::hides(character) => {
                let mut units = [0u16; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

fn items(array: &ArrayRef, out: &mut String) {
    out.push('[');
    for row in 0..array.len() {
        separate(row, out);
        json(array, row, out);
    }
    out.push(']');
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

fn string(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(array.as_string_view().value(row)),
        _ => None,
    }
}

/// Appends a value that is neither null, nor text, nor nested.
fn plain(array: &dyn Array, row: usize, out: &mut String) {
    macro_rules! display {
        ($kind:ty, $format:literal) => {
            write!(out, $format, array.as_primitive::<$kind>().value(row))
        };
    }
    let done = match array.data_type() {
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row)),
        DataType::Int8 => display!(Int8Type, "{}"),
        DataType::Int16 => display!(Int16Type, "{}"),
        DataType::Int32 => display!(Int32Type, "{}"),
        DataType::Int64 => display!(Int64Type, "{}"),
        DataType::UInt8 => display!(UInt8Type, "{}"),
        DataType::UInt16 => display!(UInt16Type, "{}"),
        DataType::UInt32 => display!(UInt32Type, "{}"),
        DataType::UInt64 => display!(UInt64Type, "{}"),
        DataType::Float16 => display!(Float16Type, "{:?}"),
        DataType::Float32 => display!(Float32Type, "{:?}"),
        DataType::Float64 => display!(Float64Type, "{:?}"),
        DataType::Date32 => date(array.as_primitive::<Date32Type>().value_as_date(row), out),
        DataType::Date64 => date(array.as_primitive::<Date64Type>().value_as_date(row), out),
        DataType::Timestamp(unit, _) => instant(array, row, *unit, out),
        _ => match ArrayFormatter::try_new(array, &FormatOptions::new()) {
            Ok(formatter) => write!(out, "{}", formatter.value(row)),
            Err(_) => write!(out, "?"),
        },
    };
    debug_assert!(done.is_ok(), "writing to a string does not fail");
}

fn date(date: Option<chrono::NaiveDate>, out: &mut String) -> std::fmt::Result {
    date.map_or(Ok(()), |date| write!(out, "{date}"))
}

/// RFC 3339 in UTC, with as many digits of fractions as are needed.
fn instant(array: &dyn Array, row: usize, unit: TimeUnit, out: &mut String) -> std::fmt::Result {
    let time = match unit {
        TimeUnit::Second => DateTime::from_timestamp(array.as_primitive::<TimestampSecondType>().value(row), 0),
        TimeUnit::Millisecond => {
            DateTime::from_timestamp_millis(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        TimeUnit::Microsecond => {
            DateTime::from_timestamp_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        TimeUnit::Nanosecond => {
            Some(DateTime::from_timestamp_nanos(array.as_primitive::<TimestampNanosecondType>().value(row)))
        }
    };
    time.map_or(Ok(()), |time| out.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}
