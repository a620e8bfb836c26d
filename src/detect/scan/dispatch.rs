//! Brings the rows of a batch to the catches that may want them, and keeps those that meet their conditions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, StringViewArray, UInt32Array,
};
use datafusion::arrow::compute::{cast, filter, prep_null_mask_filter, take};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::common::{DFSchema, Result as PlanResult, internal_datafusion_err};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;

use super::catch::Catch;
use super::keys::DISPATCH;
use super::memory::Budget;
use super::table::is_selective;
use crate::engine::among::asked;
use crate::engine::compact::compact;
use crate::engine::regexes::compiled;
use crate::engine::repeats::once_per_value;
use crate::table::TIME;

/// Values of the dispatch columns in a row.
type Kind<'a> = [Option<&'a str>; DISPATCH.len()];
/// The same, kept.
type OwnedKind = [Option<String>; DISPATCH.len()];

/// Catches that one scan fills, ready for its batches.
#[derive(Debug)]
pub struct Dispatcher {
    readers: Vec<Reader>,
    /// Readers that want rows of some kinds, and those that want to see every row.
    keyed: Vec<usize>,
    unkeyed: Arc<[usize]>,
    /// Position of each dispatch column in the scan.
    dispatch: [Option<usize>; DISPATCH.len()],
    budget: Arc<Budget>,
}

/// A catch on the columns of a scan.
#[derive(Debug)]
struct Reader {
    catch: Arc<Catch>,
    condition: Arc<dyn PhysicalExpr>,
    /// Columns of the scan that the condition reads, and their schema.
    read: Vec<usize>,
    schema: SchemaRef,
    /// Columns of the scan that the catch keeps.
    wanted: Vec<usize>,
    /// Place of the event time in the scan, where the catch notes it.
    time: Option<usize>,
}

/// Which readers may want rows of a kind; one for each thread.
#[derive(Debug, Default)]
pub struct Memory(HashMap<OwnedKind, Arc<[usize]>>);

/// Rows of a batch for the same readers.
struct Group {
    readers: Arc<[usize]>,
    /// None for all rows of the batch.
    rows: Option<UInt32Array>,
}

impl Dispatcher {
    /// Catches on a scan that returns the columns `scanned` of `table`.
    pub fn new(
        state: &SessionState,
        table: &Schema,
        scanned: &[usize],
        catches: &[Arc<Catch>],
        budget: Arc<Budget>,
    ) -> PlanResult<Dispatcher> {
        let names: Vec<&str> = scanned.iter().map(|column| table.field(*column).name().as_str()).collect();
        let place = |name: &str| names.iter().position(|known| *known == name);
        let mut readers = Vec::with_capacity(catches.len());
        for catch in catches {
            let missing = |name: &str| internal_datafusion_err!("the scan lacks the column {name}");
            let mut read = Vec::new();
            for column in catch.filters.iter().flat_map(|filter| filter.column_refs()) {
                read.push(place(&column.name).ok_or_else(|| missing(&column.name))?);
            }
            read.sort_unstable();
            read.dedup();
            let mut wanted = Vec::with_capacity(catch.schema.fields().len());
            for field in catch.schema.fields() {
                wanted.push(place(field.name()).ok_or_else(|| missing(field.name()))?);
            }
            let columns: Vec<usize> = read.iter().filter_map(|place| scanned.get(*place).copied()).collect();
            let schema = Arc::new(table.project(&columns)?);
            let mut filters = catch.filters.clone();
            // Times take least to look at, and few rows have known keys.
            filters.sort_by_key(|filter| (is_selective(filter), asked(filter).is_none()));
            for filter in filters.iter_mut().filter(|filter| asked(filter).is_some()) {
                *filter = once_per_value(filter.clone(), table, state)?;
            }
            let condition =
                conjunction(filters).ok_or_else(|| internal_datafusion_err!("a catch without conditions"))?;
            let condition = compiled(state.create_physical_expr(condition, &DFSchema::try_from(schema.clone())?)?)?;
            let time = place(TIME.name).filter(|_| catch.notes_minutes);
            readers.push(Reader { catch: catch.clone(), condition, read, schema, wanted, time });
        }
        let (keyed, unkeyed): (Vec<usize>, Vec<usize>) =
            (0..catches.len()).partition(|index| catches.get(*index).is_some_and(|catch| !catch.keys.is_empty()));
        Ok(Dispatcher { readers, keyed, unkeyed: unkeyed.into(), dispatch: DISPATCH.map(place), budget })
    }

    /// Looks at the rows of `batch`, which is the next one of `partition`.
    pub fn examine(&self, partition: usize, batch: &RecordBatch, memory: &mut Memory) -> PlanResult<()> {
        for group in self.groups(batch, memory)? {
            let mut taken: HashMap<usize, ArrayRef> = HashMap::new();
            for reader in group.readers.iter().filter_map(|reader| self.readers.get(*reader)) {
                if reader.catch.is_closed() {
                    continue;
                }
                if reader.examine(partition, batch, &group.rows, &mut taken, &self.budget).is_err() {
                    reader.catch.give_up();
                }
            }
        }
        Ok(())
    }

    /// The rows of a batch, apart by who may want them.
    fn groups(&self, batch: &RecordBatch, memory: &mut Memory) -> PlanResult<Vec<Group>> {
        let mut groups = Vec::new();
        if !self.unkeyed.is_empty() {
            groups.push(Group { readers: self.unkeyed.clone(), rows: None });
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
            let readers = memory.readers(&kind, || {
                let admits =
                    |reader: &&usize| self.readers.get(**reader).is_some_and(|reader| reader.catch.keys.admit(&kind));
                self.keyed.iter().filter(admits).copied().collect()
            });
            if !readers.is_empty() {
                groups.push(Group { readers, rows: Some(rows.into()) });
            }
        }
        Ok(groups)
    }
}

impl Memory {
    fn readers(&mut self, kind: &Kind<'_>, find: impl FnOnce() -> Arc<[usize]>) -> Arc<[usize]> {
        self.0.entry(kind.map(|value| value.map(str::to_owned))).or_insert_with(find).clone()
    }
}

impl Reader {
    fn examine(
        &self,
        partition: usize,
        batch: &RecordBatch,
        rows: &Option<UInt32Array>,
        taken: &mut HashMap<usize, ArrayRef>,
        budget: &Arc<Budget>,
    ) -> PlanResult<()> {
        let began = Instant::now();
        let examined = rows.as_ref().map_or(batch.num_rows(), |rows| rows.len());
        let mut columns = Vec::with_capacity(self.read.len());
        for place in &self.read {
            columns.push(match (taken.get(place), rows) {
                (Some(column), _) => column.clone(),
                (None, None) => batch.column(*place).clone(),
                (None, Some(rows)) => {
                    let column = take(batch.column(*place), rows, None)?;
                    taken.insert(*place, column.clone());
                    column
                }
            });
        }
        let counted = RecordBatchOptions::new().with_row_count(Some(examined));
        let narrow = RecordBatch::try_new_with_options(self.schema.clone(), columns, &counted)?;
        let mask = self.condition.evaluate(&narrow)?.into_array(examined)?;
        let mask = accepted(mask.as_boolean());
        let matched = mask.true_count();
        if matched > 0 {
            let all: UInt32Array;
            let rows = match rows {
                Some(rows) => rows,
                None => {
                    all = (0..examined as u32).collect();
                    &all
                }
            };
            let accepted = filter(rows, &mask)?;
            let mut columns = Vec::with_capacity(self.wanted.len());
            for place in &self.wanted {
                columns.push(compact(take(batch.column(*place), &accepted, None)?));
            }
            if let Some(time) = self.time {
                let times = take(batch.column(time), &accepted, None)?;
                let times = times.as_primitive_opt::<TimestampMicrosecondType>();
                self.catch.note(times.iter().flat_map(|times| times.iter().flatten()));
            }
            let counted = RecordBatchOptions::new().with_row_count(Some(matched));
            let found = RecordBatch::try_new_with_options(self.catch.schema.clone(), columns, &counted)?;
            self.catch.keep(partition, found, budget);
        }
        self.catch.count(examined, matched, began.elapsed());
        Ok(())
    }
}

/// The mask with null as false.
fn accepted(mask: &BooleanArray) -> BooleanArray {
    if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() }
}
