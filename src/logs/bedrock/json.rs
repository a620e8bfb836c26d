//! A JSON value as bodies need it: text, numbers and containers as they were written, tolerant access.

use std::borrow::Cow;

/// A JSON value that borrows from its text, and from the arena that it was read into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Json<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as written.
    Number(&'t str),
    /// A string, unescaped; lone surrogates became U+FFFD.
    Text(&'t str),
    /// An array and its text.
    List(&'t [Json<'t>], &'t str),
    /// An object's fields in order, repeated keys included, and its text.
    Object(&'t [(&'t str, Json<'t>)], &'t str),
    /// A container that was not read because it was too deep or came after too many values.
    Skipped,
}

impl<'t> Json<'t> {
    /// Value of a key that is present and not null; of a repeated key the first.
    pub(super) fn get(&self, key: &str) -> Option<&Json<'t>> {
        let (_, value) = self.fields().iter().find(|(name, value)| *name == key && !matches!(value, Json::Null))?;
        Some(value)
    }

    /// Value at a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Json<'t>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The first of several keys that is present and not null.
    pub(super) fn any(&self, keys: &[&str]) -> Option<&Json<'t>> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Text of a string that is not empty.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Text at a key.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// A whole number, also when written as `4.0` or `"4"`.
    pub(super) fn long(&self) -> Option<i64> {
        let digits = self.digits()?;
        if let Ok(whole) = digits.parse::<i64>() {
            return Some(whole);
        }
        let value: f64 = digits.parse().ok()?;
        let whole = value.fract() == 0.0 && value.abs() < 9.0e18;
        whole.then_some(value as i64)
    }

    /// A finite number, also when written as a string.
    pub(super) fn double(&self) -> Option<f64> {
        self.digits()?.parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// A boolean, also when written as a string.
    pub(super) fn bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            Json::Text("true") => Some(true),
            Json::Text("false") => Some(false),
            _ => None,
        }
    }

    /// Items of a list; none for anything else.
    pub(super) fn items(&self) -> &'t [Json<'t>] {
        match self {
            Json::List(items, _) => items,
            _ => &[],
        }
    }

    /// Fields of an object; none for anything else.
    pub(super) fn fields(&self) -> &'t [(&'t str, Json<'t>)] {
        match self {
            Json::Object(fields, _) => fields,
            _ => &[],
        }
    }

    /// The value as JSON text: containers and numbers as they were written.
    pub(super) fn raw(&self) -> Cow<'_, str> {
        match self {
            Json::Null | Json::Skipped => Cow::Borrowed("null"),
            Json::Bool(true) => Cow::Borrowed("true"),
            Json::Bool(false) => Cow::Borrowed("false"),
            Json::Number(raw) if raw.parse::<f64>().is_err() => Cow::Owned(quote(raw)),
            Json::Number(raw) | Json::List(_, raw) | Json::Object(_, raw) => Cow::Borrowed(raw),
            Json::Text(text) => Cow::Owned(quote(text)),
        }
    }

    /// True when this value, or one inside it, was skipped.
    pub(super) fn has_skipped(&self) -> bool {
        match self {
            Json::Skipped => true,
            Json::List(items, _) => items.iter().any(Json::has_skipped),
            Json::Object(fields, _) => fields.iter().any(|(_, value)| value.has_skipped()),
            _ => false,
        }
    }

    fn digits(&self) -> Option<&str> {
        match self {
            Json::Number(raw) => Some(raw),
            Json::Text(text) if text.bytes().next().is_some_and(|b| b.is_ascii_digit() || b == b'-') => Some(text),
            _ => None,
        }
    }
}

/// A string as JSON, with quotes.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
