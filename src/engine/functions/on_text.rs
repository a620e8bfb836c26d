//! The shape that most of our functions share: one text of any encoding in, one value or null out.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, LargeStringArray, StringArray, StringBuilder, StringViewArray,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// What is computed from one text.
#[derive(Clone, Copy)]
pub enum Kernel {
    Bool(fn(&str) -> Option<bool>),
    Double(fn(&str) -> Option<f64>),
    Text(for<'a> fn(&'a str) -> Option<Cow<'a, str>>),
}

struct OnText {
    name: &'static str,
    kernel: Kernel,
    signature: Signature,
}

/// A function of one text, null for null.
pub fn function(name: &'static str, kernel: Kernel) -> ScalarUDF {
    ScalarUDF::new_from_impl(OnText { name, kernel, signature: Signature::user_defined(Volatility::Immutable) })
}

impl std::fmt::Debug for OnText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnText").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for OnText {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OnText {}

impl Hash for OnText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for OnText {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [argument] = take_function_args(self.name, types)?;
        Ok(vec![text_type(self.name, argument)?])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kernel {
            Kernel::Bool(_) => DataType::Boolean,
            Kernel::Double(_) => DataType::Float64,
            Kernel::Text(_) => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = take_function_args(self.name, args.args)?;
        over(argument, |texts| apply(self.kernel, texts))
    }
}

/// What is computed from an array, over an argument that may also be one value for all rows: then the result is one too.
pub fn over(argument: ColumnarValue, compute: impl FnOnce(&ArrayRef) -> Result<ArrayRef>) -> Result<ColumnarValue> {
    match argument {
        ColumnarValue::Array(array) => compute(&array).map(ColumnarValue::Array),
        ColumnarValue::Scalar(value) => {
            let result = compute(&value.to_array_of_size(1)?)?;
            ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar)
        }
    }
}

/// The kernel over every value. Dictionaries are computed once per distinct value.
pub fn apply(kernel: Kernel, array: &ArrayRef) -> Result<ArrayRef> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = apply(kernel, dictionary.values())?;
        return Ok(take(&values, dictionary.keys(), None)?);
    }
    let texts = Texts::of(array)?;
    Ok(match kernel {
        Kernel::Bool(kernel) => Arc::new(texts.iter().map(|t| t.and_then(kernel)).collect::<BooleanArray>()),
        Kernel::Double(kernel) => Arc::new(texts.iter().map(|t| t.and_then(kernel)).collect::<Float64Array>()),
        Kernel::Text(kernel) => {
            let mut builder = StringBuilder::with_capacity(texts.len(), 0);
            for text in texts.iter() {
                builder.append_option(text.and_then(kernel));
            }
            Arc::new(builder.finish())
        }
    })
}

/// The type that an argument is read as: text of any encoding as it is, null as text. Anything else is refused.
pub fn text_type(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(given.clone()),
        DataType::Null => Ok(DataType::Utf8),
        DataType::Dictionary(_, value) if text_type(function, value).is_ok() => Ok(given.clone()),
        _ => plan_err!("{function} takes text, not {given}"),
    }
}

/// The values of a text array that is not a dictionary.
pub enum Texts<'a> {
    Utf8(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// Reads an array of one of the three plain text types.
    pub fn of(array: &'a dyn Array) -> Result<Texts<'a>> {
        match array.data_type() {
            DataType::Utf8 => Ok(Texts::Utf8(array.as_string())),
            DataType::LargeUtf8 => Ok(Texts::Large(array.as_string())),
            DataType::Utf8View => Ok(Texts::View(array.as_string_view())),
            other => exec_err!("expected text, got {other}"),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Texts::Utf8(array) => array.len(),
            Texts::Large(array) => array.len(),
            Texts::View(array) => array.len(),
        }
    }

    /// The value at a row below [`Texts::len`]; `None` is null.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Texts::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Large(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Option<&'a str>> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }
}
