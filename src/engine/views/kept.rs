//! A view that is computed once, when a query first reads it, and from then on read from memory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, ReplaceChildrenOptions, collect,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

/// Name of [`KeptExec`] in a physical plan.
pub const KEPT: &str = "KeptView";

/// Rows of a view with few rows that take long to find.
#[derive(Debug)]
pub struct Kept {
    plan: LogicalPlan,
    schema: SchemaRef,
    rows: Mutex<Arc<OnceCell<Vec<RecordBatch>>>>,
}

impl Kept {
    /// Not computed yet.
    pub fn new(plan: LogicalPlan) -> Kept {
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Kept { plan, schema, rows: Mutex::default() }
    }

    /// Forgets its rows: queries that are planned from now on find them again.
    pub fn forget(&self) {
        *self.rows() = Arc::default();
    }

    fn rows(&self) -> MutexGuard<'_, Arc<OnceCell<Vec<RecordBatch>>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TableProvider for Kept {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = state.create_physical_plan(&self.plan).await?;
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::new(self.schema.project(&columns)?)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Arc::new(KeptExec { plan, rows: self.rows().clone(), columns, properties: Arc::new(properties) }))
    }
}

/// Hands out the rows, and finds them when nobody did before.
#[derive(Debug)]
struct KeptExec {
    plan: Arc<dyn ExecutionPlan>,
    rows: Arc<OnceCell<Vec<RecordBatch>>>,
    columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for KeptExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEPT}: computed once")
    }
}

impl ExecutionPlan for KeptExec {
    fn name(&self) -> &'static str {
        KEPT
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("a kept view has one partition");
        }
        let (plan, kept, columns) = (self.plan.clone(), self.rows.clone(), self.columns.clone());
        let found = async move {
            let rows = kept.get_or_try_init(|| collect(plan, context)).await?;
            let narrow = rows.iter().map(|batch| batch.project(&columns)).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, DataFusionError>(stream::iter(narrow).map(Ok))
        };
        let rows = stream::once(found).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
