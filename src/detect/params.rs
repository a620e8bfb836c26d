//! Parameters of a rule: typed values that take the place of `$name` in its SQL.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};
use serde::{Deserialize, Serialize};

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

/// Stands for "no value" in `IN ($list)` when the list is empty: a character that Unicode keeps out of all text.
const NO_VALUE: &str = "\u{FFFF}";

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

    /// The value as an SQL literal; a list as the items of `IN (...)` or as an array.
    fn literal(&self, inside_in: bool) -> String {
        match self {
            Param::Bool(value) => value.to_string(),
            Param::Int(value) => value.to_string(),
            Param::Float(value) => format!("{value:?}"),
            Param::Text(value) => quoted(value),
            Param::Texts(values) if inside_in && values.is_empty() => quoted(NO_VALUE),
            Param::Texts(values) => {
                let items: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                match (inside_in, items.is_empty()) {
                    (true, _) => items.join(", "),
                    (false, true) => "arrow_cast(make_array(), 'List(Utf8)')".into(),
                    (false, false) => format!("make_array({})", items.join(", ")),
                }
            }
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A `$name` in SQL: its name, its bytes, and whether it stands alone between the brackets of `IN (...)`.
struct Placeholder {
    name: String,
    bytes: std::ops::Range<usize>,
    inside_in: bool,
}

/// Names of the placeholders in `sql`.
pub fn placeholders(sql: &str) -> Result<BTreeSet<String>, String> {
    Ok(find(sql)?.into_iter().map(|found| found.name).collect())
}

/// `sql` with every `$name` replaced by the literal of its value. Placeholders without a value are an error.
///
/// Values become literals before planning, because the planner cannot type a placeholder inside a function call, and so
/// that predicates on them still prune files.
pub fn bind<'a>(sql: &str, value: impl Fn(&str) -> Option<&'a Param>) -> Result<String, String> {
    let mut bound = String::with_capacity(sql.len());
    let mut done = 0;
    for found in find(sql)? {
        let Some(param) = value(&found.name) else {
            return Err(format!(
                "the SQL uses ${0}, which params does not declare; add `{0} = ...` to params",
                found.name
            ));
        };
        bound.push_str(sql.get(done..found.bytes.start).unwrap_or_default());
        bound.push_str(&param.literal(found.inside_in));
        done = found.bytes.end;
    }
    bound.push_str(sql.get(done..).unwrap_or_default());
    Ok(bound)
}

/// Placeholders of `sql` in order; those in strings, quoted names and comments are none.
fn find(sql: &str) -> Result<Vec<Placeholder>, String> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| error.to_string())?;
    let tokens: Vec<_> = tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect();
    let lines = line_starts(sql);
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Token::Placeholder(text) = &token.token else { continue };
        let Some(name) = text.strip_prefix('$').filter(|name| !name.is_empty()) else {
            return Err(format!("'{text}' is not a parameter; write $name"));
        };
        let near = |offset: isize| index.checked_add_signed(offset).and_then(|i| tokens.get(i)).map(|t| &t.token);
        let is_in = matches!(near(-2), Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("in"));
        let alone = near(-1) == Some(&Token::LParen) && near(1) == Some(&Token::RParen);
        let start = offset(sql, &lines, token.span.start);
        found.push(Placeholder { name: name.into(), bytes: start..start + text.len(), inside_in: is_in && alone });
    }
    Ok(found)
}

fn line_starts(sql: &str) -> Vec<usize> {
    std::iter::once(0).chain(sql.match_indices('\n').map(|(place, _)| place + 1)).collect()
}

/// Byte of a location, whose line and column count from 1 and in characters.
fn offset(sql: &str, lines: &[usize], place: Location) -> usize {
    let start = (place.line as usize).checked_sub(1).and_then(|line| lines.get(line)).copied().unwrap_or(0);
    let line = sql.get(start..).unwrap_or_default();
    let column = (place.column as usize).saturating_sub(1);
    start + line.char_indices().nth(column).map_or(line.len(), |(bytes, _)| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(sql: &str, value: Param) -> String {
        bind(sql, |_| Some(&value)).expect("binds")
    }

    #[test]
    fn values_become_literals() {
        assert_eq!(bound("x >= $n", Param::Int(3)), "x >= 3");
        assert_eq!(bound("x >= $n", Param::Float(2.0)), "x >= 2.0");
        assert_eq!(bound("x = $s", Param::Text("it's".into())), "x = 'it''s'");
        let list = Param::Texts(vec!["a".into(), "b".into()]);
        assert_eq!(bound("x = ANY($l)", list.clone()), "x = ANY(make_array('a', 'b'))");
        assert_eq!(bound("x NOT IN ( $l )", list.clone()), "x NOT IN ( 'a', 'b' )");
        assert_eq!(bound("é = 1 AND\n  ü = ANY($l)", list), "é = 1 AND\n  ü = ANY(make_array('a', 'b'))");
    }

    #[test]
    fn text_comments_and_names_are_left_alone() {
        let sql = "-- $n\nSELECT '$n', \"$n\" /* $n */ FROM t";
        assert_eq!(bound(sql, Param::Int(3)), sql);
        assert_eq!(placeholders("x > $a AND y < $b AND z = $a").ok().map(|names| names.len()), Some(2));
    }

    #[test]
    fn an_undeclared_placeholder_is_an_error() {
        assert!(bind("x = $n", |_| None).is_err_and(|message| message.contains("$n")));
    }

    #[test]
    fn overrides_keep_the_type() {
        assert_eq!(Param::Float(0.5).accept(&Param::Int(1)), Some(Param::Float(1.0)));
        assert_eq!(Param::Int(3).accept(&Param::Text("3".into())), None);
    }
}
