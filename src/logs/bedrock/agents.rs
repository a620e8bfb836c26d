//! Tool calls in the XML protocol that older agent templates write into prompts and completions.
//!
//! Calls are read from the assistant's text only: a user who quotes the protocol calls nothing.

use std::borrow::Cow;

use memchr::memmem;

use super::calls::Call;
use super::invocation::{Invocation, Kind, Part, Role};
use super::json::quote;

/// Calls that are read from one text: far more than a model writes.
const MAX_CALLS: usize = 1_000;

/// Finds calls and results in the messages of the request, and turns results into tool results.
pub(super) fn calls_of_request(invocation: &mut Invocation) {
    for index in 0..invocation.parts.len() {
        let Some(part) = invocation.parts.get_mut(index) else { return };
        if part.kind != Kind::Text {
            continue;
        }
        if part.role == Role::Assistant {
            let calls = calls_in(part);
            calls.into_iter().for_each(|call| invocation.calls.add(call));
        } else if part.role == Role::User && part.text.trim_start().starts_with("<function_results>") {
            if !invocation.calls.awaits_result() {
                continue;
            }
            (part.role, part.kind) = (Role::Tool, Kind::ToolResult);
            for result in results_in(&part.text) {
                invocation.calls.answer_next(Cow::Owned(result));
            }
        }
    }
}

/// Finds calls in the answer.
pub(super) fn calls_of_answer(invocation: &mut Invocation) {
    for index in 0..invocation.parts.len() {
        let Some(part) = invocation.parts.get(index).filter(|part| part.is_answer() && part.kind == Kind::Text) else {
            continue;
        };
        let calls = calls_in(part);
        calls.into_iter().for_each(|call| invocation.calls.add(call));
    }
}

fn calls_in<'t>(part: &Part<'t>) -> Vec<Call<'t>> {
    if memmem::find(part.text.as_bytes(), b"<function_calls>").is_none() {
        return Vec::new();
    }
    let invokes = part.text.split("<invoke").skip(1).take(MAX_CALLS);
    invokes.filter_map(call).collect()
}

/// One call from the text after `<invoke`: `name="x"` with named parameters, or elements named like the parameters.
fn call<'t>(text: &str) -> Option<Call<'t>> {
    let text = text.split("</invoke>").next()?;
    let (attributes, body) = text.split_once('>')?;
    let name = match attribute(attributes) {
        Some(name) => name,
        None => element(body, "tool_name")?,
    };
    let mut arguments = String::from("{");
    let mut rest = element(body, "parameters").unwrap_or(body);
    while let Some((key, value, after)) = parameter(rest) {
        rest = after;
        if key == "tool_name" {
            continue;
        }
        if arguments.len() > 1 {
            arguments.push(',');
        }
        arguments.push_str(&quote(key));
        arguments.push(':');
        arguments.push_str(&quote(value));
    }
    arguments.push('}');
    let name = Some(Cow::Owned(name.trim().to_owned()));
    Some(Call { id: None, name, arguments: Cow::Owned(arguments), result: None })
}

/// The next parameter: its name, its value, and the text after it. A value that is cut off runs to the end.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (_, text) = text.split_once('<')?;
    let (tag, text) = text.split_once('>')?;
    let element = tag.split_whitespace().next()?;
    let close = format!("</{element}>");
    let (value, after) = text.split_once(close.as_str()).unwrap_or((text, ""));
    Some((attribute(tag).unwrap_or(element), value, after))
}

fn attribute(tag: &str) -> Option<&str> {
    let (_, value) = tag.split_once("name=\"")?;
    value.split('"').next()
}

fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, text) = text.split_once(format!("<{name}>").as_str())?;
    text.split(format!("</{name}>").as_str()).next()
}

/// Results in order: what stands in `<stdout>` or `<error>`, or the whole text when neither does.
fn results_in(text: &str) -> Vec<String> {
    let found: Vec<String> = text
        .split("<result>")
        .skip(1)
        .take(MAX_CALLS)
        .filter_map(|result| element(result, "stdout").or_else(|| element(result, "error")))
        .map(|result| result.trim().to_owned())
        .collect();
    if found.is_empty() { vec![text.trim().to_owned()] } else { found }
}
