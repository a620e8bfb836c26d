//! `among(keys)`: whether a row is of one of the groups that were found before. Plans carry it; nobody types it.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::utils::normalize_float_zero;
use datafusion::common::{HashSet, Result, internal_datafusion_err, internal_err};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Keys of groups. Conditions carry it while plans are made; it is filled before they are asked.
#[derive(Debug, Default)]
pub struct Known(OnceLock<Groups>);

#[derive(Debug)]
struct Groups {
    types: Vec<DataType>,
    converter: RowConverter,
    /// In the form of the converter.
    keys: HashSet<Box<[u8]>>,
    /// What the keys take of the memory of queries.
    _held: Option<MemoryReservation>,
}

/// The condition's function: each condition has one of its own.
#[derive(Debug)]
struct Among {
    known: Arc<Known>,
    signature: Signature,
}

impl Known {
    /// The condition that `keys` are among the known ones. Null is a key like any other.
    pub fn condition(self: &Arc<Known>, keys: Vec<Expr>) -> Expr {
        let signature = Signature::variadic_any(Volatility::Stable);
        ScalarUDF::new_from_impl(Among { known: self.clone(), signature }).call(keys)
    }

    /// The keys of any of these; none when some were not found yet, or have other types.
    pub fn any_of(known: &[Arc<Known>]) -> Result<Option<Arc<Known>>> {
        let groups: Option<Vec<&Groups>> = known.iter().map(|known| known.0.get()).collect();
        let Some((first, others)) = groups.as_deref().and_then(<[&Groups]>::split_first) else { return Ok(None) };
        if others.iter().any(|other| other.types != first.types) {
            return Ok(None);
        }
        let mut keys = first.keys.clone();
        keys.extend(others.iter().flat_map(|other| other.keys.iter().cloned()));
        let any = Known::default();
        any.set(first.types.clone(), keys, None)?;
        Ok(Some(Arc::new(any)))
    }

    fn groups(&self) -> Result<&Groups> {
        self.0.get().ok_or_else(|| internal_datafusion_err!("keys are asked for that were not found yet"))
    }

    /// Takes the keys: those of `columns` in rows of `schema`. Zeros of both signs are one key, as in groups and joins. An error
    /// when they take more memory than `held`, which is empty, can have.
    pub fn fill(
        &self,
        schema: &SchemaRef,
        rows: &[RecordBatch],
        columns: &[usize],
        held: MemoryReservation,
    ) -> Result<()> {
        let schema = schema.project(columns)?;
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let converter = converter(&types)?;
        let mut keys = HashSet::new();
        for batch in rows {
            let own = batch.project(columns)?;
            let columns: Vec<ArrayRef> = own.columns().iter().map(normalize_float_zero).collect();
            for row in &converter.convert_columns(&columns)? {
                let key: Box<[u8]> = row.data().into();
                let bytes = size_of_val(&key) + key.len();
                if keys.insert(key) {
                    held.try_grow(bytes)?;
                }
            }
        }
        self.set(types, keys, Some(held))
    }

    fn set(&self, types: Vec<DataType>, keys: HashSet<Box<[u8]>>, held: Option<MemoryReservation>) -> Result<()> {
        match self.0.set(Groups { converter: converter(&types)?, types, keys, _held: held }) {
            Ok(()) => Ok(()),
            Err(_) => internal_err!("keys were found twice"),
        }
    }
}

/// Rows of the same types and values are the same bytes in every converter.
fn converter(types: &[DataType]) -> Result<RowConverter> {
    Ok(RowConverter::new(types.iter().cloned().map(SortField::new).collect())?)
}

/// A condition that wants known keys: the expressions of the keys, and what is known.
pub fn asked(condition: &Expr) -> Option<(&[Expr], &Arc<Known>)> {
    let Expr::ScalarFunction(function) = condition else { return None };
    let among = function.func.inner().downcast_ref::<Among>()?;
    Some((&function.args, &among.known))
}

/// True when no row can meet `condition`: it wants one of no keys.
pub fn is_empty(condition: &Expr) -> bool {
    asked(condition).and_then(|(_, known)| known.0.get()).is_some_and(|groups| groups.keys.is_empty())
}

impl PartialEq for Among {
    fn eq(&self, other: &Among) -> bool {
        Arc::ptr_eq(&self.known, &other.known)
    }
}

impl Eq for Among {}

impl Hash for Among {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.known).hash(state);
    }
}

impl ScalarUDFImpl for Among {
    fn name(&self) -> &str {
        "among"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let groups = self.known.groups()?;
        let mut keys: Vec<ArrayRef> = Vec::with_capacity(groups.types.len());
        for (key, wanted) in args.args.iter().zip(&groups.types) {
            let key = cast(&key.to_array(args.number_rows)?, wanted)?;
            keys.push(normalize_float_zero(&key));
        }
        let rows = groups.converter.convert_columns(&keys)?;
        let among: BooleanArray = rows.iter().map(|row| Some(groups.keys.contains(row.data()))).collect();
        Ok(ColumnarValue::Array(Arc::new(among)))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::common::DataFusionError;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

    use super::*;

    #[test]
    fn keys_take_of_the_memory_of_queries() {
        let schema = Arc::new(Schema::new(vec![Field::new("key", DataType::Utf8, true)]));
        let keys = StringArray::from(vec![Some("a".repeat(500)), Some("b".repeat(500)), None]);
        let rows = [RecordBatch::try_new(schema.clone(), vec![Arc::new(keys)]).expect("rows")];
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(2_000));
        let fill = |known: &Known| known.fill(&schema, &rows, &[0], MemoryConsumer::new("keys").register(&pool));
        let known = Known::default();
        fill(&known).expect("there is memory for them once");
        assert!(pool.reserved() > 1_000, "{}", pool.reserved());
        let failed = fill(&Known::default());
        assert!(matches!(failed, Err(DataFusionError::ResourcesExhausted(_))), "{failed:?}");
        drop(known);
        assert_eq!(pool.reserved(), 0);
    }
}
