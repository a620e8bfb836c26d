//! Events of rule tests: a plain event of each log with the differences that a test states.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Duration, TimeZone, Utc};
use serde_json::{Map, Value};
use toml::Spanned;

use super::page::Node;
use super::{duration, spelling};

/// (path below `sample-data/base`, JSON text) of the plain event of each log.
static BASE: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/base.rs"));

static PLAIN: LazyLock<BTreeMap<&'static str, Map<String, Value>>> = LazyLock::new(|| {
    let named =
        BASE.iter().filter_map(|(path, text)| Some((path.strip_suffix(".json")?, serde_json::from_str(text).ok()?)));
    named.collect()
});

/// A test cannot ask for more copies of an event: it would only be slow.
const MOST_COPIES: u32 = 10_000;

/// Logs that have a plain event: those that rules may read.
pub fn logs() -> impl Iterator<Item = &'static str> {
    PLAIN.keys().copied()
}

/// The plain event of a log.
pub(super) fn plain(log: &str) -> Option<Map<String, Value>> {
    PLAIN.get(log).cloned()
}

/// The time of the plain events.
pub fn base_time() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 10, 1, 12, 0, 0).single().unwrap_or_default()
}

/// Differences from the plain event of a log, and how often and when the event happens.
#[derive(Debug, Clone)]
pub struct Event {
    log: &'static str,
    at: Duration,
    every: Duration,
    repeat: u32,
    changes: Vec<(Vec<String>, Option<Value>)>,
}

impl Event {
    /// Reads an entry of `events`; `text` is the file that it was written in.
    pub fn read(node: &Node, text: &str) -> Result<Event, String> {
        let Node::Table(entries) = node else {
            return Err("an event is a table such as { log = \"cloudtrail\" }".into());
        };
        let word = |key: &str| entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.get_ref().to_json());
        let Some(Value::String(name)) = word("log") else {
            return Err(format!(
                "an event names its log; add log = \"...\", one of {}",
                logs().collect::<Vec<_>>().join(", ")
            ));
        };
        let Some((log, plain)) = PLAIN.get_key_value(name.as_str()) else {
            return Err(format!("unknown log '{name}'{}", spelling::hint(&name, logs())));
        };
        let length = |key: &str| match word(key) {
            None => Ok(None),
            Some(Value::String(text)) => match duration::parse_signed(&text) {
                Some(length) => Ok(Some(length)),
                None => Err(format!("{key} = \"{text}\" is not a length of time; write \"+90s\", \"-2h\" or \"30d\"")),
            },
            Some(_) => Err(format!("{key} is a text such as \"+90s\"")),
        };
        let repeat = match word("repeat") {
            None => 1,
            Some(value) => match value.as_u64().and_then(|n| u32::try_from(n).ok()) {
                Some(count @ 1..=MOST_COPIES) => count,
                _ => return Err(format!("repeat is a whole number from 1 to {MOST_COPIES}")),
            },
        };
        let mut event = Event {
            log,
            at: length("at")?.unwrap_or_default(),
            every: length("every")?.unwrap_or(Duration::seconds(1)),
            repeat,
            changes: Vec::new(),
        };
        for (key, value) in entries {
            if !["log", "at", "every", "repeat"].contains(&key.as_str()) {
                check_case(key, plain)?;
                event.change(&[], key, value, text);
            }
        }
        Ok(event)
    }

    /// Notes what `key` below `path` is set to. A table written as `{ ... }` is a value; a dotted key is a path.
    fn change(&mut self, path: &[String], key: &str, value: &Spanned<Node>, text: &str) {
        let mut place = path.to_vec();
        if self.log == "vpcflow" {
            place.push(key.replace('_', "-"));
        } else {
            place.extend(key.split('.').map(str::to_owned));
        }
        let inline = text.get(value.span()).is_some_and(|written| written.starts_with('{'));
        match value.get_ref() {
            Node::Table(entries) if !inline => {
                for (name, inner) in entries {
                    self.change(&place, name, inner, text);
                }
            }
            node => {
                let json = node.to_json();
                let removed = json == serde_json::json!({ "absent": true });
                self.changes.push((place, (!removed).then_some(json)));
            }
        }
    }

    /// The event's copies, the first of which is the `number`th event of its test.
    fn copies(&self, number: usize) -> impl Iterator<Item = Map<String, Value>> {
        (0..self.repeat).map(move |copy| {
            let mut record = PLAIN.get(self.log).cloned().unwrap_or_default();
            for id in ["eventID", "requestID", "requestId"] {
                if record.contains_key(id) {
                    let unique = format!("{:08x}-0000-4000-8000-{copy:012x}", number + 1);
                    record.insert(id.into(), unique.into());
                }
            }
            for (path, value) in &self.changes {
                set(&mut record, path, value.as_ref());
            }
            shift(&mut record, self.at + self.every * copy as i32);
            record
        })
    }
}

/// Refuses a key that AWS spells with other capitals: it would become an unknown field and change nothing.
fn check_case(key: &str, plain: &Map<String, Value>) -> Result<(), String> {
    let first = key.split('.').next().unwrap_or(key);
    match plain.keys().find(|known| known.eq_ignore_ascii_case(first) && *known != first) {
        Some(known) => Err(format!("the log has no field '{first}'; did you mean '{known}'?")),
        None => Ok(()),
    }
}

/// Sets or removes the value at `path`; what is in the way and is no object becomes one.
pub fn set(record: &mut Map<String, Value>, path: &[String], value: Option<&Value>) {
    let Some((key, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        match value {
            Some(value) => record.insert(key.clone(), value.clone()),
            None => record.remove(key),
        };
        return;
    }
    let inner = record.entry(key.clone()).or_insert(Value::Null);
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        set(inner, rest, value);
    }
}

/// Moves the times of a record.
fn shift(record: &mut Map<String, Value>, by: Duration) {
    for key in ["eventTime", "timestamp"] {
        let Some(Value::String(text)) = record.get_mut(key) else { continue };
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            *text = (time.to_utc() + by).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        }
    }
    for key in ["start", "end"] {
        let Some(value) = record.get_mut(key) else { continue };
        if let Some(seconds) = value.as_i64() {
            *value = (seconds + by.num_seconds()).into();
        }
    }
}

/// The objects, as (URI, bytes), in which the events would be delivered.
pub fn objects(events: &[Event]) -> Vec<(String, Vec<u8>)> {
    let mut records: Vec<Value> = Vec::new();
    let mut lines = String::new();
    let mut flows: BTreeMap<String, String> = BTreeMap::new();
    for (number, event) in events.iter().enumerate() {
        for record in event.copies(number) {
            match event.log {
                "cloudtrail" => records.push(Value::Object(record)),
                "vpcflow" => {
                    let header = record.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
                    let values: Vec<String> = record.values().map(plain_text).collect();
                    let rows = flows.entry(header).or_default();
                    rows.push_str(&values.join(" "));
                    rows.push('\n');
                }
                _ => {
                    lines.push_str(&Value::Object(record).to_string());
                    lines.push('\n');
                }
            }
        }
    }
    let mut objects = Vec::new();
    if !records.is_empty() {
        let envelope = serde_json::json!({ "Records": records });
        objects.push(("test/cloudtrail.json".to_owned(), envelope.to_string().into_bytes()));
    }
    if !lines.is_empty() {
        objects.push(("test/bedrock.json".to_owned(), lines.into_bytes()));
    }
    for (number, (header, rows)) in flows.iter().enumerate() {
        objects.push((format!("test/vpcflow-{number}.log"), format!("{header}\n{rows}").into_bytes()));
    }
    objects
}

fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(written: &str) -> Result<Event, String> {
        #[derive(serde::Deserialize)]
        struct One {
            event: Spanned<Node>,
        }
        let text = format!("event = {written}");
        let one: One = toml::from_str(&text).expect("valid TOML");
        Event::read(one.event.get_ref(), &text)
    }

    fn records(written: &str) -> Vec<Map<String, Value>> {
        event(written).expect("a valid event").copies(0).collect()
    }

    #[test]
    fn every_log_has_a_plain_event() {
        let known: Vec<&str> = crate::logs::LOG_TYPES.iter().map(|log| log.name).collect();
        assert!(logs().all(|log| known.contains(&log)));
        assert_eq!(logs().count(), known.len());
    }

    #[test]
    fn dotted_keys_are_paths_and_tables_are_values() {
        let record = &records(
            r#"{ log = "cloudtrail", userIdentity.type = "Root", "userIdentity.arn" = "x", tlsDetails = { a.b = 1 },
                 requestParameters.list = [{ name = "n" }], errorCode = { absent = true }, readOnly = { absent = true } }"#,
        )[0];
        assert_eq!(record["userIdentity"]["type"], "Root");
        assert_eq!(record["userIdentity"]["arn"], "x");
        assert_eq!(record["userIdentity"]["accountId"], "111122223333");
        assert_eq!(record["tlsDetails"], serde_json::json!({ "a": { "b": 1 } }));
        assert_eq!(record["requestParameters"]["list"][0]["name"], "n");
        assert!(!record.contains_key("readOnly"));
    }

    #[test]
    fn copies_move_in_time_and_have_their_own_ids() {
        let copies = records(r#"{ log = "cloudtrail", at = "-1h", repeat = 3, every = "10s" }"#);
        let times: Vec<&str> = copies.iter().filter_map(|r| r["eventTime"].as_str()).collect();
        assert_eq!(times, ["2026-10-01T11:00:00Z", "2026-10-01T11:00:10Z", "2026-10-01T11:00:20Z"]);
        assert_ne!(copies[0]["eventID"], copies[1]["eventID"]);
        let given = records(r#"{ log = "bedrock", requestId = "same", repeat = 2 }"#);
        assert!(given.iter().all(|r| r["requestId"] == "same"));
        let flow = &records(r#"{ log = "vpcflow", at = "+60s", dst_addr = "x", pkt_dstaddr = "198.51.100.7" }"#)[0];
        assert_eq!(flow["start"], base_time().timestamp() + 60);
        assert_eq!(flow["pkt-dstaddr"], "198.51.100.7");
    }

    #[test]
    fn mistakes_are_named() {
        for (written, part) in [
            (r#"{ eventName = "x" }"#, "names its log"),
            (r#"{ log = "cloudtrial" }"#, "did you mean 'cloudtrail'"),
            (r#"{ log = "cloudtrail", eventname = "x" }"#, "did you mean 'eventName'"),
            (r#"{ log = "cloudtrail", at = "soon" }"#, "not a length of time"),
            (r#"{ log = "cloudtrail", repeat = 0 }"#, "repeat"),
        ] {
            assert!(event(written).is_err_and(|message| message.contains(part)), "{written}");
        }
    }
}
