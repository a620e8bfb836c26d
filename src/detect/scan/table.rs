//! A table that hands out leaves instead of scans, for queries whose conditions leave few rows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, Result as PlanResult};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::ExecutionPlan;

use super::keys::Keys;
use super::leaf::{Leaf, LeafExec};
use crate::engine::among::asked;
use crate::engine::sql_error;
use crate::error::Result;
use crate::table::{Column, DATE, Kind, Table};

/// A table behind a shared scan.
#[derive(Debug)]
pub struct SharedTable {
    inner: Arc<dyn TableProvider>,
    /// Columns of long values.
    wide: HashSet<String>,
    columns: DFSchemaRef,
    leaves: Mutex<Vec<Weak<Leaf>>>,
    noting: bool,
}

impl SharedTable {
    /// Nothing asked for yet. With `noting`, its leaves note when their rows happened.
    pub fn new(table: &'static Table, inner: Arc<dyn TableProvider>, noting: bool) -> Result<SharedTable> {
        let columns = Arc::new(DFSchema::try_from(inner.schema()).map_err(sql_error)?);
        let is_wide = |column: &&Column| matches!(column.kind, Kind::Json | Kind::List(_) | Kind::Texts);
        let wide = table.stored_columns().filter(is_wide).map(Column::stored_name).collect();
        Ok(SharedTable { inner, wide, columns, leaves: Mutex::default(), noting })
    }

    /// The table itself.
    pub fn inner(&self) -> &Arc<dyn TableProvider> {
        &self.inner
    }

    /// True for a condition on columns of short values alone: JSON and lists take long to decode.
    pub fn is_narrow(&self, condition: &Expr) -> bool {
        condition.column_refs().iter().all(|read| !self.wide.contains(&read.name))
    }

    /// A leaf that waits for rows that meet `conditions`, as SQL says them, and wants no column of them. Conditions that only a
    /// plan can make sense of are left out.
    pub fn wanting(&self, state: &SessionState, conditions: &[Expr]) -> PlanResult<Arc<Leaf>> {
        let context = SimplifyContext::builder()
            .with_schema(self.columns.clone())
            .with_config_options(state.config_options().clone())
            .with_query_execution_start_time(state.execution_props().query_execution_start_time)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let simple = |condition| simplifier.simplify(simplifier.coerce(condition, &self.columns)?);
        let conditions = unnormalize_cols(conditions.iter().cloned());
        let filters: Vec<Expr> = conditions.into_iter().filter_map(|condition| simple(condition).ok()).collect();
        let keys = match conjunction(filters.iter().cloned()) {
            Some(condition) => Keys::of(&state.create_physical_expr(condition, &self.columns)?),
            None => Keys::default(),
        };
        Ok(self.leaf(Leaf::new(Vec::new(), Arc::new(Schema::empty()), filters, keys, false)))
    }

    fn leaf(&self, leaf: Leaf) -> Arc<Leaf> {
        let leaf = Arc::new(leaf);
        self.leaves.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&leaf));
        leaf
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

/// True for a condition that has an answer for every row: one that fails fails whatever is read with it.
pub fn is_sure(condition: &Expr) -> bool {
    let mut is_sure = true;
    // Nothing in it fails.
    let _ = condition.apply(|inner| {
        is_sure &= match inner {
            Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }) => true,
            Expr::BinaryExpr(BinaryExpr { op: Operator::Eq | Operator::NotEq, .. }) => true,
            Expr::BinaryExpr(BinaryExpr { op: Operator::Lt | Operator::LtEq, .. }) => true,
            Expr::BinaryExpr(BinaryExpr { op: Operator::Gt | Operator::GtEq, .. }) => true,
            Expr::Column(_) | Expr::Literal(..) | Expr::Not(_) | Expr::InList(_) | Expr::Like(_) | Expr::Between(_) => {
                true
            }
            Expr::IsNull(_) | Expr::IsNotNull(_) => true,
            Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) | Expr::IsNotFalse(_) => true,
            other => asked(other).is_some(),
        };
        Ok(TreeNodeRecursion::Continue)
    });
    is_sure
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
        let leaf = self.leaf(Leaf::new(projection, schema, filters.to_vec(), keys, self.noting));
        Ok(Arc::new(LeafExec::new(leaf)))
    }
}
