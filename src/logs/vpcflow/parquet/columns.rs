//! The columns of a Parquet flow log as values of its fields, whatever types the file gave them.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit};

use super::super::format::{Format, MAX_FIELDS, Place, Separator, is_flow_log};
use super::super::line::is_foreign_null;
use super::super::record::{self, Value};
use crate::logs::rows::Rows;

/// Quarantine keeps the first bytes of a record; a row is not written out much further.
const SHOWN_BYTES: usize = 512;

/// The columns that are read, in the order of the file.
#[derive(Debug)]
pub(super) struct Columns {
    format: Format,
    roots: Vec<usize>,
}

/// The values of one column of a batch.
pub(super) enum Cells {
    Numbers(Int64Array),
    Texts(StringViewArray),
}

impl Columns {
    /// The columns of a file with this schema, and the schema to read it with; `None` when it is not a flow log's.
    ///
    /// Text is read as views, so that a dictionary is not written out for every row.
    pub(super) fn new(schema: &Schema) -> Option<(Columns, SchemaRef)> {
        let mut fields = Vec::with_capacity(schema.fields().len());
        let (mut roots, mut names) = (Vec::new(), Vec::new());
        for (root, field) in schema.fields().iter().enumerate() {
            let kind = match field.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => DataType::Utf8View,
                other => other.clone(),
            };
            if is_readable(&kind) {
                roots.push(root);
                names.push(field.name().as_str());
            }
            fields.push(Arc::new(Field::new(field.name(), kind, field.is_nullable())));
        }
        if names.len() > MAX_FIELDS || names.iter().any(|name| name.is_empty()) || !is_flow_log(&names) {
            return None;
        }
        Some((Columns { format: Format::new(&names, Separator::Blanks), roots }, Arc::new(Schema::new(fields))))
    }

    /// Positions of the columns among the file's columns.
    pub(super) fn roots(&self) -> Vec<usize> {
        self.roots.clone()
    }

    /// The columns of a batch, or which of them has a type that its field cannot have.
    pub(super) fn cells(&self, batch: &RecordBatch) -> Result<Vec<Cells>, String> {
        let fields = &self.format.order.fields;
        if batch.num_columns() != fields.len() {
            return Err(format!("it has {} columns instead of {}", batch.num_columns(), fields.len()));
        }
        let columns = fields.iter().zip(batch.columns());
        columns
            .map(|(field, array)| {
                let cells = match field.place {
                    Place::Int(_) | Place::Long(_) => numbers(array),
                    Place::Account(_) => accounts(array),
                    _ => texts(array),
                };
                cells.ok_or_else(|| format!("column {} has the type {}", field.name, array.data_type()))
            })
            .collect()
    }

    /// The values of a row, or why it is no flow record.
    pub(super) fn values<'a>(&self, cells: &'a [Cells], row: usize) -> Result<Values<'a>, String> {
        let order = &*self.format.order;
        let mut values = Values { fields: [Value::Null; MAX_FIELDS], text: 0 };
        for ((field, cells), value) in order.fields.iter().zip(cells).zip(&mut values.fields) {
            let is_number = matches!(field.place, Place::Int(_) | Place::Long(_));
            let is_tag = matches!(field.place, Place::Tag(_));
            *value = match cells.value(row) {
                Value::Text("-") => Value::Null,
                Value::Text(text) if !is_tag && is_foreign_null(text) => Value::Null,
                Value::Text(text) if is_number => match record::number(field.place, text) {
                    Some(number) => Value::Number(number),
                    None => return Err(record::not_a_number(field)),
                },
                Value::Text(text) => {
                    values.text += text.len() as u64;
                    Value::Text(text)
                }
                Value::Number(number) if !record::in_range(field.place, number) => {
                    return Err(record::not_a_number(field));
                }
                other => other,
            };
        }
        record::time(order, &values.fields)?;
        Ok(values)
    }

    /// Fills one row of the table.
    pub(super) fn fill(&self, rows: &mut Rows, values: &Values<'_>, index: u64) -> Result<(), String> {
        let order = &*self.format.order;
        record::fill(rows, order, values.fields.get(..order.fields.len()).unwrap_or_default(), index)
    }

    /// A row as text, for quarantine: `name=value`, separated by blanks.
    pub(super) fn shown(&self, cells: &[Cells], row: usize) -> String {
        let mut shown = String::new();
        for (field, cells) in self.format.order.fields.iter().zip(cells) {
            let separator = if shown.is_empty() { "" } else { " " };
            let name = &field.name;
            // Writing to a string cannot fail.
            let _ = match cells.value(row) {
                Value::Null => Ok(()),
                Value::Number(number) => write!(shown, "{separator}{name}={number}"),
                Value::Text(text) => write!(shown, "{separator}{name}={text}"),
            };
            if shown.len() > SHOWN_BYTES {
                break;
            }
        }
        shown
    }
}

/// The values of one row.
pub(super) struct Values<'a> {
    fields: [Value<'a>; MAX_FIELDS],
    /// Bytes of its text.
    pub text: u64,
}

impl Cells {
    fn value(&self, row: usize) -> Value<'_> {
        match self {
            Cells::Numbers(array) if array.is_valid(row) => Value::Number(array.value(row)),
            Cells::Texts(array) if array.is_valid(row) => Value::Text(array.value(row)),
            _ => Value::Null,
        }
    }
}

/// True for types whose values are single: lists, structs and fixed binary columns are none of AWS's.
fn is_readable(kind: &DataType) -> bool {
    kind.is_integer()
        || kind.is_floating()
        || matches!(kind, DataType::Utf8View | DataType::Boolean | DataType::Timestamp(..) | DataType::Date32)
}

/// Numbers stay numbers, times become Unix seconds, text is parsed row by row; `None` when the type can hold no number.
fn numbers(array: &ArrayRef) -> Option<Cells> {
    let kind = array.data_type();
    if *kind == DataType::Utf8View {
        return Some(Cells::Texts(array.as_string_view().clone()));
    }
    let numbers = match kind {
        DataType::Timestamp(..) => {
            cast(&cast(array, &DataType::Timestamp(TimeUnit::Second, None)).ok()?, &DataType::Int64)
        }
        kind if kind.is_floating() => {
            let floats = cast(array, &DataType::Float64).ok()?;
            let floats = floats.as_primitive::<Float64Type>();
            // A float with a fraction is no count; NaN is what tables with missing numbers hold.
            let whole = |float: f64| if float.fract() == 0.0 { float as i64 } else { -1 };
            let numbers: Int64Array = floats.iter().map(|float| float.filter(|f| !f.is_nan()).map(whole)).collect();
            return Some(Cells::Numbers(numbers));
        }
        kind if kind.is_integer() => cast(array, &DataType::Int64),
        _ => return None,
    };
    let numbers = numbers.ok()?;
    let numbers = numbers.as_primitive::<Int64Type>();
    // A cast that does not fit gives null; -1 makes such a row an error instead of a missing value.
    let kept = |row: usize| match (numbers.is_valid(row), array.is_valid(row)) {
        (true, _) => Some(numbers.value(row)),
        (false, true) => Some(-1),
        (false, false) => None,
    };
    Some(Cells::Numbers((0..numbers.len()).map(kept).collect()))
}

/// Account ids that were stored as numbers get their leading zeros back.
fn accounts(array: &ArrayRef) -> Option<Cells> {
    if !array.data_type().is_integer() {
        return texts(array);
    }
    let numbers = cast(array, &DataType::Int64).ok()?;
    let numbers = numbers.as_primitive::<Int64Type>();
    Some(Cells::Texts(numbers.iter().map(|number| number.map(|number| format!("{number:012}"))).collect()))
}

fn texts(array: &ArrayRef) -> Option<Cells> {
    let texts = match array.data_type() {
        DataType::Utf8View => Arc::clone(array),
        _ => cast(&cast(array, &DataType::Utf8).ok()?, &DataType::Utf8View).ok()?,
    };
    Some(Cells::Texts(texts.as_string_view().clone()))
}
