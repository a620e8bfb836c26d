//! `json_extract_scalar(json, path)`: reads JSON by a JSONPath, as queries for Athena do.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use serde_json::Value;

use super::on_text::{Texts, over, text_type};
use super::{Build, Function, FunctionDoc};

pub(super) static JSON_EXTRACT_SCALAR: Function = Function {
    doc: FunctionDoc {
        name: "json_extract_scalar",
        syntax: "json_extract_scalar(json, '$.key.key[0]')",
        about: "The text, number or boolean at a JSONPath as text; null for objects, lists and missing values. For queries that \
                come from Athena; `json_get_str(json, 'key', ...)` does the same and is faster.",
        example: "SELECT json_extract_scalar('{\"loggingConfig\": {\"keys\": [\"a\", \"b\"]}}', '$.loggingConfig.keys[1]')",
        result: "b",
    },
    build: || {
        Build::Scalar(ScalarUDF::new_from_impl(JsonExtractScalar {
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    },
};

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonExtractScalar {
    signature: Signature,
}

impl ScalarUDFImpl for JsonExtractScalar {
    fn name(&self) -> &str {
        "json_extract_scalar"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [json, path] = take_function_args(self.name(), types)?;
        text_type(self.name(), path)?;
        Ok(vec![text_type(self.name(), json)?, DataType::Utf8])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [json, path] = take_function_args(self.name(), args.args)?;
        let ColumnarValue::Scalar(path) = path else {
            return Err(exec_datafusion_err!("json_extract_scalar takes its path as a constant: '$.key'"));
        };
        let Some(path) = path.try_as_str().flatten() else { return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None))) };
        let steps = steps(path).ok_or_else(|| {
            exec_datafusion_err!("json_extract_scalar cannot read the path {path:?}; write $.key, $['key'] and [0]")
        })?;
        over(json, |json| extract(json, &steps))
    }
}

#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Steps of `$.key`, `$['key']`, `$["key"]` and `[0]`; `None` when the path says anything else.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, left) = after.split_at(end);
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = left;
            continue;
        }
        let (inside, left) = rest.strip_prefix('[')?.split_once(']')?;
        let quoted = ['\'', '"'].iter().find_map(|q| inside.strip_prefix(*q)?.strip_suffix(*q));
        steps.push(match quoted {
            Some(key) => Step::Key(key.to_owned()),
            None => Step::Index(inside.parse().ok()?),
        });
        rest = left;
    }
    Some(steps)
}

fn extract(json: &ArrayRef, steps: &[Step]) -> Result<ArrayRef> {
    if let Some(dictionary) = json.as_any_dictionary_opt() {
        let values = extract(dictionary.values(), steps)?;
        return Ok(take(&values, dictionary.keys(), None)?);
    }
    let mut builder = StringBuilder::new();
    for text in Texts::of(json)?.iter() {
        builder.append_option(text.and_then(|text| scalar(text, steps)));
    }
    Ok(Arc::new(builder.finish()))
}

fn scalar(json: &str, steps: &[Step]) -> Option<String> {
    let root: Value = serde_json::from_str(json).ok()?;
    let found = steps.iter().try_fold(&root, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
    })?;
    match found {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_or_refused() {
        let key = |text: &str| Step::Key(text.into());
        assert_eq!(steps("$.a.b[2]"), Some(vec![key("a"), key("b"), Step::Index(2)]));
        assert_eq!(steps(r#"$['x-amz.a']["b"]"#), Some(vec![key("x-amz.a"), key("b")]));
        assert_eq!(steps("$"), Some(vec![]));
        for bad in ["a.b", "$..a", "$.a[", "$.a[*]", "$a", ""] {
            assert_eq!(steps(bad), None, "{bad}");
        }
    }
}
