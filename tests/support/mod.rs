//! What several test binaries share: a small archive in the shape that AWS delivers, and running the program.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// One CloudTrail record; `number` makes its ids.
pub fn record(number: u32) -> Value {
    let (hour, minute) = (number / 60 % 24, number % 60);
    json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/dana",
                         "accountId": "111122223333", "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "dana"},
        "eventTime": format!("2026-10-{:02}T{hour:02}:{minute:02}:00Z", 1 + number / 1440 % 28),
        "eventSource": "s3.amazonaws.com", "eventName": "ListBuckets", "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.10", "userAgent": "aws-cli/2.17.0", "requestParameters": null,
        "responseElements": null, "requestID": format!("REQUEST{number:09}"),
        "eventID": format!("00000000-0000-4000-8000-{number:012}"), "readOnly": true, "eventType": "AwsApiCall",
        "managementEvent": true, "recipientAccountId": "111122223333", "eventCategory": "Management"
    })
}

/// Bytes, gzipped.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A trail's object with the records of these numbers.
pub fn trail(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let records: Vec<Value> = numbers.into_iter().map(record).collect();
    gzip(json!({ "Records": records }).to_string().as_bytes())
}

/// The folder of the sample data.
pub fn sample_data() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/sample-data").to_owned()
}

/// Writes a file and the folders above it.
pub fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The program, with no configuration from outside.
pub fn trailhound(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trailhound"));
    command.args(arguments).env_remove("TRAILHOUND_LAKE");
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    trailhound(arguments).output().unwrap()
}

/// Runs the program, which must succeed, and reads its stdout as JSON.
pub fn run_json(arguments: &[&str]) -> Value {
    let output = run(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?} failed: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {errors}"))
}

/// Runs a query over a lake; rows as JSON objects.
pub fn query(lake: &Path, sql: &str) -> Vec<Value> {
    let rows = run_json(&["query", sql, "--format", "json", "--lake", lake.to_str().unwrap()]);
    rows.as_array().cloned().unwrap_or_default()
}

/// Ingests a place into a lake; the summary.
pub fn ingest(lake: &Path, logs: &Path) -> Value {
    let out = run_json(&["ingest", logs.to_str().unwrap(), "--format", "json", "--lake", lake.to_str().unwrap()]);
    out["summary"].clone()
}
