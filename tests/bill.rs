//! The bill: tokens and dollars per caller, from either log, by a list of prices that users can replace.

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{ingest, put, record, run_json, trailhound};
use trailhound::engine::Prices;

const SONNET: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const DANA: &str = "arn:aws:iam::111122223333:user/dana";

/// A model call in CloudTrail at noon; `number` makes its ids.
fn call(number: u32, request: &str, operation: &str, model: &str) -> Value {
    let mut event = record(720 + number % 60);
    event["eventID"] = json!(format!("00000000-0000-4000-9000-{number:012}"));
    event["eventSource"] = json!("bedrock.amazonaws.com");
    event["eventName"] = json!(operation);
    event["requestID"] = json!(request);
    event["requestParameters"] = json!({ "modelId": model });
    event
}

/// The event that ends a stream and carries its counts.
fn completion(number: u32, parent: &str, input: i64, output: i64) -> Value {
    let mut event = call(number, &format!("own-{number}"), "ConverseStream", "");
    event["eventType"] = json!("AwsServiceEvent");
    event["requestParameters"] = Value::Null;
    event["serviceEventDetails"] = json!({ "parentRequestId": parent, "AdditionalEventData": {
        "additionalEntries": { "inferenceRegion": "us-east-1", "inputTokens": input, "outputTokens": output } } });
    event
}

/// The record of a call in the invocation log.
fn logged(request: &str, model: &str, input: Value, output: Value) -> Value {
    json!({
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": "2026-10-01T12:00:01Z",
        "accountId": "111122223333", "identity": { "arn": DANA }, "region": "us-east-1", "requestId": request,
        "operation": "Converse", "modelId": model,
        "input": { "inputContentType": "application/json", "inputTokenCount": input },
        "output": { "outputContentType": "application/json", "outputTokenCount": output }
    })
}

/// A lake with these events and records.
fn lake(folder: &Path, events: &[Value], records: &[Value]) -> std::path::PathBuf {
    let logs = folder.join("logs");
    put(&logs, "trail.json", json!({ "Records": events }).to_string().as_bytes());
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    put(&logs, "calls.json", lines.join("\n").as_bytes());
    let lake = folder.join("lake");
    let summary = ingest(&lake, &logs);
    assert_eq!(summary["quarantined"], 0, "{summary}");
    lake
}

/// Rows of the saved query, with more arguments.
fn bill(lake: &Path, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["query", "damage_bill", "--format", "json", "--lake", lake.to_str().unwrap()];
    arguments.extend(more);
    run_json(&arguments).as_array().unwrap().clone()
}

/// The row of a model, which must be the only one.
fn row<'r>(rows: &'r [Value], model: &str) -> &'r Value {
    let found: Vec<&Value> = rows.iter().filter(|row| row["model_id"] == model).collect();
    assert_eq!(found.len(), 1, "{model}: {rows:#?}");
    found[0]
}

fn near(value: &Value, expected: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is not {expected}"));
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn a_call_counts_once_whichever_log_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut cached = logged("r-1", SONNET, json!(1000), json!(100));
    cached["input"]["cacheReadInputTokenCount"] = json!(2000);
    cached["input"]["cacheWriteInputTokenCount"] = json!(400);
    let mut counted = call(6, "r-3", "InvokeModel", "meta.llama3-3-70b-instruct-v1:0");
    counted["additionalEventData"] = json!({ "inputTokens": 10, "outputTokens": 5 });
    let mut denied = call(7, "r-4", "InvokeModel", "anthropic.claude-opus-4-1-20250805-v1:0");
    denied["errorCode"] = json!("AccessDeniedException");
    let mut bearer = call(8, "r-6", "Converse", "amazon.nova-lite-v1:0");
    bearer["additionalEventData"] = json!({ "callWithBearerToken": true });
    let lake = lake(
        folder.path(),
        &[
            call(1, "r-1", "Converse", &format!("us.{SONNET}")),
            call(2, "r-1", "Converse", &format!("us.{SONNET}")), // the copy that a trail with data events delivers
            call(3, "r-2", "ConverseStream", "amazon.nova-pro-v1:0"),
            completion(4, "r-2", 1_000_000, 200),
            completion(5, "r-2", 1_000_000, 200),
            counted,
            denied,
            bearer,
        ],
        &[cached, logged("r-5", "deepseek.r1-v1:0", json!(1_000_000), json!(0))],
    );
    let rows = bill(&lake, &[]);
    assert_eq!(rows.len(), 6, "{rows:#?}");

    let both = row(&rows, SONNET);
    assert_eq!((&both["calls"], &both["counts_from"]), (&json!(1), &json!("invocation log")));
    assert_eq!((&both["access_key_id"], &both["principal"]), (&json!("AKIAIOSFODNN7EXAMPLE"), &json!(DANA)));
    assert_eq!((&both["hour"], &both["region"]), (&json!("2026-10-01T12:00:00Z"), &json!("us-east-1")));
    assert_eq!((&both["cache_read_tokens"], &both["cache_write_tokens"]), (&json!(2000), &json!(400)));
    near(&both["dollars_low"], (1000.0 * 3.0 + 100.0 * 15.0 + 2000.0 * 0.3 + 400.0 * 3.75) / 1e6);
    near(&both["dollars_high"], (1000.0 * 3.3 + 100.0 * 16.5 + 2000.0 * 0.33 + 400.0 * 6.6) / 1e6);

    let stream = row(&rows, "amazon.nova-pro-v1:0");
    assert_eq!((&stream["calls"], &stream["counts_from"]), (&json!(1), &json!("CloudTrail")));
    near(&stream["dollars_low"], 0.8 + 200.0 * 3.2 / 1e6);
    let plain = row(&rows, "meta.llama3-3-70b-instruct-v1:0");
    assert_eq!((&plain["input_tokens"], &plain["output_tokens"]), (&json!(10), &json!(5)));
    near(&plain["dollars_high"], 15.0 * 0.72 / 1e6);

    let refused = row(&rows, "anthropic.claude-opus-4-1-20250805-v1:0");
    assert_eq!(
        (&refused["failed"], &refused["denied"], &refused["uncounted_calls"]),
        (&json!(1), &json!(1), &json!(0))
    );
    near(&refused["dollars_high"], 0.0);

    let alone = row(&rows, "deepseek.r1-v1:0");
    assert_eq!((&alone["access_key_id"], &alone["calls"]), (&Value::Null, &json!(1)));
    near(&alone["dollars_low"], 1.35);

    let silent = row(&rows, "amazon.nova-lite-v1:0");
    assert_eq!((&silent["bearer"], &silent["uncounted_calls"]), (&json!(true), &json!(1)));
    assert_eq!((&silent["dollars_high"], &silent["counts_from"]), (&Value::Null, &Value::Null));
    near(&silent["uncounted_share"], 1.0);
}

#[test]
fn the_bill_can_be_that_of_one_key_principal_or_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = call(2, "r-2", "Converse", SONNET);
    other["userIdentity"]["accessKeyId"] = json!("ASIAIOSFODNN7EXAMPLE");
    other["userIdentity"]["arn"] = json!("arn:aws:sts::111122223333:assumed-role/app/session");
    let lake = lake(folder.path(), &[call(1, "r-1", "Converse", SONNET), other], &[]);
    for (more, rows) in [
        (vec![], 2),
        (vec!["-p", "key=ASIAIOSFODNN7EXAMPLE"], 1),
        (vec!["-p", "key=ASIAIOSFODNN7EXAMPLE, AKIAIOSFODNN7EXAMPLE"], 2),
        (vec!["-p", "principal=arn:aws:iam::111122223333:role/app"], 1),
        (vec!["-p", "principal=arn:aws:sts::111122223333:assumed-role/app/session"], 1),
        (vec!["-p", "principal=app", "-p", "key=AKIAIOSFODNN7EXAMPLE"], 2),
        (vec!["-p", "principal=nobody"], 0),
        (vec!["-p", "since=2026-10-02"], 0),
        (vec!["-p", "until=2026-10-01T12:02:00Z"], 1),
    ] {
        assert_eq!(bill(&lake, &more).len(), rows, "{more:?}");
    }
}

#[test]
fn counts_that_cannot_be_are_no_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut lies: Vec<Value> = Vec::new();
    for (number, count) in
        [json!(-5), json!(i64::MIN), json!(i64::MAX), json!(1e300), json!("9999999999")].iter().enumerate()
    {
        lies.push(logged(&format!("l-{number}"), SONNET, count.clone(), count.clone()));
    }
    lies.push(logged("l-true", SONNET, json!(100), json!(i64::MAX)));
    let events = [completion(1, "l-8", i64::MIN, -1), completion(2, "l-9", i64::MAX, i64::MAX)];
    let lake = lake(folder.path(), &events, &lies);
    let rows = bill(&lake, &[]);
    let mine = row(&rows, SONNET);
    assert_eq!((&mine["input_tokens"], &mine["output_tokens"]), (&json!(100), &Value::Null), "{rows:#?}");
    assert_eq!((&mine["calls"], &mine["uncounted_calls"]), (&json!(6), &json!(5)));
    near(&mine["dollars_high"], 330.0 / 1e6);
    let nameless: Vec<&Value> = rows.iter().filter(|row| row["model_id"].is_null()).collect();
    assert_eq!(nameless.len(), 1, "{rows:#?}");
    assert_eq!((&nameless[0]["unpriced_calls"], &nameless[0]["dollars_low"]), (&json!(2), &Value::Null));
}

#[test]
fn a_list_of_the_users_own_replaces_the_built_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut video = call(4, "r-4", "StartAsyncInvoke", "amazon.nova-reel-v1:1");
    video["additionalEventData"] = json!({ "inferenceRegion": "us-east-1" });
    let mut late = logged("r-3", "custom.thing-v2", json!(1_000_000), json!(1_000_000));
    late["timestamp"] = json!("2026-10-02T00:00:00Z");
    let records = [
        logged("r-1", SONNET, json!(1000), json!(1000)),
        logged("r-2", "custom.thing-v1", json!(1_000_000), json!(1_000_000)),
        late,
    ];
    let lake = lake(folder.path(), &[video], &records);
    let list = put(
        folder.path(),
        "prices.toml",
        br#"date = "2026-11-01"
            price = [
              { model = "custom.thing*", input = 7, output = [8, 9] },
              { model = "custom.thing*", input = 1, output = 2, since = "2026-10-02", source = "contract" },
              { model = "amazon.nova-reel-v1:1", each = 0.5, units = [6, 120] },
            ]
            [sources]
            contract = "our contract""#,
    );
    let config = put(folder.path(), "own.toml", format!("prices = {:?}", list.to_str().unwrap()).as_bytes());
    let rows = bill(&lake, &["--config", config.to_str().unwrap()]);
    let unknown = row(&rows, SONNET);
    assert_eq!((&unknown["unpriced_calls"], &unknown["dollars_high"]), (&json!(1), &Value::Null));
    assert_eq!((&unknown["input_tokens"], &unknown["uncounted_calls"]), (&json!(1000), &json!(0)));
    near(&row(&rows, "custom.thing-v1")["dollars_low"], 15.0);
    near(&row(&rows, "custom.thing-v1")["dollars_high"], 16.0);
    near(&row(&rows, "custom.thing-v2")["dollars_low"], 3.0);
    near(&row(&rows, "amazon.nova-reel-v1:1")["dollars_low"], 3.0);
    near(&row(&rows, "amazon.nova-reel-v1:1")["dollars_high"], 60.0);
    assert_eq!(row(&rows, "amazon.nova-reel-v1:1")["uncounted_calls"], 0);
}

#[test]
fn lists_that_cannot_be_used_say_where_and_why() {
    let own = |lines: &str| {
        Prices::read("own.toml", &format!("date = \"2026-11-01\"\nprice = [\n{lines}\n]\n[sources]\na = \"x\""))
    };
    assert!(own("{ model = \"a.b\", input = 1, source = \"a\" },\n{ model = \"a.c*\", each = 0 }").is_ok());
    for (lines, place, what) in [
        ("{ model = \"a.b\", input = -1 }", "own.toml:3: a.b: ", "input is a number from 0"),
        ("{ model = \"a.b\", input = nan }", "own.toml:3: a.b: ", "input is a number from 0"),
        ("{ model = \"a.b\", input = 1 },\n{ model = \"a.c\", input = [2, 1] }", "own.toml:4: a.c: ", "[low, high]"),
        ("{ model = \"a.b\", output = 1 }", "own.toml:3: a.b: ", "needs input"),
        ("{ model = \"a.*.b\", input = 1 }", "own.toml:3: a.*.b: ", "at its end"),
        ("{ model = \"a.b\", input = 1, source = \"b\" }", "own.toml:3: a.b: ", "source b is not in [sources]"),
        ("{ model = \"a.b\", input = 1, since = \"May\" }", "own.toml:3: a.b: ", "May is not a day"),
        (
            "{ model = \"a.bc\", input = 1 },\n{ model = \"a.b*\", input = 2 }",
            "own.toml:4: ",
            "line 3 has a price for the same ids",
        ),
        ("{ model = \"a.b\", input = 1 },\n{ model = \"a.b\", input = 2 }", "own.toml:4: ", "line 3 has a price"),
        ("{ model = \"a.b\", inputs = 1 }", "line 3", "inputs"),
        ("{ model = \"a.b\", input = \"1\" }", "line 3", "a number, or [low, high]"),
    ] {
        let error = own(lines).err().unwrap_or_else(|| panic!("{lines} was read")).to_string();
        assert!(error.starts_with("own.toml") && error.contains(place) && error.contains(what), "{lines}: {error}");
    }
    let error = Prices::read("own.toml", "\n\ndate = \"today\"\nprice = []").unwrap_err().to_string();
    assert!(error.starts_with("own.toml:3: today is not a day"), "{error}");
    let error = Prices::load(Path::new("no-such-list.toml")).unwrap_err().to_string();
    assert!(error.contains("no-such-list.toml"), "{error}");
}

#[test]
fn the_built_in_list_is_dated_and_says_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake(folder.path(), &[call(1, "r-1", "Converse", SONNET)], &[]);
    let sql = "SELECT count(*) AS n, count(nullif(source, '')) AS sourced, CAST(min(listed) AS varchar) AS listed FROM prices";
    let prices = &support::query(&lake, sql)[0];
    assert!(prices["n"].as_u64().unwrap() > 90 && prices["n"] == prices["sourced"], "{prices}");
    assert_eq!(prices["listed"], Prices::built_in().unwrap().date().to_string());
}

/// The hunt of one rule: JSON on stdout, and what it says on stderr.
fn hunt(lake: &Path) -> (Value, String) {
    let arguments =
        ["hunt", "--rule", "deleted_invocation_logging", "--format", "json", "--lake", lake.to_str().unwrap()];
    let output = trailhound(&arguments).output().unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{talk}");
    (serde_json::from_slice(&output.stdout).unwrap(), talk)
}

#[test]
fn a_hunt_says_what_suspects_spent_and_what_it_cannot_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut deleted = record(730);
    deleted["eventSource"] = json!("bedrock.amazonaws.com");
    deleted["eventName"] = json!("DeleteModelInvocationLoggingConfiguration");
    let mut stranger = logged("r-9", SONNET, json!(5_000_000), json!(0));
    stranger["identity"]["arn"] = json!("arn:aws:iam::111122223333:user/erin");
    let records = [
        logged("r-1", SONNET, json!(1_000_000), json!(100_000)),
        logged("r-2", "evil.\u{1b}[31mmodel", json!(7), json!(8)),
        stranger,
    ];
    let events = [deleted, call(1, "r-1", "Converse", SONNET), call(2, "r-3", "Converse", SONNET)];
    let (told, talk) = hunt(&lake(folder.path(), &events, &records));
    let damage = &told["damage"];
    assert_eq!(damage["prices"], Prices::built_in().unwrap().date().to_string());
    assert_eq!(
        (&damage["calls"], &damage["failed"], &damage["callers"]),
        (&json!(3), &json!(0), &json!(2)),
        "{damage:#}"
    );
    near(&damage["dollars_low"], 4.5);
    near(&damage["dollars_high"], 4.95);
    assert_eq!((&damage["uncounted_calls"], &damage["unpriced_calls"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&damage["unpriced_tokens"], &damage["unpriced_models"]),
        (&json!(15), &json!(["evil.\u{1b}[31mmodel"]))
    );
    assert_eq!(damage["worst"][0]["access_key_id"], "AKIAIOSFODNN7EXAMPLE");
    for line in [
        "Damage    about $4.50 to $4.95 for 3 model calls by 2 callers that findings name; list prices of ",
        "user/dana with AKIAIOSFODNN7EXAMPLE: $4.50 to $4.95, 2 model calls, 1,000,000 input and 100,000 output tokens",
        "not in it: 1 answered calls without token counts (1 by user/dana with AKIAIOSFODNN7EXAMPLE), so it was more",
        "not in it: 1 calls with 15 tokens that have no price: evil.\\u{1b}[31mmodel",
        "trailhound query damage_bill",
    ] {
        assert!(talk.contains(line), "{line}\n{talk}");
    }
}

#[test]
fn a_hunt_without_suspects_or_without_their_calls_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (told, talk) = hunt(&lake(folder.path(), &[call(1, "r-1", "Converse", SONNET)], &[]));
    assert_eq!((&told["findings"], &told["damage"]), (&json!([]), &Value::Null));
    assert!(!talk.contains("Damage"), "{talk}");

    let folder = tempfile::tempdir().unwrap();
    let mut deleted = record(730);
    deleted["eventSource"] = json!("bedrock.amazonaws.com");
    deleted["eventName"] = json!("DeleteModelInvocationLoggingConfiguration");
    let mut denied = call(1, "r-1", "Converse", SONNET);
    denied["errorCode"] = json!("AccessDenied");
    let (told, talk) = hunt(&lake(folder.path(), &[deleted, denied], &[]));
    assert_eq!((told["findings"].as_array().unwrap().len(), &told["damage"]), (1, &Value::Null));
    assert!(!talk.contains("Damage"), "{talk}");
}
