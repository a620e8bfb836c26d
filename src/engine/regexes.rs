//! Patterns in conditions that are asked again and again: compiled once, not for every batch.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, LikeExpr, Literal};
use regex::{Regex, RegexBuilder, escape};

/// `condition` with what compares text with a constant pattern in a form that keeps the compiled pattern. A pattern that
/// does not compile stays as it is, and fails when it is asked.
pub fn compiled(condition: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    condition
        .transform_up(|node| match Matches::of(&node) {
            Some(matches) => Ok(Transformed::yes(Arc::new(matches) as Arc<dyn PhysicalExpr>)),
            None => Ok(Transformed::no(node)),
        })
        .data()
}

/// Text matches a pattern, or does not.
#[derive(Debug)]
struct Matches {
    text: Arc<dyn PhysicalExpr>,
    regex: Regex,
    negated: bool,
}

impl Matches {
    fn of(node: &Arc<dyn PhysicalExpr>) -> Option<Matches> {
        if let Some(like) = node.downcast_ref::<LikeExpr>() {
            let pattern = like.pattern().downcast_ref::<Literal>()?.value().try_as_str()??;
            let regex = wildcards(pattern, like.case_insensitive())?;
            return Some(Matches { text: like.expr().clone(), regex, negated: like.negated() });
        }
        let comparison = node.downcast_ref::<BinaryExpr>()?;
        let (negated, flags) = match comparison.op() {
            Operator::RegexMatch => (false, ""),
            Operator::RegexIMatch => (false, "(?i)"),
            Operator::RegexNotMatch => (true, ""),
            Operator::RegexNotIMatch => (true, "(?i)"),
            _ => return None,
        };
        let pattern = comparison.right().downcast_ref::<Literal>()?.value().try_as_str()??;
        let regex = Regex::new(&format!("{flags}{pattern}")).ok()?;
        Some(Matches { text: comparison.left().clone(), regex, negated })
    }

    fn mask(&self, text: &dyn Array) -> Result<BooleanArray> {
        let matches = |value: &str| self.regex.is_match(value) != self.negated;
        Ok(match text.data_type() {
            DataType::Utf8View => text.as_string_view().iter().map(|value| value.map(matches)).collect(),
            DataType::Utf8 => text.as_string::<i32>().iter().map(|value| value.map(matches)).collect(),
            DataType::LargeUtf8 => text.as_string::<i64>().iter().map(|value| value.map(matches)).collect(),
            DataType::Dictionary(_, _) => {
                let texts = text.as_any_dictionary();
                let mask: ArrayRef = Arc::new(self.mask(texts.values())?);
                take(&mask, texts.keys(), None)?.as_boolean().clone()
            }
            other => return internal_err!("a pattern cannot be looked for in {other}"),
        })
    }
}

/// The pattern of a LIKE as a regular expression; none for one that is compared faster without.
fn wildcards(pattern: &str, case_insensitive: bool) -> Option<Regex> {
    let inner = pattern.strip_prefix('%').unwrap_or(pattern);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    if !case_insensitive && !inner.contains(['%', '_', '\\']) {
        return None;
    }
    let mut regex = String::from("^");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            // The next one stands for itself; at the end, it does so too.
            '\\' => regex.push_str(&escape(characters.next().unwrap_or(character).encode_utf8(&mut [0; 4]))),
            other => regex.push_str(&escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    RegexBuilder::new(&regex).case_insensitive(case_insensitive).dot_matches_new_line(true).build().ok()
}

impl PartialEq for Matches {
    fn eq(&self, other: &Matches) -> bool {
        self.text.eq(&other.text) && self.regex.as_str() == other.regex.as_str() && self.negated == other.negated
    }
}

impl Eq for Matches {}

impl Hash for Matches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
        self.regex.as_str().hash(state);
        self.negated.hash(state);
    }
}

impl fmt::Display for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_sql(f)
    }
}

impl PhysicalExpr for Matches {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.text.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let text = self.text.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(Arc::new(self.mask(&text)?)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.text]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let [text] = children.as_slice() else { return internal_err!("a pattern is looked for in one text") };
        Ok(Arc::new(Matches { text: text.clone(), regex: self.regex.clone(), negated: self.negated }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt_sql(f)?;
        write!(f, " {} '{}'", if self.negated { "!~" } else { "~" }, self.regex)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{DictionaryArray, LargeStringArray, StringArray, StringViewArray};
    use datafusion::arrow::datatypes::{Field, Int32Type};
    use datafusion::physical_expr::expressions::{binary, col, lit};

    use super::*;

    const TEXTS: [Option<&str>; 4] = [Some("Ignore all"), None, Some("ignore"), Some("")];

    #[test]
    fn it_says_what_the_engine_says() {
        let dictionary: DictionaryArray<Int32Type> = TEXTS.into_iter().collect();
        let columns: [ArrayRef; 4] = [
            Arc::new(StringArray::from_iter(TEXTS)),
            Arc::new(LargeStringArray::from_iter(TEXTS)),
            Arc::new(StringViewArray::from_iter(TEXTS)),
            Arc::new(dictionary),
        ];
        let operators =
            [Operator::RegexMatch, Operator::RegexIMatch, Operator::RegexNotMatch, Operator::RegexNotIMatch];
        for (column, operator) in columns.iter().flat_map(|column| operators.map(|operator| (column, operator))) {
            let schema = Arc::new(Schema::new(vec![Field::new("text", column.data_type().clone(), true)]));
            let batch = RecordBatch::try_new(schema.clone(), vec![column.clone()]).expect("a batch");
            let text = col("text", &schema).expect("a column");
            let pattern = match column.data_type() {
                DataType::LargeUtf8 => lit(datafusion::common::ScalarValue::LargeUtf8(Some("^I".into()))),
                DataType::Utf8View => lit(datafusion::common::ScalarValue::Utf8View(Some("^I".into()))),
                _ => lit("^I"),
            };
            let engine = binary(text, operator, pattern, &schema).expect("a comparison");
            let ours = compiled(engine.clone()).expect("a condition");
            assert!(ours.downcast_ref::<Matches>().is_some());
            let mask = |condition: &Arc<dyn PhysicalExpr>| {
                let mask = condition.evaluate(&batch).and_then(|value| value.into_array(4)).expect("an answer");
                mask.as_boolean().iter().collect::<Vec<_>>()
            };
            assert_eq!(mask(&ours), mask(&engine), "{operator} on {}", column.data_type());
        }
    }

    #[test]
    fn likes_say_what_the_engine_says() {
        let texts = ["a_b", "axb", "AxB", "a%b", "a\\b", "", "a\nb", "xa.b", "axbx", "ab"];
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
        let column: ArrayRef = Arc::new(StringArray::from_iter(texts.into_iter().map(Some).chain([None])));
        let batch = RecordBatch::try_new(schema.clone(), vec![column]).expect("a batch");
        let text = col("text", &schema).expect("a column");
        let mut ours = 0;
        for pattern in ["a_b", "%a_b", "a_b%", "a%b", "a\\_b", "%\\%%", "a\\", "a.b", "%b", "%a.b%", "_", "", "A_b"] {
            for (negated, case_insensitive) in [(false, false), (true, false), (false, true), (true, true)] {
                let engine = LikeExpr::new(negated, case_insensitive, text.clone(), lit(pattern));
                let engine: Arc<dyn PhysicalExpr> = Arc::new(engine);
                let own = compiled(engine.clone()).expect("a condition");
                ours += usize::from(own.downcast_ref::<Matches>().is_some());
                let [engine, own] = [engine, own].map(|condition| {
                    let mask = condition.evaluate(&batch).and_then(|value| value.into_array(11)).expect("an answer");
                    mask.as_boolean().iter().collect::<Vec<_>>()
                });
                assert_eq!(own, engine, "{pattern}, {negated}, {case_insensitive}");
            }
        }
        assert_eq!(ours, 44);
    }

    #[test]
    fn a_wrong_pattern_fails_when_it_is_asked() {
        let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
        let text = col("text", &schema).expect("a column");
        let wrong = binary(text, Operator::RegexMatch, lit("("), &schema).expect("a comparison");
        assert!(compiled(wrong).expect("a condition").downcast_ref::<BinaryExpr>().is_some());
    }
}
