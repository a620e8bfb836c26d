//! The detection of a Sigma rule: maps, lists, keywords and the condition become one check.

use super::check::Check;
use super::fields::{Field, Log};
use super::yaml::{Node, Value};
use super::{condition, modifiers};

/// The check of a detection; the error is a line and the reason why there is none.
pub fn read(log: Log, detection: &Node) -> Result<Check, (usize, String)> {
    let at = |node: &Node| {
        let line = node.line;
        move |reason: String| (line, reason)
    };
    let Some(wanted) = detection.get("condition") else {
        return Err((detection.line, "the detection has no condition".into()));
    };
    let mut named: Vec<(String, Check)> = Vec::new();
    let mut broken: Vec<(String, (usize, String))> = Vec::new();
    for (name, node) in detection.entries() {
        if name == "condition" || name == "timeframe" {
            continue;
        }
        match selection(log, node) {
            Ok(check) => named.push((name.clone(), check)),
            Err(reason) => broken.push((name.clone(), at(node)(reason))),
        }
    }
    // A part that cannot be read is named before the condition that misses it.
    if let Some((name, (line, reason))) = broken.into_iter().next() {
        return Err((line, format!("{reason} (in '{name}')")));
    }
    let mut checks = Vec::new();
    for item in wanted.items() {
        let Some(text) = item.text() else { return Err((item.line, "the condition is no text".into())) };
        checks.push(condition::read(&text, &named).map_err(at(item))?);
    }
    if checks.is_empty() {
        return Err((wanted.line, "the condition is empty".into()));
    }
    Ok(Check::any(checks))
}

/// One search identifier.
fn selection(log: Log, node: &Node) -> Result<Check, String> {
    match &node.value {
        Value::Map(entries) => map(log, entries),
        Value::List(items) if items.is_empty() => Err("an empty list matches nothing".into()),
        Value::List(items) => {
            let mut checks = Vec::new();
            for item in items {
                checks.push(selection(log, item)?);
            }
            Ok(Check::any(checks))
        }
        Value::Null => Err("it is empty".into()),
        Value::Bool(_) | Value::Number(..) | Value::Text(_) => keywords(log, &[], node),
    }
}

fn map(log: Log, entries: &[(String, Node)]) -> Result<Check, String> {
    let mut checks = Vec::new();
    for (key, values) in entries {
        let mut parts = key.split('|').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let asked: Vec<&str> = parts.collect();
        checks.push(match name {
            "" => keywords(log, &asked, values)?,
            name => modifiers::check(&Field::find(log, name)?, &asked, values)?,
        });
    }
    if checks.is_empty() {
        return Err("an empty map matches everything".into());
    }
    Ok(Check::all(checks))
}

/// Words that are looked for anywhere in the event.
fn keywords(log: Log, asked: &[&str], values: &Node) -> Result<Check, String> {
    modifiers::check(&Field::everything(log), asked, values)
}
