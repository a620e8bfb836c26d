//! Request bodies of every API and provider, told apart by their keys rather than by the model's name.
//!
//! Model ids are often ARNs of profiles and imported models that do not name the provider, and a body may carry keys of
//! more than one dialect: each known key adds what it says, so that one dialect cannot hide another.

use super::agents;
use super::blocks;
use super::invocation::{Invocation, Kind, Role};
use super::json::Json;
use super::media;
use super::responses;
use super::template;
use super::unknown;

/// Reads a request body.
pub(super) fn read<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    invocation.turns = Some(0);
    if let Json::Text(text) = body {
        return prompt(text, invocation);
    }
    limits(body, invocation);
    tools(body, invocation);
    invocation.guardrail.configured(body);
    system(body, invocation);
    for message in body.get("messages").map(Json::items).unwrap_or_default() {
        chat(message, invocation);
    }
    cohere(body, invocation);
    if let Some(input) = body.get("input").filter(|input| !matches!(input, Json::Object(..))) {
        responses::input(input, invocation);
    }
    prompts(body, invocation);
    embeddings(body, invocation);
    pictures(body, invocation);
    if invocation.is_silent() {
        unknown::body(body, invocation);
    }
    agents::calls_of_request(invocation);
}

fn limits(body: &Json, invocation: &mut Invocation) {
    const LIMITS: [&str; 9] = [
        "max_tokens",
        "maxTokens",
        "max_new_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens_to_sample",
        "maxTokenCount",
        "max_gen_len",
        "max_length",
    ];
    let places = [body.get("inferenceConfig"), body.get("textGenerationConfig"), Some(body)];
    for place in places.into_iter().flatten() {
        let limit = place.any(&LIMITS).and_then(Json::long);
        invocation.max_tokens = invocation.max_tokens.or(limit);
        let temperature = place.get("temperature").and_then(Json::double);
        invocation.temperature = invocation.temperature.or(temperature);
    }
}

fn tools<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    let lists = [body.at(&["toolConfig", "tools"]), body.get("tools"), body.get("functions")];
    for tool in lists.into_iter().flatten().flat_map(Json::items) {
        let inner = tool.any(&["toolSpec", "systemTool", "function"]).unwrap_or(tool);
        let name = inner.any(&["name", "server_label", "type"]).and_then(Json::text);
        invocation.tools.extend(name);
    }
}

fn system<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    for key in ["system", "preamble", "instructions", "system_prompt"] {
        if let Some(system) = body.get(key) {
            invocation.message(Role::System);
            blocks::content(system, invocation);
        }
    }
}

/// One message of `messages`, whichever API it was written for.
fn chat<'t>(message: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    let role = message.text_of("role").map_or(Role::User, Role::of);
    invocation.message(role);
    let id = message.text_of("tool_call_id");
    if role == Role::Tool && (id.is_some() || matches!(message.get("content"), Some(Json::Text(_)))) {
        return blocks::result(id, message.get("content"), invocation);
    }
    said(message, invocation);
}

/// What a message of a chat completion says, in a request or as the answer.
pub(super) fn said<'t>(message: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    if let Some(text) = message.any(&["reasoning_content", "reasoning"]).and_then(Json::text) {
        invocation.say(Kind::Reasoning, text);
    }
    match message {
        Json::Text(text) => invocation.say(Kind::Text, *text),
        _ => {
            if let Some(content) = message.get("content") {
                blocks::content(content, invocation);
            }
        }
    }
    if let Some(text) = message.text_of("refusal") {
        invocation.say(Kind::Text, text);
    }
    function_calls(message, invocation);
}

/// `tool_calls` of OpenAI, Mistral and Cohere, and the older `function_call`.
pub(super) fn function_calls<'t>(message: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    let calls = message.get("tool_calls").map(Json::items).unwrap_or_default();
    for call in calls.iter().chain(message.get("function_call")) {
        let function = call.get("function").unwrap_or(call);
        let arguments = function.any(&["arguments", "parameters"]);
        blocks::call(call.text_of("id"), function.text_of("name"), arguments, invocation);
    }
}

fn cohere<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    for turn in body.get("chat_history").map(Json::items).unwrap_or_default() {
        invocation.message(turn.text_of("role").map_or(Role::User, Role::of));
        if let Some(message) = turn.any(&["message", "content"]) {
            blocks::content(message, invocation);
        }
        function_calls(turn, invocation);
        tool_results(turn, invocation);
    }
    if let Some(message) = body.get("message") {
        invocation.message(Role::User);
        blocks::content(message, invocation);
    }
    if let Some(query) = body.get("query") {
        invocation.message(Role::User);
        blocks::content(query, invocation);
    }
    for document in body.get("documents").map(Json::items).unwrap_or_default() {
        match document {
            Json::Text(text) => invocation.say(Kind::Document, *text),
            _ => media::add(Kind::Document, document.get("data").unwrap_or(document), invocation),
        }
    }
    tool_results(body, invocation);
}

/// Cohere's results have no id: they repeat the call.
fn tool_results<'t>(turn: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    let results = turn.get("tool_results").map(Json::items).unwrap_or_default();
    if results.is_empty() {
        return;
    }
    invocation.message(Role::Tool);
    for result in results {
        let outputs = result.get("outputs").unwrap_or(result);
        if !invocation.calls.awaits_result()
            && let Some(call) = result.get("call")
        {
            blocks::call(None, call.text_of("name"), call.get("parameters"), invocation);
        }
        blocks::result(None, Some(outputs), invocation);
    }
}

/// A raw prompt, which may hold a whole conversation in the model's own template.
fn prompt<'t>(text: &'t str, invocation: &mut Invocation<'t>) {
    for (role, text) in template::split(text) {
        invocation.message(role);
        invocation.say(Kind::Text, text);
    }
}

fn prompts<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    for key in ["prompt", "inputText", "inputPrompt"] {
        match body.get(key) {
            Some(Json::Text(text)) => prompt(text, invocation),
            Some(other) => {
                invocation.message(Role::User);
                blocks::content(other, invocation);
            }
            None => {}
        }
    }
    if let Some(variables) = body.get("promptVariables") {
        invocation.message(Role::User);
        for (_, variable) in variables.fields() {
            blocks::content(variable, invocation);
        }
    }
    for image in body.get("images").map(Json::items).unwrap_or_default() {
        media::add(Kind::Image, image, invocation);
    }
}

/// Texts to embed: Cohere's `texts` and `inputs`, Nova's nested parameters.
fn embeddings<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    for texts in [body.get("texts"), body.get("inputs")].into_iter().flatten() {
        invocation.message(Role::User);
        for text in texts.items() {
            blocks::content(text.get("content").unwrap_or(text), invocation);
        }
    }
    for key in ["singleEmbeddingParams", "segmentedEmbeddingParams"] {
        let Some(params) = body.get(key) else { continue };
        invocation.message(Role::User);
        if let Some(text) = params.at(&["text", "value"]).and_then(Json::text) {
            invocation.say(Kind::Text, text);
        }
        for (key, kind) in media::KINDS {
            if let Some(value) = params.get(key) {
                media::add(kind, value, invocation);
            }
        }
    }
}

/// Texts and pictures of image and video generation: Stability, Titan, Nova.
fn pictures<'t>(body: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    const PARAMS: [&str; 9] = [
        "textToImageParams",
        "inPaintingParams",
        "outPaintingParams",
        "imageVariationParams",
        "colorGuidedGenerationParams",
        "backgroundRemovalParams",
        "virtualTryOnParams",
        "textToVideoParams",
        "multiShotAutomatedParams",
    ];
    if let Some(texts) = body.get("text_prompts") {
        invocation.message(Role::User);
        blocks::content(texts, invocation);
    }
    for params in PARAMS.iter().filter_map(|key| body.get(key)) {
        invocation.message(Role::User);
        if let Some(text) = params.text_of("text") {
            invocation.say(Kind::Text, text);
        }
        let images = params.get("images").map(Json::items).unwrap_or_default();
        for image in images.iter().chain(params.any(&["image", "sourceImage", "conditionImage"])) {
            media::add(Kind::Image, image, invocation);
        }
    }
    for image in ["inputImage", "image", "init_image"].iter().filter_map(|key| body.get(key)) {
        media::add(Kind::Image, image, invocation);
    }
}
