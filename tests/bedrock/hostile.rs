//! Records that lie about types, hide text behind odd JSON, or try to exhaust the decoder.

use proptest::prelude::*;
use serde_json::{Value, json};
use trailhound::logs::NoBodies;

use crate::row::{decode_with, record, row, shown};

fn decoded(record: &str) -> Value {
    shown(&decode_with(record, &NoBodies).expect("a row"))
}

#[test]
fn a_record_needs_a_timestamp_and_a_name() {
    for (record, reason) in [
        ("[]", "not a JSON object"),
        ("", "not JSON"),
        (r#"{"timestamp":"2026-10-01T00:00:00Z","requestId":"r""#, "not JSON"),
        (r#"{"requestId":"r"}"#, "no timestamp"),
        (r#"{"requestId":"r","timestamp":"yesterday"}"#, "cannot be read"),
        (r#"{"requestId":"r","timestamp":{"$date":1}}"#, "cannot be read"),
        (r#"{"timestamp":"2026-10-01T00:00:00Z"}"#, "neither requestId nor modelId"),
        (r#"{"timestamp":"2026-10-01T00:00:00Z","requestId":7,"modelId":""}"#, "neither requestId nor modelId"),
    ] {
        let refused = decode_with(record, &NoBodies).map(|batch| shown(&batch)).unwrap_err();
        assert!(refused.contains(reason), "{record}: {refused}");
    }
    for record in [
        r#"{"timestamp":"2026-10-01T00:00:00Z","modelId":"m"}"#,
        r#"{"timestamp":1790812800,"requestId":"r"}"#,
        r#"{"timestamp":1790812800000,"requestId":"r"}"#,
    ] {
        assert_eq!(decoded(record)["time"], 1_790_812_800_000_000_i64, "{record}");
    }
}

#[test]
fn values_of_wrong_types_go_to_extra() {
    let row = decoded(
        r#"{"timestamp":"2026-10-01T00:00:00Z","requestId":"r","modelId":["m"],"region":5,"operation":null,
            "accountId":111122223333,"identity":{"arn":{"x":1},"name":"ana"},"schemaType":"Other","requestMetadata":"none",
            "input":{"inputTokenCount":"many","inputBodyJson":7,"inputBodyS3Path":false},"output":"gone","errorCode":""}"#,
    );
    assert_eq!(row["accountid"], "111122223333");
    assert_eq!(row["bodies"], "none");
    assert!(row.get("errorcode").is_none());
    let extra: Value = serde_json::from_str(row["extra"].as_str().unwrap()).unwrap();
    assert_eq!(
        extra,
        json!({
            "modelId": ["m"], "region": 5, "identity.arn": { "x": 1 }, "identity.name": "ana", "schemaType": "Other",
            "requestMetadata": "none", "input.inputTokenCount": "many", "input.inputBodyJson": 7,
            "input.inputBodyS3Path": false, "output": "gone",
        })
    );
}

#[test]
fn odd_text_and_numbers_do_not_hide_the_prompt() {
    let row = decoded(
        r#"{"timestamp":"2026-10-01T00:00:00Z","requestId":"r","requestId":"second","input":{"inputBodyJson":{
            "temperature":1e999,"max_tokens":99999999999999999999999999,"top_k":-,"seed":-1,
            "messages":[{"role":"user","content":"a\ud800b\udc00c\ud83d\ude00d\u0000e"}]}}}"#,
    );
    assert_eq!(row["requestid"], "r");
    assert_eq!(row["prompt"], "a\u{fffd}b\u{fffd}c\u{1f600}d\0e");
    assert!(row.get("temperature").is_none());
    assert!(row.get("maxtokens").is_none());
}

#[test]
fn deep_nesting_costs_only_what_is_deep() {
    let deep = "[{\"a\":".repeat(50_000) + "1" + &"}]".repeat(50_000);
    for body in [
        format!(r#"{{"junk":{deep},"messages":[{{"role":"user","content":"still here"}}]}}"#),
        format!(r#"{{"messages":[{{"role":"user","content":"still here"}},{{"role":"user","content":{deep}}}]}}"#),
    ] {
        let row = decoded(&format!(
            r#"{{"timestamp":"2026-10-01T00:00:00Z","requestId":"r","odd":{deep},"input":{{"inputBodyJson":{body}}}}}"#
        ));
        assert_eq!(row["prompt"], "still here");
        let extra: Value = serde_json::from_str(row["extra"].as_str().unwrap()).unwrap();
        assert!(extra["input.inputBodyJson"].as_str().unwrap().contains("skipped"), "{extra}");
        assert!(extra["odd"].as_str().unwrap().contains("skipped"), "{extra}");
    }
    let unclosed = format!(r#"{{"timestamp":"2026-10-01T00:00:00Z","requestId":"r","odd":{}"#, "[".repeat(100_000));
    assert!(decode_with(&unclosed, &NoBodies).is_err());
}

#[test]
fn endless_lists_are_cut_and_said() {
    let zeros = "0,".repeat(1_500_000) + "0";
    let row = decoded(&format!(
        r#"{{"timestamp":"2026-10-01T00:00:00Z","requestId":"r","input":{{"inputBodyJson":{{"prompt":"hi","junk":[{zeros}]}}}}}}"#
    ));
    assert_eq!(row["prompt"], "hi");
    assert!(row["extra"].as_str().unwrap().contains("skipped"));
}

#[test]
fn many_blocks_and_calls_take_linear_time() {
    let events: Vec<Value> = (0..30_000)
        .map(|index| json!({ "contentBlockDelta": { "contentBlockIndex": index, "delta": { "toolUse": { "input": "{}" } } } }))
        .collect();
    let results: Vec<Value> = (0..30_000)
        .flat_map(|index| {
            let id = format!("t{index}");
            [
                json!({ "role": "assistant", "content": [{ "toolUse": { "toolUseId": id, "name": "f", "input": {} } }] }),
                json!({ "role": "user", "content": [{ "toolResult": { "toolUseId": id, "content": [{ "text": "x" }] } }] }),
            ]
        })
        .collect();
    let row = row(&record("ConverseStream", "m", json!({ "messages": results }), json!(events)));
    let calls = row["toolcalls"].as_array().unwrap();
    assert_eq!(calls.len(), 60_000);
    assert_eq!(calls[29_999]["result"], "x");
    assert_eq!(row["turns"], 60_000);
}

/// Keys that decoders look for, so that generated bodies go beyond the first lookup.
const KEYS: [&str; 40] = [
    "messages",
    "role",
    "content",
    "type",
    "text",
    "toolUse",
    "toolResult",
    "toolUseId",
    "name",
    "input",
    "system",
    "prompt",
    "output",
    "message",
    "choices",
    "delta",
    "tool_calls",
    "function",
    "arguments",
    "trace",
    "guardrail",
    "inputAssessment",
    "contentPolicy",
    "filters",
    "usage",
    "inputTokens",
    "amazon-bedrock-trace",
    "outputs",
    "results",
    "index",
    "source",
    "image",
    "document",
    "reasoningContent",
    "contentBlockDelta",
    "content_block",
    "stopReason",
    "tools",
    "inputText",
    "x",
];
const WORDS: [&str; 12] = [
    "user",
    "assistant",
    "tool",
    "content_block_delta",
    "message",
    "tool_use",
    "tool_result",
    "[DONE]",
    "\n\nHuman: a\n\nAssistant: b",
    "<function_calls><invoke><tool_name>f</tool_name><parameters><a>1</a>",
    "{\"text\":\"x\"}",
    "[INST] a [/INST]",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 80, 6, |inner| {
        let key = prop_oneof![4 => prop::sample::select(&KEYS[..]).prop_map(str::to_owned), 1 => ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bodies_give_one_row_and_the_same_again(input in any_json(), output in any_json()) {
        let record = record("InvokeModel", "m", input, output).to_string();
        let (first, again) = (decode_with(&record, &NoBodies).unwrap(), decode_with(&record, &NoBodies).unwrap());
        prop_assert_eq!(first.ids, again.ids);
        prop_assert_eq!(first.rows, again.rows);
    }

    #[test]
    fn any_fields_give_a_row_or_a_reason(fields in any_json(), cut in 0usize..300) {
        let mut record = record("InvokeModel", "m", json!(null), json!(null));
        for (key, value) in fields.as_object().into_iter().flatten() {
            record[key] = value.clone();
        }
        record["input"] = fields;
        let text = record.to_string();
        prop_assert!(decode_with(&text, &NoBodies).is_ok());
        let cut: String = text.chars().take(cut).collect();
        prop_assert!(decode_with(&cut, &NoBodies).is_err());
    }

    #[test]
    fn strings_are_read_as_json_reads_them(text in any::<String>(), pad in 0usize..60, times in 1usize..4) {
        let text = format!("{}{text}", "x".repeat(pad)).repeat(times);
        let record = record("InvokeModel", "m", json!({ "messages": [{ "role": "user", "content": text }] }), json!(null));
        let expected = if text.is_empty() { None } else { Some(Value::from(text)) };
        let row = row(&record);
        prop_assert_eq!(row.get("prompt"), expected.as_ref());
    }
}
