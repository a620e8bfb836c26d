//! One small record per body shape, and its normal form as a snapshot.

use serde_json::{Value, json};

use crate::row::{normal_form, record};

fn shape(name: &str, operation: &str, model: &str, input: Value, output: Value) {
    let row = normal_form(&record(operation, model, input, output));
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true, sort_maps => true }, {
        insta::assert_json_snapshot!(name, row);
    });
}

#[test]
fn converse() {
    shape(
        "converse",
        "Converse",
        "us.amazon.nova-lite-v1:0",
        json!({
            "system": [{ "text": "Be brief." }, { "cachePoint": { "type": "default" } }],
            "messages": [
                { "role": "user", "content": [
                    { "document": { "format": "pdf", "name": "plan", "source": { "s3Uri": "s3://logs/data/r_input_media_00.pdf" } } },
                    { "image": { "format": "png", "source": { "bytes": "AAAA" } } },
                    { "text": "Which pods are down?" },
                ] },
                { "role": "assistant", "content": [
                    { "reasoningContent": { "reasoningText": { "text": "I should look.", "signature": "x" } } },
                    { "toolUse": { "toolUseId": "t1", "name": "shell", "input": { "command": "kubectl get pods" } } },
                ] },
                { "role": "user", "content": [
                    { "toolResult": { "toolUseId": "t1", "status": "success", "content": [{ "text": "web-1 down" }, { "json": { "exit": 0 } }] } },
                ] },
            ],
            "inferenceConfig": { "maxTokens": 300, "temperature": 0.5 },
            "toolConfig": { "tools": [{ "toolSpec": { "name": "shell", "inputSchema": { "json": {} } } }, { "systemTool": { "name": "nova_grounding" } }] },
            "guardrailConfig": { "guardrailIdentifier": "gr1", "guardrailVersion": "2" },
        }),
        json!({
            "output": { "message": { "role": "assistant", "content": [
                { "reasoningContent": { "reasoningText": { "text": "One is down." } } },
                { "text": "Restarting web-1." },
                { "toolUse": { "toolUseId": "t2", "name": "shell", "input": { "command": "kubectl delete pod web-1" } } },
            ] } },
            "stopReason": "tool_use",
            "usage": { "inputTokens": 20, "outputTokens": 9, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 3 },
            "metrics": { "latencyMs": 812 },
        }),
    );
}

#[test]
fn converse_guarded_and_cited() {
    shape(
        "converse_guarded_and_cited",
        "ConverseStream",
        "amazon.nova-pro-v1:0",
        json!({ "messages": [{ "role": "user", "content": [
            { "guardContent": { "text": { "text": "Tell me a secret", "qualifiers": ["query"] } } },
            { "searchResult": { "source": "https://example.com/a", "title": "A page", "content": [{ "text": "page text" }] } },
            { "video": { "format": "mp4", "source": { "s3Location": { "uri": "s3://media/v.mp4" } } } },
            { "futureBlock": { "text": "new kind" } },
        ] }] }),
        json!({ "output": { "message": { "role": "assistant", "content": [
            { "citationsContent": { "content": [{ "text": "Cited " }, { "text": "words." }], "citations": [{ "title": "A page" }] } },
        ] } }, "stopReason": "endTurn" }),
    );
}

#[test]
fn nova_stream() {
    shape(
        "nova_stream",
        "InvokeModelWithResponseStream",
        "amazon.nova-micro-v1:0",
        json!({
            "schemaVersion": "messages-v1",
            "system": [{ "text": "s" }],
            "messages": [{ "role": "user", "content": [{ "text": "time?" }] }],
            "inferenceConfig": { "max_new_tokens": 50, "temperature": 0 },
        }),
        json!([
            { "messageStart": { "role": "assistant" } },
            { "contentBlockDelta": { "delta": { "reasoningContent": { "reasoningText": { "text": "hm" } } }, "contentBlockIndex": 0 } },
            { "contentBlockDelta": { "delta": { "text": "Let me " }, "contentBlockIndex": 1 } },
            { "contentBlockDelta": { "delta": { "text": "look." }, "contentBlockIndex": 1 } },
            { "contentBlockStart": { "start": { "toolUse": { "toolUseId": "c1", "name": "clock" } }, "contentBlockIndex": 2 } },
            { "contentBlockDelta": { "delta": { "toolUse": { "input": "{\"zone\":" } }, "contentBlockIndex": 2 } },
            { "contentBlockDelta": { "delta": { "toolUse": { "input": "\"UTC\"}" } }, "contentBlockIndex": 2 } },
            { "contentBlockStop": { "contentBlockIndex": 2 } },
            { "messageStop": { "stopReason": "tool_use" } },
            { "metadata": { "usage": { "inputTokens": 4, "outputTokens": 6, "cacheReadInputTokenCount": 0 }, "metrics": {}, "trace": {} },
              "amazon-bedrock-invocationMetrics": { "inputTokenCount": 4, "outputTokenCount": 6, "invocationLatency": 400 } },
        ]),
    );
}

#[test]
fn anthropic_messages() {
    shape(
        "anthropic_messages",
        "InvokeModel",
        "anthropic.claude-3-5-sonnet-20240620-v1:0",
        json!({
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 1024,
            "temperature": 1,
            "system": [{ "type": "text", "text": "You are a clerk.", "cache_control": { "type": "ephemeral" } }],
            "tools": [{ "name": "read", "input_schema": {} }, { "type": "web_search_20250305", "name": "web_search" }],
            "messages": [
                { "role": "user", "content": "Read the file." },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "easy", "signature": "x" },
                    { "type": "text", "text": "Reading." },
                    { "type": "tool_use", "id": "toolu_1", "name": "read", "input": { "path": "/etc/hosts" } },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": "127.0.0.1" }, { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } }] },
                    { "type": "document", "title": "note", "source": { "type": "text", "media_type": "text/plain", "data": "planted words" } },
                    { "type": "image", "source": { "type": "url", "url": "https://example.com/i.png" } },
                    { "type": "text", "text": "And now?" },
                ] },
            ],
        }),
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
            "content": [{ "type": "redacted_thinking", "data": "zz" }, { "type": "text", "text": "Done." }],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": { "input_tokens": 11, "output_tokens": 3, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7 },
        }),
    );
}

#[test]
fn anthropic_stream() {
    shape(
        "anthropic_stream",
        "InvokeModelWithResponseStream",
        "anthropic.claude-3-haiku-20240307-v1:0",
        json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Weather?" }] }], "max_tokens": 10 }),
        json!([
            { "type": "message_start", "message": { "role": "assistant", "content": [], "usage": { "input_tokens": 8, "output_tokens": 1 } } },
            { "type": "content_block_start", "index": 0, "content_block": { "type": "thinking", "thinking": "" } },
            { "type": "content_block_delta", "index": 0, "delta": { "type": "thinking_delta", "thinking": "Think." } },
            { "type": "content_block_start", "index": 1, "content_block": { "type": "text", "text": "" } },
            { "type": "content_block_delta", "index": 1, "delta": { "type": "text_delta", "text": "Looking" } },
            { "type": "content_block_delta", "index": 1, "delta": { "type": "text_delta", "text": " up." } },
            { "type": "content_block_start", "index": 2, "content_block": { "type": "tool_use", "id": "toolu_9", "name": "weather", "input": {} } },
            { "type": "content_block_delta", "index": 2, "delta": { "type": "input_json_delta", "partial_json": "{\"city\": " } },
            { "type": "content_block_delta", "index": 2, "delta": { "type": "input_json_delta", "partial_json": "\"Oslo\"}" } },
            { "type": "content_block_start", "index": 3, "content_block": { "type": "tool_use", "id": "toolu_10", "name": "clock", "input": {} } },
            { "type": "content_block_stop", "index": 3 },
            { "type": "message_delta", "delta": { "stop_reason": "tool_use" }, "usage": { "output_tokens": 12 } },
            { "type": "message_stop", "amazon-bedrock-invocationMetrics": { "inputTokenCount": 8, "outputTokenCount": 12, "invocationLatency": 900, "firstByteLatency": 300 } },
            "[DONE]",
        ]),
    );
}

#[test]
fn anthropic_legacy() {
    shape(
        "anthropic_legacy",
        "InvokeModel",
        "anthropic.claude-v2:1",
        json!({ "prompt": "Rules first.\n\nHuman: Hello\n\nAssistant: Hi.\n\nHuman: Who are you?\n\nAssistant:", "max_tokens_to_sample": -1, "temperature": 0.1 }),
        json!({ "completion": " A model.", "stop_reason": "stop_sequence", "stop": "\n\nHuman:" }),
    );
    shape(
        "anthropic_legacy_stream",
        "InvokeModelWithResponseStream",
        "anthropic.claude-v2:1",
        json!({ "prompt": "\n\nHuman: Go\n\nAssistant:" }),
        json!([{ "completion": " One", "stop_reason": null }, { "completion": " two", "stop_reason": "max_tokens" }]),
    );
}

#[test]
fn agent_protocol_in_xml() {
    shape(
        "agent_protocol_in_xml",
        "InvokeModel",
        "anthropic.claude-v2:1",
        json!({ "prompt": concat!(
            "Use tools.\n\nHuman: Refund order 7, as in <function_calls><invoke name=\"fake\">\n\nAssistant: ",
            "<function_calls>\n<invoke>\n<tool_name>orders::get</tool_name>\n<parameters>\n<id>7</id>\n<full>yes</full>\n</parameters>\n</invoke>\n</function_calls>",
            "\n\nHuman: <function_results><result><tool_name>orders::get</tool_name><stdout>paid</stdout></result></function_results>\n\nAssistant:",
        ) }),
        json!({ "completion": "Now <function_calls><invoke name=\"orders::refund\"><parameter name=\"id\">7</parameter>", "stop_reason": "stop_sequence" }),
    );
}

#[test]
fn titan() {
    shape(
        "titan_text",
        "InvokeModel",
        "amazon.titan-text-express-v1",
        json!({ "inputText": "User: Hello\nBot: Hi\nUser: Bye\nBot:", "textGenerationConfig": { "maxTokenCount": 200, "temperature": 0.2 } }),
        json!({ "inputTextTokenCount": 9, "results": [{ "tokenCount": 3, "outputText": "Good bye", "completionReason": "FINISHED" }] }),
    );
    shape(
        "titan_stream",
        "InvokeModelWithResponseStream",
        "amazon.titan-text-express-v1",
        json!({ "inputText": "Say hi" }),
        json!([
            { "outputText": "H", "index": 0, "totalOutputTextTokenCount": null, "completionReason": null, "inputTextTokenCount": 2 },
            { "outputText": "i", "index": 0, "totalOutputTextTokenCount": 2, "completionReason": "LENGTH", "inputTextTokenCount": null },
        ]),
    );
    shape(
        "titan_embedding",
        "InvokeModel",
        "amazon.titan-embed-text-v2:0",
        json!({ "inputText": "a phrase", "dimensions": 256 }),
        json!({ "embedding": [0.1, -0.2], "inputTextTokenCount": 2 }),
    );
    shape(
        "titan_image",
        "InvokeModel",
        "amazon.titan-image-generator-v2:0",
        json!({ "taskType": "IMAGE_VARIATION", "imageVariationParams": { "text": "a red door", "images": ["AAAA"] } }),
        json!({ "images": ["BBBB"], "error": null }),
    );
}

#[test]
fn llama() {
    shape(
        "llama",
        "InvokeModel",
        "meta.llama3-8b-instruct-v1:0",
        json!({
            "prompt": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nCapital of Peru?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            "max_gen_len": 64, "temperature": 0.1,
        }),
        json!({ "generation": "Lima.", "prompt_token_count": 15, "generation_token_count": 3, "stop_reason": "length" }),
    );
    shape(
        "llama_stream",
        "InvokeModelWithResponseStream",
        "meta.llama3-2-11b-instruct-v1:0",
        json!({ "prompt": "plain question", "images": ["AAAA"] }),
        json!([
            { "generation": "An", "prompt_token_count": 5, "generation_token_count": 1, "stop_reason": null },
            { "generation": " answer", "prompt_token_count": null, "generation_token_count": 2, "stop_reason": "stop" },
        ]),
    );
}

#[test]
fn mistral() {
    shape(
        "mistral_text",
        "InvokeModel",
        "mistral.mixtral-8x7b-instruct-v0:1",
        json!({ "prompt": "<s>[INST] <<SYS>>\nShort.\n<</SYS>>\n\nFirst [/INST] ok</s>[INST] Second [/INST]", "max_tokens": 32 }),
        json!({ "outputs": [{ "text": " Fine.", "stop_reason": "stop" }] }),
    );
    shape(
        "mistral_chat",
        "InvokeModel",
        "mistral.mistral-large-2402-v1:0",
        json!({
            "messages": [
                { "role": "system", "content": "Help." },
                { "role": "user", "content": "Status of T1?" },
                { "role": "assistant", "content": "", "tool_calls": [{ "id": "abc", "function": { "name": "status", "arguments": "{\"id\": \"T1\"}" } }] },
                { "role": "tool", "tool_call_id": "abc", "content": "{\"status\": \"paid\"}" },
            ],
            "tools": [{ "type": "function", "function": { "name": "status", "parameters": {} } }],
            "tool_choice": "auto",
        }),
        json!({ "choices": [{ "index": 0, "message": { "role": "assistant", "content": "Paid.", "tool_calls": null }, "stop_reason": "stop" }] }),
    );
    shape(
        "mistral_chat_stream",
        "InvokeModelWithResponseStream",
        "mistral.mistral-large-2402-v1:0",
        json!({ "messages": [{ "role": "user", "content": "hi" }] }),
        json!([
            { "choices": [{ "index": 0, "message": { "role": "assistant", "content": "He" }, "stop_reason": null }] },
            { "choices": [{ "index": 0, "message": { "role": "assistant", "content": "llo" }, "stop_reason": "length" }] },
        ]),
    );
}

#[test]
fn cohere() {
    shape(
        "cohere_command_r",
        "InvokeModel",
        "cohere.command-r-plus-v1:0",
        json!({
            "preamble": "Answer from documents.",
            "chat_history": [{ "role": "USER", "message": "Hi" }, { "role": "CHATBOT", "message": "Hello" }],
            "message": "Tallest penguin?",
            "documents": [{ "title": "Penguins", "snippet": "Emperors are tallest." }],
            "tools": [{ "name": "lookup" }],
            "tool_results": [{ "call": { "name": "lookup", "parameters": { "q": "penguin" } }, "outputs": [{ "height": "120 cm" }] }],
            "max_tokens": 100,
        }),
        json!({
            "text": "Emperor penguins.", "finish_reason": "COMPLETE", "generation_id": "g",
            "tool_calls": [{ "name": "lookup", "parameters": { "q": "emperor" } }],
            "meta": { "billed_units": { "input_tokens": 12, "output_tokens": 4 } },
        }),
    );
    shape(
        "cohere_stream",
        "InvokeModelWithResponseStream",
        "cohere.command-r-v1:0",
        json!({ "message": "Go" }),
        json!([
            { "event_type": "text-generation", "text": "All ", "is_finished": false },
            { "event_type": "text-generation", "text": "right", "is_finished": false },
            { "event_type": "stream-end", "is_finished": true, "finish_reason": "COMPLETE", "response": { "text": "All right", "meta": { "billed_units": { "input_tokens": 1, "output_tokens": 2 } } } },
        ]),
    );
    shape(
        "cohere_legacy",
        "InvokeModel",
        "cohere.command-text-v14",
        json!({ "prompt": "Once", "max_tokens": 5 }),
        json!({ "prompt": "Once", "generations": [{ "id": "g", "text": " upon a time", "finish_reason": "MAX_TOKENS" }] }),
    );
    shape(
        "cohere_embedding",
        "InvokeModel",
        "cohere.embed-english-v3",
        json!({ "texts": ["one", "two"], "input_type": "search_document" }),
        json!({ "embeddings": [[0.1], [0.2]], "response_type": "embeddings_floats", "texts": ["one", "two"] }),
    );
}

#[test]
fn chat_completions() {
    shape(
        "chat_gpt_oss",
        "InvokeModel",
        "openai.gpt-oss-120b-1:0",
        json!({
            "messages": [
                { "role": "developer", "content": "Plain words." },
                { "role": "user", "content": [{ "type": "text", "text": "Describe" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } }] },
            ],
            "max_completion_tokens": 150,
        }),
        json!({
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "<reasoning>They want a description.</reasoning>A door." } }],
            "usage": { "prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42, "prompt_tokens_details": { "cached_tokens": 10 } },
        }),
    );
    shape(
        "chat_stream",
        "InvokeModelWithResponseStream",
        "qwen.qwen3-32b-v1:0",
        json!({ "messages": [{ "role": "user", "content": "Weather in Bonn?" }], "tools": [{ "type": "function", "function": { "name": "weather" } }] }),
        json!([
            { "choices": [{ "index": 0, "delta": { "role": "assistant", "reasoning_content": "Need " } }] },
            { "choices": [{ "index": 0, "delta": { "reasoning_content": "a tool." } }] },
            { "choices": [{ "index": 0, "delta": { "content": "One moment." } }] },
            { "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "id": "call_1", "function": { "name": "weather", "arguments": "" } }] } }] },
            { "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "function": { "arguments": "{\"city\":" } }] } }] },
            { "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "function": { "arguments": "\"Bonn\"}" } }] } }] },
            { "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] },
            { "choices": [], "usage": { "prompt_tokens": 9, "completion_tokens": 21 } },
            "[DONE]",
        ]),
    );
    shape(
        "deepseek_r1",
        "InvokeModel",
        "us.deepseek.r1-v1:0",
        json!({ "prompt": "<｜begin▁of▁sentence｜><｜User｜>2+2?<｜Assistant｜><think>\n", "max_tokens": 512 }),
        json!({ "choices": [{ "text": "It is simple.\n</think>\n\n4", "stop_reason": "stop" }] }),
    );
    shape(
        "jurassic",
        "InvokeModel",
        "ai21.j2-ultra-v1",
        json!({ "prompt": "Write", "maxTokens": 20 }),
        json!({ "id": 1, "prompt": { "text": "Write" }, "completions": [{ "data": { "text": " a line" }, "finishReason": { "reason": "endoftext" } }] }),
    );
}

#[test]
fn responses_api() {
    let output = json!([
        { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "Check first." }] },
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "It is open." }] },
        { "type": "function_call", "call_id": "c2", "name": "close", "arguments": "{\"port\":22}" },
    ]);
    let input = json!({
        "instructions": "Guard the door.",
        "input": [
            { "role": "user", "content": [{ "type": "input_text", "text": "Is 22 open?" }, { "type": "input_file", "filename": "scan.txt", "file_id": "file-1" }] },
            { "type": "function_call", "call_id": "c1", "name": "scan", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c1", "output": "22/tcp open" },
        ],
        "tools": [{ "type": "function", "name": "scan" }, { "type": "mcp", "server_label": "fw" }, { "type": "web_search" }],
        "max_output_tokens": 77,
    });
    let response = json!({ "status": "completed", "output": output, "usage": { "input_tokens": 40, "output_tokens": 8, "input_tokens_details": { "cached_tokens": 30 } } });
    shape("responses", "InvokeModel", "openai.gpt-oss-20b-1:0", input, response.clone());
    shape(
        "responses_stream",
        "InvokeModelWithResponseStream",
        "openai.gpt-oss-20b-1:0",
        json!({ "input": "Is 22 open?" }),
        json!([
            { "type": "response.output_text.delta", "output_index": 1, "delta": "It is" },
            { "type": "response.output_text.delta", "output_index": 1, "delta": " open." },
            { "type": "response.completed", "response": response },
        ]),
    );
}

#[test]
fn pictures_and_unknown_shapes() {
    shape(
        "stability",
        "InvokeModel",
        "stability.stable-diffusion-xl-v1",
        json!({ "text_prompts": [{ "text": "a castle", "weight": 1 }, { "text": "fog", "weight": -1 }], "cfg_scale": 10 }),
        json!({ "result": "success", "artifacts": [{ "seed": 1, "base64": "AAAA", "finishReason": "CONTENT_FILTERED" }] }),
    );
    shape(
        "unknown_shape",
        "InvokeModel",
        "arn:aws:bedrock:us-east-1:111122223333:imported-model/x1",
        json!({ "conversation": { "items": [{ "who": "me", "text": "first" }, { "who": "me", "text": "second" }] }, "seed": 3, "mode": "fast" }),
        json!({ "reply": { "generated_text": "third", "logprobs": [1, 2] }, "engine": "x" }),
    );
    shape("plain_text", "InvokeModel", "m", json!("just words"), json!("just as plain"));
    shape(
        "rerank",
        "InvokeModel",
        "cohere.rerank-v3-5:0",
        json!({ "query": "best door", "documents": ["red door", "blue door"], "top_n": 1 }),
        json!({ "results": [{ "index": 0, "relevance_score": 0.9 }] }),
    );
}

#[test]
fn guardrail_in_converse() {
    shape(
        "guardrail_converse",
        "Converse",
        "m",
        json!({ "messages": [{ "role": "user", "content": [{ "text": "bad words" }] }], "guardrailConfig": { "guardrailIdentifier": "asked", "guardrailVersion": "DRAFT" } }),
        json!({
            "output": { "message": { "role": "assistant", "content": [{ "text": "Blocked." }] } },
            "stopReason": "guardrail_intervened",
            "trace": { "guardrail": {
                "inputAssessment": { "gr1abc": {
                    "topicPolicy": { "topics": [{ "name": "Weapons", "type": "DENY", "action": "BLOCKED", "detected": true }] },
                    "contentPolicy": { "filters": [
                        { "type": "PROMPT_ATTACK", "confidence": "HIGH", "filterStrength": "HIGH", "action": "NONE", "detected": true },
                        { "type": "HATE", "confidence": "NONE", "action": "NONE", "detected": false },
                    ] },
                    "wordPolicy": { "customWords": [{ "match": "secret-word", "action": "BLOCKED" }], "managedWordLists": [{ "match": "damn", "type": "PROFANITY", "action": "BLOCKED" }] },
                    "invocationMetrics": { "guardrailProcessingLatency": 300 },
                    "appliedGuardrailDetails": { "guardrailId": "gr1abc", "guardrailVersion": "3" },
                } },
                "outputAssessments": { "gr1abc": [{
                    "sensitiveInformationPolicy": {
                        "piiEntities": [{ "match": "ana@example.com", "type": "EMAIL", "action": "ANONYMIZED" }],
                        "regexes": [{ "name": "badge", "match": "B-77", "regex": "B-\\d+", "action": "BLOCKED" }],
                    },
                    "contextualGroundingPolicy": { "filters": [
                        { "type": "GROUNDING", "threshold": 0.7, "score": 0.2, "action": "NONE" },
                        { "type": "RELEVANCE", "threshold": 0.5, "score": 0.9, "action": "NONE" },
                    ] },
                    "automatedReasoningPolicy": { "findings": [{ "valid": {} }, { "impossible": {} }] },
                }] },
            } },
        }),
    );
}

#[test]
fn guardrail_in_invoke_model() {
    let words = json!({ "wordPolicy": { "customWords": [{ "match": "x", "action": "NONE", "detected": true }] } });
    shape(
        "guardrail_invoke",
        "InvokeModel",
        "m",
        json!({ "prompt": "hello", "amazon-bedrock-guardrailConfig": { "tagSuffix": "t" } }),
        json!({
            "generation": "hi",
            "amazon-bedrock-guardrailAction": "NONE",
            "amazon-bedrock-trace": { "guardrail": { "input": { "gr2": words }, "outputs": [{ "gr2": { "contentPolicy": { "filters": [{ "type": "VIOLENCE", "confidence": "LOW", "action": "NONE" }] } } }] } },
        }),
    );
    shape(
        "guardrail_stream",
        "InvokeModelWithResponseStream",
        "anthropic.claude-3-sonnet-20240229-v1:0",
        json!({ "messages": [{ "role": "user", "content": "how to" }] }),
        json!([
            { "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "Sorry." }, "amazon-bedrock-guardrailAction": "INTERVENED" },
            { "type": "message_delta", "delta": { "stop_reason": "end_turn", "amazon-bedrock-trace": { "guardrail": { "input": { "gr3": { "topicPolicy": { "topics": [{ "name": "T", "action": "BLOCKED" }] } } } } } }, "usage": { "output_tokens": 0 } },
            "[DONE]",
        ]),
    );
    shape(
        "guardrail_older_array",
        "Converse",
        "m",
        json!({ "messages": [] }),
        json!({
            "stopReason": "end_turn",
            "trace": { "guardrail": { "outputAssessments": [{ "gr4": { "contentPolicy": { "filters": [{ "type": "INSULTS", "confidence": "MEDIUM", "action": "BLOCKED" }] } } }] } },
        }),
    );
}
