//! `row_number() = 1`: only the first row of each partition is kept while rows come in; the others are not sorted.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::window::StandardWindowExpr;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::partitioned_topk::{PartitionedTopKExec, WindowFnKind};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowUDFExpr};

use super::spilling::is_spilling;

/// Puts a [`PartitionedTopKExec`] below `row_number()` where a condition above asks for number 1 alone.
///
/// The filter stays: what it removes is only removed earlier. DataFusion's own rule for this (`enable_window_topn`) knows
/// neither `=` nor conditions beside it.
#[derive(Debug)]
pub struct FirstRows;

impl PhysicalOptimizerRule for FirstRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        // A sort goes to disk, first rows of many partitions do not.
        if is_spilling(config) {
            return Ok(plan);
        }
        plan.transform_down(|node| match narrowed(&node)? {
            Some(narrowed) => Ok(Transformed::yes(narrowed)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "FirstRows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same filter over first rows, when it asks for them.
fn narrowed(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(None) };
    for condition in split_conjunction(filter.predicate()) {
        if let Some(column) = is_one(condition)
            && let Some(input) = with_first_rows(filter.input(), column)?
        {
            return replace_children_if_necessary(node.clone(), vec![input]).map(Some);
        }
    }
    Ok(None)
}

/// The column that `condition` compares with 1.
fn is_one(condition: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    let comparison = condition.downcast_ref::<BinaryExpr>().filter(|comparison| *comparison.op() == Operator::Eq)?;
    let (left, right) = (comparison.left(), comparison.right());
    let (column, literal) = match left.downcast_ref::<Column>() {
        Some(column) => (column, right.downcast_ref::<Literal>()?),
        None => (right.downcast_ref::<Column>()?, left.downcast_ref::<Literal>()?),
    };
    (literal.value().to_string() == "1").then_some(column.index())
}

/// `plan` with fewer rows below the `row_number()` that makes `column`, when that is what makes it.
fn with_first_rows(plan: &Arc<dyn ExecutionPlan>, column: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let below = projection.expr().get(column).and_then(|item| item.expr.downcast_ref::<Column>());
        let Some(below) = below else { return Ok(None) };
        let Some(input) = with_first_rows(projection.input(), below.index())? else { return Ok(None) };
        return replace_children_if_necessary(plan.clone(), vec![input]).map(Some);
    }
    let Some(window) = plan.downcast_ref::<BoundedWindowAggExec>() else { return Ok(None) };
    // Another function beside it would see fewer rows than it has to.
    let [number] = window.window_expr() else { return Ok(None) };
    let is_number = column == window.input().schema().fields().len() && is_row_number(number.as_any());
    if !is_number || number.partition_by().is_empty() {
        return Ok(None);
    }
    let keys = number.partition_by().iter().map(|key| PhysicalSortExpr::new_default(key.clone()));
    let Some(order) = LexOrdering::new(keys.chain(number.order_by().iter().cloned())) else { return Ok(None) };
    let partition = number.partition_by().len();
    let first = PartitionedTopKExec::try_new(window.input().clone(), order, partition, 1, WindowFnKind::RowNumber)?;
    replace_children_if_necessary(plan.clone(), vec![Arc::new(first)]).map(Some)
}

fn is_row_number(function: &dyn std::any::Any) -> bool {
    let standard = function.downcast_ref::<StandardWindowExpr>().map(StandardWindowExpr::get_standard_func_expr);
    let function = standard.and_then(|standard| standard.as_any().downcast_ref::<WindowUDFExpr>());
    function.is_some_and(|function| function.fun().name() == "row_number")
}
