//! Copies of a few rows that do not keep the pages alive from which they came, and sorts that are given such copies.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray, UInt32Array,
};
use datafusion::arrow::compute::take_record_batch;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::utils::take_function_args;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{TryStreamExt, stream};

use super::spilling::is_spilling;

/// The same values without the rest of the buffers that text views point into.
pub fn compact(column: ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        DataType::List(_) => {
            let (field, offsets, values, nulls) = column.as_list::<i32>().clone().into_parts();
            Arc::new(ListArray::new(field, offsets, compact(values), nulls))
        }
        DataType::Struct(_) => {
            let (fields, columns, nulls) = column.as_struct().clone().into_parts();
            // No fields, no columns from which the length could be told.
            if columns.is_empty() {
                return column;
            }
            Arc::new(StructArray::new(fields, columns.into_iter().map(compact).collect(), nulls))
        }
        _ => column,
    }
}

/// Copies rows before they are sorted, in sessions that spill.
///
/// What comes out of a join or a window points into the text of all rows that went in, and a sort would reckon with all of it
/// for each batch: then no memory is enough, and nothing goes to disk. A window hands over all rows in one batch, of which
/// a sort takes all or none: they come in batches of the session's size.
#[derive(Debug)]
pub struct CompactSorts;

impl PhysicalOptimizerRule for CompactSorts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !is_spilling(config) {
            return Ok(plan);
        }
        plan.transform_up(|node| match node.downcast_ref::<SortExec>() {
            Some(sort) => {
                let input = CompactExec { input: sort.input().clone() };
                replace_children_if_necessary(node, vec![Arc::new(input)]).map(Transformed::yes)
            }
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "CompactSorts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same rows, copied.
#[derive(Debug)]
struct CompactExec {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for CompactExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())
    }
}

impl ExecutionPlan for CompactExec {
    fn name(&self) -> &'static str {
        "CompactExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = take_function_args(self.name(), children)?;
        Ok(Arc::new(CompactExec { input }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let size = context.session_config().batch_size();
        let batches = self.input.execute(partition, context)?;
        let pieces = batches.map_ok(move |batch| stream::iter(pieces(batch, size))).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), pieces)))
    }
}

/// Copies of the rows of a batch, up to `size` of them each.
fn pieces(batch: RecordBatch, size: usize) -> impl Iterator<Item = Result<RecordBatch>> {
    let rows = batch.num_rows();
    (0..rows).step_by(size).map(move |start| {
        let piece: UInt32Array = (start as u32..rows.min(start + size) as u32).collect();
        let copied = take_record_batch(&batch, &piece)?;
        let columns = copied.columns().iter().cloned().map(compact).collect();
        let counted = RecordBatchOptions::new().with_row_count(Some(copied.num_rows()));
        Ok(RecordBatch::try_new_with_options(copied.schema(), columns, &counted)?)
    })
}
