//! Whether some catch wants a row, as far as some of its columns tell.
//!
//! As a row filter, it keeps a scan from decoding other columns of rows that nobody wants.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use datafusion::arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::or;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::Result as PlanResult;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::{col, lit};

use super::bands::Wish;
use super::catch::Catch;
use super::condition::{Condition, Taken, read_by};
use super::keys::DISPATCH;
use super::router::{Group, Memory, Router};
use crate::engine::among::{Known, asked};
use crate::engine::repeats::reads_texts;

/// The condition as a function of the columns that it reads.
#[derive(Debug)]
struct Wanted {
    askers: Vec<Asker>,
    /// Conditions that hold for each row for which an asker's holds.
    gates: Vec<Condition>,
    router: Router,
    schema: SchemaRef,
    /// True when no other filter looks at rows before.
    is_first: bool,
    memory: Mutex<Memory>,
    signature: Signature,
}

/// A catch and its conditions.
#[derive(Debug)]
struct Asker {
    catch: Arc<Catch>,
    /// None when it may want any row.
    condition: Option<Condition>,
    /// Position of its gate.
    gate: Option<usize>,
}

/// Keys that several catches ask for.
type Gate<'a> = (&'a [Expr], Vec<Arc<Known>>);

/// The condition that one of `wishes` is for a row of `table`, by those of its conditions that `told` names; none when
/// these are none. The first such filter of a scan counts the rows that catches look at.
pub fn wanted(
    wishes: &[Wish],
    table: &Schema,
    state: &Arc<SessionState>,
    is_first: bool,
    told: impl Fn(&Expr) -> bool,
) -> PlanResult<Option<Expr>> {
    let filters: Vec<Vec<Expr>> =
        wishes.iter().map(|wish| wish.filters.iter().filter(|filter| told(filter)).cloned().collect()).collect();
    let mut read = read_by(filters.iter().flatten(), table)?;
    if read.is_empty() {
        return Ok(None);
    }
    if wishes.iter().any(|wish| !wish.catch.keys.is_empty()) {
        read.extend(DISPATCH.iter().filter_map(|column| table.index_of(column).ok()));
    }
    let schema = Arc::new(table.project(&Vec::from_iter(read))?);
    let mut gates: Vec<Gate<'_>> = Vec::new();
    let mut askers = Vec::with_capacity(wishes.len());
    for (wish, filters) in wishes.iter().zip(&filters) {
        let condition = match filters.is_empty() {
            true => None,
            false => Some(Condition::new(state, &schema, filters.clone())?),
        };
        // Of texts, and of several, the fewest: they are the same for most rows.
        let texts = filters.iter().filter(|filter| reads_texts(filter, &schema));
        let asked = texts.filter_map(asked).min_by_key(|(keys, _)| keys.len());
        let gate = asked.map(|(keys, known)| {
            let place = gates.iter().position(|(same, _)| *same == keys).unwrap_or(gates.len());
            match gates.get_mut(place) {
                Some((_, others)) => others.push(known.clone()),
                None => gates.push((keys, vec![known.clone()])),
            }
            place
        });
        askers.push(Asker { catch: wish.catch.clone(), condition, gate });
    }
    let mut opened = Vec::with_capacity(gates.len());
    for (keys, known) in gates {
        let any = Known::any_of(&known)?.map(|any| any.condition(keys.to_vec())).unwrap_or_else(|| lit(true));
        opened.push(Condition::new(state, &schema, vec![any])?);
    }
    let catches: Vec<Arc<Catch>> = wishes.iter().map(|wish| wish.catch.clone()).collect();
    let router = Router::new(&catches, |name| schema.index_of(name).ok());
    let arguments = schema.fields().iter().map(|field| col(format!("\"{}\"", field.name()))).collect();
    let signature = Signature::variadic_any(Volatility::Stable);
    let wanted = Wanted { askers, gates: opened, router, schema, is_first, memory: Mutex::default(), signature };
    // Files ask lists beneath an IS NOT NULL alone.
    Ok(Some(ScalarUDF::new_from_impl(wanted).call(arguments).is_not_null()))
}

impl Wanted {
    /// True for rows that somebody wants, null for others.
    fn ask(&self, batch: &RecordBatch) -> PlanResult<BooleanArray> {
        let groups = self.router.groups(batch, &mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))?;
        let mut wanted = BooleanBufferBuilder::new(batch.num_rows());
        wanted.append_n(batch.num_rows(), false);
        for group in &groups {
            let rows = group.places(batch.num_rows());
            let found = self.found(batch, group, rows.len())?;
            for (row, is_wanted) in rows.values().iter().zip(found.values()) {
                if is_wanted {
                    wanted.set_bit(*row as usize, true);
                }
            }
        }
        let wanted = wanted.finish();
        Ok(BooleanArray::new(wanted.clone(), Some(NullBuffer::new(wanted))))
    }

    /// Which of the `count` rows of a group some catch wants. A condition that fails on a row says nothing: what becomes of
    /// that row is found out by the catch.
    fn found(&self, batch: &RecordBatch, group: &Group, count: usize) -> PlanResult<BooleanArray> {
        let (mut taken, mut found) = (Taken::new(), BooleanArray::from(vec![false; count]));
        let mut open: HashMap<usize, bool> = HashMap::new();
        for Asker { catch, condition, gate } in group.catches.iter().filter_map(|index| self.askers.get(*index)) {
            if catch.is_closed() {
                continue;
            }
            let began = Instant::now();
            let mut met = |condition: &Condition| condition.met(batch, &group.rows, &mut taken).ok();
            let is_open = match gate {
                None => true,
                Some(gate) => *open
                    .entry(*gate)
                    .or_insert_with(|| self.gates.get(*gate).and_then(&mut met).is_none_or(|met| met.has_true())),
            };
            if is_open && found.true_count() < count {
                found = match condition.as_ref().map(met) {
                    Some(Some(met)) => or(&found, &met)?,
                    _ => BooleanArray::from(vec![true; count]),
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
