//! One event: its JSON keys sorted into columns in a single pass, recognised, and stored as a row.

use super::keys::{Target, levels};
use super::{COLUMNS, RESOURCE};
use crate::logs::json::{Fault, Scanner, Value, unescape};
use crate::logs::rows::{Cell, Rows};
use crate::logs::text;
use crate::table::Kind;

const EVENT_NAME: usize = place("eventName");
const EVENT_SOURCE: usize = place("eventSource");
const EVENT_ID: usize = place("eventID");
const EVENT_TYPE: usize = place("eventType");
const EVENT_CATEGORY: usize = place("eventCategory");
const EXTRA: usize = place("extra");
/// Columns that few other records have: two of them beside a name or source make an event.
const TYPICAL: [usize; 7] = [
    EVENT_ID,
    place("eventVersion"),
    place("awsRegion"),
    place("sourceIPAddress"),
    place("recipientAccountId"),
    place("userIdentity.type"),
    place("userIdentity.arn"),
];

/// A JSON object whose members are sorted: those of a CloudTrail event into columns, the others aside.
#[derive(Debug)]
pub struct Record<'a> {
    /// The object's text.
    pub raw: &'a str,
    /// Members that have no column, in order; duplicates of members that have one, too.
    pub others: Vec<Other<'a>>,
    time: Option<Value<'a>>,
    columns: [Option<Value<'a>>; COLUMNS.len()],
    /// Indexes of the columns that have a value, in the order of the JSON.
    filled: [u8; COLUMNS.len()],
    filled_count: usize,
}

/// A member without a column.
#[derive(Debug, Clone, Copy)]
pub struct Other<'a> {
    /// Path of the closed object that it was found in, with a dot at the end; empty for the record itself.
    pub path: &'static str,
    /// The key as written.
    pub key: &'a str,
    /// The value.
    pub value: Value<'a>,
}

/// What a JSON object is, as far as CloudTrail is concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Recognised {
    /// An event that belongs into the table, if it can be read.
    Event,
    /// A record of CloudTrail, or one in its clothes, that is no event.
    Foreign(&'static str),
    /// Something else.
    No,
}

impl<'a> Record<'a> {
    /// Passes over the object that comes next in `scanner`.
    pub fn scan(scanner: &mut Scanner<'a>) -> Result<Self, Box<Fault>> {
        let mut record = Record {
            raw: "",
            others: Vec::new(),
            time: None,
            columns: [None; COLUMNS.len()],
            filled: [0; COLUMNS.len()],
            filled_count: 0,
        };
        let start = scanner.clone();
        record.object(scanner, 0)?;
        record.raw = start.text_to(scanner.position());
        Ok(record)
    }

    fn object(&mut self, scanner: &mut Scanner<'a>, level: usize) -> Result<(), Box<Fault>> {
        let Some(keys) = levels().get(level) else { return Ok(()) };
        scanner.eat();
        let mut first = true;
        let mut unescaped = String::new();
        while let Some(key) = scanner.member(first)? {
            first = false;
            let name = if key.escaped {
                unescaped.clear();
                unescape(key.raw, &mut unescaped);
                unescaped.as_str()
            } else {
                key.raw
            };
            let target = keys.find(name);
            if let Some(Target::Level(inner)) = target
                && scanner.peek() == Some(b'{')
            {
                self.object(scanner, inner)?;
                continue;
            }
            let value = scanner.value()?;
            match target {
                Some(Target::Column(column)) if self.fill(column, value) => {}
                Some(Target::Time) if self.time.is_none() => self.time = Some(value),
                Some(Target::Level(_)) if value == Value::Null => {}
                _ => self.others.push(Other { path: &keys.path, key: key.raw, value }),
            }
        }
        Ok(())
    }

    /// False when the column has a value already.
    #[inline]
    fn fill(&mut self, column: usize, value: Value<'a>) -> bool {
        if let Some(place @ None) = self.columns.get_mut(column)
            && let Some(next) = self.filled.get_mut(self.filled_count)
        {
            *place = Some(value);
            *next = column as u8;
            self.filled_count += 1;
            return true;
        }
        false
    }

    fn text(&self, column: usize) -> Option<&'a str> {
        match self.columns.get(column) {
            Some(Some(Value::Text(text) | Value::Escaped(text))) => Some(text),
            _ => None,
        }
    }

    /// The member of the record itself that has no column.
    pub fn other(&self, key: &str) -> Option<Value<'a>> {
        self.others.iter().find(|other| other.path.is_empty() && other.key == key).map(|other| other.value)
    }

    /// What the object is.
    pub fn recognise(&self) -> Recognised {
        let (kind, category) = (self.text(EVENT_TYPE), self.text(EVENT_CATEGORY));
        if kind == Some("AwsCloudTrailInsight") || category == Some("Insight") {
            return Recognised::Foreign("CloudTrail Insights event");
        }
        if kind == Some("AwsAggregatedEvent") || category == Some("Aggregated") {
            return Recognised::Foreign("aggregated CloudTrail events");
        }
        let (name, source) = (self.text(EVENT_NAME), self.text(EVENT_SOURCE));
        if source.is_some_and(|source| source.starts_with("aws:")) {
            return Recognised::No;
        }
        let named = usize::from(name.is_some()) + usize::from(source.is_some()) + usize::from(self.time.is_some());
        let typical = TYPICAL.iter().filter(|&&column| self.columns[column].is_some()).count();
        let event = match (name.is_some() || source.is_some(), named + typical) {
            (true, evidence) => evidence >= 3,
            (false, evidence) => evidence >= 4,
        };
        if event { Recognised::Event } else { Recognised::No }
    }

    /// Stores the event as one row, or says why it cannot; then no column was filled.
    pub fn store(&self, rows: &mut Rows, index: u64) -> Result<(), String> {
        let mut buffer = String::new();
        let Some(time) = self.time else { return Err("no eventTime".to_owned()) };
        let time = match time.as_text(&mut buffer) {
            Some(text) => text::micros(text).ok_or_else(|| format!("eventTime is no time: {}", clip(text)))?,
            None => return Err("eventTime is not text".to_owned()),
        };
        if self.text(EVENT_NAME).is_none() && self.text(EVENT_SOURCE).is_none() {
            return Err("neither eventName nor eventSource".to_owned());
        }
        let mut extra = Extra::default();
        for column in self.filled.iter().take(self.filled_count).map(|&column| usize::from(column)) {
            if let Some(Some(value)) = self.columns.get(column)
                && let Some(definition) = COLUMNS.get(column)
                && !put(rows, column, definition.kind, value, &mut buffer, &mut extra)
            {
                extra.add("", definition.name, value);
            }
        }
        for other in &self.others {
            extra.add(other.path, other.key, &other.value);
        }
        if let Some(json) = extra.json() {
            rows.text(EXTRA, json);
        }
        rows.finish(time, index, self.identity());
        Ok(())
    }

    /// The event id identifies an event, whichever object, trail or account it was delivered to. Made-up ids do not.
    fn identity(&self) -> u128 {
        match self.text(EVENT_ID) {
            Some(id) if is_guid(id) => text::identity(&["cloudtrail", id]),
            _ => text::identity(&["cloudtrail", "", self.raw]),
        }
    }
}

/// Fills a column; false when the value does not fit its type.
#[inline]
fn put(rows: &mut Rows, column: usize, kind: Kind, value: &Value<'_>, buffer: &mut String, extra: &mut Extra) -> bool {
    match (kind, value) {
        (_, Value::Null) => {}
        (Kind::Text, Value::Text(text)) => rows.text(column, text),
        (Kind::Text, Value::Escaped(raw)) => {
            buffer.clear();
            unescape(raw, buffer);
            rows.text(column, buffer);
        }
        (Kind::Text, Value::Number(raw)) => rows.text(column, raw),
        (Kind::Text, Value::True) => rows.text(column, "true"),
        (Kind::Text, Value::False) => rows.text(column, "false"),
        (Kind::Json, Value::Object(raw) | Value::Array(raw) | Value::Number(raw)) => rows.text(column, raw),
        (Kind::Json, _) => {
            let Some(text) = value.as_text(buffer).and_then(json_object) else {
                buffer.clear();
                value.write(buffer);
                rows.text(column, buffer);
                return true;
            };
            rows.text(column, text);
        }
        (Kind::Bool, Value::True) => rows.bool(column, true),
        (Kind::Bool, Value::False) => rows.bool(column, false),
        (Kind::Bool, Value::Text(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => rows.bool(column, true),
            "false" => rows.bool(column, false),
            _ => return false,
        },
        (Kind::List(_), Value::Array(raw)) => return resources(rows, column, raw, extra),
        _ => return false,
    }
    true
}

/// The JSON object that some exports keep as a string.
fn json_object(text: &str) -> Option<&str> {
    let text = text.trim();
    let mut scanner = Scanner::new(text, 0);
    match scanner.value() {
        Ok(Value::Object(raw)) if raw.len() == text.len() => Some(raw),
        _ => None,
    }
}

/// Fills the list of resources; AWS spells their keys in several ways. False when it is no list of objects.
fn resources(rows: &mut Rows, column: usize, raw: &str, extra: &mut Extra) -> bool {
    let mut scanner = Scanner::new(raw, 1);
    let mut items: Vec<[Option<Value<'_>>; RESOURCE.len()]> = Vec::new();
    let mut others: Vec<(usize, &str, Value<'_>)> = Vec::new();
    loop {
        match scanner.peek() {
            Some(b']') | None => break,
            Some(b',') => scanner.eat(),
            Some(b'{') => {
                scanner.eat();
                let mut item = [None; RESOURCE.len()];
                let mut first = true;
                while let Ok(Some(key)) = scanner.member(first) {
                    first = false;
                    let Ok(value) = scanner.value() else { return false };
                    let leaf = RESOURCE.iter().position(|leaf| leaf.name.eq_ignore_ascii_case(key.raw));
                    match leaf.and_then(|leaf| item.get_mut(leaf)) {
                        Some(place @ None) if fits_text(&value) => *place = Some(value),
                        _ => others.push((items.len(), key.raw, value)),
                    }
                }
                items.push(item);
            }
            Some(_) => return false,
        }
    }
    for item in &items {
        let mut buffers: [String; RESOURCE.len()] = Default::default();
        let mut cells = [Cell::Null; RESOURCE.len()];
        for ((cell, value), buffer) in cells.iter_mut().zip(item).zip(&mut buffers) {
            *cell = match value {
                Some(Value::Number(raw)) => Cell::Text(raw),
                Some(value) => Cell::from(value.as_text(buffer)),
                None => Cell::Null,
            };
        }
        rows.item(column, &cells);
    }
    if items.is_empty() {
        rows.empty_list(column);
    }
    for (item, key, value) in others {
        extra.add(&format!("resources[{item}]."), key, &value);
    }
    true
}

fn fits_text(value: &Value<'_>) -> bool {
    matches!(value, Value::Null | Value::Text(_) | Value::Escaped(_) | Value::Number(_))
}

/// What has no column, as a JSON object under construction.
#[derive(Debug, Default)]
struct Extra(String);

impl Extra {
    /// Adds a value; keys are still escaped, as the log wrote them.
    fn add(&mut self, path: &str, key: &str, value: &Value<'_>) {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(path);
        self.0.push_str(key);
        self.0.push_str("\":");
        value.write(&mut self.0);
    }

    fn json(&mut self) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push('}');
        Some(&self.0)
    }
}

/// True for the shape 8-4-4-4-12 with more than one character: samples carry `EXAMPLE` in it, made-up ids rarely fit.
fn is_guid(id: &str) -> bool {
    let bytes = id.as_bytes();
    let dashes = [8, 13, 18, 23].iter().all(|&place| bytes.get(place) == Some(&b'-'));
    bytes.len() == 36 && dashes && bytes.iter().any(|byte| *byte != b'-' && Some(byte) != bytes.first())
}

/// The start of a hostile text, for a reason.
fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Index of a column, found when the program is compiled.
const fn place(name: &str) -> usize {
    let wanted = name.as_bytes();
    let mut column = 0;
    while column < COLUMNS.len() {
        let found = COLUMNS[column].name.as_bytes();
        let mut at = 0;
        while at < found.len() && at < wanted.len() && found[at] == wanted[at] {
            at += 1;
        }
        if at == found.len() && at == wanted.len() {
            return column;
        }
        column += 1;
    }
    panic!("no such column") // at compile time: only constants call this // compile time: the names are constants
}
