//! The hunt as users meet it: the story of the sample data is told, exit codes and JSON shapes are kept.

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{gzip, put, query, record, run, run_json, sample_data, trail};

fn rule_ids(findings: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        findings.as_array().unwrap().iter().map(|f| f["rule_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    ids
}

#[test]
fn the_sample_data_tells_its_story_and_tells_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, file) = (folder.path().join("lake"), folder.path().join("findings.parquet"));
    let data = sample_data();
    let arguments = ["hunt", &data, "--format", "json", "--lake", lake.to_str().unwrap()];
    let hunt = run_json(&arguments);
    let summary = &hunt["summary"];
    let figure = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(figure("read"), figure("stored") + figure("duplicates") + figure("quarantined"), "{summary}");
    assert_eq!(figure("quarantined"), 0, "{summary}");
    assert!(figure("duplicates") > 0, "the story delivers some events twice: {summary}");
    insta::assert_json_snapshot!("story_rules", rule_ids(&hunt["findings"]));
    let damage = &hunt["damage"];
    assert_eq!(damage["worst"][0]["access_key_id"], "AKIAIOSFODNN7EXAMPLE", "the leaked key is the dearest: {damage}");
    let dollars = |name: &str| damage[name].as_f64().unwrap();
    assert!(10.0 < dollars("dollars_low") && dollars("dollars_low") <= dollars("dollars_high"), "{damage}");
    let dark = &damage["most_uncounted"];
    assert_eq!(dark["principal"], "arn:aws:iam::111122223333:user/BedrockAPIKey-x7q2", "{damage}");
    assert_eq!((&dark["bearer"], &dark["uncounted_calls"]), (&Value::Bool(true), &Value::from(120)), "{damage}");
    let failed: Vec<&Value> =
        hunt["verdicts"].as_array().unwrap().iter().filter(|v| v["outcome"] == "failed").collect();
    assert!(failed.is_empty(), "{failed:#?}");

    // Hunting again finds the same and stores it once.
    let ids = |hunt: &Value| -> Vec<String> {
        hunt["findings"].as_array().unwrap().iter().map(|f| f["finding_id"].as_str().unwrap().to_owned()).collect()
    };
    let first = ids(&hunt);
    let one_thread: Vec<&str> =
        arguments.iter().copied().chain(["--threads", "1", "-o", file.to_str().unwrap()]).collect();
    let second = ids(&run_json(&one_thread));
    assert_eq!(first, second);
    // A part of the story, too.
    let since: Vec<&str> = arguments.iter().copied().chain(["--since", "2026-10-01T13:00:00Z"]).collect();
    let part = ids(&run_json(&since));
    assert!(!part.is_empty() && part.iter().all(|id| first.contains(id)), "{part:?}");
    let stored = query(&lake, "SELECT count(*) AS n, count(DISTINCT finding_id) AS ids FROM findings");
    assert_eq!(stored[0]["n"], first.len());
    assert_eq!(stored[0]["ids"], first.len());
    assert!(std::fs::read(&file).unwrap().starts_with(b"PAR1"));
}

#[test]
fn exit_codes_are_those_that_the_help_promises() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    let place = lake.to_str().unwrap().to_owned();
    put(&logs, "quiet.json.gz", &trail(0..5));
    let logs = logs.to_str().unwrap();
    let code = |arguments: &[&str]| run(arguments).status.code();
    let some = ["--lake", &place, "-q", "--rule", "logging"];
    assert_eq!(code(&[&["hunt", logs], &some[..]].concat()), Some(0));
    assert_eq!(code(&[&["hunt", &sample_data(), "--fail-on", "high"], &some[..]].concat()), Some(1));
    assert_eq!(code(&["hunt", "--lake", &place, "--no-such-flag"]), Some(2));
    assert_eq!(code(&["hunt", "--lake", folder.path().join("none").to_str().unwrap()]), Some(2));
    assert_eq!(code(&["query", "SELECT nothing FROM nowhere", "--lake", &place]), Some(2));
    let nowhere = folder.path().join("none");
    let wrong = run(&["hunt", nowhere.to_str().unwrap(), "--lake", folder.path().join("new").to_str().unwrap()]);
    let talk = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(2));
    assert_eq!(talk, format!("error: {}: there is no such file or folder; check the path\n", nowhere.display()));
    let many: Vec<String> =
        (0..52).map(|number| folder.path().join(format!("none-{number}")).display().to_string()).collect();
    let arguments: Vec<&str> = many.iter().map(String::as_str).chain(["--lake", nowhere.to_str().unwrap()]).collect();
    let talk = run(&[&["hunt"], &arguments[..]].concat()).stderr;
    assert!(String::from_utf8_lossy(&talk).lines().last().is_some_and(|line| line.starts_with("error: and 2 more")));
    let rules = folder.path().join("rules");
    put(&rules, "mine/typo.toml", b"titel = 'x'\n");
    let typo = run(&["hunt", "--lake", &place, "--rules", rules.to_str().unwrap()]);
    assert_eq!(typo.status.code(), Some(2));
    let talk = String::from_utf8_lossy(&typo.stderr);
    assert!(talk.contains("titel") && talk.contains("typo.toml"), "{talk}");
}

const FIRST: &str = "111122223333";
const SECOND: &str = "444455556666";

/// A CloudTrail event of some account and Region.
fn event(number: u32, account: &str, region: &str, source: &str, name: &str, category: &str) -> Value {
    let mut event = record(number);
    event["recipientAccountId"] = account.into();
    event["awsRegion"] = region.into();
    event["eventSource"] = source.into();
    event["eventName"] = name.into();
    event["eventCategory"] = category.into();
    event
}

/// Two accounts. The first has Data events of S3 in one Region of the two in which it uses S3, and an invocation log in one of
/// the two in which it calls models; the second uses neither.
fn two_accounts(folder: &Path) {
    let (s3, bedrock) = ("s3.amazonaws.com", "bedrock.amazonaws.com");
    let mut stop = event(7, SECOND, "us-east-1", "cloudtrail.amazonaws.com", "StopLogging", "Management");
    stop["requestParameters"] = json!({"name": "audit"});
    stop["readOnly"] = false.into();
    let mut dark = stop.clone();
    for (key, value) in [("eventID", "dark"), ("recipientAccountId", FIRST), ("awsRegion", "us-west-2")] {
        dark[key] = value.into();
    }
    let events = json!({ "Records": [
        event(1, FIRST, "us-east-1", s3, "GetBucketPolicy", "Management"),
        event(2, FIRST, "us-east-1", s3, "GetObject", "Data"),
        event(3, FIRST, "eu-west-1", s3, "GetBucketPolicy", "Management"),
        event(4, FIRST, "us-east-1", bedrock, "Converse", "Management"),
        event(5, FIRST, "us-west-2", bedrock, "Converse", "Management"),
        event(6, SECOND, "us-east-1", "iam.amazonaws.com", "ListRoles", "Management"),
        stop, dark
    ]});
    put(folder, "trail.json.gz", &gzip(events.to_string().as_bytes()));
    let log = json!({
        "timestamp": "2026-10-01T00:04:00Z", "accountId": FIRST, "region": "us-east-1", "requestId": "REQUEST000000004",
        "identity": {"arn": "arn:aws:iam::111122223333:user/dana"}, "operation": "Converse",
        "modelId": "amazon.nova-lite-v1:0", "schemaType": "ModelInvocationLog", "schemaVersion": "1.0",
        "input": {"inputContentType": "application/json", "inputTokenCount": 2,
                  "inputBodyJson": {"messages": [{"role": "user", "content": [{"text": "When do you open?"}]}]}},
        "output": {"outputContentType": "application/json", "outputTokenCount": 2,
                   "outputBodyJson": {"output": {"message": {"role": "assistant", "content": [{"text": "At nine."}]}}}}
    });
    put(folder, "invocations.json.gz", &gzip(log.to_string().as_bytes()));
}

fn verdict<'a>(hunt: &'a Value, rule: &str) -> &'a Value {
    let verdicts = hunt["verdicts"].as_array().unwrap();
    verdicts.iter().find(|verdict| verdict["rule_id"] == rule).unwrap_or_else(|| panic!("no verdict of {rule}"))
}

#[test]
fn verdicts_tell_blind_places_from_empty_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    two_accounts(&logs);
    let (logs, lake) = (logs.to_str().unwrap(), lake.to_str().unwrap());
    let mut some = vec!["--lake", lake];
    for rule in ["downloaded_model_files", "hid_characters_in_prompt", "stopped_trail", "scanned_ports"] {
        some.extend(["--rule", rule]);
    }
    let hunt = run_json(&[&["hunt", logs, "--format", "json"], &some[..]].concat());

    let objects = verdict(&hunt, "downloaded_model_files");
    assert_eq!(objects["outcome"], "quiet");
    // Blind where S3 is in use; empty in us-west-2 and in the second account, which do nothing with it.
    assert_eq!(objects["places"], json!({"judged": 1, "nothing_to_see": 2, "blind": 1}));
    let blind = json!([{"account_id": FIRST, "region": "eu-west-1", "because": "no Data events of s3.amazonaws.com"}]);
    assert_eq!(objects["blind"], blind);

    let prompts = verdict(&hunt, "hid_characters_in_prompt");
    assert_eq!(prompts["places"], json!({"judged": 1, "nothing_to_see": 2, "blind": 1}));
    let blind = json!([{"account_id": FIRST, "region": "us-west-2", "because": "no invocation log, though models were called"}]);
    assert_eq!(prompts["blind"], blind);

    // Management events are a matter of the account: Regions without any do not count.
    let stopped = verdict(&hunt, "stopped_trail");
    assert_eq!((stopped["places"]["judged"].as_u64(), stopped["blind"].as_array().unwrap().len()), (Some(4), 0));
    // Judged nowhere: one reason for everything.
    let flows = verdict(&hunt, "scanned_ports");
    assert_eq!((&flows["outcome"], &flows["blind"]), (&json!("not evaluated"), &json!([])));
    assert!(flows["because"].as_str().unwrap().contains("no vpcflow rows"), "{flows}");

    let talk = String::from_utf8(run(&[&["hunt"], &some[..]].concat()).stderr).unwrap();
    let line = "not judged in 1 of 2 accounts: no Data events of s3.amazonaws.com in 111122223333 eu-west-1: ";
    assert!(talk.contains(line), "{talk}");
}

#[test]
fn findings_say_which_evidence_they_lack() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    two_accounts(&logs);
    let hunt = |logs: &Path, lake: &Path| {
        let (logs, lake) = (logs.to_str().unwrap(), lake.to_str().unwrap());
        let hunt = run_json(&["hunt", logs, "--format", "json", "--lake", lake, "--rule", "stopped_trail"]);
        let mut findings = hunt["findings"].as_array().unwrap().clone();
        findings.sort_by_key(|finding| finding["account_id"].as_str().unwrap().to_owned());
        findings
    };
    let found = hunt(&logs, &lake);
    let lacks = json!([
        "no invocation log of 111122223333 us-west-2: prompts and completions are unknown",
        "no flow logs of 111122223333: where data went is unknown",
        "no Bedrock data events of 111122223333: calls of agents, flows and knowledge bases are unknown",
    ]);
    assert_eq!(found[0]["lacks"], lacks);
    let lacks = json!([
        "no S3 data events of 444455556666: reads of objects are unknown",
        "no flow logs of 444455556666: where data went is unknown",
    ]);
    assert_eq!(found[1]["lacks"], lacks);
    let stored = || query(&lake, "SELECT lacks FROM findings WHERE account_id = '444455556666'");
    assert_eq!(stored()[0]["lacks"], lacks);

    let shown =
        String::from_utf8(run(&["hunt", "--lake", lake.to_str().unwrap(), "--rule", "stopped_trail"]).stdout).unwrap();
    assert!(shown.contains("in 444455556666 us-east-1: no S3 data events of 444455556666"), "{shown}");

    // With more logs the finding lacks less, and is the same finding.
    let flow = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n\
                2 444455556666 eni-0a1b2c3d4e5f60001 10.0.0.5 192.0.2.10 40000 443 6 5 500 1790805600 1790805660 ACCEPT OK\n";
    put(&logs, "flows.log.gz", &gzip(flow.as_bytes()));
    let again = hunt(&logs, &folder.path().join("other"));
    assert_eq!(again[1]["lacks"].as_array().unwrap().len(), 1);
    assert_eq!(again[1]["finding_id"], found[1]["finding_id"]);

    // So does the lake, once a hunt has seen all of it. One that sees a part does not know.
    hunt(&logs, &lake);
    let lacks = json!(["no S3 data events of 444455556666: reads of objects are unknown"]);
    assert_eq!(stored(), [json!({"lacks": lacks})]);
    let part = ["hunt", "--lake", lake.to_str().unwrap(), "--since", "2026-10-01T00:00:00Z", "--format", "json"];
    let shown = run_json(&part);
    let of_second = |finding: &&Value| finding["account_id"] == SECOND && finding["rule_id"] == "stopped_trail";
    let finding = shown["findings"].as_array().unwrap().iter().find(of_second).expect("the finding");
    assert_eq!(finding["lacks"].as_array().unwrap().len(), 2, "without the flows of the day before");
    assert_eq!(stored(), [json!({"lacks": lacks})]);
}
