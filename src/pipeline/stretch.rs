//! Rows of small objects are put together in shared batches.
//!
//! A batch has a hundred columns, and thousands of batches of a few rows cost more than their rows.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;

use crate::logs::rows::{Batch, nulls_of};

/// Batches of fewer rows are put together.
const SMALL: usize = 2_048;
/// Rows at which a shared batch is full.
const FULL: usize = 8_192;

/// The rows of one object and log: a part of a batch.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The batch, which other objects may have rows in.
    pub batch: Arc<Batch>,
    /// Its rows that belong to the object.
    pub rows: Range<usize>,
}

/// The batches of several objects as stretches: in the order given, one for each.
pub fn share(batches: Vec<Batch>) -> Vec<Stretch> {
    let mut stretches = Vec::with_capacity(batches.len());
    let mut waiting: Vec<Batch> = Vec::new();
    let mut rows = 0;
    for batch in batches {
        let count = batch.ids.len();
        let fits = waiting.first().is_none_or(|first| std::ptr::eq(first.table, batch.table));
        if count >= SMALL || rows + count > FULL || !fits {
            join(std::mem::take(&mut waiting), &mut stretches);
            rows = 0;
        }
        rows += count;
        waiting.push(batch);
        if count >= SMALL {
            join(std::mem::take(&mut waiting), &mut stretches);
            rows = 0;
        }
    }
    join(waiting, &mut stretches);
    stretches
}

/// The rows of all batches in one. Columns that have no value in any of them are not copied: most logs fill few columns.
fn concat(batches: &[Batch]) -> Result<RecordBatch, ArrowError> {
    let schema = batches.first().map(|batch| batch.rows.schema()).unwrap_or_else(|| Arc::new(Schema::empty()));
    let rows = batches.iter().map(|batch| batch.rows.num_rows()).sum();
    let mut nulls: Vec<ArrayRef> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (place, field) in schema.fields().iter().enumerate() {
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.rows.column(place).as_ref()).collect();
        let is_blank = arrays.iter().all(|array| array.logical_null_count() == array.len());
        columns.push(if is_blank { nulls_of(&mut nulls, field.data_type(), rows) } else { compute::concat(&arrays)? });
    }
    RecordBatch::try_new(schema, columns)
}

/// Adds the stretches of `batches`, which are of one table, in one batch together.
fn join(batches: Vec<Batch>, stretches: &mut Vec<Stretch>) {
    let Some(first) = batches.first() else { return };
    let table = first.table;
    let joined = match batches.len() {
        1 => None,
        _ => concat(&batches).ok(),
    };
    let Some(rows) = joined else {
        stretches.extend(batches.into_iter().map(|batch| Stretch { rows: 0..batch.ids.len(), batch: Arc::new(batch) }));
        return;
    };
    let counts: Vec<usize> = batches.iter().map(|batch| batch.ids.len()).collect();
    let ids = batches.into_iter().flat_map(|batch| batch.ids).collect();
    let batch = Arc::new(Batch { table, rows, ids });
    let mut start = 0;
    for count in counts {
        stretches.push(Stretch { batch: batch.clone(), rows: start..start + count });
        start += count;
    }
}
