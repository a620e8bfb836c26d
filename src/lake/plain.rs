//! Columns that files keep as they are: positions in a dictionary of few values hardly get smaller.
//!
//! Whoever reads a row group sets up a decompressor for each column that is compressed, which takes longer than the values.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray};

use super::parquet::Place;
use crate::logs::rows::Batch;
use crate::table::{Kind, Table};

/// Rows that are looked at, evenly over a file.
const SAMPLE: usize = 512;
/// Rows with a value for each value, at least: it is one of few.
const ROWS_PER_VALUE: usize = 8;

/// Names of such columns of `table` in a file of these rows. `blanks` says which columns have no value in them.
pub fn plain(table: &Table, batches: &[Arc<Batch>], rows: &[Place], blanks: &[Option<ArrayRef>]) -> Vec<String> {
    let schema = table.schema();
    let step = rows.len().div_ceil(SAMPLE).max(1);
    let mut plain = Vec::new();
    for column in table.stored_columns() {
        let name = column.stored_name();
        let Ok(place) = schema.index_of(&name) else { continue };
        let is_plain = match column.kind {
            Kind::List(_) | Kind::Texts => false,
            _ if blanks.get(place).is_some_and(Option::is_some) => true,
            Kind::Bool => true,
            Kind::Text => {
                let texts: Vec<Option<&StringArray>> =
                    batches.iter().map(|batch| batch.rows.column(place).as_any().downcast_ref()).collect();
                has_few(rows.iter().step_by(step).filter_map(|(batch, row)| {
                    let texts = texts.get(*batch).copied().flatten()?;
                    texts.is_valid(*row).then(|| texts.value(*row))
                }))
            }
            _ => false,
        };
        if is_plain {
            plain.push(name);
        }
    }
    plain
}

fn has_few<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let (mut count, mut distinct) = (0, HashSet::new());
    for text in texts {
        count += 1;
        distinct.insert(text);
        if distinct.len() > SAMPLE / ROWS_PER_VALUE {
            return false;
        }
    }
    distinct.len() * ROWS_PER_VALUE <= count && count > 0
}
