//! Response bodies of every API and provider that arrive whole; streams are put together in `stream`.

use std::borrow::Cow;

use memchr::memmem;

use super::agents;
use super::blocks;
use super::invocation::{Invocation, Kind};
use super::json::Json;
use super::request;
use super::responses;
use super::stream;
use super::unknown;

/// Reads a response body.
pub(super) fn read<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    match body {
        Json::Text(text) => invocation.say(Kind::Text, *text),
        Json::List(elements, _) => stream::read(elements, invocation),
        _ => {
            invocation.usage.read(body);
            invocation.guardrail.judged(body);
            words(body, invocation);
            if invocation.is_silent() && !is_without_words(body) {
                unknown::body(body, invocation);
            }
        }
    }
    agents::calls_of_answer(invocation);
}

/// Reads what one complete response says; its measurements and guardrails are read by the caller.
pub(super) fn words<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    match body.get("output") {
        Some(Json::List(..)) => {
            let status = body.at(&["incomplete_details", "reason"]).or_else(|| body.get("status"));
            invocation.stopped(status.and_then(Json::text));
        }
        Some(output) => {
            if let Some(content) = output.at(&["message", "content"]) {
                blocks::content(content, invocation);
            }
        }
        None => {}
    }
    if let Some(output) = body.get("output") {
        responses::output(output, invocation);
    }
    if let Some(content) = body.get("content") {
        blocks::content(content, invocation);
    }
    if let Some(message) = body.get("message").filter(|message| matches!(message, Json::Object(..))) {
        request::said(message, invocation);
    }
    for key in ["completion", "generation", "outputText", "text"] {
        if let Some(text) = body.text_of(key) {
            thinking_apart(text, invocation);
        }
    }
    for list in ["results", "choices", "outputs", "generations", "completions"] {
        for option in body.get(list).map(Json::items).unwrap_or_default() {
            choice(option, invocation);
        }
    }
    request::function_calls(body, invocation);
    invocation.stopped(body.any(&STOPS).and_then(Json::text));
    pictures(body, invocation);
}

/// Keys of the reason why generation ended.
pub(super) const STOPS: [&str; 5] = ["stopReason", "stop_reason", "finish_reason", "completionReason", "finishReason"];

/// One of the alternatives that a model returned.
fn choice<'t>(option: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    if let Some(tokens) = option.get("tokenCount").and_then(Json::long) {
        let output = invocation.usage.output.get_or_insert(0);
        *output = output.saturating_add(tokens);
    }
    let message = option.get("message");
    if let Some(message) = message {
        match message.text_of("content") {
            Some(text) if message.any(&["reasoning_content", "reasoning"]).is_none() => {
                thinking_apart(text, invocation);
                request::function_calls(message, invocation);
            }
            _ => request::said(message, invocation),
        }
    }
    let text = option.any(&["outputText", "text"]).or_else(|| option.at(&["data", "text"])).and_then(Json::text);
    if let Some(text) = text {
        thinking_apart(text, invocation);
    }
    let reason = option.any(&STOPS);
    let reason = reason.map(|reason| reason.get("reason").unwrap_or(reason));
    invocation.stopped(reason.and_then(Json::text));
}

/// Adds text of the answer; the reasoning that open models write before it between tags is kept apart.
pub(super) fn thinking_apart<'t>(text: impl Into<Cow<'t, str>>, invocation: &mut Invocation<'t>) {
    let text = text.into();
    let Some((reasoning, rest)) = split_thinking(&text) else { return invocation.say(Kind::Text, text) };
    let (reasoning, rest) = (reasoning.to_owned(), rest.to_owned());
    invocation.say(Kind::Reasoning, reasoning);
    invocation.say(Kind::Text, rest);
}

/// Reasoning and the text after it. DeepSeek R1 opens the tag in the prompt, so the answer may hold the closing one only.
fn split_thinking(text: &str) -> Option<(&str, &str)> {
    for (open, close) in [("<think>", "</think>"), ("<reasoning>", "</reasoning>")] {
        let Some(at) = memmem::find(text.as_bytes(), close.as_bytes()) else { continue };
        let (Some(before), Some(after)) = (text.get(..at), text.get(at + close.len()..)) else { continue };
        let before = before.trim_start();
        let reasoning = before.strip_prefix(open).unwrap_or(before);
        if !reasoning.contains(open) {
            return Some((reasoning.trim(), after.trim_start()));
        }
    }
    None
}

/// Pictures are data of their own; that there were some is all that the log needs to show.
fn pictures<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    for list in ["images", "artifacts"] {
        for picture in body.get(list).map(Json::items).unwrap_or_default() {
            invocation.push(invocation.role(), Kind::Image, Cow::Borrowed(""));
            invocation.stopped(picture.text_of("finishReason"));
        }
    }
    for reason in body.get("finish_reasons").map(Json::items).unwrap_or_default() {
        invocation.stopped(reason.text());
    }
}

/// Answers that are known to say nothing: embeddings, rankings, and bare measurements.
fn is_without_words(body: &Json) -> bool {
    body.any(&["embedding", "embeddings", "embeddingsByType", "results", "stopReason", "stop_reason"]).is_some()
}
