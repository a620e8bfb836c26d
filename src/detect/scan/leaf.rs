//! A place where a query reads a table with conditions: what it asks for, and the rows once they are there.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as PlanResult, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};

use super::keys::Keys;
use super::memory::{Budget, Share};

/// Rows up to which the pieces of a leaf become one batch: many tiny batches cost more than one copy.
const ONE_BATCH: usize = 65_536;

/// What a query wants of a table.
#[derive(Debug)]
pub struct Leaf {
    /// Wanted columns of the table, by position.
    pub projection: Vec<usize>,
    /// Their schema.
    pub schema: SchemaRef,
    /// Conditions, all of which a row must meet.
    pub filters: Vec<Expr>,
    /// What they demand of the dispatch columns.
    pub keys: Keys,
    kept: Mutex<Kept>,
    full: AtomicBool,
    answer: Mutex<Option<Answer>>,
    examined: AtomicU64,
    matched: AtomicU64,
    nanoseconds: AtomicU64,
    /// Minutes (since 1970) of the event times of the rows that matched, where that is asked for.
    minutes: Option<Mutex<BTreeSet<i64>>>,
}

/// Microseconds of a minute, the grain in which leaves note when their rows happened.
pub const MICROS_PER_MINUTE: i64 = 60_000_000;

/// Rows that the scan found so far.
#[derive(Debug, Default)]
struct Kept {
    /// Partition of the scan, and rows of one of its batches.
    pieces: Vec<(usize, RecordBatch)>,
    held: Option<Share>,
}

/// Where the rows come from in the end.
#[derive(Debug)]
enum Answer {
    Rows { batches: Vec<RecordBatch>, _held: Option<Share> },
    Alone { plan: Arc<dyn ExecutionPlan>, started: AtomicBool },
}

impl Leaf {
    /// Nothing found yet.
    pub fn new(projection: Vec<usize>, schema: SchemaRef, filters: Vec<Expr>, keys: Keys) -> Leaf {
        Leaf {
            projection,
            schema,
            filters,
            keys,
            kept: Mutex::default(),
            full: AtomicBool::new(false),
            answer: Mutex::default(),
            examined: AtomicU64::new(0),
            matched: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            minutes: None,
        }
    }

    /// The same conditions and `more`, without columns: to know whether any row meets them.
    pub(super) fn probe(&self, more: Vec<Expr>) -> Leaf {
        let filters = self.filters.iter().cloned().chain(more).collect();
        Leaf::new(Vec::new(), Arc::new(Schema::empty()), filters, self.keys.clone())
    }

    /// Also notes when the rows happened that met its conditions.
    pub fn noting_minutes(mut self) -> Leaf {
        self.minutes = Some(Mutex::default());
        self
    }

    /// Minutes (since 1970) of the rows that met its conditions, when it notes them.
    pub fn minutes(&self) -> BTreeSet<i64> {
        let noted = self.minutes.as_ref().map(|minutes| minutes.lock().unwrap_or_else(PoisonError::into_inner).clone());
        noted.unwrap_or_default()
    }

    /// True when it wants to know the times of the rows that met its conditions.
    pub(super) fn notes_minutes(&self) -> bool {
        self.minutes.is_some()
    }

    /// Notes when rows happened: microseconds since 1970 UTC.
    pub(super) fn note(&self, times: impl Iterator<Item = i64>) {
        let Some(minutes) = &self.minutes else { return };
        let mut minutes = minutes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = None;
        for minute in times.map(|time| time.div_euclid(MICROS_PER_MINUTE)) {
            if last != Some(minute) {
                minutes.insert(minute);
                last = Some(minute);
            }
        }
    }

    /// Rows that were looked at for it.
    pub fn examined(&self) -> u64 {
        self.examined.load(Ordering::Relaxed)
    }

    /// Rows that met its conditions.
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    /// Time that evaluating its conditions took, over all threads.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed))
    }

    /// The plan that reads the table for it alone, when its rows did not fit in memory.
    pub fn alone(&self) -> Option<Arc<dyn ExecutionPlan>> {
        match &*self.answer() {
            Some(Answer::Alone { plan, .. }) => Some(plan.clone()),
            _ => None,
        }
    }

    /// Forgets its rows, for another scan.
    pub(super) fn reopen(&self) {
        *self.kept() = Kept::default();
        *self.answer() = None;
        self.full.store(false, Ordering::Relaxed);
        if let Some(minutes) = &self.minutes {
            minutes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self) -> MutexGuard<'_, Option<Answer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when no more rows are wanted.
    pub(super) fn is_closed(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Counts rows that were looked at.
    pub(super) fn count(&self, examined: usize, matched: usize, time: Duration) {
        self.examined.fetch_add(examined as u64, Ordering::Relaxed);
        self.matched.fetch_add(matched as u64, Ordering::Relaxed);
        self.nanoseconds.fetch_add(time.as_nanos().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Keeps rows, or gives up keeping any when the budget is used up.
    pub(super) fn keep(&self, partition: usize, rows: RecordBatch, budget: &Arc<Budget>) {
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
    pub(super) fn give_up(&self) {
        let mut kept = self.kept();
        self.full.store(true, Ordering::Relaxed);
        *kept = Kept::default();
    }

    /// The scan is over: the rows in the order of the scan's partitions, or `alone` when they did not fit.
    pub(super) async fn close<F>(&self, alone: F) -> PlanResult<()>
    where
        F: AsyncFnOnce(&Leaf) -> PlanResult<Arc<dyn ExecutionPlan>>,
    {
        let Kept { mut pieces, held } = std::mem::take(&mut *self.kept());
        let answer = if self.is_closed() {
            Answer::Alone { plan: alone(self).await?, started: AtomicBool::new(false) }
        } else {
            pieces.sort_by_key(|(partition, _)| *partition);
            let mut batches: Vec<RecordBatch> = pieces.into_iter().map(|(_, rows)| rows).collect();
            if batches.len() > 1 && batches.iter().map(RecordBatch::num_rows).sum::<usize>() <= ONE_BATCH {
                batches = vec![concat_batches(&self.schema, &batches)?];
            }
            Answer::Rows { batches, _held: held }
        };
        *self.answer() = Some(answer);
        Ok(())
    }
}

/// Leaves below a plan.
pub fn leaves(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<Leaf>> {
    let mut found = Vec::new();
    let mut waiting = vec![plan];
    while let Some(node) = waiting.pop() {
        match node.downcast_ref::<LeafExec>() {
            Some(exec) => found.push(exec.leaf.clone()),
            None => waiting.extend(node.children()),
        }
    }
    found
}

/// Name of a leaf in a physical plan.
pub const LEAF: &str = "SharedScanLeaf";

/// The leaf in a physical plan.
#[derive(Debug)]
pub struct LeafExec {
    leaf: Arc<Leaf>,
    properties: Arc<PlanProperties>,
}

impl LeafExec {
    /// One partition with the rows of `leaf`.
    pub fn new(leaf: Arc<Leaf>) -> LeafExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(leaf.schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        LeafExec { leaf, properties: Arc::new(properties) }
    }
}

impl DisplayAs for LeafExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LEAF}: {}", self.leaf.keys)
    }
}

impl ExecutionPlan for LeafExec {
    fn name(&self) -> &'static str {
        LEAF
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> PlanResult<TreeNodeRecursion>,
    ) -> PlanResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> PlanResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> PlanResult<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a leaf has one partition");
        }
        match &*self.leaf.answer() {
            Some(Answer::Rows { batches, .. }) => {
                Ok(Box::pin(MemoryStream::try_new(batches.clone(), self.leaf.schema.clone(), None)?))
            }
            // A source hands out its files once: recursive queries, which run a plan again, need a new one.
            Some(Answer::Alone { plan, started }) => match started.swap(true, Ordering::Relaxed) {
                false => plan.execute(partition, context),
                true => reset_plan_states(plan.clone())?.execute(partition, context),
            },
            None => internal_err!("a query ran before its table was read"),
        }
    }
}
