//! The record around the bodies: its fields by column, and everything that has none.

use super::columns;
use super::json::{Json, quote};
use crate::logs::text;

/// A record, taken apart.
#[derive(Debug)]
pub(super) struct Record<'t> {
    /// Time of the call, microseconds UTC.
    pub(super) time: i64,
    /// Values of text columns.
    pub(super) texts: Vec<(usize, &'t str)>,
    /// Values of number columns.
    pub(super) numbers: Vec<(usize, i64)>,
    /// Metadata that the caller supplied, as written.
    pub(super) metadata: Option<&'t Json<'t>>,
    /// Request body.
    pub(super) input: Option<&'t Json<'t>>,
    /// Response body.
    pub(super) output: Option<&'t Json<'t>>,
    /// What has no column: path and JSON text.
    pub(super) extra: Vec<(String, String)>,
}

/// Which object of the record a field stands in.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Top,
    Identity,
    Input,
    Output,
}

/// Longest digits of an account id: exports that made a number of it lost leading zeros.
const ACCOUNT_DIGITS: usize = 12;

/// A key without case and punctuation: `requestId`, `RequestId`, `request_id` and `request-id` are the same field.
pub(super) fn plain(key: &str) -> String {
    let mut plain = String::with_capacity(key.len());
    for byte in key.bytes().filter(u8::is_ascii_alphanumeric) {
        plain.push(byte.to_ascii_lowercase() as char);
    }
    plain
}

impl<'t> Record<'t> {
    /// Takes a record apart, or says why it is none.
    pub(super) fn read(json: &'t Json<'t>) -> Result<Self, String> {
        let Json::Object(fields, _) = json else { return Err("not a JSON object".to_owned()) };
        let mut record = Record {
            time: 0,
            texts: Vec::with_capacity(16),
            numbers: Vec::with_capacity(4),
            metadata: None,
            input: None,
            output: None,
            extra: Vec::new(),
        };
        let mut time = None;
        for (key, value) in *fields {
            match plain(key).as_str() {
                "timestamp" if time.is_none() => time = Some(value),
                name => record.top(key, name, value),
            }
        }
        let time = time.ok_or("the record has no timestamp")?;
        record.time = micros(time).ok_or_else(|| format!("timestamp cannot be read: {}", start(&time.raw())))?;
        let named = [columns::REQUEST_ID, columns::MODEL_ID].iter().any(|&column| record.text(column).is_some());
        if !named {
            return Err("the record has neither requestId nor modelId".to_owned());
        }
        Ok(record)
    }

    /// Value of a text column.
    pub(super) fn text(&self, column: usize) -> Option<&'t str> {
        self.texts.iter().find(|(known, _)| *known == column).map(|(_, value)| *value)
    }

    /// Notes a value, given as JSON, that has no column.
    pub(super) fn note(&mut self, path: &str, json: impl Into<String>) {
        self.extra.push((path.to_owned(), json.into()));
    }

    fn top(&mut self, key: &str, name: &str, value: &'t Json<'t>) {
        let (object, inner) = key.split_once('.').map_or((name, None), |(object, inner)| (object, Some(inner)));
        let level = match object.to_ascii_lowercase().as_str() {
            "identity" => Level::Identity,
            "input" => Level::Input,
            "output" => Level::Output,
            _ => Level::Top,
        };
        match (level, inner, value) {
            (Level::Top, ..) => self.field(level, ("", key), name, value),
            (_, Some(inner), _) => self.field(level, ("", key), &plain(inner), value),
            (_, None, Json::Object(fields, _)) => {
                for (inner, value) in *fields {
                    self.field(level, (object, inner), &plain(inner), value);
                }
            }
            (Level::Identity, None, Json::Text(arn)) => self.keep(columns::ARN, arn),
            _ => self.field(Level::Top, ("", key), name, value),
        }
    }

    /// Puts one field into its column, or into `extra` when it has none or does not fit. `path` is the object that holds
    /// the field, or nothing, and the key; `name` the key made plain.
    fn field(&mut self, level: Level, path: (&str, &str), name: &str, value: &'t Json<'t>) {
        match (text_column(level, name), value) {
            (_, Json::Null) => return,
            (Some(column), Json::Text(text)) => return self.keep(column, text),
            (Some(columns::ACCOUNT_ID), Json::Number(digits)) if is_account(digits) => {
                return self.keep(columns::ACCOUNT_ID, digits);
            }
            _ => {}
        }
        if let (Some(column), Some(number)) = (number_column(level, name), value.long()) {
            return self.numbers.push((column, number));
        }
        let is_body = matches!(value, Json::Object(..) | Json::List(..) | Json::Text(_));
        match (level, name) {
            (Level::Top, "schematype") if value.text() == Some("ModelInvocationLog") => {}
            (Level::Top | Level::Input, "inputbodyjson") if is_body && self.input.is_none() => self.input = Some(value),
            (Level::Top | Level::Output, "outputbodyjson") if is_body && self.output.is_none() => {
                self.output = Some(value);
            }
            (Level::Top, "requestmetadata") if matches!(value, Json::Object(..)) && !value.has_skipped() => {
                self.metadata = self.metadata.or(Some(value));
            }
            _ => {
                let path = if path.0.is_empty() { path.1.to_owned() } else { format!("{}.{}", path.0, path.1) };
                self.note(&path, if value.has_skipped() { quote(SKIPPED) } else { value.raw().into_owned() });
            }
        }
    }

    fn keep(&mut self, column: usize, text: &'t str) {
        if !text.is_empty() {
            self.texts.push((column, text));
        }
    }
}

fn text_column(level: Level, name: &str) -> Option<usize> {
    match (level, name) {
        (Level::Top, "schemaversion") => Some(columns::SCHEMA_VERSION),
        (Level::Top, "accountid") => Some(columns::ACCOUNT_ID),
        (Level::Top, "region") => Some(columns::REGION),
        (Level::Top, "requestid") => Some(columns::REQUEST_ID),
        (Level::Top, "operation") => Some(columns::OPERATION),
        (Level::Top, "modelid") => Some(columns::MODEL_ID),
        (Level::Top, "inferenceregion") => Some(columns::INFERENCE_REGION),
        (Level::Top, "errorcode") => Some(columns::ERROR_CODE),
        (Level::Top, "identityarn") | (Level::Identity, "arn") => Some(columns::ARN),
        (Level::Top | Level::Input, "inputcontenttype") => Some(columns::INPUT_TYPE),
        (Level::Top | Level::Input, "inputbodys3path") => Some(columns::INPUT_PATH),
        (Level::Top | Level::Output, "outputcontenttype") => Some(columns::OUTPUT_TYPE),
        (Level::Top | Level::Output, "outputbodys3path") => Some(columns::OUTPUT_PATH),
        _ => None,
    }
}

fn number_column(level: Level, name: &str) -> Option<usize> {
    match (level, name) {
        (Level::Top | Level::Input, "inputtokencount") => Some(columns::INPUT_TOKENS),
        (Level::Top | Level::Output, "outputtokencount") => Some(columns::OUTPUT_TOKENS),
        (Level::Top | Level::Input, "cachereadinputtokencount") => Some(columns::CACHE_READ_TOKENS),
        (Level::Top | Level::Input, "cachewriteinputtokencount") => Some(columns::CACHE_WRITE_TOKENS),
        _ => None,
    }
}

/// Why a value in `extra` is missing.
pub(super) const SKIPPED: &str = "skipped: nested too deeply or too many values";

fn is_account(digits: &str) -> bool {
    digits.len() == ACCOUNT_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Microseconds UTC of a timestamp: text, or seconds, milliseconds or microseconds since 1970.
fn micros(time: &Json) -> Option<i64> {
    let Json::Number(_) = time else { return text::micros(time.text()?) };
    let value = time.double().filter(|value| *value > 0.0)?;
    let scale = match value {
        ..1.0e11 => 1.0e6,
        ..1.0e14 => 1.0e3,
        _ => 1.0,
    };
    Some((value * scale) as i64)
}

/// The first characters of a text, for a message.
fn start(text: &str) -> String {
    text.chars().take(40).collect()
}
