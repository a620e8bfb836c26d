//! Items of the OpenAI Responses API: messages, calls and reasoning stand side by side in one list.

use super::blocks;
use super::invocation::{Invocation, Kind, Role};
use super::json::Json;

/// Reads the `input` of a request: text or items, each a message of its own.
pub(super) fn input<'t>(input: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    if let Json::Text(text) = input {
        invocation.message(Role::User);
        return invocation.say(Kind::Text, *text);
    }
    for entry in input.items() {
        invocation.message(role(entry));
        if !item(entry, invocation) {
            blocks::content(entry.get("content").unwrap_or(entry), invocation);
        }
    }
}

/// Reads the `output` of a response into the current answer.
pub(super) fn output<'t>(output: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    for entry in output.items() {
        if !item(entry, invocation) {
            blocks::content(entry, invocation);
        }
    }
}

/// Reads one item. False when it is not an item of this API.
pub(super) fn item<'t>(item: &'t Json<'t>, invocation: &mut Invocation<'t>) -> bool {
    let Some(kind) = item.text_of("type") else { return false };
    let id = item.any(&["call_id", "id"]).and_then(Json::text);
    match kind {
        "message" => {
            if let Some(content) = item.get("content") {
                blocks::content(content, invocation);
            }
        }
        "reasoning" => {
            for list in ["summary", "content"] {
                for piece in item.get(list).map(Json::items).unwrap_or_default() {
                    if let Some(text) = piece.text_of("text") {
                        invocation.say(Kind::Reasoning, text);
                    }
                }
            }
        }
        kind if kind.ends_with("_call_output") => blocks::result(id, item.get("output"), invocation),
        kind if kind.ends_with("_call") => {
            let name = item.text_of("name").unwrap_or(kind);
            let arguments = item.any(&["arguments", "input", "action", "code", "queries"]);
            blocks::call(id, Some(name), arguments, invocation);
            if let Some(output) = item.any(&["output", "results"]) {
                blocks::result(id, Some(output), invocation);
            }
        }
        _ => return false,
    }
    true
}

fn role(item: &Json) -> Role {
    match (item.text_of("role"), item.text_of("type")) {
        (Some(role), _) => Role::of(role),
        (None, Some(kind)) if kind.ends_with("_output") => Role::Tool,
        (None, Some(kind)) if kind.ends_with("_call") || kind == "reasoning" => Role::Assistant,
        _ => Role::User,
    }
}
