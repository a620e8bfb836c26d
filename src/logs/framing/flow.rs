//! Flow log records wherever they stand: a line, a string in an envelope, or an object with a member per field.

use super::walk::Walk;
use crate::logs::cloudtrail::Record;
use crate::logs::json::Value;
use crate::logs::vpcflow::{self, Format, VPCFLOW, looks_like_line};

/// Longer lines are not looked at.
const LONGEST_LINE: usize = 8192;

/// True when the first line that says anything is a flow log's header or one of its records.
pub(super) fn is_flow_log(text: &str) -> bool {
    let text = text.trim_start();
    if text.starts_with(['{', '[']) {
        return false;
    }
    let line = text.lines().next().unwrap_or_default().trim_end();
    line.len() <= LONGEST_LINE && (Format::from_header(line).is_some() || looks_like_line(line))
}

/// True when a line may be one of a flow log: cheap, for lines of any origin.
fn looks_like_flow(line: &str) -> bool {
    line.len() <= LONGEST_LINE && !line.contains('"') && line.split_ascii_whitespace().nth(4).is_some()
}

impl Walk<'_> {
    /// Reads a line of text if it is one of a flow log.
    pub(super) fn flow_line(&mut self, line: &str) -> bool {
        let line = line.trim();
        looks_like_flow(line) && Format::guess(line).is_some_and(|format| self.flow(Some(format), line))
    }

    /// Reads a message if it is a line of a flow log, whose format the envelope may tell. A header is no record: it tells
    /// the format of the messages after it.
    pub(super) fn flow_message(&mut self, line: &str, told: Option<Format>) -> bool {
        if !looks_like_flow(line) {
            return false;
        }
        if let Some(format) = Format::from_header(line) {
            self.format = Some(format);
            return true;
        }
        let format = told.or_else(|| Format::guess(line)).or_else(|| self.format.clone());
        (format.is_some() || looks_like_line(line)) && self.flow(format, line)
    }

    fn flow(&mut self, format: Option<Format>, line: &str) -> bool {
        let index = self.next(&VPCFLOW);
        self.sink.record(&VPCFLOW, index, line.as_bytes(), |rows| match format {
            Some(format) => vpcflow::decode(rows, &format, index, line),
            None => Err("a flow log line of a format that cannot be told without its header".to_owned()),
        });
        true
    }

    /// Reads an object that has a member for each field of a flow log record.
    pub(super) fn flow_object(&mut self, record: &Record<'_>) -> bool {
        if !record.others.iter().any(|other| other.key.eq_ignore_ascii_case("srcaddr")) {
            return false;
        }
        let Some((header, line)) = as_line(record) else { return false };
        let Some(format) = Format::from_header(&header) else { return false };
        let index = self.next(&VPCFLOW);
        self.sink.record(&VPCFLOW, index, record.raw.as_bytes(), |rows| vpcflow::decode(rows, &format, index, &line));
        true
    }
}

/// The header and the line that a text log would have for this object.
fn as_line(record: &Record<'_>) -> Option<(String, String)> {
    let mut names: Vec<&str> = Vec::new();
    let mut values: Vec<String> = Vec::new();
    for other in &record.others {
        let value = match other.value {
            Value::Object(_) | Value::Array(_) => continue,
            Value::Null => String::new(),
            Value::True => "true".to_owned(),
            Value::False => "false".to_owned(),
            Value::Number(raw) => raw.to_owned(),
            Value::Text(_) | Value::Escaped(_) => other.value.as_text(&mut String::new())?.trim().to_owned(),
        };
        names.push(other.key);
        values.push(if value.is_empty() { "-".to_owned() } else { value });
    }
    let blanks = values.iter().any(|value| value.contains(char::is_whitespace));
    let commas = values.iter().any(|value| value.contains(','));
    let separator = match (blanks, commas) {
        (false, _) => " ",
        (true, false) => ",",
        (true, true) => return None,
    };
    Some((names.join(separator), values.join(separator)))
}

/// The flow log format that a member of the object spells out.
pub(super) fn told_format(record: &Record<'_>) -> Option<Format> {
    record.others.iter().find_map(|other| match other.value {
        Value::Text(text) if text.contains("srcaddr") => Format::from_header(text),
        _ => None,
    })
}
