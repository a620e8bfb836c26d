//! Bodies in objects of their own, bodies that exports rewrote, and records without bodies.

use serde_json::{Value, json};
use trailhound::logs::Bodies;

use crate::row::{decode_with, record, row, shown};

/// Bodies by URI.
struct Stored(Vec<(&'static str, Vec<u8>)>);

impl Bodies for Stored {
    fn body(&self, uri: &str) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(known, _)| *known == uri);
        found.map(|(_, body)| body.clone()).ok_or_else(|| format!("{uri}: no such object"))
    }
}

const INPUT: &str = "s3://logs/data/r_input.json.gz";
const OUTPUT: &str = "s3://logs/data/r_output.json.gz";

fn offloaded() -> Value {
    let mut record =
        record("InvokeModelWithResponseStream", "anthropic.claude-3-haiku-20240307-v1:0", json!(null), json!(null));
    record["input"]["inputBodyJson"] = json!(null);
    record["input"]["inputBodyS3Path"] = json!(INPUT);
    record["output"]["outputBodyS3Path"] = json!(OUTPUT);
    record
}

#[test]
fn bodies_are_read_from_their_objects() {
    let input = json!({ "messages": [{ "role": "user", "content": "summarise" }], "max_tokens": 9 });
    let output = concat!(
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"It is "}}"#,
        "\n",
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"short."}}"#,
        "\n",
    );
    let stored = Stored(vec![(INPUT, input.to_string().into_bytes()), (OUTPUT, output.into())]);
    let row = shown(&decode_with(&offloaded().to_string(), &stored).unwrap());
    assert_eq!(row["bodies"], "s3");
    assert_eq!(row["prompt"], "summarise");
    assert_eq!(row["completion"], "It is short.");
    assert_eq!(row["maxtokens"], 9);
    assert_eq!(row["input_bodys3path"], INPUT);
    assert!(row.get("extra").is_none());
}

#[test]
fn a_missing_body_is_said_and_the_other_is_kept() {
    let mut record = offloaded();
    record["output"] = json!({ "outputBodyJson": { "completion": "fine" } });
    let row = shown(&decode_with(&record.to_string(), &Stored(Vec::new())).unwrap());
    assert_eq!(row["bodies"], "s3 missing");
    assert_eq!(row["completion"], "fine");
    assert!(row.get("prompt").is_none());
    let extra: Value = serde_json::from_str(row["extra"].as_str().unwrap()).unwrap();
    assert_eq!(extra["input.inputBodyS3Path"], format!("{INPUT}: no such object"));
}

#[test]
fn a_stored_body_that_is_no_json_is_noted() {
    let stored = Stored(vec![(INPUT, vec![0xff, 0xd8, 0x00]), (OUTPUT, b"{\"completion\":\"\xff ok\"}".to_vec())]);
    let row = shown(&decode_with(&offloaded().to_string(), &stored).unwrap());
    assert_eq!(row["bodies"], "s3");
    assert_eq!(row["completion"], "\u{fffd} ok");
    let extra: Value = serde_json::from_str(row["extra"].as_str().unwrap()).unwrap();
    assert!(extra["input.inputBodyJson"].as_str().unwrap().starts_with("not JSON"), "{extra}");
}

#[test]
fn metadata_only_records_say_that_there_are_no_bodies() {
    let mut record = record("Converse", "apac.amazon.nova-micro-v1:0", json!(null), json!(null));
    record["input"]["inputTokenCount"] = json!(12);
    record["output"]["outputTokenCount"] = json!(80);
    let row = row(&record);
    assert_eq!(row["bodies"], "none");
    assert_eq!((&row["inputtokens"], &row["outputtokens"]), (&json!(12), &json!(80)));
    for column in ["turns", "media", "prompt", "messages", "promptsha256", "extra"] {
        assert!(row.get(column).is_none(), "{column} is not known");
    }
}

#[test]
fn exports_may_rename_keys_flatten_objects_and_quote_json() {
    let body = json!({ "messages": [{ "role": "user", "content": [{ "text": "hello\nthere" }] }] }).to_string();
    let record = json!({
        "Timestamp": "2025-05-15 14:17:22.000000000",
        "ACCOUNTID": "111122223333",
        "request_id": "r-1",
        "ModelId": "m",
        "identity_arn": "arn:aws:iam::111122223333:user/ana",
        "input.inputBodyJson": body,
        "input.inputTokenCount": "12",
        "Output": { "OutputBodyJson": ["data: {\"generation\":\"good \"}", "{\"generation\":\"day\"}", "[DONE]"], "outputtokencount": 2.0 },
        "cacheReadInputTokenCount": 5,
        "requestMetadata": { "team": "blue" },
        "serviceTier": "flex",
    });
    let row = row(&record);
    assert_eq!(row["time"], 1_747_318_642_000_000_i64);
    assert_eq!(row["accountid"], "111122223333");
    assert_eq!(row["requestid"], "r-1");
    assert_eq!(row["identity_arn"], "arn:aws:iam::111122223333:user/ana");
    assert_eq!(row["prompt"], "hello\nthere");
    assert_eq!(row["completion"], "good day");
    assert_eq!(row["inputtokens"], 12);
    assert_eq!(row["outputtokens"], 2);
    assert_eq!(row["cachereadtokens"], 5);
    assert_eq!(row["requestmetadata"], r#"{"team":"blue"}"#);
    assert_eq!(row["extra"], r#"{"serviceTier":"flex"}"#);
}

#[test]
fn one_call_has_one_identity_and_two_calls_have_two() {
    let first = record("Converse", "m", json!({ "messages": [] }), json!(null));
    let mut copy = first.clone();
    copy["timestamp"] = json!("2026-10-01 12:00:00.000000000");
    copy["input"] = json!({});
    let mut other = first.clone();
    other["requestId"] = json!("7d0c1e6a-0000-4000-8000-000000000002");
    let id = |record: &Value| decode_with(&record.to_string(), &Stored(Vec::new())).unwrap().ids;
    assert_eq!(id(&first), id(&first));
    assert_eq!(id(&first), id(&copy));
    assert_ne!(id(&first), id(&other));
    let mut nameless = first.clone();
    nameless.as_object_mut().unwrap().remove("requestId");
    let mut later = nameless.clone();
    later["timestamp"] = json!("2026-10-01T12:00:01Z");
    assert_eq!(id(&nameless), id(&nameless));
    assert_ne!(id(&nameless), id(&later));
}
