//! Rows wait here by day until there are enough of them for a row group.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::compute::interleave_record_batch;

use super::parquet::Job;
use crate::error::{Error, Result};
use crate::logs::rows::Batch;
use crate::table::Table;

/// How files are written.
#[derive(Debug, Clone, Copy)]
pub struct WriterSettings {
    /// zstd level, 1 to 22.
    pub zstd_level: i32,
}

impl Default for WriterSettings {
    /// Level 1: on CloudTrail, level 3 makes files about 8 % smaller for about twice the time.
    fn default() -> Self {
        WriterSettings { zstd_level: 1 }
    }
}

/// Days with less than one in so many of the bytes that wait are left when others can go.
const FEW: usize = 16;

/// Rows of which less than one in so many of their batch waits are copied out of it.
const ALONE: usize = 4;

/// Microseconds of a UTC day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Day of an event time (microseconds UTC), counted from 1970.
pub fn day_of(time: i64) -> i32 {
    time.div_euclid(MICROS_PER_DAY) as i32
}

/// Event times of these rows of a batch, microseconds UTC.
pub fn times(batch: &Batch, rows: Range<usize>) -> Vec<i64> {
    let times = batch.rows.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>();
    match times.and_then(|times| times.values().get(rows.clone())) {
        Some(times) => times.to_vec(),
        None => vec![0; rows.len()],
    }
}

/// Collects the rows of one table by day.
#[derive(Debug)]
pub struct Writer {
    table: &'static Table,
    identified: bool,
    settings: WriterSettings,
    days: BTreeMap<i32, Waiting>,
    turn: u64,
    /// The last batch, with the bytes that one of its rows takes.
    measured: Option<(Arc<Batch>, usize)>,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: Vec<Arc<Batch>>,
    rows: Vec<(usize, usize)>,
    bytes: usize,
    last_turn: u64,
}

impl Waiting {
    /// Copies rows that wait alone: a few rows would keep all others of their batch in memory.
    fn settle(&mut self) -> Result<()> {
        let mut counts = vec![0; self.batches.len()];
        self.rows.iter().for_each(|&(batch, _)| counts[batch] += 1);
        let is_alone = |(batch, count): (&Arc<Batch>, &usize)| count * ALONE < batch.rows.num_rows();
        let alone: Vec<bool> = self.batches.iter().zip(&counts).map(is_alone).collect();
        let copied: Vec<(usize, usize)> = self.rows.iter().copied().filter(|&(batch, _)| alone[batch]).collect();
        let Some(table) = self.batches.first().map(|batch| batch.table).filter(|_| !copied.is_empty()) else {
            return Ok(());
        };
        let rows: Vec<&RecordBatch> = self.batches.iter().map(|batch| &batch.rows).collect();
        let rows = interleave_record_batch(&rows, &copied)
            .map_err(|error| Error::Lake(format!("cannot copy rows of {}: {error}", table.name)))?;
        let ids = copied.iter().map(|&(batch, row)| self.batches[batch].ids[row]).collect();
        let mut kept: Vec<Arc<Batch>> = Vec::new();
        let mut places = vec![0; self.batches.len()];
        for (place, batch) in self.batches.iter().enumerate().filter(|(place, _)| !alone[*place]) {
            places[place] = kept.len();
            kept.push(batch.clone());
        }
        let mut next = 0;
        for (batch, row) in &mut self.rows {
            if alone[*batch] {
                (*batch, *row) = (kept.len(), next);
                next += 1;
            } else {
                *batch = places[*batch];
            }
        }
        kept.push(Arc::new(Batch { table, rows, ids }));
        self.batches = kept;
        Ok(())
    }
}

impl Writer {
    pub(super) fn new(table: &'static Table, identified: bool, settings: WriterSettings) -> Self {
        Writer { table, identified, settings, days: BTreeMap::new(), turn: 0, measured: None }
    }

    /// The table that it writes.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// Takes the given rows (day since 1970, index in the batch) of a batch.
    pub fn push(&mut self, batch: &Arc<Batch>, rows: &[(i32, usize)]) {
        // Many small objects have their rows in one batch, which is measured once.
        let row_bytes = match &self.measured {
            Some((measured, row_bytes)) if Arc::ptr_eq(measured, batch) => *row_bytes,
            _ => {
                let row_bytes = batch.rows.get_array_memory_size() / batch.rows.num_rows().max(1);
                self.measured = Some((batch.clone(), row_bytes));
                row_bytes
            }
        };
        self.turn += 1;
        for &(day, row) in rows {
            let waiting = self.days.entry(day).or_default();
            waiting.last_turn = self.turn;
            if waiting.batches.last().is_none_or(|last| !Arc::ptr_eq(last, batch)) {
                waiting.batches.push(batch.clone());
            }
            waiting.rows.push((waiting.batches.len() - 1, row));
            waiting.bytes += row_bytes;
        }
    }

    /// Takes all rows of a batch.
    pub fn push_all(&mut self, batch: Batch) {
        let times = times(&batch, 0..batch.ids.len());
        let rows: Vec<(i32, usize)> = times.into_iter().map(day_of).zip(0..).collect();
        self.push(&Arc::new(batch), &rows);
    }

    /// Bytes of the rows that wait.
    pub fn waiting_bytes(&self) -> usize {
        self.days.values().map(|w| w.bytes).sum()
    }

    /// Takes out the days that were not added to for longest, until at most `keep` bytes wait.
    ///
    /// Objects arrive in the order of their days, so these days are most likely complete: one file each. Late events of other
    /// days are few, and wait for more: a file costs whoever reads its day the same for few rows as for many.
    pub fn overflow(&mut self, keep: usize) -> Result<Vec<Job>> {
        let mut waiting = self.waiting_bytes();
        if waiting <= keep {
            return Ok(Vec::new());
        }
        let is_few = |bytes: usize| bytes < waiting / FEW;
        let mut oldest: Vec<(bool, u64, i32, usize)> =
            self.days.iter().map(|(&day, own)| (is_few(own.bytes), own.last_turn, day, own.bytes)).collect();
        oldest.sort_unstable();
        let mut jobs = Vec::new();
        for (_, _, day, bytes) in oldest {
            if waiting <= keep {
                break;
            }
            waiting -= bytes;
            jobs.extend(self.take(day));
        }
        for left in self.days.values_mut() {
            left.settle()?;
        }
        Ok(jobs)
    }

    /// Takes out everything.
    pub fn drain(&mut self) -> Vec<Job> {
        let days: Vec<i32> = self.days.keys().copied().collect();
        days.into_iter().filter_map(|day| self.take(day)).collect()
    }

    fn take(&mut self, date: i32) -> Option<Job> {
        let waiting = self.days.remove(&date)?;
        Some(Job {
            table: self.table,
            identified: self.identified,
            date,
            zstd_level: self.settings.zstd_level,
            batches: waiting.batches,
            rows: waiting.rows,
            file: None,
        })
    }
}
