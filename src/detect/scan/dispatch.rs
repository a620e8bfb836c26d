//! Brings the rows of a batch to the catches that may want them, and keeps those that meet their conditions.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::{filter, take};
use datafusion::arrow::datatypes::{Schema, TimestampMicrosecondType};
use datafusion::common::{Result as PlanResult, internal_datafusion_err};
use datafusion::execution::context::SessionState;

use super::catch::Catch;
use super::condition::{Condition, Taken};
use super::memory::Budget;
use super::router::{Group, Memory, Router};
use crate::engine::compact::compact;
use crate::table::TIME;

/// Catches that one scan fills, ready for its batches.
#[derive(Debug)]
pub struct Dispatcher {
    readers: Vec<Reader>,
    router: Router,
    budget: Arc<Budget>,
    counts: bool,
}

/// A catch on the columns of a scan.
#[derive(Debug)]
struct Reader {
    catch: Arc<Catch>,
    condition: Condition,
    /// Columns of the scan that the catch keeps.
    wanted: Vec<usize>,
    /// Place of the event time in the scan, where the catch notes it.
    time: Option<usize>,
}

impl Dispatcher {
    /// Catches on a scan that returns the columns `scanned` of `table`. With `counts`, it counts the rows that they look at.
    pub fn new(
        state: &Arc<SessionState>,
        table: &Schema,
        scanned: &[usize],
        catches: &[Arc<Catch>],
        budget: Arc<Budget>,
        counts: bool,
    ) -> PlanResult<Dispatcher> {
        let schema = table.project(scanned)?;
        let place = |name: &str| schema.index_of(name).ok();
        let mut readers = Vec::with_capacity(catches.len());
        for catch in catches {
            let missing = |name: &str| internal_datafusion_err!("the scan lacks the column {name}");
            let mut wanted = Vec::with_capacity(catch.schema.fields().len());
            for field in catch.schema.fields() {
                wanted.push(place(field.name()).ok_or_else(|| missing(field.name()))?);
            }
            let condition = Condition::new(state, &schema, catch.filters.clone())?;
            let time = place(TIME.name).filter(|_| catch.notes_minutes);
            readers.push(Reader { catch: catch.clone(), condition, wanted, time });
        }
        Ok(Dispatcher { readers, router: Router::new(catches, place), budget, counts })
    }

    /// Looks at the rows of `batch`, which is the next one of `partition`.
    pub fn examine(&self, partition: usize, batch: &RecordBatch, memory: &mut Memory) -> PlanResult<()> {
        for group in self.router.groups(batch, memory)? {
            let mut taken = Taken::new();
            for reader in group.catches.iter().filter_map(|reader| self.readers.get(*reader)) {
                if reader.catch.is_closed() {
                    continue;
                }
                let began = Instant::now();
                match reader.examine(partition, batch, &group, &mut taken, &self.budget) {
                    Ok((examined, matched)) => {
                        reader.catch.count(if self.counts { examined } else { 0 }, matched, began.elapsed());
                    }
                    Err(_) => reader.catch.give_up(),
                }
            }
        }
        Ok(())
    }
}

impl Reader {
    /// How many rows it looked at, and how many it keeps.
    fn examine(
        &self,
        partition: usize,
        batch: &RecordBatch,
        group: &Group,
        taken: &mut Taken,
        budget: &Arc<Budget>,
    ) -> PlanResult<(usize, usize)> {
        let met = self.condition.met(batch, &group.rows, taken)?;
        let (examined, matched) = (met.len(), met.true_count());
        if matched > 0 {
            let accepted = filter(&group.places(examined), &met)?;
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
        Ok((examined, matched))
    }
}
