//! Copies of a few rows that do not keep the pages alive from which they came.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use datafusion::arrow::datatypes::DataType;

/// The same values without the rest of the buffers that text views point into.
pub fn compact(column: ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        DataType::List(_) => {
            let (field, offsets, values, nulls) = column.as_list::<i32>().clone().into_parts();
            Arc::new(ListArray::new(field, offsets, compact(values), nulls))
        }
        DataType::Struct(_) => {
            let (fields, columns, nulls) = column.as_struct().clone().into_parts();
            // No fields, no columns from which the length could be told.
            if columns.is_empty() {
                return column;
            }
            Arc::new(StructArray::new(fields, columns.into_iter().map(compact).collect(), nulls))
        }
        _ => column,
    }
}
