//! `among(keys)`: whether a row is of one of the groups that were found before. Plans carry it; nobody types it.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{HashSet, Result, internal_datafusion_err, internal_err};
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
        any.set(first.types.clone(), keys)?;
        Ok(Some(Arc::new(any)))
    }

    fn groups(&self) -> Result<&Groups> {
        self.0.get().ok_or_else(|| internal_datafusion_err!("keys are asked for that were not found yet"))
    }

    /// Takes the keys: those of `columns` in rows of `schema`.
    pub fn fill(&self, schema: &SchemaRef, rows: &[RecordBatch], columns: &[usize]) -> Result<()> {
        let schema = schema.project(columns)?;
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let converter = converter(&types)?;
        let mut keys = HashSet::new();
        for batch in rows {
            let own = batch.project(columns)?;
            keys.extend(converter.convert_columns(own.columns())?.iter().map(|row| Box::from(row.data())));
        }
        self.set(types, keys)
    }

    fn set(&self, types: Vec<DataType>, keys: HashSet<Box<[u8]>>) -> Result<()> {
        match self.0.set(Groups { converter: converter(&types)?, types, keys }) {
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
            keys.push(cast(&key.to_array(args.number_rows)?, wanted)?);
        }
        let rows = groups.converter.convert_columns(&keys)?;
        let among: BooleanArray = rows.iter().map(|row| Some(groups.keys.contains(row.data()))).collect();
        Ok(ColumnarValue::Array(Arc::new(among)))
    }
}
