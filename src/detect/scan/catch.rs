//! Rows of a scan that meet one condition, kept once for all leaves that ask for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result as PlanResult;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::keys::Keys;
use super::leaf::{Answer, Leaf, MICROS_PER_MINUTE, Tally};
use super::memory::{Budget, Share};

/// Rows up to which the pieces of a catch become one batch: many tiny batches cost more than one copy.
const ONE_BATCH: usize = 65_536;

/// Rows that meet one condition, with the columns that any of its leaves wants.
#[derive(Debug)]
pub struct Catch {
    leaves: Vec<Arc<Leaf>>,
    /// Columns of the table, by position.
    pub projection: Vec<usize>,
    /// Their schema.
    pub schema: SchemaRef,
    /// Conditions, all of which a row must meet.
    pub filters: Vec<Expr>,
    /// What they demand of the dispatch columns.
    pub keys: Keys,
    /// True when it notes when the rows happened.
    pub notes_minutes: bool,
    kept: Mutex<Kept>,
    full: AtomicBool,
    examined: AtomicU64,
    matched: AtomicU64,
    nanoseconds: AtomicU64,
    minutes: Mutex<BTreeSet<i64>>,
}

/// Rows that the scan found so far.
#[derive(Debug, Default)]
struct Kept {
    /// Partition of the scan, and rows of one of its batches.
    pieces: Vec<(usize, RecordBatch)>,
    held: Option<Share>,
}

impl Catch {
    /// One catch for all of `leaves`, which read a table with this schema, that have the same conditions.
    pub fn of(leaves: &[Arc<Leaf>], table: &Schema) -> PlanResult<Vec<Arc<Catch>>> {
        let mut alike: Vec<Vec<Arc<Leaf>>> = Vec::new();
        let mut places: HashMap<&[Expr], usize> = HashMap::new();
        for leaf in leaves {
            let place = *places.entry(&leaf.filters).or_insert(alike.len());
            match alike.get_mut(place) {
                Some(others) => others.push(leaf.clone()),
                None => alike.push(vec![leaf.clone()]),
            }
        }
        alike.into_iter().map(|leaves| Catch::shared(leaves, table).map(Arc::new)).collect()
    }

    fn shared(leaves: Vec<Arc<Leaf>>, table: &Schema) -> PlanResult<Catch> {
        let wanted: BTreeSet<usize> = leaves.iter().flat_map(|leaf| leaf.projection.iter().copied()).collect();
        let projection: Vec<usize> = wanted.into_iter().collect();
        let schema = Arc::new(table.project(&projection)?);
        let first = leaves.first();
        let filters = first.map(|leaf| leaf.filters.clone()).unwrap_or_default();
        let keys = first.map(|leaf| leaf.keys.clone()).unwrap_or_default();
        let notes_minutes = leaves.iter().any(|leaf| leaf.notes_minutes);
        Ok(Catch { leaves, projection, schema, notes_minutes, ..Catch::new(filters, keys) })
    }

    /// The conditions of `leaf` and `more`, without columns: to know whether any row meets them.
    pub fn probe(leaf: &Leaf, more: &[Expr]) -> Catch {
        Catch::new(leaf.filters.iter().chain(more).cloned().collect(), leaf.keys.clone())
    }

    fn new(filters: Vec<Expr>, keys: Keys) -> Catch {
        Catch {
            leaves: Vec::new(),
            projection: Vec::new(),
            schema: Arc::new(Schema::empty()),
            filters,
            keys,
            notes_minutes: false,
            kept: Mutex::default(),
            full: AtomicBool::new(false),
            examined: AtomicU64::new(0),
            matched: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            minutes: Mutex::default(),
        }
    }

    /// Forgets what it has, for another scan.
    pub fn reopen(&self) {
        *self.kept() = Kept::default();
        self.full.store(false, Ordering::Relaxed);
        for count in [&self.examined, &self.matched, &self.nanoseconds] {
            count.store(0, Ordering::Relaxed);
        }
        self.minutes().clear();
        self.leaves.iter().for_each(|leaf| leaf.reopen());
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn minutes(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when no more rows are wanted.
    pub fn is_closed(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Rows that met its conditions.
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    /// Counts rows that were looked at.
    pub fn count(&self, examined: usize, matched: usize, time: Duration) {
        self.examined.fetch_add(examined as u64, Ordering::Relaxed);
        self.matched.fetch_add(matched as u64, Ordering::Relaxed);
        self.nanoseconds.fetch_add(time.as_nanos().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Notes when rows happened: microseconds since 1970 UTC.
    pub fn note(&self, times: impl Iterator<Item = i64>) {
        let mut minutes = self.minutes();
        let mut last = None;
        for minute in times.map(|time| time.div_euclid(MICROS_PER_MINUTE)) {
            if last != Some(minute) {
                minutes.insert(minute);
                last = Some(minute);
            }
        }
    }

    /// Keeps rows, or gives up keeping any when the budget is used up.
    pub fn keep(&self, partition: usize, rows: RecordBatch, budget: &Arc<Budget>) {
        let mut kept = self.kept();
        if self.is_closed() {
            return;
        }
        if kept.held.get_or_insert_with(|| budget.share()).grow(rows.get_array_memory_size()) {
            kept.pieces.push((partition, rows));
        } else {
            drop(kept);
            self.give_up();
        }
    }

    /// Gives up keeping rows. Also for conditions that fail on a row: read alone, that row may be passed over for another
    /// reason, and else the failure shows there.
    pub fn give_up(&self) {
        let mut kept = self.kept();
        self.full.store(true, Ordering::Relaxed);
        *kept = Kept::default();
    }

    /// The scan is over: each leaf has its columns of the rows in the order of the scan's partitions, or the plan that
    /// `alone` makes for it when they did not fit.
    pub async fn close<F>(&self, alone: F) -> PlanResult<()>
    where
        F: AsyncFn(&Leaf) -> PlanResult<Arc<dyn ExecutionPlan>>,
    {
        let Kept { mut pieces, held } = std::mem::take(&mut *self.kept());
        pieces.sort_by_key(|(partition, _)| *partition);
        let mut batches: Vec<RecordBatch> = pieces.into_iter().map(|(_, rows)| rows).collect();
        if batches.len() > 1 && batches.iter().map(RecordBatch::num_rows).sum::<usize>() <= ONE_BATCH {
            batches = vec![concat_batches(&self.schema, &batches)?];
        }
        let (held, tally) = (held.map(Arc::new), self.tally());
        for leaf in &self.leaves {
            let answer = if self.is_closed() {
                Answer::alone(alone(leaf).await?)
            } else {
                let columns: Vec<usize> =
                    leaf.projection.iter().filter_map(|column| self.projection.binary_search(column).ok()).collect();
                let own = batches.iter().map(|rows| rows.project(&columns)).collect::<Result<_, _>>()?;
                Answer::Rows { batches: own, _held: held.clone() }
            };
            leaf.serve(answer, tally.clone());
        }
        Ok(())
    }

    /// What the scan did for each leaf: of the time, its part.
    fn tally(&self) -> Tally {
        let nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        Tally {
            examined: self.examined.load(Ordering::Relaxed),
            matched: self.matched(),
            time: Duration::from_nanos(nanoseconds / self.leaves.len().max(1) as u64),
            minutes: Arc::new(self.minutes().clone()),
        }
    }
}
