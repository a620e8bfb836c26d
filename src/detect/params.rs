//! Parameters of a rule: typed values that take the place of `$name` in its SQL.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::engine::Value;

/// Value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
}

impl Param {
    /// Reads a value of the configuration; the error says what it is instead.
    pub fn read(value: &toml::Value) -> Result<Param, String> {
        let wrong = || format!("{value}, which is no number, text, boolean or list of texts");
        Ok(match value {
            toml::Value::Boolean(value) => Param::Bool(*value),
            toml::Value::Integer(value) => Param::Int(*value),
            toml::Value::Float(value) => Param::Float(*value),
            toml::Value::String(value) => Param::Text(value.clone()),
            toml::Value::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
                Param::Texts(texts.ok_or_else(wrong)?)
            }
            toml::Value::Datetime(_) | toml::Value::Table(_) => return Err(wrong()),
        })
    }

    /// What the value is, in words.
    pub fn type_name(&self) -> &'static str {
        match self {
            Param::Bool(_) => "a boolean",
            Param::Int(_) => "a whole number",
            Param::Float(_) => "a number",
            Param::Text(_) => "text",
            Param::Texts(_) => "a list of texts",
        }
    }

    /// `value` as a value for this parameter: of the same type, or a whole number where this is any number.
    pub fn accept(&self, value: &Param) -> Option<Param> {
        match (self, value) {
            (Param::Float(_), Param::Int(number)) => Some(Param::Float(*number as f64)),
            _ if std::mem::discriminant(self) == std::mem::discriminant(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl From<&Param> for Value {
    fn from(param: &Param) -> Value {
        match param {
            Param::Bool(value) => Value::Bool(*value),
            Param::Int(value) => Value::Whole(*value),
            Param::Float(value) => Value::Number(*value),
            Param::Text(value) => Value::Text(value.clone()),
            Param::Texts(values) => Value::Texts(values.clone()),
        }
    }
}

/// Names of the placeholders in `sql`; those in strings, quoted names and comments are none.
pub fn placeholders(sql: &str) -> Result<BTreeSet<String>, String> {
    let tokens = Tokenizer::new(&GenericDialect, sql).tokenize().map_err(|error| error.to_string())?;
    let mut names = BTreeSet::new();
    for token in tokens {
        let Token::Placeholder(text) = token else { continue };
        let Some(name) = text.strip_prefix('$').filter(|name| !name.is_empty()) else {
            return Err(format!("'{text}' is not a parameter; write $name"));
        };
        names.insert(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comments_and_names_are_no_placeholders() {
        let quoted = placeholders("-- $n\nSELECT '$n', \"$n\" /* $n */ FROM t").expect("SQL");
        assert!(quoted.is_empty(), "{quoted:?}");
        let names = placeholders("x > $a AND y < $b AND z = $a").expect("SQL");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(placeholders("x > $1 AND y = ?").is_err_and(|message| message.contains("'?'")));
    }

    #[test]
    fn overrides_keep_the_type() {
        assert_eq!(Param::Float(0.5).accept(&Param::Int(1)), Some(Param::Float(1.0)));
        assert_eq!(Param::Int(3).accept(&Param::Text("3".into())), None);
    }
}
