//! Joins by sorting, which go to disk when memory ends.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use super::spilling::is_spilling;

/// Joins by sorting in sessions that spill, and holds the one row that others are put beside rather than the others.
///
/// DataFusion's own setting for it, `prefer_hash_join`, changes nothing in plans of one partition.
#[derive(Debug)]
pub struct SortedJoins;

impl PhysicalOptimizerRule for SortedJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !is_spilling(config) {
            return Ok(plan);
        }
        plan.transform_up(|node| {
            if let Some(join) = node.downcast_ref::<HashJoinExec>().and_then(sorted) {
                return Ok(Transformed::yes(Arc::new(join?)));
            }
            match node.downcast_ref::<CrossJoinExec>() {
                Some(join) if is_one_row(join.right())? => join.swap_inputs().map(Transformed::yes),
                _ => Ok(Transformed::no(node)),
            }
        })
        .data()
    }

    fn name(&self) -> &str {
        "SortedJoins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same join by sorting. `NOT IN` over rows with nulls cannot be had that way.
fn sorted(join: &HashJoinExec) -> Option<Result<SortMergeJoinExec>> {
    if join.null_aware || join.contains_projection() {
        return None;
    }
    let order = vec![SortOptions::default(); join.on().len()];
    let (left, right, on) = (join.left().clone(), join.right().clone(), join.on().to_vec());
    let filter = join.filter().cloned();
    Some(SortMergeJoinExec::try_new(left, right, on, filter, *join.join_type(), order, join.null_equality()))
}

/// True for an aggregate over everything, and what else is known to be a single row.
fn is_one_row(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let statistics = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new())?;
    Ok(statistics.num_rows == Precision::Exact(1))
}
