//! `arn_part(arn, part)`: one part of an Amazon Resource Name.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::on_text::{Kernel, Texts, apply, over, text_type};
use super::{Build, Function, FunctionDoc};
use crate::engine::arn::Arn;

pub(super) static ARN_PART: Function = Function {
    doc: FunctionDoc {
        name: "arn_part",
        syntax: "arn_part(arn, 'partition' | 'service' | 'region' | 'account' | 'resource' | 'type' | 'name')",
        about: "A part of an ARN. `resource` is everything after the fifth colon, `type` what stands before its first / or :, \
                `name` its last piece. Null for other text and for empty parts.",
        example: "SELECT arn_part('arn:aws:iam::111122223333:role/service/App', 'name')",
        result: "App",
    },
    build: || {
        Build::Scalar(ScalarUDF::new_from_impl(ArnPart { signature: Signature::user_defined(Volatility::Immutable) }))
    },
};

/// Names of the parts, each with what reads it.
const PARTS: [(&str, Kernel); 7] = [
    ("partition", Kernel::Text(|text| part(text, |arn| Some(arn.partition)))),
    ("service", Kernel::Text(|text| part(text, |arn| Some(arn.service)))),
    ("region", Kernel::Text(|text| part(text, |arn| Some(arn.region)))),
    ("account", Kernel::Text(|text| part(text, |arn| Some(arn.account)))),
    ("resource", Kernel::Text(|text| part(text, |arn| Some(arn.resource)))),
    ("type", Kernel::Text(|text| part(text, |arn| arn.kind()))),
    ("name", Kernel::Text(|text| part(text, |arn| Some(arn.name())))),
];

fn part<'a>(text: &'a str, read: fn(&Arn<'a>) -> Option<&'a str>) -> Option<Cow<'a, str>> {
    let arn = Arn::parse(text)?;
    read(&arn).filter(|part| !part.is_empty()).map(Cow::Borrowed)
}

fn kernel_of(name: &str) -> Result<Kernel> {
    let known = PARTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, kernel)| *kernel).ok_or_else(|| {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        exec_datafusion_err!("arn_part knows no part {name:?}; the parts are {}", names.join(", "))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArnPart {
    signature: Signature,
}

impl ScalarUDFImpl for ArnPart {
    fn name(&self) -> &str {
        "arn_part"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [arn, part] = take_function_args(self.name(), types)?;
        text_type(self.name(), part)?;
        Ok(vec![text_type(self.name(), arn)?, DataType::Utf8])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [arns, part] = take_function_args(self.name(), args.args)?;
        let name = match part {
            ColumnarValue::Scalar(name) => name,
            ColumnarValue::Array(names) => {
                return each_its_own(&arns.into_array(rows)?, &names).map(ColumnarValue::Array);
            }
        };
        let Some(name) = name.try_as_str().flatten() else { return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))) };
        let kernel = kernel_of(name)?;
        over(arns, |arns| apply(kernel, arns))
    }
}

/// The part that each row names itself.
fn each_its_own(arns: &ArrayRef, names: &ArrayRef) -> Result<ArrayRef> {
    let arns = datafusion::arrow::compute::cast(arns, &DataType::Utf8)?;
    let (arns, names) = (Texts::of(&arns)?, Texts::of(names)?);
    let mut builder = StringBuilder::new();
    for (arn, name) in arns.iter().zip(names.iter()) {
        match (arn, name.map(kernel_of).transpose()?) {
            (Some(arn), Some(Kernel::Text(kernel))) => builder.append_option(kernel(arn)),
            _ => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}
