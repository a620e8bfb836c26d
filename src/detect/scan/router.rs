//! Which catches may want a row, by its kind.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringViewArray, UInt32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as PlanResult;

use super::catch::Catch;
use super::keys::DISPATCH;

/// Values of the dispatch columns in a row.
type Kind<'a> = [Option<&'a str>; DISPATCH.len()];
/// The same, kept.
type OwnedKind = [Option<String>; DISPATCH.len()];

/// Catches by the kinds of rows that they want. They are told by their positions.
#[derive(Debug)]
pub struct Router {
    catches: Vec<Arc<Catch>>,
    /// Catches that want rows of some kinds, and those that want to see every row.
    keyed: Vec<usize>,
    unkeyed: Arc<[usize]>,
    /// Position of each dispatch column in the batches.
    dispatch: [Option<usize>; DISPATCH.len()],
}

/// Which catches may want rows of a kind; one for each thread.
#[derive(Debug, Default)]
pub struct Memory(HashMap<OwnedKind, Arc<[usize]>>);

/// Rows of a batch for the same catches.
#[derive(Debug)]
pub struct Group {
    /// The catches.
    pub catches: Arc<[usize]>,
    /// None for all rows of the batch.
    pub rows: Option<UInt32Array>,
}

impl Group {
    /// Places of its rows in a batch of `count` rows.
    pub fn places(&self, count: usize) -> UInt32Array {
        self.rows.clone().unwrap_or_else(|| (0..count as u32).collect())
    }
}

impl Router {
    /// For batches in which `place` says where a column is.
    pub fn new(catches: &[Arc<Catch>], place: impl Fn(&str) -> Option<usize>) -> Router {
        let (keyed, unkeyed): (Vec<usize>, Vec<usize>) =
            (0..catches.len()).partition(|index| catches.get(*index).is_some_and(|catch| !catch.keys.is_empty()));
        Router { catches: catches.to_vec(), keyed, unkeyed: unkeyed.into(), dispatch: DISPATCH.map(place) }
    }

    /// The rows of a batch, apart by who may want them.
    pub fn groups(&self, batch: &RecordBatch, memory: &mut Memory) -> PlanResult<Vec<Group>> {
        let mut groups = Vec::new();
        if !self.unkeyed.is_empty() {
            groups.push(Group { catches: self.unkeyed.clone(), rows: None });
        }
        if self.keyed.is_empty() {
            return Ok(groups);
        }
        let mut columns: [Option<StringViewArray>; DISPATCH.len()] = [const { None }; DISPATCH.len()];
        for (column, place) in columns.iter_mut().zip(self.dispatch) {
            let Some(place) = place else { continue };
            *column = Some(cast(batch.column(place), &DataType::Utf8View)?.as_string_view().clone());
        }
        // In the order in which they are met, so that the rows of a catch come in the same order each time.
        let mut kinds: Vec<(Kind<'_>, Vec<u32>)> = Vec::new();
        let mut places: HashMap<Kind<'_>, usize> = HashMap::new();
        let mut last = usize::MAX;
        for row in 0..batch.num_rows() {
            let kind = columns
                .each_ref()
                .map(|column| column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row)));
            // Files keep alike rows together, so most rows are of the kind of the row before.
            match kinds.get_mut(last) {
                Some((same, rows)) if *same == kind => rows.push(row as u32),
                _ => {
                    last = *places.entry(kind).or_insert_with(|| {
                        kinds.push((kind, Vec::new()));
                        kinds.len() - 1
                    });
                    if let Some((_, rows)) = kinds.get_mut(last) {
                        rows.push(row as u32);
                    }
                }
            }
        }
        for (kind, rows) in kinds {
            let catches = memory.catches(&kind, || {
                let admits = |index: &&usize| self.catches.get(**index).is_some_and(|catch| catch.keys.admit(&kind));
                self.keyed.iter().filter(admits).copied().collect()
            });
            if !catches.is_empty() {
                groups.push(Group { catches, rows: Some(rows.into()) });
            }
        }
        Ok(groups)
    }
}

impl Memory {
    fn catches(&mut self, kind: &Kind<'_>, find: impl FnOnce() -> Arc<[usize]>) -> Arc<[usize]> {
        self.0.entry(kind.map(|value| value.map(str::to_owned))).or_insert_with(find).clone()
    }
}
