//! `flag(json, path...)`: a yes or no inside JSON, whether written as a boolean or as text.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::on_text::{Kernel, apply, over};
use super::{Build, Function, FunctionDoc};

pub(super) static FLAG: Function = Function {
    doc: FunctionDoc {
        name: "flag",
        syntax: "flag(json, key or index, ...)",
        about: "True when the value at the path is true or the text \"true\", false for any other value, null when there is none: \
                services write booleans both ways.",
        example: "SELECT flag('{\"callWithBearerToken\": \"true\"}', 'callWithBearerToken')",
        result: "true",
    },
    build: || {
        Build::Scalar(ScalarUDF::new_from_impl(Flag { signature: Signature::variadic_any(Volatility::Immutable) }))
    },
};

const KERNEL: Kernel = Kernel::Bool(|text| Some(text.eq_ignore_ascii_case("true")));

#[derive(Debug, PartialEq, Eq, Hash)]
struct Flag {
    signature: Signature,
}

impl ScalarUDFImpl for Flag {
    fn name(&self) -> &str {
        "flag"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if types.len() < 2 {
            return plan_err!("flag takes JSON and the path to a value in it: flag(requestParameters, 'enabled')");
        }
        datafusion_functions_json::udfs::json_as_text_udf().return_type(types)?;
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let reader = datafusion_functions_json::udfs::json_as_text_udf();
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        args.return_field = Arc::new(Field::new("text", reader.return_type(&types)?, true));
        over(reader.invoke_with_args(args)?, |texts| apply(KERNEL, texts))
    }
}
