//! Following gives what one hunt over the same objects gives, whenever the process is killed and however logs arrive.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{put, query, run, sample_data, trailhound};
use trailhound::logs::framing::is_body;

/// Rules of every kind: over single rows, thresholds, first-seen, sequences, joins of logs, and chains with their steps. All
/// rules take minutes in a build that is not optimised; `tools/follow_kill.py` uses them.
const RULES: [&str; 7] = [
    "hijacked_models",
    "took_over_bedrock_key",
    "called_models_first_time",
    "listed_models_then_invoked",
    "called_models_in_the_dark",
    "copied_out_much_data",
    // Reads its table without conditions on it.
    "wrote_like_an_injector",
];

/// Objects of the sample data: name below its folder, and bytes.
fn objects() -> Vec<(String, Vec<u8>)> {
    let top = sample_data();
    let mut folders = vec![PathBuf::from(&top)];
    let mut objects = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
                objects.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    objects.sort();
    objects
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Arguments of a follower of the folder `in`.
    fn follower(&self, more: &[&str]) -> Vec<String> {
        let fixed = ["follow", "in", "--lake", "lake", "--state", "state", "--output", "told.ndjson", "--settle", "1s"];
        let mut arguments: Vec<String> = fixed.iter().map(|text| (*text).to_owned()).collect();
        for place in ["in", "lake", "state", "told.ndjson"] {
            let index = arguments.iter().position(|argument| argument == place).unwrap();
            arguments[index] = self.path(place);
        }
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        arguments.extend(RULES.iter().flat_map(|rule| ["--rule".to_owned(), (*rule).to_owned()]));
        arguments
    }

    fn follow_once(&self) {
        let arguments = self.follower(&["--once", "-q"]);
        let done = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn start(&self) -> Child {
        let arguments = self.follower(&["--rest", "0s", "--listen", "none"]);
        let mut command = trailhound(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn add(&self, (name, bytes): &(String, Vec<u8>)) {
        put(Path::new(&self.path("in")), name, bytes);
    }

    /// A lake made by one hunt over the same folder.
    fn hunted(&self) -> String {
        let lake = self.path("hunted");
        self.hunt(Some(&self.path("in")), &lake);
        lake
    }

    fn hunt(&self, logs: Option<&str>, lake: &str) {
        let mut arguments = vec!["hunt", "--lake", lake, "-q", "--format", "ndjson"];
        arguments.extend(logs);
        arguments.extend(RULES.iter().flat_map(|rule| ["--rule", rule]));
        let hunt = run(&arguments);
        assert!(hunt.status.success(), "{}", String::from_utf8_lossy(&hunt.stderr));
    }

    /// Ids that the output told, in order.
    fn told(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("told.ndjson")).unwrap_or_default();
        let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["finding_id"].as_str().unwrap().to_owned();
        text.lines().map(id).collect()
    }
}

/// Everything but which run wrote a row, and when, and what a hunt says of evidence that is missing. Of an event that two
/// objects hold, the lake keeps the copy that came first, so where rows were read may differ.
fn same_lakes(one: &str, other: &str) {
    let tables = [
        ("cloudtrail", "_object, _record"),
        ("bedrock", "_object, _record"),
        ("vpcflow", "_object, _record"),
        ("findings", "_object, _record, created_at, run_id, lacks"),
    ];
    for (table, unlike) in tables {
        let sql = format!("SELECT * EXCEPT ({unlike}) FROM {table}");
        let (rows, expected) = (comparable(query(one.as_ref(), &sql)), comparable(query(other.as_ref(), &sql)));
        let missing: Vec<_> = expected.iter().filter(|row| !rows.contains(row)).map(|row| short(row)).collect();
        let extra: Vec<_> = rows.iter().filter(|row| !expected.contains(row)).map(|row| short(row)).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{table}: missing {missing:#?}, extra {extra:#?}");
        assert_eq!(rows.len(), expected.len(), "{table}");
    }
}

/// Rows as sorted texts, without where their evidence was read.
fn comparable(rows: Vec<Value>) -> Vec<String> {
    let mut texts = Vec::new();
    for mut row in rows {
        let evidence = row.get("evidence").and_then(Value::as_str).map(serde_json::from_str::<Vec<Value>>);
        if let Some(Ok(mut evidence)) = evidence {
            for shown in evidence.iter_mut().filter_map(Value::as_object_mut) {
                shown.retain(|name, _| !["_object", "_record", "records"].contains(&name.as_str()));
            }
            evidence.sort_by_key(Value::to_string);
            row["evidence"] = evidence.into();
        }
        texts.push(row.to_string());
    }
    texts.sort();
    texts
}

/// Enough of a row to know it by.
fn short(row: &str) -> String {
    let value: Value = serde_json::from_str(row).unwrap();
    match value.get("rule_id") {
        Some(rule) => format!(
            "{rule} {} {}..{} {}",
            value["finding_id"], value["first_seen"], value["last_seen"], value["event_count"]
        ),
        None => row.chars().take(200).collect(),
    }
}

fn told_once(place: &Place, lake: &str) {
    let mut told = place.told();
    let count = told.len();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), count, "a finding was told twice");
    for row in query(lake.as_ref(), "SELECT finding_id, rule_id FROM findings") {
        let id = row["finding_id"].as_str().unwrap();
        assert!(told.iter().any(|known| known == id), "{} was not told", row["rule_id"]);
    }
}

#[test]
fn logs_that_come_in_parts_give_what_one_hunt_gives() {
    let place = Place::new();
    let objects = objects();
    // The last come first, so that most of what follows is late.
    for part in objects.rchunks(objects.len().div_ceil(4)) {
        for object in part {
            place.add(object);
        }
        place.follow_once();
    }
    place.follow_once();
    same_lakes(&place.path("lake"), &place.hunted());
    told_once(&place, &place.path("lake"));
    // What findings lack only the whole lake tells: a hunt over it writes that down, and a follower leaves it.
    let lacks = |lake: &str| query(lake.as_ref(), "SELECT finding_id, lacks FROM findings ORDER BY finding_id");
    let lake = place.path("lake");
    assert!(lacks(&lake).iter().all(|row| row["lacks"] == json!([])));
    place.hunt(None, &lake);
    place.follow_once();
    assert_eq!(lacks(&lake), lacks(&place.path("hunted")));
    assert!(lacks(&lake).iter().any(|row| row["lacks"] != json!([])));
    let found =
        query(place.path("lake").as_ref(), "SELECT count(*) AS n, count(DISTINCT rule_id) AS rules FROM findings");
    assert!(found[0]["n"].as_u64() > Some(10) && found[0]["rules"].as_u64() > Some(5), "{found:?}");
}

#[test]
fn killed_at_any_moment_it_loses_and_repeats_nothing() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("in")).unwrap();
    let mut objects = objects();
    objects.reverse();
    let kills = std::env::var("TRAILHOUND_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(6_u64);
    for kill in 0..kills {
        let mut follower = place.start();
        let began = Instant::now();
        // Not the same moments each time: some die while they start, some while they commit, some while they settle.
        let life = Duration::from_millis(150 + kill * 1_237 % 4_100);
        for object in objects.drain(..objects.len().div_ceil((kills - kill) as usize)) {
            place.add(&object);
            std::thread::sleep(Duration::from_millis(40).min(life.saturating_sub(began.elapsed())));
        }
        std::thread::sleep(life.saturating_sub(began.elapsed()));
        follower.kill().unwrap();
        follower.wait().unwrap();
    }
    place.follow_once();
    same_lakes(&place.path("lake"), &place.hunted());
    told_once(&place, &place.path("lake"));
}

/// A rule over the prices of models.
const COSTLY: &str = r#"
title = "A call cost more than a dollar"
severity = "low"
confidence = "low"
kind = "hunt"
logs = ["bedrock"]
needs = ["bedrock"]
layer = "application"
phase = "production"
why = "Costly."
gaps = "none known"
false_positives = ["ordinary use"]
triage = ["Look at the call."]
respond = ["Ask its owner."]
entity = ["principal", "account_id"]
lookback = "0s"
quiet = "1h"
sql = '''
SELECT bedrock.time, bedrock.fresh, accountid AS account_id, identity.arn AS principal, requestid AS request_id, bedrock._object, bedrock._record
FROM bedrock CROSS JOIN prices
WHERE prices.model = 'a.made-up-model'
'''
[[test]]
name = "a call"
fires = true
events = [{ log = "bedrock" }]
[[test]]
name = "a model of the built-in list"
fires = false
events = [{ log = "bedrock", modelId = "amazon.nova-pro-v1:0" }]
"#;

#[test]
fn rules_know_the_prices_of_the_configuration() {
    let place = Place::new();
    objects().iter().for_each(|object| place.add(object));
    let top = place.folder.path();
    put(top, "rules/usage/paid_too_much.toml", COSTLY.as_bytes());
    let prices =
        put(top, "prices.toml", b"date = \"2026-10-05\"\nprice = [{ model = \"a.made-up-model\", input = 1 }]\n");
    let config = put(top, "trailhound.toml", format!("prices = {:?}\n", prices.to_str().unwrap()).as_bytes());
    let (logs, rules) = (place.path("in"), place.path("rules"));
    let mut found = Vec::new();
    for (command, lake) in [(&["hunt", "-q"][..], "hunted"), (&["follow", "--once", "-q"][..], "followed")] {
        let lake = place.path(lake);
        let rest = [&logs, "--lake", &lake, "--rules", &rules, "--rule", "paid_too_much"];
        let done = run(&[command, &rest[..], &["--config", config.to_str().unwrap()]].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        found.push(query(lake.as_ref(), "SELECT finding_id FROM findings ORDER BY 1"));
    }
    assert!(!found[0].is_empty() && found[0] == found[1], "{found:?}");
}

#[cfg(unix)]
#[test]
fn asked_to_end_it_finishes_and_goes_on_where_it_stopped() {
    let place = Place::new();
    let objects = objects();
    std::fs::create_dir_all(place.path("in")).unwrap();
    let (first, second) = objects.split_at(objects.len() / 2);
    // Bodies are read with the records that name them.
    let read = |objects: &[(String, Vec<u8>)]| objects.iter().filter(|(name, _)| !is_body(name)).count();
    for (part, total) in [(first, read(first)), (second, read(&objects))] {
        let mut follower = place.start();
        part.iter().for_each(|object| place.add(object));
        let deadline = Instant::now() + Duration::from_secs(300);
        while read_objects(&place) < total {
            assert!(Instant::now() < deadline, "{} of {total} objects were read", read_objects(&place));
            std::thread::sleep(Duration::from_millis(500));
        }
        let asked = std::process::Command::new("kill").args(["-TERM", &follower.id().to_string()]).status().unwrap();
        assert!(asked.success());
        assert_eq!(follower.wait().unwrap().code(), Some(0));
    }
    place.follow_once();
    same_lakes(&place.path("lake"), &place.hunted());
    told_once(&place, &place.path("lake"));
}

fn read_objects(place: &Place) -> usize {
    let sql = "SELECT count(*) AS n FROM objects";
    let counted = run(&["query", sql, "--lake", &place.path("lake"), "--format", "json"]);
    let rows: Value = serde_json::from_slice(&counted.stdout).unwrap_or_default();
    rows[0]["n"].as_u64().unwrap_or(0) as usize
}
