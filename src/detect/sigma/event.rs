//! Events for tests of imported rules: a plain one, changed until the check holds or does not.

use std::cell::Cell;
use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike, Weekday};
use serde_json::{Map, Value, json};

use super::super::samples;
use super::check::{Check, Part, Test};
use super::fields::{Field, Form, Log};
use super::toml;

/// Events that are looked at on the way to one that fits.
const MOST_TRIES: usize = 16;
/// Steps on the way to one event; rules that need more are riddles.
const MOST_STEPS: u32 = 3_000;
/// A text that no rule looks for.
const OTHER: &str = "other";
/// A number of a list's place that test events reach.
const LAST_PLACE: usize = 16;

/// A plain event of a log with changes.
#[derive(Debug, Clone)]
pub struct Event {
    log: Log,
    record: Map<String, Value>,
    changed: BTreeSet<Vec<String>>,
}

impl Event {
    /// The plain event.
    pub fn plain(log: Log) -> Event {
        Event { log, record: samples::plain(log.table()).unwrap_or_default(), changed: BTreeSet::new() }
    }

    /// Sets a value that is not of a field the rule asks about.
    pub fn set(&mut self, key: &str, value: Value) {
        self.record.insert(key.to_owned(), value);
        self.changed.insert(vec![key.to_owned()]);
    }

    /// The texts of a field; none when it is missing.
    pub fn texts(&self, field: &Field) -> Vec<String> {
        if let Form::Everything(columns) = &field.form {
            let of =
                |column: &&'static str| at(&self.record, &column.split('.').map(str::to_owned).collect::<Vec<_>>());
            let all: Vec<String> = columns.iter().filter_map(of).filter_map(plain_text).collect();
            let own = at(&self.record, &field.place).and_then(plain_text).unwrap_or_default();
            return vec![format!("{} {own}", all.join(" "))];
        }
        if let (Form::List(column, leaf), Log::CloudTrail) = (&field.form, self.log) {
            let items = self.record.get(*column).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            return items.iter().filter_map(|item| item.get(resource_key(leaf))).filter_map(plain_text).collect();
        }
        let Some(value) = at(&self.record, &field.place) else { return Vec::new() };
        let is_message = self.log == Log::Bedrock && value.is_array();
        let text = if is_message { message_text(value) } else { plain_text(value) };
        text.into_iter().filter(|text| self.log != Log::VpcFlow || text != "-").collect()
    }

    /// The event with another text in a field, or without the field; none when events cannot have it.
    pub fn with(&self, field: &Field, text: Option<&str>) -> Option<Event> {
        let mut event = self.clone();
        let value = match text {
            None if self.log == Log::VpcFlow => Some(json!("-")),
            None => None,
            Some(text) => Some(value(field, text, self)),
        };
        let mut place = field.place.clone();
        if place.is_empty() {
            return None;
        }
        let mut value = value;
        if let Form::List(..) = field.form {
            place.truncate(1);
        }
        // Below a position in a list, the list is set as a whole.
        if let Some(number) = place.iter().position(|key| key.parse::<usize>().is_ok()) {
            for key in place.drain(number..).rev() {
                value = match key.parse::<usize>() {
                    Ok(position) if position < LAST_PLACE => {
                        let mut items = vec![json!(""); position];
                        items.extend(value);
                        Some(Value::Array(items))
                    }
                    _ => Some(json!({ key: value })),
                };
            }
        }
        samples::set(&mut event.record, &place, value.as_ref());
        event.changed.insert(place);
        Some(event)
    }

    /// The event as an entry of a rule's `events`, with further keys.
    pub fn toml(&self, keys: &[(&str, String)]) -> String {
        let mut parts = vec![format!("log = {}", toml::text(self.log.table()))];
        parts.extend(keys.iter().map(|(key, value)| format!("{key} = {value}")));
        for place in &self.changed {
            let above = |other: &&Vec<String>| other.len() < place.len() && place.starts_with(other);
            if self.changed.iter().any(|other| above(&other)) {
                continue;
            }
            let path: Vec<String> = place.iter().map(|key| toml::key(key)).collect();
            let value = match at(&self.record, place) {
                Some(value) if !value.is_null() => toml::value(value),
                _ => "{ absent = true }".into(),
            };
            parts.push(format!("{} = {value}", path.join(".")));
        }
        format!("{{ {} }}", parts.join(", "))
    }

    /// Events, this one or changed, of which `check` is `wanted`; the first is the nearest.
    pub fn solve(&self, check: &Check, wanted: bool) -> Vec<Event> {
        self.approach(check, wanted, &Cell::new(MOST_STEPS))
    }

    fn approach(&self, check: &Check, wanted: bool, steps: &Cell<u32>) -> Vec<Event> {
        let left = steps.get();
        if left == 0 {
            return Vec::new();
        }
        if holds(check, self) == Some(wanted) {
            return vec![self.clone()];
        }
        steps.set(left - 1);
        let mut found = match check {
            Check::Not(inner) => self.approach(inner, !wanted, steps),
            Check::Leaf(field, test) => self.candidates(field, test, wanted),
            Check::All(checks) if wanted => self.solve_together(checks, wanted, steps),
            Check::Any(checks) if !wanted => self.solve_together(checks, wanted, steps),
            Check::All(checks) | Check::Any(checks) => {
                checks.iter().flat_map(|inner| self.approach(inner, wanted, steps)).take(MOST_TRIES).collect()
            }
        };
        found.retain(|event| holds(check, event) == Some(wanted));
        found
    }

    fn solve_together(&self, checks: &[Check], wanted: bool, steps: &Cell<u32>) -> Vec<Event> {
        let mut events = vec![self.clone()];
        // What may not be is seen to last, so that it does not depend on what comes after it.
        let (first, last): (Vec<&Check>, Vec<&Check>) = checks.iter().partition(|c| !matches!(c, Check::Not(_)));
        for check in first.into_iter().chain(last) {
            events = events.iter().flat_map(|event| event.approach(check, wanted, steps)).take(MOST_TRIES).collect();
        }
        events
    }

    fn candidates(&self, field: &Field, test: &Test, wanted: bool) -> Vec<Event> {
        if let (Test::Field(other, part, _), true) = (test, wanted) {
            return self.alike(field, other, *part);
        }
        let texts: Vec<Option<String>> = match (test, wanted) {
            (Test::Null, true) | (Test::Exists, false) => vec![None],
            (Test::Null, false) | (Test::Exists, true) => vec![Some(something(field))],
            (Test::Text(pattern, _), true) if pattern.is_anything() => vec![Some(something(field))],
            (Test::Text(pattern, _), true) => {
                let sample = pattern.sample();
                let now = self.texts(field).into_iter().next().unwrap_or_default();
                vec![Some(sample.clone()), Some(format!("{now}{sample}")), Some(format!("{sample}{now}"))]
            }
            (Test::Number(relation, limit), true) => vec![Some(relation.example(*limit).to_string())],
            (Test::Number(relation, limit), false) => {
                let numbers = [limit + 1.0, limit - 1.0, *limit, 0.0];
                let wrong = numbers.into_iter().filter(|number| !relation.holds(*number, *limit));
                std::iter::once(None).chain(wrong.map(|number| Some(number.to_string()))).collect()
            }
            (Test::Regex(_, _, sample), true) => vec![Some(sample.clone())],
            (Test::Range(ranges), true) => {
                ranges.iter().take(1).map(|range| range.split('/').next().map(str::to_owned)).collect()
            }
            (Test::Range(_), false) => {
                vec![Some("203.0.113.7".into()), Some("2001:db8::7".into()), Some("10.255.0.7".into()), None]
            }
            (Test::Clock(part, relation, limit), wanted) => {
                let fits = |number: &f64| relation.holds(*number, *limit) == wanted;
                let near = [*limit, limit + 1.0, limit - 1.0];
                let now = self.texts(field).into_iter().next().unwrap_or_else(|| something(field));
                near.into_iter().filter(fits).filter_map(|number| moment(&now, part, number)).map(Some).collect()
            }
            (_, false) if field.form == Form::Bool => vec![None, Some("true".into()), Some("false".into())],
            (_, false) if field.is_key() => vec![Some(OTHER.into())],
            (_, false) => vec![None, Some(OTHER.into()), Some(String::new())],
            (Test::Field(..), true) => Vec::new(),
        };
        let events = texts.iter().filter_map(|text| self.with(field, text.as_deref()));
        events.filter(|event| leaf(field, test, event) == Some(wanted)).collect()
    }

    /// Events in which a field and another one agree.
    fn alike(&self, field: &Field, other: &Field, part: Part) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(text) = self.texts(other).first() {
            events.extend(self.with(field, Some(text)));
        }
        if let Some(text) = self.texts(field).first() {
            events.extend(self.with(other, Some(text)));
        }
        events.extend(self.with(field, Some("same")).and_then(|event| event.with(other, Some("same"))));
        events.retain(|event| compare(&event.texts(field), &event.texts(other), part, false));
        events
    }
}

/// Whether a check holds for an event; none when that cannot be told here.
pub fn holds(check: &Check, event: &Event) -> Option<bool> {
    match check {
        Check::Not(inner) => holds(inner, event).map(|held| !held),
        Check::Leaf(field, test) => leaf(field, test, event),
        Check::All(checks) => {
            let held: Vec<Option<bool>> = checks.iter().map(|check| holds(check, event)).collect();
            if held.contains(&Some(false)) { Some(false) } else { held.iter().all(Option::is_some).then_some(true) }
        }
        Check::Any(checks) => {
            let held: Vec<Option<bool>> = checks.iter().map(|check| holds(check, event)).collect();
            if held.contains(&Some(true)) { Some(true) } else { held.iter().all(Option::is_some).then_some(false) }
        }
    }
}

fn leaf(field: &Field, test: &Test, event: &Event) -> Option<bool> {
    let texts = event.texts(field);
    let numbers = || texts.iter().filter_map(|text| text.parse::<f64>().ok());
    Some(match test {
        Test::Null => texts.is_empty(),
        Test::Exists => !texts.is_empty(),
        Test::Text(pattern, cased) => texts.iter().any(|text| pattern.matches(text, *cased)),
        Test::Number(relation, limit) => numbers().any(|number| relation.holds(number, *limit)),
        Test::Regex(_, _, sample) => match texts.first() {
            None => false,
            Some(text) if text == sample => true,
            Some(text) if text == OTHER => false,
            Some(_) => return None,
        },
        Test::Range(ranges) => texts.iter().any(|text| ranges.iter().any(|range| within(text, range))),
        Test::Field(other, part, cased) => compare(&texts, &event.texts(other), *part, *cased),
        Test::Clock(part, relation, limit) => {
            let told = texts.first().and_then(|text| clock(part, text));
            told.is_some_and(|number| relation.holds(number, *limit))
        }
    })
}

fn compare(left: &[String], right: &[String], part: Part, cased: bool) -> bool {
    let fold = |text: &String| if cased { text.clone() } else { text.to_lowercase() };
    let (Some(left), Some(right)) = (left.first().map(fold), right.first().map(fold)) else { return false };
    match part {
        Part::Whole => left == right,
        Part::Start => left.starts_with(&right),
        Part::End => left.ends_with(&right),
        Part::Inside => left.contains(&right),
    }
}

fn within(address: &str, range: &str) -> bool {
    use std::net::IpAddr;
    let (network, length) = range.split_once('/').unwrap_or((range, "128"));
    let (Ok(address), Ok(network), Ok(length)) =
        (address.parse::<IpAddr>(), network.parse::<IpAddr>(), length.parse::<u32>())
    else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32 - length.min(32);
            u64::from(a.to_bits()) >> shift == u64::from(b.to_bits()) >> shift
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128 - length.min(128);
            a.to_bits().checked_shr(shift).unwrap_or(0) == b.to_bits().checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

/// `now` with another part, so that the part is `number`.
fn moment(now: &str, part: &str, number: f64) -> Option<String> {
    if number.fract() != 0.0 || !(0.0..=9999.0).contains(&number) {
        return None;
    }
    let whole = number as u32;
    let now = time(now)?;
    let moved = match part {
        "minute" => now.with_minute(whole),
        "hour" => now.with_hour(whole),
        "day" => now.with_day(whole),
        "month" => now.with_day(1)?.with_month(whole),
        "year" => now.with_year(i32::try_from(whole).ok().filter(|year| *year > 1970)?),
        _ => NaiveDate::from_isoywd_opt(now.year(), whole, Weekday::Thu).map(|day| day.and_time(now.time())),
    };
    moved.map(|time| time.format(TIME).to_string())
}

/// How test events write times.
const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";

fn time(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, TIME).ok()
}

/// The part of a time.
fn clock(part: &str, text: &str) -> Option<f64> {
    let time = time(text)?;
    Some(match part {
        "year" => f64::from(time.year()),
        "month" => f64::from(time.month()),
        "day" => f64::from(time.day()),
        "hour" => f64::from(time.hour()),
        "minute" => f64::from(time.minute()),
        _ => f64::from(time.iso_week().week()),
    })
}

/// A value that a field can have.
fn something(field: &Field) -> String {
    match field.form {
        Form::Bool => "true".into(),
        Form::Number => "1".into(),
        Form::Time => "2026-10-01T12:00:00Z".into(),
        _ => "example".into(),
    }
}

/// A text as the value that the log would have in a field.
fn value(field: &Field, text: &str, event: &Event) -> Value {
    match &field.form {
        Form::Bool => json!(text.eq_ignore_ascii_case("true")),
        Form::Number => match text.parse::<i64>() {
            Ok(number) => json!(number),
            Err(_) => text.parse::<f64>().map_or(json!(text), |number| json!(number)),
        },
        Form::Json => {
            let now = at(&event.record, &field.place);
            // Text with the marks of JSON is an entry of an object.
            if let Ok(Value::Object(entries)) = serde_json::from_str::<Value>(&format!("{{{text}}}")) {
                let mut object = now.and_then(Value::as_object).cloned().unwrap_or_default();
                object.extend(entries);
                return Value::Object(object);
            }
            let now = now.and_then(|value| value.get("values")).and_then(Value::as_array);
            let mut values = now.cloned().unwrap_or_default();
            let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
            values.push(json!(inner));
            let mut object = at(&event.record, &field.place).and_then(Value::as_object).cloned().unwrap_or_default();
            object.insert("values".into(), Value::Array(values));
            Value::Object(object)
        }
        Form::List(_, leaf) => json!([{ resource_key(leaf): text }]),
        _ if event.log == Log::Bedrock => match field.sql.as_str() {
            "prompt" => json!([{ "role": "user", "content": [{ "text": text }] }]),
            "completion" | "systemPrompt" => json!([{ "text": text }]),
            _ => json!(text),
        },
        _ => json!(text),
    }
}

fn resource_key(leaf: &str) -> &str {
    match leaf {
        "arn" => "ARN",
        "accountid" => "accountId",
        "arnprefix" => "ARNPrefix",
        other => other,
    }
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The first text in messages of the Converse API.
fn message_text(value: &Value) -> Option<String> {
    let first = value.get(0)?;
    let text = first.get("text").or_else(|| first.get("content")?.get(0)?.get("text"))?;
    text.as_str().map(str::to_owned)
}

/// The value at a path.
fn at<'a>(record: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let mut value = record.get(first)?;
    for key in rest {
        value = match key.parse::<usize>() {
            Ok(position) if value.is_array() => value.get(position)?,
            _ => value.get(key.as_str())?,
        };
    }
    Some(value)
}
