//! A table that hands out leaves instead of scans, for queries whose conditions leave few rows.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result as PlanResult};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::keys::Keys;
use super::leaf::{Leaf, LeafExec};
use crate::engine::sql_error;
use crate::error::Result;
use crate::table::DATE;

/// A table behind a shared scan.
#[derive(Debug)]
pub struct SharedTable {
    inner: Arc<dyn TableProvider>,
    columns: DFSchema,
    leaves: Mutex<Vec<Weak<Leaf>>>,
    noting: bool,
}

impl SharedTable {
    /// Nothing asked for yet. With `noting`, its leaves note when their rows happened.
    pub fn new(inner: Arc<dyn TableProvider>, noting: bool) -> Result<SharedTable> {
        let columns = DFSchema::try_from(inner.schema()).map_err(sql_error)?;
        Ok(SharedTable { inner, columns, leaves: Mutex::default(), noting })
    }

    /// The table itself.
    pub fn inner(&self) -> &Arc<dyn TableProvider> {
        &self.inner
    }

    /// Leaves that wait for their rows.
    pub fn waiting(&self) -> Vec<Arc<Leaf>> {
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    /// The same; from now on, they do not wait any more.
    pub fn take_waiting(&self) -> Vec<Arc<Leaf>> {
        let leaves = std::mem::take(&mut *self.leaves.lock().unwrap_or_else(PoisonError::into_inner));
        leaves.iter().filter_map(Weak::upgrade).collect()
    }
}

/// True for a condition on more than the time of a row: only such conditions leave few rows of a window.
pub fn is_selective(condition: &Expr) -> bool {
    condition.column_refs().iter().any(|column| column.name != "time" && column.name != DATE)
}

#[async_trait]
impl TableProvider for SharedTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        if filters.iter().any(|filter| is_selective(filter)) {
            return Ok(vec![TableProviderFilterPushDown::Exact; filters.len()]);
        }
        self.inner.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let Some(condition) = conjunction(filters.iter().cloned()).filter(|_| filters.iter().any(is_selective)) else {
            return self.inner.scan(state, projection, filters, limit).await;
        };
        let keys = Keys::of(&state.create_physical_expr(condition, &self.columns)?);
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema().fields().len()).collect());
        let schema = Arc::new(self.schema().project(&projection)?);
        let leaf = Arc::new(Leaf::new(projection, schema, filters.to_vec(), keys, self.noting));
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&leaf));
        Ok(Arc::new(LeafExec::new(leaf)))
    }
}
