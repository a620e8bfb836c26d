//! `list[n]` of the library, with elements taken all at once: it copies them one by one, field by field.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Has queries use it where they name an element.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    registry.register_function_rewrite(Arc::new(TakeElements))
}

#[derive(Debug)]
struct TakeElements;

/// The library's function, with a faster way for the same element of every list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Element(Arc<ScalarUDF>);

impl FunctionRewrite for TakeElements {
    fn name(&self) -> &str {
        "TakeElements"
    }

    fn rewrite(&self, expression: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        match expression {
            Expr::ScalarFunction(mut function)
                if function.name() == "array_element" && function.func.inner().downcast_ref::<Element>().is_none() =>
            {
                function.func = Arc::new(ScalarUDF::new_from_impl(Element(function.func)));
                Ok(Transformed::yes(Expr::ScalarFunction(function)))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

impl ScalarUDFImpl for Element {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.0.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Array(lists), ColumnarValue::Scalar(ScalarValue::Int64(Some(number)))] =
            args.args.as_slice()
        else {
            return self.0.invoke_with_args(args);
        };
        let (Some(lists), Ok(number @ 1..)) = (lists.as_list_opt::<i32>(), i32::try_from(*number)) else {
            return self.0.invoke_with_args(args);
        };
        let mut places = Vec::with_capacity(lists.len());
        for (list, range) in lists.offsets().windows(2).enumerate() {
            let &[begin, end] = range else { continue };
            let is_there = lists.is_valid(list) && number <= end - begin;
            places.push(is_there.then(|| (begin + number - 1) as u32));
        }
        Ok(ColumnarValue::Array(take(lists.values(), &UInt32Array::from(places), None)?))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, ListArray, RecordBatch, StringViewArray, StructArray};
    use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
    use datafusion::arrow::datatypes::{Field, Fields, Schema};
    use datafusion::functions_nested::extract::array_element_udf;
    use datafusion::prelude::{SessionContext, col, lit};
    use proptest::prelude::*;

    use super::*;

    /// Lists of structs of a text and a number, of these lengths: none for a list that is null but has a row.
    fn lists(lengths: &[Option<usize>]) -> ListArray {
        let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(1)));
        let count = *offsets.last().expect("an end") as usize;
        let texts: StringViewArray =
            (0..count).map(|place| (place % 5 != 1).then(|| format!("a text that is rather long, {place}"))).collect();
        let fields =
            Fields::from(vec![Field::new("arn", DataType::Utf8View, true), Field::new("n", DataType::Int64, true)]);
        let numbers = Int64Array::from_iter_values(0..count as i64);
        let valid = NullBuffer::from_iter((0..count).map(|place| place % 7 != 2));
        let structs = StructArray::new(fields.clone(), vec![Arc::new(texts), Arc::new(numbers)], Some(valid));
        let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
        ListArray::new(item, offsets, Arc::new(structs), Some(lengths.iter().map(Option::is_some).collect()))
    }

    proptest! {
        #[test]
        fn it_takes_what_the_library_takes(
            lengths in prop::collection::vec(prop::option::of(0usize..4), 1..30),
            number in prop_oneof![-4i64..6, Just(i64::from(i32::MAX))],
            from in 0usize..30,
        ) {
            let lists = lists(&lengths);
            let from = from.min(lengths.len());
            let lists = lists.slice(from, lengths.len() - from);
            let schema = Schema::new(vec![Field::new("list", lists.data_type().clone(), true)]);
            let batch = RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(lists)]).expect("a batch");
            let state = SessionContext::new().state();
            let columns = DFSchema::try_from(schema).expect("columns");
            let ask = |function: Arc<ScalarUDF>| {
                let expression = function.call(vec![col("list"), lit(number)]);
                let physical = state.create_physical_expr(expression, &columns).expect("an expression");
                physical.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows())).expect("elements")
            };
            let own = ask(Arc::new(ScalarUDF::new_from_impl(Element(array_element_udf()))));
            prop_assert_eq!(&own, &ask(array_element_udf()));
        }
    }
}
