//! Whose rows those of a batch are: objects one after the other.

use std::ops::Range;

use datafusion::arrow::array::{ArrayBuilder, StringBuilder};

/// Objects of a batch, up to the one that has not ended.
#[derive(Debug)]
pub(super) struct Owners {
    /// The object's name for each row.
    pub names: StringBuilder,
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
    /// No object has ended. Most batches have few: nothing is set aside for them.
    pub fn none() -> Self {
        Owners { names: StringBuilder::with_capacity(0, 0), shares: Vec::new() }
    }

    /// Of the first `rows` rows, those that are nobody's yet are this object's.
    pub fn end(&mut self, object: &str, number: usize, rows: usize) {
        let from = self.names.len();
        if from < rows {
            self.names.append_value_n(object, rows - from);
            self.shares.push(Share { object: number, rows: from..rows });
        }
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
