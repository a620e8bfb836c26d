//! The hunt as users meet it: the story of the sample data is told, exit codes and JSON shapes are kept.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{put, query, run, run_json, trail};

fn sample_data() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data").to_str().unwrap().to_owned()
}

fn rule_ids(findings: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        findings.as_array().unwrap().iter().map(|f| f["rule_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    ids
}

#[test]
fn the_sample_data_tells_its_story() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let hunt = run_json(&["hunt", &sample_data(), "--format", "json", "--lake", lake.to_str().unwrap()]);
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
}

#[test]
fn hunting_twice_finds_the_same_and_stores_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, file) = (folder.path().join("lake"), folder.path().join("findings.parquet"));
    let arguments = ["hunt", &sample_data(), "--format", "json", "--lake", lake.to_str().unwrap()];
    let ids = |hunt: &Value| -> Vec<String> {
        hunt["findings"].as_array().unwrap().iter().map(|f| f["finding_id"].as_str().unwrap().to_owned()).collect()
    };
    let first = ids(&run_json(&arguments));
    let one_thread: Vec<&str> =
        arguments.iter().copied().chain(["--threads", "1", "-o", file.to_str().unwrap()]).collect();
    let second = ids(&run_json(&one_thread));
    assert_eq!(first, second);
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
    assert_eq!(code(&["hunt", logs, "--lake", &place, "-q"]), Some(0));
    assert_eq!(code(&["hunt", &sample_data(), "--lake", &place, "-q", "--fail-on", "high"]), Some(1));
    assert_eq!(code(&["hunt", "--lake", &place, "--no-such-flag"]), Some(2));
    assert_eq!(code(&["hunt", "--lake", folder.path().join("none").to_str().unwrap()]), Some(2));
    assert_eq!(code(&["query", "SELECT nothing FROM nowhere", "--lake", &place]), Some(2));
    let rules = folder.path().join("rules");
    put(&rules, "mine/typo.toml", b"titel = 'x'\n");
    let typo = run(&["hunt", "--lake", &place, "--rules", rules.to_str().unwrap()]);
    assert_eq!(typo.status.code(), Some(2));
    let talk = String::from_utf8_lossy(&typo.stderr);
    assert!(talk.contains("titel") && talk.contains("typo.toml"), "{talk}");
}
