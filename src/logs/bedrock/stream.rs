//! Answers that were streamed: the log keeps the elements in order, here they become whole blocks again.

use std::borrow::Cow;
use std::collections::HashMap;

use super::answer;
use super::blocks;
use super::invocation::{Invocation, Kind};
use super::json::Json;

/// A block under construction.
#[derive(Debug)]
enum Block<'t> {
    Text(String),
    Reasoning(String),
    Call {
        id: Option<&'t str>,
        name: Option<&'t str>,
        arguments: String,
        input: Option<&'t Json<'t>>,
    },
    /// A block that came whole.
    Whole(&'t Json<'t>),
}

/// What tells two blocks apart: the lane (text, reasoning, call) and the index in the stream.
type Place = (u8, i64);

const TEXT: u8 = 0;
const REASONING: u8 = 1;
const CALL: u8 = 2;

#[derive(Debug, Default)]
struct Assembly<'t> {
    blocks: Vec<Block<'t>>,
    places: HashMap<Place, usize>,
    stop: Option<&'t str>,
}

/// Reads the elements of a streamed answer.
pub(super) fn read<'t>(elements: &'t [Json<'t>], invocation: &mut Invocation<'t>) {
    let mut assembly = Assembly::default();
    for element in elements {
        let known = assembly.take(element, invocation);
        if !known {
            answer::words(element, invocation);
        }
    }
    assembly.finish(invocation);
}

impl<'t> Assembly<'t> {
    /// Takes one element. False when it is no part of a stream but an answer of its own.
    fn take(&mut self, element: &'t Json<'t>, invocation: &mut Invocation<'t>) -> bool {
        for part in [Some(element), element.get("message"), element.get("metadata"), element.get("response")] {
            let Some(part) = part.filter(|part| matches!(part, Json::Object(..))) else { continue };
            invocation.usage.read(part);
            invocation.guardrail.judged(part);
            self.stop = part.any(&answer::STOPS).and_then(Json::text).or(self.stop);
        }
        if let Some(delta) = element.get("delta") {
            invocation.usage.read(delta);
            invocation.guardrail.judged(delta);
            self.stop = delta.any(&answer::STOPS).and_then(Json::text).or(self.stop);
        }
        match element.any(&["type", "event_type"]).and_then(Json::text) {
            Some(kind) => self.typed(kind, element, invocation),
            None => self.untyped(element),
        }
    }

    /// Elements that name their type: Anthropic, Cohere, OpenAI Responses.
    fn typed(&mut self, kind: &str, element: &'t Json<'t>, invocation: &mut Invocation<'t>) -> bool {
        let index = element.any(&["index", "output_index"]).and_then(Json::long).unwrap_or(0);
        match kind {
            "message" => return false,
            "content_block_start" => self.start(index, element.get("content_block")),
            "content_block_delta" => self.delta(index, element.get("delta")),
            "content-delta" => self.say(TEXT, index, element.at(&["delta", "message", "content", "text"])),
            "tool-call-start" | "tool-call-delta" => {
                self.function_call(index, element.at(&["delta", "message", "tool_calls"]));
            }
            "text-generation" => self.say(TEXT, 0, element.get("text")),
            "tool-calls-generation" => self.function_calls(element),
            "stream-end" if self.blocks.is_empty() => {
                if let Some(response) = element.get("response") {
                    answer::words(response, invocation);
                }
            }
            "response.output_text.delta" => self.say(TEXT, index, element.get("delta")),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                self.say(REASONING, index, element.get("delta"));
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                if let Some(response) = element.get("response") {
                    // The last event repeats everything, tool calls included.
                    *self = Assembly::default();
                    answer::words(response, invocation);
                }
            }
            _ => self.pieces(element),
        }
        true
    }

    /// Elements told apart by their keys: Converse and Nova events, chat chunks, bare text.
    fn untyped(&mut self, element: &'t Json<'t>) -> bool {
        if let Some(start) = element.get("contentBlockStart") {
            self.start(block_index(start), start.get("start"));
        } else if let Some(event) = element.get("contentBlockDelta") {
            self.delta(block_index(event), event.get("delta"));
        } else if let Some(stop) = element.get("messageStop") {
            self.stop = stop.text_of("stopReason").or(self.stop);
        } else if ["messageStart", "contentBlockStop", "metadata"].iter().any(|key| element.get(key).is_some()) {
            // Counts were read already.
        } else if element.any(&["output", "content"]).is_some() {
            return false;
        } else {
            self.pieces(element);
        }
        true
    }

    /// Text and calls that an element carries beside each other.
    fn pieces(&mut self, element: &'t Json<'t>) {
        for key in ["completion", "generation", "outputText", "text"] {
            self.say(TEXT, 0, element.get(key));
        }
        for list in ["choices", "outputs", "generations", "results"] {
            for (position, choice) in element.get(list).map(Json::items).unwrap_or_default().iter().enumerate() {
                let index = choice.get("index").and_then(Json::long).unwrap_or(position as i64);
                self.stop = choice.any(&answer::STOPS).and_then(Json::text).or(self.stop);
                self.say(TEXT, index, choice.any(&["text", "outputText"]));
                let Some(message) = choice.any(&["delta", "message"]) else { continue };
                self.say(REASONING, index, message.any(&["reasoning_content", "reasoning"]));
                self.say(TEXT, index, message.get("content"));
                self.say(TEXT, index, message.get("refusal"));
                self.function_calls(message);
            }
        }
    }

    fn start(&mut self, index: i64, start: Option<&'t Json<'t>>) {
        let Some(start) = start else { return };
        let call = start.get("toolUse").unwrap_or(start);
        let id = call.any(&["toolUseId", "id"]).and_then(Json::text);
        match start.text_of("type") {
            Some("text") => self.say(TEXT, index, start.get("text")),
            Some("thinking") => self.say(REASONING, index, start.get("thinking")),
            _ if call.text_of("name").is_some() => {
                self.call(index, id, call.text_of("name"), None, call.get("input"));
            }
            Some(_) => self.blocks.push(Block::Whole(start)),
            None => {}
        }
    }

    fn delta(&mut self, index: i64, delta: Option<&'t Json<'t>>) {
        let Some(delta) = delta else { return };
        self.say(TEXT, index, delta.get("text"));
        self.say(REASONING, index, delta.get("thinking"));
        self.say(REASONING, index, delta.at(&["reasoningContent", "text"]));
        self.say(REASONING, index, delta.at(&["reasoningContent", "reasoningText", "text"]));
        let input = delta.get("partial_json").or_else(|| delta.at(&["toolUse", "input"]));
        if let Some(input) = input {
            self.call(index, None, None, input.text(), None);
        }
    }

    fn function_calls(&mut self, message: &'t Json<'t>) {
        for (position, call) in message.get("tool_calls").map(Json::items).unwrap_or_default().iter().enumerate() {
            self.function_call(position as i64, Some(call));
        }
    }

    fn function_call(&mut self, position: i64, call: Option<&'t Json<'t>>) {
        let Some(call) = call else { return };
        let index = call.get("index").and_then(Json::long).unwrap_or(position);
        let function = call.get("function").unwrap_or(call);
        let arguments = function.any(&["arguments", "parameters"]);
        let pieces = arguments.and_then(Json::text);
        let whole = arguments.filter(|arguments| !matches!(arguments, Json::Text(_)));
        self.call(index, call.text_of("id"), function.text_of("name"), pieces, whole);
    }

    /// Adds to the text of a block, or begins it.
    fn say(&mut self, lane: u8, index: i64, text: Option<&'t Json<'t>>) {
        let Some(text) = text.and_then(Json::text) else { return };
        let empty = if lane == TEXT { Block::Text } else { Block::Reasoning };
        if let Some(Block::Text(all) | Block::Reasoning(all)) = self.place(lane, index, || empty(String::new())) {
            all.push_str(text);
        }
    }

    /// Adds to a call, or begins it. A second id at one index is a new call.
    fn call(
        &mut self,
        index: i64,
        id: Option<&'t str>,
        name: Option<&'t str>,
        piece: Option<&str>,
        whole: Option<&'t Json<'t>>,
    ) {
        let empty = || Block::Call { id, name, arguments: String::new(), input: whole };
        if let (Some(new), Some(Block::Call { id: Some(old), .. })) = (id, self.place(CALL, index, empty))
            && new != *old
        {
            self.places.remove(&(CALL, index));
        }
        if let (Some(Block::Call { arguments, .. }), Some(piece)) = (self.place(CALL, index, empty), piece) {
            arguments.push_str(piece);
        }
    }

    fn place(&mut self, lane: u8, index: i64, empty: impl FnOnce() -> Block<'t>) -> Option<&mut Block<'t>> {
        let next = self.blocks.len();
        let place = *self.places.entry((lane, index)).or_insert(next);
        if place == next {
            self.blocks.push(empty());
        }
        self.blocks.get_mut(place)
    }

    fn finish(self, invocation: &mut Invocation<'t>) {
        for block in self.blocks {
            match block {
                Block::Text(text) => answer::thinking_apart(text, invocation),
                Block::Reasoning(text) => invocation.say(Kind::Reasoning, text),
                Block::Call { id, name, arguments, input } => match input {
                    Some(input) if arguments.is_empty() => blocks::call(id, name, Some(input), invocation),
                    _ if arguments.is_empty() => blocks::call(id, name, None, invocation),
                    _ => blocks::call_with(id, name, Cow::Owned(arguments), invocation),
                },
                Block::Whole(block) => blocks::content(block, invocation),
            }
        }
        invocation.stopped(self.stop);
    }
}

fn block_index(event: &Json) -> i64 {
    event.get("contentBlockIndex").and_then(Json::long).unwrap_or(0)
}
