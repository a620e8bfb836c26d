//! Whether some catch wants a row, as far as some of its columns tell.
//!
//! As a row filter, it keeps a scan from decoding other columns of rows that nobody wants.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use datafusion::arrow::compute::or;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::Result as PlanResult;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::col;

use super::catch::Catch;
use super::condition::{Condition, Taken};
use super::keys::DISPATCH;
use super::router::{Group, Memory, Router};

/// The condition as a function of the columns that it reads.
#[derive(Debug)]
struct Wanted {
    catches: Vec<(Arc<Catch>, Option<Condition>)>,
    router: Router,
    schema: SchemaRef,
    /// True when no other filter looks at rows before.
    is_first: bool,
    memory: Mutex<Memory>,
    signature: Signature,
}

/// The condition that one of `catches` may want a row of `table`, by those of its conditions that `told` names; none when
/// these are none. The first such filter of a scan counts the rows that catches look at.
pub fn wanted(
    catches: &[Arc<Catch>],
    table: &Schema,
    state: &SessionState,
    is_first: bool,
    told: impl Fn(&Expr) -> bool,
) -> PlanResult<Option<Expr>> {
    let filters: Vec<Vec<Expr>> =
        catches.iter().map(|catch| catch.filters.iter().filter(|filter| told(filter)).cloned().collect()).collect();
    let mut read = Vec::new();
    for column in filters.iter().flatten().flat_map(|filter| filter.column_refs()) {
        read.push(table.index_of(&column.name)?);
    }
    if read.is_empty() {
        return Ok(None);
    }
    read.extend(DISPATCH.iter().filter_map(|column| table.index_of(column).ok()));
    read.sort_unstable();
    read.dedup();
    let schema = Arc::new(table.project(&read)?);
    let mut asked = Vec::with_capacity(catches.len());
    for (catch, filters) in catches.iter().zip(filters) {
        let condition = match filters.is_empty() {
            true => None,
            false => Some(Condition::new(state, &schema, filters)?),
        };
        asked.push((catch.clone(), condition));
    }
    let router = Router::new(catches, |name| schema.index_of(name).ok());
    let arguments = schema.fields().iter().map(|field| col(format!("\"{}\"", field.name()))).collect();
    let signature = Signature::variadic_any(Volatility::Stable);
    let wanted = Wanted { catches: asked, router, schema, is_first, memory: Mutex::default(), signature };
    Ok(Some(ScalarUDF::new_from_impl(wanted).call(arguments)))
}

impl Wanted {
    fn ask(&self, batch: &RecordBatch) -> PlanResult<BooleanArray> {
        let groups = self.router.groups(batch, &mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))?;
        let mut wanted = BooleanBufferBuilder::new(batch.num_rows());
        wanted.append_n(batch.num_rows(), false);
        for group in &groups {
            let all: UInt32Array;
            let rows = match &group.rows {
                Some(rows) => rows,
                None => {
                    all = (0..batch.num_rows() as u32).collect();
                    &all
                }
            };
            let found = self.found(batch, group, rows.len())?;
            for (row, is_wanted) in rows.values().iter().zip(found.values()) {
                if is_wanted {
                    wanted.set_bit(*row as usize, true);
                }
            }
        }
        Ok(BooleanArray::new(wanted.finish(), None))
    }

    /// Which of the `count` rows of a group some catch wants. A condition that fails on a row says nothing: what becomes of
    /// that row is found out by the catch.
    fn found(&self, batch: &RecordBatch, group: &Group, count: usize) -> PlanResult<BooleanArray> {
        let (mut taken, mut found) = (Taken::new(), BooleanArray::from(vec![false; count]));
        for (catch, condition) in group.catches.iter().filter_map(|index| self.catches.get(*index)) {
            if catch.is_closed() {
                continue;
            }
            let began = Instant::now();
            if found.true_count() < count {
                let met = condition.as_ref().and_then(|condition| condition.met(batch, &group.rows, &mut taken).ok());
                found = match met {
                    Some(met) => or(&found, &met)?,
                    None => BooleanArray::from(vec![true; count]),
                };
            }
            catch.count(if self.is_first { count } else { 0 }, 0, began.elapsed());
        }
        Ok(found)
    }
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Wanted) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Wanted {}

impl Hash for Wanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::ptr::from_ref(self).hash(state);
    }
}

impl ScalarUDFImpl for Wanted {
    fn name(&self) -> &str {
        "wanted"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> PlanResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(args.args.len());
        for column in &args.args {
            columns.push(column.to_array(args.number_rows)?);
        }
        let wanted = self.ask(&RecordBatch::try_new(self.schema.clone(), columns)?)?;
        Ok(ColumnarValue::Array(Arc::new(wanted)))
    }
}
