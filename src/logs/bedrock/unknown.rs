//! Shapes that nobody has described: the text under keys that usually hold text.

use super::invocation::{Invocation, Kind, Role};
use super::json::Json;

/// Keys whose strings are taken as what was said.
const SPOKEN: [&str; 14] = [
    "text",
    "content",
    "prompt",
    "inputText",
    "message",
    "query",
    "input",
    "generation",
    "generated_text",
    "outputText",
    "output",
    "completion",
    "response",
    "answer",
];

/// Pieces of text that are gathered from one body, and bytes of them: an unknown shape is a guess, not worth more.
const MAX_PIECES: usize = 1_000;
const MAX_BYTES: usize = 1 << 20;

/// Keys of a body that are never what was said, or are read elsewhere.
const SILENT: [&str; 8] =
    ["system", "preamble", "instructions", "tools", "toolConfig", "functions", "guardrailConfig", "requestMetadata"];

/// Adds the text in a body of unknown shape, as the user's in a request and as the model's in an answer.
pub(super) fn body<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    let mut pieces = Vec::new();
    let mut bytes = 0;
    for (key, value) in body.fields().iter().filter(|(key, _)| !SILENT.contains(key)) {
        gather(value, SPOKEN.contains(key), &mut pieces, &mut bytes);
    }
    for item in body.items() {
        gather(item, false, &mut pieces, &mut bytes);
    }
    if !pieces.is_empty() {
        invocation.message(if invocation.is_answer() { Role::Assistant } else { Role::User });
    }
    pieces.into_iter().for_each(|piece| invocation.say(Kind::Other, piece));
}

/// Adds the text in a value of unknown shape to the current message.
pub(super) fn say<'t>(value: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    let mut pieces = Vec::new();
    let mut bytes = 0;
    gather(value, true, &mut pieces, &mut bytes);
    pieces.into_iter().for_each(|piece| invocation.say(Kind::Other, piece));
}

/// `spoken` is true when the value stands under a key that usually holds text. Depth is bounded by the parser.
fn gather<'t>(value: &'t Json<'t>, spoken: bool, pieces: &mut Vec<&'t str>, bytes: &mut usize) {
    if pieces.len() >= MAX_PIECES || *bytes >= MAX_BYTES {
        return;
    }
    match value {
        Json::Text(text) if spoken && !text.is_empty() => {
            *bytes = bytes.saturating_add(text.len());
            pieces.push(text);
        }
        Json::List(items, _) => {
            for item in *items {
                gather(item, spoken, pieces, bytes);
            }
        }
        Json::Object(fields, _) => {
            for (key, value) in *fields {
                gather(value, SPOKEN.contains(key), pieces, bytes);
            }
        }
        _ => {}
    }
}
