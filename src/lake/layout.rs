//! How a file keeps its columns, as a sample of their values tells.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray};

use super::parquet::Place;
use crate::logs::rows::Batch;
use crate::table::{Kind, Table};

/// Rows that are looked at, evenly over a file.
const SAMPLE: usize = 512;
/// Rows with a value for each value, at least, of which there are few.
const ROWS_PER_VALUE: usize = 8;
/// Rows with a value from which on they tell that each has one of its own.
const ENOUGH: usize = 32;

/// What is special about columns of one file, by name.
#[derive(Debug, Default)]
pub struct Layout {
    /// Columns of few values or none, which are not compressed: positions in a dictionary hardly get smaller, and whoever reads a row
    /// group sets up a decompressor for each column that is compressed, which takes longer than the values.
    pub plain: Vec<String>,
    /// Columns of ids, which have no dictionary: whoever wants one row would have to unpack all of it.
    pub unique: Vec<String>,
    /// Columns of JSON, and of texts of which at least every other one is new: not compressed they would take space.
    large: Vec<String>,
}

impl Layout {
    /// That of a file of `table` that begins with these rows. `blanks` says which columns have no value in them.
    pub fn of(table: &Table, batches: &[Arc<Batch>], rows: &[Place], blanks: &[Option<ArrayRef>]) -> Layout {
        let mut layout = Layout::default();
        let step = rows.len().div_ceil(SAMPLE).max(1);
        for (place, column) in table.stored_columns().enumerate() {
            let is_blank = blanks.get(place).is_some_and(Option::is_some);
            let is_plain = match column.kind {
                Kind::List(_) | Kind::Texts => false,
                _ if is_blank => true,
                Kind::Bool => true,
                Kind::Text | Kind::Json => {
                    let texts: Vec<Option<&StringArray>> =
                        batches.iter().map(|batch| batch.rows.column(place).as_any().downcast_ref()).collect();
                    let sample: Vec<&str> = rows
                        .iter()
                        .step_by(step)
                        .filter_map(|(batch, row)| {
                            let texts = texts.get(*batch).copied().flatten()?;
                            texts.is_valid(*row).then(|| texts.value(*row))
                        })
                        .collect();
                    let distinct = sample.iter().collect::<HashSet<_>>().len();
                    if distinct == sample.len() && distinct >= ENOUGH {
                        layout.unique.push(column.stored_name());
                    }
                    // JSON is long, even where it is rare.
                    let is_json = column.kind == Kind::Json;
                    if is_json || (distinct > sample.len() / 2 && sample.len() >= ROWS_PER_VALUE) {
                        layout.large.push(column.stored_name());
                    }
                    !is_json && distinct > 0 && distinct * ROWS_PER_VALUE <= sample.len()
                }
                _ => false,
            };
            if is_plain {
                layout.plain.push(column.stored_name());
            }
        }
        layout
    }

    /// True when a file that is kept like this may take rows for which `other` was made.
    pub fn suits(&self, other: &Layout) -> bool {
        !self.plain.iter().any(|name| other.large.contains(name))
    }
}
