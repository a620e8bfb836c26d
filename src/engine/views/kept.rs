//! A view that is computed once, when a query first reads it, and from then on read from memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::execution::context::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::DataFrame;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

/// Name of the node that reads a kept view in a physical plan. Nothing else of ours makes one.
pub const KEPT: &str = "StreamingTableExec";

/// Rows of a view with few rows that take long to find.
#[derive(Debug)]
pub struct Kept {
    plan: LogicalPlan,
    schema: SchemaRef,
    /// Partitions in which it is computed, however few the queries have that wait for it.
    partitions: usize,
    rows: Mutex<Arc<OnceCell<Vec<RecordBatch>>>>,
}

impl Kept {
    /// Not computed yet.
    pub fn new(query: DataFrame) -> Kept {
        let (state, plan) = query.into_parts();
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Kept { plan, schema, partitions: state.config().target_partitions(), rows: Mutex::default() }
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
        let mut state = state_of(state)?;
        *state.config_mut() = state.config().clone().with_target_partitions(self.partitions);
        let plan = state.create_physical_plan(&self.plan).await?;
        let (schema, rows) = (self.schema.clone(), self.rows().clone());
        let stream = Arc::new(Rows { plan, schema: schema.clone(), rows });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![stream], projection, None, false, None)?))
    }
}

fn state_of(session: &dyn Session) -> Result<SessionState> {
    let state = session.as_any().downcast_ref::<SessionState>();
    state.cloned().ok_or_else(|| internal_datafusion_err!("a session of another engine"))
}

/// Hands out the rows, and finds them when nobody did before.
#[derive(Debug)]
struct Rows {
    plan: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    rows: Arc<OnceCell<Vec<RecordBatch>>>,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (plan, kept) = (self.plan.clone(), self.rows.clone());
        let found = async move {
            let rows = kept.get_or_try_init(|| collect(plan, context)).await?;
            Ok::<_, DataFusionError>(stream::iter(rows.clone()).map(Ok))
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream::once(found).try_flatten()))
    }
}
