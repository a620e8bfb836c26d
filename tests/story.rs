//! The ordinary part of the sample data: whatever rules are added, a day without an attack raises nothing.

mod support;

use support::{run_json, sample_data};

#[test]
fn an_ordinary_day_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let data = sample_data() + "/AWSLogs";
    let hunt = run_json(&[
        "hunt",
        &data,
        "--until",
        "2026-10-01T12:00:00Z",
        "--format",
        "json",
        "--lake",
        lake.to_str().unwrap(),
    ]);
    let loud: Vec<&str> = hunt["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| ["medium", "high", "critical"].contains(&finding["severity"].as_str().unwrap()))
        .map(|finding| finding["rule_id"].as_str().unwrap())
        .collect();
    assert!(loud.is_empty(), "{loud:?}");
    let quiet = hunt["verdicts"].as_array().unwrap().iter().filter(|verdict| verdict["outcome"] == "quiet").count();
    assert!(quiet > 100, "only {quiet} rules could judge the day");
}
