//! Conditions that a scan asks of some rows of its batches.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use datafusion::arrow::compute::{prep_null_mask_filter, take};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{DFSchema, DataFusionError, Result as PlanResult, internal_datafusion_err};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;

use super::table::is_selective;
use crate::engine::among::asked;
use crate::engine::regexes::compiled;
use crate::engine::repeats::once_per_value;

/// Conditions, all of which a row must meet, on the columns of a batch. They are made ready when the first row is looked at:
/// of what hundreds of rules want, most does not happen.
#[derive(Debug)]
pub struct Condition {
    filters: Vec<Expr>,
    state: Arc<SessionState>,
    /// Columns of the batch that they read, and their schema.
    read: Vec<usize>,
    schema: SchemaRef,
    ready: OnceLock<Result<Arc<dyn PhysicalExpr>, Arc<DataFusionError>>>,
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
    pub fn new(state: &Arc<SessionState>, schema: &Schema, filters: Vec<Expr>) -> PlanResult<Condition> {
        let read = Vec::from_iter(read_by(&filters, schema)?);
        let schema = Arc::new(schema.project(&read)?);
        Ok(Condition { filters, state: state.clone(), read, schema, ready: OnceLock::new() })
    }

    fn ready(&self) -> PlanResult<&Arc<dyn PhysicalExpr>> {
        let ready = self.ready.get_or_init(|| self.make_ready().map_err(Arc::new));
        ready.as_ref().map_err(|error| DataFusionError::Shared(error.clone()))
    }

    fn make_ready(&self) -> PlanResult<Arc<dyn PhysicalExpr>> {
        let mut filters = self.filters.clone();
        // Times take least to look at, and few rows have known keys.
        filters.sort_by_key(|filter| (is_selective(filter), asked(filter).is_none()));
        for filter in filters.iter_mut().filter(|filter| asked(filter).is_some()) {
            *filter = once_per_value(filter.clone(), &self.schema, &self.state)?;
        }
        let all = conjunction(filters).ok_or_else(|| internal_datafusion_err!("no conditions"))?;
        compiled(self.state.create_physical_expr(all, &DFSchema::try_from(self.schema.clone())?)?)
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
        let met = self.ready()?.evaluate(&narrow)?.into_array(count)?;
        let met = met.as_boolean();
        // Null is no.
        Ok(if met.null_count() > 0 { prep_null_mask_filter(met) } else { met.clone() })
    }
}
