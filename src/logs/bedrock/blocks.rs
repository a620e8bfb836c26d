//! Content blocks of messages: Converse and Nova, Anthropic, OpenAI and Mistral, told apart by their keys.

use std::borrow::Cow;

use super::calls::Call;
use super::invocation::{Invocation, Kind, Role};
use super::json::Json;
use super::media;
use super::responses;
use super::unknown;

/// Reads the content of the current message: text, one block, or a list of either.
pub(super) fn content<'t>(content: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    match content {
        Json::Text(text) => invocation.say(Kind::Text, *text),
        Json::List(items, _) => {
            for item in *items {
                block(item, invocation);
            }
        }
        Json::Object(..) => block(content, invocation),
        _ => {}
    }
}

fn block<'t>(block: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    if let Json::Text(text) = block {
        return invocation.say(Kind::Text, *text);
    }
    let Some(kind) = block.text_of("type") else { return converse(block, invocation) };
    match kind {
        "text" | "input_text" | "output_text" => say(Kind::Text, block.get("text"), invocation),
        "thinking" => say(Kind::Reasoning, block.get("thinking"), invocation),
        "redacted_thinking" => invocation.push(Role::Assistant, Kind::Reasoning, Cow::Borrowed("")),
        "refusal" => say(Kind::Text, block.get("refusal"), invocation),
        "image" | "image_url" | "input_image" => media::add(Kind::Image, block, invocation),
        "document" | "file" | "input_file" | "search_result" | "container_upload" => {
            media::add(Kind::Document, block, invocation)
        }
        "input_audio" | "audio" | "audio_url" => media::add(Kind::Audio, block, invocation),
        "video" | "video_url" | "input_video" => media::add(Kind::Video, block, invocation),
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            call(block.text_of("id"), block.text_of("name"), block.get("input"), invocation)
        }
        kind if kind.ends_with("tool_result") => {
            result(block.text_of("tool_use_id"), block.get("content"), invocation);
        }
        _ if responses::item(block, invocation) => {}
        _ => converse(block, invocation),
    }
}

/// A block whose one key says what it is.
fn converse<'t>(block: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    for (key, value) in block.fields() {
        match *key {
            "text" => say(Kind::Text, Some(value), invocation),
            "image" => media::add(Kind::Image, value, invocation),
            "document" | "searchResult" => media::add(Kind::Document, value, invocation),
            "video" => media::add(Kind::Video, value, invocation),
            "audio" => media::add(Kind::Audio, value, invocation),
            "toolUse" => call(value.text_of("toolUseId"), value.text_of("name"), value.get("input"), invocation),
            "toolResult" => result(value.text_of("toolUseId"), value.get("content"), invocation),
            "reasoningContent" => reasoning(value, invocation),
            "citationsContent" => {
                let pieces = value.get("content").map(Json::items).unwrap_or_default();
                let text: String = pieces.iter().filter_map(|piece| piece.text_of("text")).collect();
                invocation.say(Kind::Text, text);
            }
            "guardContent" => {
                say(Kind::Guarded, value.at(&["text", "text"]), invocation);
                if let Some(image) = value.get("image") {
                    media::add(Kind::Image, image, invocation);
                }
            }
            "cachePoint" | "type" | "cache_control" => {}
            _ => unknown::say(value, invocation),
        }
    }
}

fn reasoning<'t>(content: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    say(Kind::Reasoning, content.at(&["reasoningText", "text"]), invocation);
    if content.get("redactedContent").is_some() {
        invocation.push(Role::Assistant, Kind::Reasoning, Cow::Borrowed(""));
    }
}

/// Adds a tool call of the current message.
pub(super) fn call<'t>(
    id: Option<&'t str>,
    name: Option<&'t str>,
    input: Option<&'t Json<'t>>,
    invocation: &mut Invocation<'t>,
) {
    call_with(id, name, input.map_or(Cow::Borrowed("{}"), arguments), invocation);
}

/// Adds a tool call of the current message whose arguments are text already.
pub(super) fn call_with<'t>(
    id: Option<&'t str>,
    name: Option<&'t str>,
    arguments: Cow<'t, str>,
    invocation: &mut Invocation<'t>,
) {
    let text = format!("{} {arguments}", name.unwrap_or_default());
    invocation.push(Role::Assistant, Kind::ToolCall, Cow::Owned(text));
    let (id, name) = (id.map(Cow::Borrowed), name.map(Cow::Borrowed));
    invocation.calls.add(Call { id, name, arguments, result: None });
}

/// Arguments as JSON; OpenAI and Mistral write the JSON into a string.
fn arguments<'t>(input: &'t Json<'t>) -> Cow<'t, str> {
    match input {
        Json::Text(text) => Cow::Borrowed(*text),
        other => other.raw(),
    }
}

/// Adds a tool result of the current message and ties it to its call.
pub(super) fn result<'t>(id: Option<&'t str>, content: Option<&'t Json<'t>>, invocation: &mut Invocation<'t>) {
    let text = content.map_or(Cow::Borrowed(""), |content| result_text(content, invocation));
    invocation.push(Role::Tool, Kind::ToolResult, text.clone());
    match id {
        Some(id) => invocation.calls.answer(id, text),
        None => invocation.calls.answer_next(text),
    }
}

/// Text of a tool result; what is not text stays JSON, media are also parts of their own.
fn result_text<'t>(content: &'t Json<'t>, invocation: &mut Invocation<'t>) -> Cow<'t, str> {
    let Json::List(items, _) = content else { return result_item(content, invocation) };
    let mut texts = items.iter().map(|item| result_item(item, invocation)).filter(|text| !text.is_empty());
    let mut all = texts.next().unwrap_or_default();
    for text in texts {
        all.to_mut().push('\n');
        all.to_mut().push_str(&text);
    }
    all
}

fn result_item<'t>(item: &'t Json<'t>, invocation: &mut Invocation<'t>) -> Cow<'t, str> {
    if let Json::Text(text) = item {
        return Cow::Borrowed(*text);
    }
    if let Some(text) = item.text_of("text") {
        return Cow::Borrowed(text);
    }
    if let Some(json) = item.get("json") {
        return json.raw();
    }
    for (key, kind) in media::KINDS {
        let value = item.get(key).or(if item.text_of("type") == Some(key) { Some(item) } else { None });
        if let Some(value) = value {
            let text = media::describe(kind, value);
            invocation.push(Role::Tool, kind, Cow::Owned(text.clone()));
            return Cow::Owned(text);
        }
    }
    item.raw()
}

fn say<'t>(kind: Kind, text: Option<&'t Json<'t>>, invocation: &mut Invocation<'t>) {
    match text {
        Some(Json::Text(text)) => invocation.say(kind, *text),
        Some(other) => unknown::say(other, invocation),
        None => {}
    }
}
