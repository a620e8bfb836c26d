//! Records inside envelopes: objects in objects, and JSON or flow log lines in the strings of transports.

use super::document::View;
use super::flow::told_format;
use super::foreign;
use super::recovery::resembles;
use super::walk::{DEEPEST, Found, LISTS, Walk};
use crate::logs::cloudtrail::Record;
use crate::logs::json::{Scanner, Value};

/// Keys under which transports put a record as a string. Other strings are never looked into: whoever writes them could
/// make up records.
const TRANSPORTS: [&str; 12] = [
    "message",
    "Message",
    "event",
    "Event",
    "CloudTrailEvent",
    "detail",
    "body",
    "line",
    "log",
    "_raw",
    "eventJson",
    "eventjson",
];

impl Walk<'_> {
    /// Reads the records inside an object that is none itself; true when there were any.
    pub(super) fn inside_object(&mut self, record: &Record<'_>, depth: u32) -> bool {
        if depth >= DEEPEST {
            return false;
        }
        let mut found = false;
        for other in record.others.iter().filter(|other| other.path.is_empty()) {
            found |= match other.value {
                Value::Object(raw) => self.inner(raw, depth),
                Value::Array(raw) if LISTS.contains(&other.key) => {
                    let before = self.index;
                    self.list(View::of(raw), 0, depth);
                    self.index > before
                }
                Value::Array(raw) => self.inside_list(raw, depth),
                Value::Text(_) | Value::Escaped(_) if TRANSPORTS.contains(&other.key) => {
                    self.inside_text(&other.value, Some(record), depth)
                }
                _ => false,
            };
        }
        found
    }

    /// An object inside another: true when it is a record of ours or holds some.
    fn inner(&mut self, raw: &str, depth: u32) -> bool {
        let Ok(record) = Record::scan(&mut Scanner::new(raw, 0)) else { return false };
        match self.store(&record) {
            Found::Ours => return true,
            Found::Other(kind) => {
                self.kind.get_or_insert(kind);
                return false;
            }
            Found::Unknown => {}
        }
        let kind = foreign::kind(&record);
        self.kind = self.kind.or(kind.map(|kind| kind.name));
        kind.is_none_or(|kind| kind.wraps) && self.inside_object(&record, depth + 1)
    }

    /// A list that may or may not be one of records.
    fn inside_list(&mut self, raw: &str, depth: u32) -> bool {
        let mut scanner = Scanner::new(raw, 1);
        let mut found = false;
        loop {
            match scanner.peek() {
                Some(b',') => scanner.eat(),
                None | Some(b']') => return found,
                Some(_) => match scanner.value() {
                    Ok(Value::Object(raw)) => found |= self.inner(raw, depth),
                    Ok(_) => {}
                    Err(_) => return found,
                },
            }
        }
    }

    /// A string that may be a record: JSON, or a line of a flow log whose format may be told by the object around it.
    pub(super) fn inside_text(&mut self, value: &Value<'_>, around: Option<&Record<'_>>, depth: u32) -> bool {
        let mut buffer = String::new();
        let Some(text) = value.as_text(&mut buffer) else { return false };
        let text = text.trim();
        if depth >= DEEPEST {
            return false;
        }
        if text.starts_with(['{', '[']) {
            return self.inside_json(text, depth);
        }
        self.flow_message(text, around.and_then(told_format))
    }

    fn inside_json(&mut self, text: &str, depth: u32) -> bool {
        let mut scanner = Scanner::new(text, 0);
        let mut found = false;
        while let Some(byte) = scanner.peek() {
            let start = scanner.position();
            match scanner.value() {
                Ok(Value::Object(raw)) => found |= self.inner(raw, depth),
                Ok(Value::Array(raw)) => found |= self.inside_list(raw, depth),
                Err(fault) if resembles(text.as_bytes()).is_some() => {
                    self.damaged(View::of(text), start, text.len(), &fault);
                    return true;
                }
                _ if byte == b',' => scanner.eat(),
                _ => return found,
            }
        }
        found
    }
}
