//! The whole way on S3: logs in a bucket, the lake in a bucket, findings out, through the S3 protocol.

#[path = "support/s3_server.rs"]
mod s3_server;
mod support;

use std::process::Output;

use s3_server::S3Server;
use serde_json::{Value, json};
use support::{trail, trailhound};

const COUNT: [&str; 4] =
    ["query", "SELECT count(*) AS n, count(DISTINCT eventID) AS ids FROM cloudtrail", "--format", "json"];

/// Runs the program against the server.
fn run(server: &S3Server, arguments: &[&str]) -> Output {
    trailhound(arguments).envs(server.environment()).output().unwrap()
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A bucket `trail` with 40 events on each of the first three days of October, and an empty bucket `lakes`.
fn server() -> S3Server {
    let server = S3Server::start();
    for day in 1..4u32 {
        let key = format!("AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/{day:02}/part{day}.json.gz");
        let first = (day - 1) * 1440;
        server.put("trail", &key, trail(first..first + 40));
    }
    server.bucket("lakes");
    server
}

#[test]
fn logs_and_lake_in_buckets() {
    let server = server();
    let ingest = ["ingest", "s3://trail/AWSLogs", "--format", "json", "--lake", "s3://lakes/case"];
    let stored = |run: &Value| run["summary"]["stored"].as_u64().unwrap();
    let first = json_of(&run(&server, &[&ingest[..], &["--since", "2026-09-29", "--until", "2026-10-01"]].concat()));
    assert!(stored(&first) > 0 && stored(&first) < 120, "only the days around the range are listed: {first}");
    let rest = json_of(&run(&server, &ingest));
    assert_eq!(stored(&first) + stored(&rest), 120);
    let again = json_of(&run(&server, &ingest));
    assert_eq!(again["summary"]["objects"], 0);
    let count = json_of(&run(&server, &[&COUNT[..], &["--lake", "s3://lakes/case"]].concat()));
    assert_eq!(count, json!([{"n": 120, "ids": 120}]));
}

#[test]
fn two_processes_on_one_lake_in_a_bucket_store_each_event_once() {
    let server = server();
    let ingest = ["ingest", "s3://trail/AWSLogs", "-q", "--lake", "s3://lakes/race"];
    let mut racing: Vec<_> = (0..2).map(|_| trailhound(&ingest).envs(server.environment()).spawn().unwrap()).collect();
    for child in &mut racing {
        assert!(child.wait().unwrap().success());
    }
    let count = json_of(&run(&server, &[&COUNT[..], &["--lake", "s3://lakes/race"]].concat()));
    assert_eq!(count, json!([{"n": 120, "ids": 120}]));
}

#[test]
fn a_bucket_that_is_not_there_is_one_sentence() {
    let server = server();
    let missing = run(&server, &["ingest", "s3://no-such-bucket/x", "--lake", "s3://lakes/case"]);
    let talk = String::from_utf8_lossy(&missing.stderr);
    assert_eq!(missing.status.code(), Some(2), "{talk}");
    assert!(talk.contains("no-such-bucket"), "{talk}");
}
