//! `regexp_replace` of the library, with patterns that are compiled once, not for every batch.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{Array, AsArray, StringViewBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use regex::Regex;

/// Patterns that are remembered: some times those of all built-in rules.
const MOST_PATTERNS: usize = 256;

/// Puts it in the place of the library's.
pub fn register(context: &SessionContext) {
    let library = datafusion::functions::regex::regexp_replace();
    context.register_udf(ScalarUDF::new_from_impl(RegexpReplace { library, compiled: Mutex::default() }));
}

/// The library's function, which remembers patterns.
#[derive(Debug)]
struct RegexpReplace {
    library: Arc<ScalarUDF>,
    compiled: Mutex<HashMap<String, Arc<Regex>>>,
}

impl RegexpReplace {
    /// The compiled pattern; none for one that does not compile.
    fn compiled(&self, pattern: &str) -> Option<Arc<Regex>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(regex) = compiled.get(pattern) {
            return Some(regex.clone());
        }
        let regex = Arc::new(Regex::new(pattern).ok()?);
        if compiled.len() >= MOST_PATTERNS {
            compiled.clear();
        }
        compiled.insert(pattern.to_owned(), regex.clone());
        Some(regex)
    }

    /// The answer for texts of a column, where all else is the same for all of them and says what it means.
    fn answer(&self, args: &[ColumnarValue]) -> Option<ColumnarValue> {
        let (texts, pattern, replacement, flags) = match args {
            [texts, pattern, replacement] => (texts, pattern, replacement, None),
            [texts, pattern, replacement, flags] => (texts, pattern, replacement, Some(constant(flags)?)),
            _ => return None,
        };
        let ColumnarValue::Array(texts) = texts else { return None };
        let (texts, pattern, replacement) = (texts.as_string_view_opt()?, constant(pattern)?, constant(replacement)?);
        // `\1` stands for `${1}` there.
        if replacement.contains('\\') {
            return None;
        }
        let (pattern, limit) = match flags {
            None => (pattern.to_owned(), 1),
            Some("g") => (pattern.to_owned(), 0),
            Some(flags) => (format!("(?{}){pattern}", flags.replace('g', "")), usize::from(!flags.contains('g'))),
        };
        let regex = self.compiled(&pattern)?;
        let mut replaced = StringViewBuilder::with_capacity(texts.len());
        for text in texts {
            replaced.append_option(text.map(|text| regex.replacen(text, limit, replacement)));
        }
        Some(ColumnarValue::Array(Arc::new(replaced.finish())))
    }
}

fn constant(argument: &ColumnarValue) -> Option<&str> {
    match argument {
        ColumnarValue::Scalar(value) => value.try_as_str().flatten(),
        ColumnarValue::Array(_) => None,
    }
}

impl PartialEq for RegexpReplace {
    fn eq(&self, other: &RegexpReplace) -> bool {
        self.library == other.library
    }
}

impl Eq for RegexpReplace {}

impl Hash for RegexpReplace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.library.hash(state);
    }
}

impl ScalarUDFImpl for RegexpReplace {
    fn name(&self) -> &str {
        self.library.name()
    }

    fn signature(&self) -> &Signature {
        self.library.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.library.return_type(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.answer(&args.args) {
            Some(answer) => Ok(answer),
            None => self.library.invoke_with_args(args),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.library.documentation()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, RecordBatch, StringViewArray};
    use datafusion::common::{DFSchema, ScalarValue};
    use datafusion::execution::FunctionRegistry;
    use datafusion::prelude::{Expr, SessionContext, col};

    use super::*;

    #[test]
    fn it_says_what_the_library_says() {
        let texts = [
            Some("arn:aws:lambda:us-east-1:111122223333:function:Tool:3"),
            Some("Tool"),
            None,
            Some(""),
            Some("a\nb: $1 \\1 tool tool"),
            Some("ünïcödé function:x"),
        ];
        let column: ArrayRef = Arc::new(StringViewArray::from_iter(texts));
        let batch = RecordBatch::try_from_iter_with_nullable([("text", column, true)]).expect("a batch");
        let schema = DFSchema::try_from(batch.schema()).expect("a schema");
        let (library, ours) = (SessionContext::new(), SessionContext::new());
        register(&ours);
        let mut asked = 0;
        for pattern in [Some("^(.*function:)?([^:]+).*$"), Some("t(o+)l"), Some(""), Some("."), Some("("), None] {
            for replacement in [Some("$2"), Some("\\1"), Some(""), Some("$1x"), Some("${1}x"), Some("$$"), None] {
                for flags in [None, Some("g"), Some("i"), Some("gi"), Some("s"), Some("x"), Some(""), Some("?")] {
                    let text = |text: Option<&str>| Expr::Literal(ScalarValue::Utf8View(text.map(str::to_owned)), None);
                    let mut arguments = vec![col("text"), text(pattern), text(replacement)];
                    arguments.extend(flags.map(|flags| text(Some(flags))));
                    let answers = [&library, &ours].map(|context| {
                        let function = context.udf("regexp_replace").expect("a function").call(arguments.clone());
                        let physical = context.state().create_physical_expr(function, &schema).expect("an expression");
                        let answer = physical.evaluate(&batch).and_then(|value| value.into_array(batch.num_rows()));
                        answer.map_err(|error| error.to_string())
                    });
                    assert_eq!(answers[0], answers[1], "{pattern:?} {replacement:?} {flags:?}");
                    asked += 1;
                }
            }
        }
        assert_eq!(asked, 336);
    }
}
