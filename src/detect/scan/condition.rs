//! Conditions that a scan asks of some rows of its batches.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{prep_null_mask_filter, take};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DFSchema, Result as PlanResult, internal_datafusion_err};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;

use super::table::is_selective;
use crate::engine::among::asked;
use crate::engine::regexes::compiled;
use crate::engine::repeats::once_per_value;

/// Conditions, all of which a row must meet, on the columns of a batch.
#[derive(Debug)]
pub struct Condition {
    all: Arc<dyn PhysicalExpr>,
    /// Columns of the batch that they read, and their schema.
    read: Vec<usize>,
    schema: SchemaRef,
}

/// Columns of a batch, of some of its rows alone.
pub type Taken = HashMap<usize, ArrayRef>;

/// Columns of `schema` that `filters` read, by position.
pub fn read_by<'a>(filters: impl IntoIterator<Item = &'a Expr>, schema: &Schema) -> PlanResult<BTreeSet<usize>> {
    let mut read = BTreeSet::new();
    for column in filters.into_iter().flat_map(|filter| filter.column_refs()) {
        read.insert(schema.index_of(&column.name)?);
    }
    Ok(read)
}

impl Condition {
    /// `filters` over batches with `schema`.
    pub fn new(state: &SessionState, schema: &Schema, mut filters: Vec<Expr>) -> PlanResult<Condition> {
        let read = Vec::from_iter(read_by(&filters, schema)?);
        let schema = Arc::new(schema.project(&read)?);
        // Times take least to look at, and few rows have known keys.
        filters.sort_by_key(|filter| (is_selective(filter), asked(filter).is_none()));
        for filter in filters.iter_mut().filter(|filter| asked(filter).is_some()) {
            *filter = once_per_value(filter.clone(), &schema, state)?;
        }
        let all = conjunction(filters).ok_or_else(|| internal_datafusion_err!("no conditions"))?;
        let all = compiled(state.create_physical_expr(all, &DFSchema::try_from(schema.clone())?)?)?;
        Ok(Condition { all, read, schema })
    }

    /// Which of `rows` of the batch meet them, of all when none; `taken` has columns of these rows.
    pub fn met(&self, batch: &RecordBatch, rows: &Option<UInt32Array>, taken: &mut Taken) -> PlanResult<BooleanArray> {
        let count = rows.as_ref().map_or(batch.num_rows(), |rows| rows.len());
        let mut columns = Vec::with_capacity(self.read.len());
        for place in &self.read {
            columns.push(match (taken.get(place), rows) {
                (Some(column), _) => column.clone(),
                (None, None) => batch.column(*place).clone(),
                (None, Some(rows)) => {
                    let column = take(batch.column(*place), rows, None)?;
                    taken.insert(*place, column.clone());
                    column
                }
            });
        }
        let counted = RecordBatchOptions::new().with_row_count(Some(count));
        let narrow = RecordBatch::try_new_with_options(self.schema.clone(), columns, &counted)?;
        let met = self.all.evaluate(&narrow)?.into_array(count)?;
        let met = met.as_boolean();
        // Null is no.
        Ok(if met.null_count() > 0 { prep_null_mask_filter(met) } else { met.clone() })
    }
}
