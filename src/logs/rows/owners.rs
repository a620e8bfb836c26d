//! Whose rows those of a batch are: objects one after the other.

use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayBuilder, ArrayRef, StringViewBuilder};

/// Objects of a batch, up to the one that has not ended.
#[derive(Debug)]
pub(super) struct Owners {
    /// The object's name for each row. Its rows share one copy, which was half of the memory that flow logs took.
    names: StringViewBuilder,
    /// The rows of each object that has some.
    pub shares: Vec<Share>,
}

/// The rows of one object in a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The number that was given at the object's end.
    pub object: usize,
    /// Its rows.
    pub rows: Range<usize>,
}

impl Owners {
    /// No object has ended.
    pub fn none() -> Self {
        Owners { names: StringViewBuilder::new(), shares: Vec::new() }
    }

    /// Of the first `rows` rows, those that are nobody's yet are this object's.
    pub fn end(&mut self, object: &str, number: usize, rows: usize) {
        let from = self.names.len();
        if from < rows {
            match self.names.try_append_value_n(object, rows - from) {
                Ok(()) => self.shares.push(Share { object: number, rows: from..rows }),
                Err(error) => unreachable!("a name is shorter than 4 GiB: {error}"),
            }
        }
    }

    /// The names, of which none is left afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        Arc::new(self.names.finish())
    }
}

/// What is left when the rows at these places, which are in order, are removed from the batch.
pub(super) fn drop_rows(shares: &mut Vec<Share>, places: &[usize]) {
    let left = |row: usize| row - places.partition_point(|place| *place < row);
    for share in shares.iter_mut() {
        share.rows = left(share.rows.start)..left(share.rows.end);
    }
    shares.retain(|share| !share.rows.is_empty());
}
