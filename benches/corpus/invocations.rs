//! Made logs of model invocations with large bodies: conversations, pasted documents, tools, streams.

use std::fmt::Write;

use super::Dice;

/// Records of one object.
const PER_OBJECT: u64 = 100;

const WORDS: [&str; 48] = [
    "the",
    "model",
    "of",
    "account",
    "and",
    "review",
    "to",
    "contract",
    "a",
    "customer",
    "in",
    "delivery",
    "is",
    "invoice",
    "that",
    "quarter",
    "for",
    "forecast",
    "it",
    "section",
    "with",
    "liability",
    "as",
    "Überweisung",
    "was",
    "temperature",
    "on",
    "pipeline",
    "be",
    "summary",
    "at",
    "retention",
    "by",
    "encryption",
    "this",
    "evidence",
    "had",
    "latency",
    "not",
    "throughput",
    "are",
    "obligation",
    "but",
    "naïve",
    "from",
    "counterparty",
    "or",
    "measurement",
];

/// Object number `object`: one record per line, bodies of 8 to 64 KiB.
pub fn made_object(object: u64) -> String {
    let mut dice = Dice::of(object);
    let mut text = String::new();
    for number in 0..PER_OBJECT {
        let (operation, input, output) = match number % 5 {
            0 => ("Converse", converse_request(&mut dice), converse_answer(&mut dice)),
            1 => ("ConverseStream", converse_request(&mut dice), converse_answer(&mut dice)),
            2 => ("InvokeModel", claude_request(&mut dice), claude_answer(&mut dice)),
            3 => ("InvokeModel", llama_request(&mut dice), llama_answer(&mut dice)),
            _ => ("InvokeModelWithResponseStream", claude_request(&mut dice), claude_stream(&mut dice)),
        };
        let (minute, second, run, request) = (dice.roll() % 60, dice.roll() % 60, dice.roll() % 500, dice.id());
        let _ = writeln!(
            text,
            r#"{{"timestamp":"2026-10-01T12:{minute:02}:{second:02}Z","accountId":"111122223333","identity":{{"arn":"arn:aws:sts::111122223333:assumed-role/pipeline/run-{run}"}},"region":"us-east-1","requestId":"{request}","operation":"{operation}","modelId":"anthropic.claude-3-5-sonnet-20240620-v1:0","input":{{"inputContentType":"application/json","inputBodyJson":{input},"inputTokenCount":8000,"cacheReadInputTokenCount":0,"cacheWriteInputTokenCount":0}},"output":{{"outputContentType":"application/json","outputBodyJson":{output},"outputTokenCount":400}},"schemaType":"ModelInvocationLog","schemaVersion":"1.0"}}"#
        );
    }
    text
}

/// About `length` bytes of prose as it stands in JSON: line ends and quotes are escaped.
fn prose(dice: &mut Dice, length: u64) -> String {
    let mut text = String::new();
    let mut line = 0;
    while (text.len() as u64) < length {
        text.push_str(dice.pick(&WORDS));
        line += 1;
        text.push_str(match line % 14 {
            0 if dice.roll().is_multiple_of(4) => ".\\n\\n",
            0 => ",\\n",
            5 if dice.roll().is_multiple_of(8) => " \\\"so to say\\\" ",
            _ => " ",
        });
    }
    text
}

fn converse_request(dice: &mut Dice) -> String {
    let document = 8_000 + dice.roll() % 56_000;
    format!(
        r#"{{"system":[{{"text":"{}"}}],"messages":[{{"role":"user","content":[{{"text":"{}"}}]}},{{"role":"assistant","content":[{{"toolUse":{{"toolUseId":"tooluse_{}","name":"lookup","input":{{"customer":"{}"}}}}}}]}},{{"role":"user","content":[{{"toolResult":{{"toolUseId":"tooluse_1","content":[{{"text":"{}"}}],"status":"success"}}}},{{"text":"{}"}}]}}],"inferenceConfig":{{"maxTokens":4096,"temperature":0.2}},"toolConfig":{{"tools":[{{"toolSpec":{{"name":"lookup","description":"{}","inputSchema":{{"json":{{"type":"object","properties":{{"customer":{{"type":"string"}}}}}}}}}}}}]}}}}"#,
        prose(dice, 2_000),
        prose(dice, 300),
        dice.roll() % 1_000,
        dice.id(),
        prose(dice, document),
        prose(dice, 400),
        prose(dice, 200),
    )
}

fn converse_answer(dice: &mut Dice) -> String {
    let text = prose(dice, 1_600);
    format!(
        r#"{{"output":{{"message":{{"role":"assistant","content":[{{"text":"{text}"}}]}}}},"stopReason":"end_turn","metrics":{{"latencyMs":2100}},"usage":{{"inputTokens":8000,"outputTokens":400,"totalTokens":8400}}}}"#
    )
}

fn claude_request(dice: &mut Dice) -> String {
    let document = 8_000 + dice.roll() % 56_000;
    format!(
        r#"{{"anthropic_version":"bedrock-2023-05-31","max_tokens":4096,"system":"{}","messages":[{{"role":"user","content":[{{"type":"text","text":"{}"}}]}}]}}"#,
        prose(dice, 2_000),
        prose(dice, document),
    )
}

fn claude_answer(dice: &mut Dice) -> String {
    let text = prose(dice, 1_600);
    format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":8000,"output_tokens":400}}}}"#
    )
}

fn claude_stream(dice: &mut Dice) -> String {
    let mut events = String::from(
        r#"[{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"usage":{"input_tokens":8000,"output_tokens":1}}},{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    );
    for _ in 0..80 {
        let text = prose(dice, 12);
        let _ = write!(
            events,
            r#",{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#
        );
    }
    events.push_str(
        r#",{"type":"content_block_stop","index":0},{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":400}},{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":8000,"outputTokenCount":400,"invocationLatency":2100,"firstByteLatency":300}}]"#,
    );
    events
}

fn llama_request(dice: &mut Dice) -> String {
    let document = 8_000 + dice.roll() % 56_000;
    format!(
        r#"{{"prompt":"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n","max_gen_len":512,"temperature":0.2}}"#,
        prose(dice, document),
    )
}

fn llama_answer(dice: &mut Dice) -> String {
    let text = prose(dice, 1_600);
    format!(r#"{{"generation":"{text}","prompt_token_count":8000,"generation_token_count":400,"stop_reason":"stop"}}"#)
}
