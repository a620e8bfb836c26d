//! Conditions on texts that repeat: asked once for each combination of values in a batch, not for each of its rows.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::{DFSchema, HashMap, Result, exec_err};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;

use super::regexes::compiled;

/// True when `expression` reads texts alone, and some.
pub fn reads_texts(expression: &Expr, schema: &Schema) -> bool {
    let read = expression.column_refs();
    let is_text = |name: &str| schema.field_with_name(name).is_ok_and(|field| *field.data_type() == DataType::Utf8View);
    !read.is_empty() && read.iter().all(|column| is_text(&column.name))
}

/// `condition` over the columns of `schema`, asked once for each combination of the values that it reads; as it is when it
/// reads anything but texts.
///
/// Equal texts of one page of a Parquet file with a dictionary are views of the same bytes. Views tell values apart without
/// a look at them, so this pays where a condition takes texts to pieces.
pub fn once_per_value(condition: Expr, schema: &Schema, state: &SessionState) -> Result<Expr> {
    if !reads_texts(&condition, schema) {
        return Ok(condition);
    }
    let mut read: Vec<usize> =
        condition.column_refs().iter().map(|column| schema.index_of(&column.name)).collect::<Result<_, _>>()?;
    read.sort_unstable();
    let schema = Arc::new(schema.project(&read)?);
    let columns = DFSchema::try_from(schema.clone())?;
    let condition = compiled(state.create_physical_expr(condition, &columns)?)?;
    let arguments = columns.columns().into_iter().map(Expr::Column).collect();
    let signature = Signature::variadic_any(Volatility::Stable);
    Ok(ScalarUDF::new_from_impl(OncePerValue { condition, schema, signature }).call(arguments))
}

/// The condition as a function of the texts that it reads.
#[derive(Debug)]
struct OncePerValue {
    condition: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    signature: Signature,
}

impl OncePerValue {
    fn ask(&self, texts: &[ArrayRef]) -> Result<ArrayRef> {
        let batch = RecordBatch::try_new(self.schema.clone(), texts.to_vec())?;
        self.condition.evaluate(&batch)?.into_array(batch.num_rows())
    }
}

impl PartialEq for OncePerValue {
    fn eq(&self, other: &OncePerValue) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for OncePerValue {}

impl Hash for OncePerValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl ScalarUDFImpl for OncePerValue {
    fn name(&self) -> &str {
        "once_per_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut texts = Vec::with_capacity(args.args.len());
        for argument in &args.args {
            texts.push(argument.to_array(args.number_rows)?);
        }
        let values = Values::of(&texts, args.number_rows)?;
        // Where most rows differ, taking them apart is not worth it.
        if values.rows.len() > args.number_rows / 2 {
            return Ok(ColumnarValue::Array(self.ask(&texts)?));
        }
        let rows = UInt32Array::from(values.rows);
        let mut distinct = Vec::with_capacity(texts.len());
        for column in &texts {
            distinct.push(take(column, &rows, None)?);
        }
        let answers = take(&self.ask(&distinct)?, &UInt32Array::from(values.of_rows), None)?;
        Ok(ColumnarValue::Array(answers))
    }
}

/// Combinations of values in rows.
struct Values {
    /// A row with each of them.
    rows: Vec<u32>,
    /// Row -> its position in `rows`.
    of_rows: Vec<u32>,
}

/// Stands for null among views: no text is that long.
const NULL: u128 = u128::MAX;

impl Values {
    /// Two of them may be the same text in other places.
    fn of(columns: &[ArrayRef], count: usize) -> Result<Values> {
        let mut values = Values { rows: vec![0], of_rows: vec![0; count] };
        for column in columns {
            let Some(texts) = column.as_string_view_opt() else {
                return exec_err!("expected texts, got {}", column.data_type());
            };
            values = values.with(texts)?;
        }
        Ok(values)
    }

    /// Told apart by one more column.
    fn with(self, texts: &StringViewArray) -> Result<Values> {
        let mut rows = Vec::new();
        let mut of_rows = Vec::with_capacity(self.of_rows.len());
        let mut known: HashMap<(u32, u128), u32> = HashMap::new();
        let mut last = None;
        for (row, (before, view)) in self.of_rows.into_iter().zip(texts.views().iter()).enumerate() {
            let key = (before, if texts.is_valid(row) { *view } else { NULL });
            // Files keep alike rows together.
            let value = match last {
                Some((same, value)) if same == key => value,
                _ => *known.entry(key).or_insert_with(|| {
                    rows.push(row as u32);
                    rows.len() as u32 - 1
                }),
            };
            last = Some((key, value));
            of_rows.push(value);
        }
        Ok(Values { rows, of_rows })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringViewArray};
    use datafusion::arrow::compute::{concat, take};
    use datafusion::arrow::datatypes::Field;
    use datafusion::common::DFSchema;
    use datafusion::prelude::{SessionContext, col, lit, upper};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const TEXTS: [Option<&str>; 6] = [
        None,
        Some(""),
        Some("ana"),
        Some("Ana"),
        Some("a text that is longer than a view"),
        Some("a text that is longer than that"),
    ];

    /// The mask of the condition as it is, and asked once for each value.
    fn masks(condition: Expr, batch: &RecordBatch) -> [ArrayRef; 2] {
        let state = SessionContext::new().state();
        let schema = DFSchema::try_from(batch.schema()).expect("a schema");
        let once = once_per_value(condition.clone(), &batch.schema(), &state).expect("a condition");
        assert!(once.to_string().starts_with("once_per_value"), "{once}");
        [condition, once].map(|condition| {
            let condition = state.create_physical_expr(condition, &schema).expect("an expression");
            condition.evaluate(batch).expect("a mask").into_array(batch.num_rows()).expect("an array")
        })
    }

    proptest! {
        #[test]
        fn it_says_what_the_condition_says(rows in prop::collection::vec((select(&TEXTS), select(&TEXTS)), 0..40), place in 0u32..40) {
            let (one, other): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            let mut columns: Vec<ArrayRef> = Vec::new();
            for texts in [one, other] {
                let texts: ArrayRef = Arc::new(StringViewArray::from(texts));
                // The same texts once more, as views of the same bytes and of others.
                let some: UInt32Array = (0..texts.len() as u32).map(|row| row.min(place)).collect();
                let again = take(&texts, &some, None).expect("rows");
                let copied: ArrayRef = Arc::new(texts.as_string_view().gc());
                columns.push(concat(&[&texts, &again, &again, &copied]).expect("one column"));
            }
            let batch = RecordBatch::try_from_iter_with_nullable([("one", columns[0].clone(), true), ("other", columns[1].clone(), true)]).expect("a batch");
            for condition in [
                col("one").in_list(vec![lit("ana"), lit("")], false),
                upper(col("other")).eq(lit("ANA")).or(col("one").is_null()),
                col("one").eq(col("other")),
            ] {
                let [plain, once] = masks(condition, &batch);
                prop_assert_eq!(&plain, &once);
            }
        }
    }

    #[test]
    fn what_reads_anything_but_texts_stays_as_it_is() {
        let state = SessionContext::new().state();
        let schema = Schema::new(vec![
            Field::new("text", DataType::Utf8View, true),
            Field::new("number", DataType::Int64, true),
        ]);
        for condition in [col("number").gt(lit(1)), col("text").eq(lit("ana")).and(col("number").gt(lit(1))), lit(true)]
        {
            let once = once_per_value(condition.clone(), &schema, &state).expect("a condition");
            assert_eq!(once, condition);
        }
    }
}
