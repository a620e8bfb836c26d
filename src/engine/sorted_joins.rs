//! Joins by sorting, which go to disk when memory ends: for sessions that do not prefer to join by hash.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};

/// Joins by sorting where `prefer_hash_join` is off. In a plan of one partition, DataFusion joins by hash all the same.
#[derive(Debug)]
pub struct SortedJoins;

impl PhysicalOptimizerRule for SortedJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if config.optimizer.prefer_hash_join {
            return Ok(plan);
        }
        plan.transform_up(|node| match node.downcast_ref::<HashJoinExec>().and_then(sorted) {
            Some(join) => Ok(Transformed::yes(Arc::new(join?))),
            None => Ok(Transformed::no(node)),
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
