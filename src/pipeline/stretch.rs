//! Rows of small objects are put together in shared batches.
//!
//! A batch has a hundred columns, and thousands of batches of a few rows cost more than their rows.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::compute::concat_batches;

use crate::logs::rows::Batch;

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

/// Adds the stretches of `batches`, which are of one table, in one batch together.
fn join(batches: Vec<Batch>, stretches: &mut Vec<Stretch>) {
    let Some(first) = batches.first() else { return };
    let table = first.table;
    let joined = match batches.len() {
        1 => None,
        _ => concat_batches(first.rows.schema_ref(), batches.iter().map(|batch| &batch.rows)).ok(),
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
