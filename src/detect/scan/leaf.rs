//! A place where a query reads a table with conditions: what it asks for, and the rows once they are there.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
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
use super::memory::Share;

/// Microseconds of a minute, the grain in which leaves note when their rows happened.
pub const MICROS_PER_MINUTE: i64 = 60_000_000;

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
    /// True when it wants to know when the rows happened that met its conditions.
    pub notes_minutes: bool,
    served: Mutex<Served>,
}

/// What a scan brought.
#[derive(Debug, Default)]
struct Served {
    answer: Option<Answer>,
    tally: Tally,
}

/// Where the rows come from in the end.
#[derive(Debug)]
pub enum Answer {
    /// Rows in memory, and what is held for them.
    Rows { batches: Vec<RecordBatch>, _held: Option<Arc<Share>> },
    /// The plan that reads the table for the leaf alone, and whether it ran.
    Alone { plan: Arc<dyn ExecutionPlan>, started: AtomicBool },
}

/// What a scan did for a leaf.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Rows that were looked at.
    pub examined: u64,
    /// Rows that met the conditions.
    pub matched: u64,
    /// Time that evaluating the conditions took, over all threads. Leaves with the same conditions share it.
    pub time: Duration,
    /// Minutes (since 1970) of the rows that met the conditions, where that is asked for.
    pub minutes: Arc<BTreeSet<i64>>,
}

impl Answer {
    /// A plan that did not run yet.
    pub fn alone(plan: Arc<dyn ExecutionPlan>) -> Answer {
        Answer::Alone { plan, started: AtomicBool::new(false) }
    }
}

impl Leaf {
    /// Nothing found yet.
    pub fn new(projection: Vec<usize>, schema: SchemaRef, filters: Vec<Expr>, keys: Keys, notes_minutes: bool) -> Leaf {
        Leaf { projection, schema, filters, keys, notes_minutes, served: Mutex::default() }
    }

    /// What the last scan did for it.
    pub fn tally(&self) -> Tally {
        self.served().tally.clone()
    }

    /// The plan that reads the table for it alone, when its rows did not fit in memory.
    pub fn alone(&self) -> Option<Arc<dyn ExecutionPlan>> {
        match &self.served().answer {
            Some(Answer::Alone { plan, .. }) => Some(plan.clone()),
            _ => None,
        }
    }

    /// Takes what a scan brought.
    pub(super) fn serve(&self, answer: Answer, tally: Tally) {
        *self.served() = Served { answer: Some(answer), tally };
    }

    /// Forgets it, for another scan.
    pub(super) fn reopen(&self) {
        *self.served() = Served::default();
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
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
        match &self.leaf.served().answer {
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
