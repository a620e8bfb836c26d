//! Ingest as users meet it: exactly once whatever is delivered twice, killed or run at the same time; nothing lost silently.

mod support;

use std::path::Path;
use std::time::Duration;

use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use support::{gzip, ingest, put, query, record, run, trail, trailhound};
use trailhound::engine::{Engine, Settings};
use trailhound::intake::{Intake, Options};
use trailhound::pipeline::{self, Ingest};

fn event_ids(lake: &Path) -> Vec<Value> {
    query(lake, "SELECT eventID, count(*) AS n FROM cloudtrail GROUP BY 1 ORDER BY 1")
}

fn adds_up(summary: &Value) {
    let figure = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(figure("read"), figure("stored") + figure("duplicates") + figure("quarantined"), "{summary}");
}

#[test]
fn an_event_is_stored_once_however_often_it_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    put(&logs, "a/one.json.gz", &trail(0..50));
    put(&logs, "b/two.json.gz", &trail(40..90));
    let first = ingest(&lake, &logs);
    adds_up(&first);
    assert_eq!((first["stored"].as_u64(), first["duplicates"].as_u64()), (Some(90), Some(10)));

    let again = ingest(&lake, &logs);
    assert_eq!((again["objects"].as_u64(), again["unchanged"].as_u64()), (Some(0), Some(2)));

    put(&logs, "c/three.json.gz", &trail(80..100));
    let more = ingest(&lake, &logs);
    assert_eq!((more["stored"].as_u64(), more["duplicates"].as_u64()), (Some(10), Some(10)));
    let ids = event_ids(&lake);
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|row| row["n"] == 1));
    let objects = query(&lake, "SELECT sum(read) AS read, sum(stored) AS stored FROM objects");
    assert_eq!(objects, [json!({"read": 120, "stored": 100})]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decoded_while_a_publish_waits_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, place) = (folder.path().join("logs"), folder.path().join("lake"));
    for number in 0..600 {
        put(&logs, &format!("{number:03}.json.gz"), &trail(number..number + 1));
    }
    let lake = pipeline::open_lake(&place.to_string_lossy()).await.unwrap();
    for publish_rows in [1, 300] {
        let how = Ingest { threads: 2, memory: 1 << 20, limit: 1 << 20, publish_rows, run_id: "run".into() };
        let (intake, bar) = (Intake::new(Options::default()), ProgressBar::hidden());
        let logs = [logs.to_string_lossy().into_owned()];
        let reading = pipeline::ingest(&lake, &intake, &logs, &how, &bar);
        let summary = tokio::time::timeout(Duration::from_secs(120), reading).await.expect("it ends").unwrap();
        assert_eq!(summary.stored + summary.unchanged, 600);
    }
    assert_eq!(event_ids(&place).len(), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_day_share_files_and_late_ones_wait_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, place) = (folder.path().join("logs"), folder.path().join("lake"));
    // More than the objects of nine tasks.
    for object in 0..2_400 {
        let mut records: Vec<Value> = (object * 4..object * 4 + 4).map(record).collect();
        for (number, record) in records.iter_mut().enumerate() {
            let day = if number == 3 && object % 20 == 7 { "2026-10-01T23:59:" } else { "2026-10-02T00:00:" };
            record["eventTime"] = json!(format!("{day}{:02}Z", number % 60));
            record["requestParameters"] = json!({ "of": record["eventID"], "with": "-".repeat(8_000) });
        }
        put(&logs, &format!("{object:04}.json.gz"), &gzip(json!({ "Records": records }).to_string().as_bytes()));
    }
    let lake = pipeline::open_lake(&place.to_string_lossy()).await.unwrap();
    let how = Ingest { threads: 1, memory: 8 << 20, limit: 1 << 20, publish_rows: 100_000, run_id: "run".into() };
    let (intake, bar) = (Intake::new(Options::default()), ProgressBar::hidden());
    let summary = pipeline::ingest(&lake, &intake, &[logs.to_string_lossy().into_owned()], &how, &bar).await.unwrap();
    assert_eq!(summary.stored, 9_600);
    let row_groups = |day: &str| -> Vec<usize> {
        let files = std::fs::read_dir(place.join("cloudtrail").join(day)).unwrap();
        let file = |entry: std::io::Result<std::fs::DirEntry>| std::fs::File::open(entry.unwrap().path()).unwrap();
        files.map(|entry| SerializedFileReader::new(file(entry)).unwrap().num_row_groups()).collect()
    };
    let many = row_groups("date=2026-10-02");
    assert!(many.iter().sum::<usize>() > 6, "there is not memory for the whole day");
    assert!(many.len() < many.iter().sum(), "{many:?}");
    let late = row_groups("date=2026-10-01");
    assert!(late.len() == 1 && late.iter().sum::<usize>() <= 2, "{late:?}");
    let kept = "SELECT count(*) AS n, count(DISTINCT eventID) AS ids, count(*) FILTER (WHERE eventID = json_get_str(requestParameters, 'of')) AS whole, \
                count(*) FILTER (WHERE time < '2026-10-02') AS late FROM cloudtrail";
    assert_eq!(query(&place, kept), [json!({"n": 9_600, "ids": 9_600, "whole": 9_600, "late": 120})]);
}

#[test]
fn what_a_killed_process_published_halfway_is_finished_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    put(&logs, "one.json.gz", &trail(0..30));
    ingest(&lake, &logs);
    // The state after the commit to `objects` and before the one to `cloudtrail`.
    let log = lake.join("cloudtrail/_delta_log");
    std::fs::remove_file(log.join("00000000000000000001.json")).unwrap();
    assert_eq!(event_ids(&lake).len(), 0);

    put(&logs, "two.json.gz", &trail(20..40));
    let next = ingest(&lake, &logs);
    assert_eq!((next["stored"].as_u64(), next["duplicates"].as_u64()), (Some(10), Some(10)));
    let ids = event_ids(&lake);
    assert_eq!(ids.len(), 40);
    assert!(ids.iter().all(|row| row["n"] == 1));
}

#[test]
fn killing_the_process_at_any_instant_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    for object in 0..40 {
        let name = format!("2026/10/{:02}/object{object}.json.gz", 1 + object % 28);
        put(&logs, &name, &trail(object * 90..object * 90 + 100));
    }
    let arguments = ["ingest", logs.to_str().unwrap(), "--lake", lake.to_str().unwrap(), "-q"];
    for round in 0..12 {
        let mut child = trailhound(&arguments).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + round * 60));
        let _ = child.kill();
        child.wait().unwrap();
    }
    ingest(&lake, &logs);
    let rows = query(&lake, "SELECT count(*) AS n, count(DISTINCT eventID) AS ids FROM cloudtrail");
    assert_eq!(rows, [json!({"n": 3610, "ids": 3610})]);
    let objects = query(&lake, "SELECT count(*) AS n, sum(read) AS read, sum(stored) AS stored FROM objects");
    assert_eq!(objects, [json!({"n": 40, "read": 4000, "stored": 3610})]);
}

#[test]
fn two_processes_on_one_lake_store_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    for object in 0..20 {
        put(&logs, &format!("object{object}.json.gz"), &trail(object * 10..object * 10 + 20));
    }
    let arguments = ["ingest", logs.to_str().unwrap(), "--lake", lake.to_str().unwrap(), "-q"];
    let mut children: Vec<_> = (0..3).map(|_| trailhound(&arguments).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let rows = query(&lake, "SELECT count(*) AS n, count(DISTINCT eventID) AS ids FROM cloudtrail");
    assert_eq!(rows, [json!({"n": 210, "ids": 210})]);
    assert_eq!(query(&lake, "SELECT count(*) AS n FROM objects"), [json!({"n": 20})]);
}

#[test]
fn bad_input_is_counted_named_and_costs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    put(&logs, "good.json.gz", &trail(0..10));
    let whole = trail(100..400);
    put(&logs, "truncated.json.gz", &whole[..whole.len() / 2]);
    put(&logs, "empty.json.gz", b"");
    put(&logs, "garbage.json.gz", &gzip(b"{\"Records\":[{\"eventVersion\":\"1.11\",\"eventTime\":"));
    put(&logs, "wrong-types.json", json!({"Records": [
        {"eventTime": "2026-10-01T00:00:00Z", "eventName": 7, "userIdentity": "nobody", "eventSource": "x.amazonaws.com"},
        {"eventTime": [], "eventName": "NoTime", "eventSource": "x.amazonaws.com"}, record(9999)
    ]}).to_string().as_bytes());
    put(&logs, "not-a-log.txt", b"hello\n");
    put(&logs, "na\nme\u{1b}[31m.json.gz", &trail(20..30));
    let output = run(&["ingest", logs.to_str().unwrap(), "--lake", lake.to_str().unwrap()]);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
    assert!(talk.contains("truncated.json.gz") && !talk.contains('\u{1b}'), "{talk}");

    let rows = query(
        &lake,
        "SELECT sum(read) AS read, sum(stored) AS stored, sum(duplicates) AS twice, sum(quarantined) AS bad FROM objects",
    );
    let figure = |name: &str| rows[0][name].as_u64().unwrap();
    assert_eq!(figure("read"), figure("stored") + figure("twice") + figure("bad"));
    let bad = query(&lake, "SELECT _object, reason FROM quarantine ORDER BY 1, 2");
    assert_eq!(bad.len() as u64, figure("bad"));
    for name in ["truncated.json.gz", "garbage.json.gz", "wrong-types.json"] {
        assert!(bad.iter().any(|row| row["_object"].as_str().unwrap().ends_with(name)), "{name}: {bad:?}");
    }
    let strange = query(
        &lake,
        "SELECT count(*) AS n FROM cloudtrail WHERE _object LIKE '%me%.json.gz' AND _object NOT LIKE '%trunc%'",
    );
    assert_eq!(strange, [json!({"n": 10})]);

    let strict = run(&[
        "ingest",
        logs.to_str().unwrap(),
        "--lake",
        folder.path().join("other").to_str().unwrap(),
        "--strict",
        "-q",
    ]);
    assert_eq!(strict.status.code(), Some(3));
}

#[test]
fn an_object_that_ends_early_is_one_piece_in_quarantine() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    let whole = trail(100..400);
    put(&logs, "cut.json.gz", &whole[..whole.len() / 2]);
    let flow = |minute: u32| {
        format!(
            "2 111122223333 eni-0a 192.0.2.1 10.0.0.{minute} 4{minute:03} 443 6 5 500 1790812800 1790812860 ACCEPT OK\n"
        )
    };
    let flows = gzip((1..200).map(flow).collect::<String>().as_bytes());
    put(&logs, "cut.log.gz", &flows[..flows.len() / 2]);
    put(&logs, "whole.json.gz", &[trail(500..510), b"junk".to_vec()].concat());
    put(&logs, "early.json.gz", &whole[..5]);
    let summary = ingest(&lake, &logs);
    adds_up(&summary);
    assert_eq!(summary["quarantined"], 4, "{summary}");

    let rows = query(&lake, "SELECT _object, _record, log, reason, start FROM quarantine ORDER BY _object");
    let [cut, flow, early, after] = &rows[..] else { panic!("{rows:#?}") };
    let says = |row: &Value, text: &str| assert!(row["reason"].as_str().unwrap().contains(text), "{row}");
    says(cut, "the text ends in the middle");
    says(cut, "gzip ends after");
    says(cut, "copy it again");
    assert!(cut["log"] == "cloudtrail" && cut["start"].as_str().unwrap().starts_with("{\""), "{cut}");
    says(flow, "; gzip ends after");
    assert_eq!(flow["log"], "vpcflow");
    assert!(early["log"].is_null() && early["start"].is_null(), "{early}");
    says(early, "gzip ends after 5 bytes");
    // Nothing was cut: what is missing comes after the ten records that are there.
    assert_eq!((&after["log"], &after["_record"], &after["start"]), (&Value::Null, &json!(10), &Value::Null));
    says(after, "4 bytes after the end of the gzip data");
}

#[test]
fn a_bomb_is_quarantined_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    put(&logs, "bomb.json.gz", &gzip(&vec![b' '; 64 << 20]));
    put(&logs, "good.json.gz", &trail(0..10));
    let limit = ["ingest", logs.to_str().unwrap(), "--lake", lake.to_str().unwrap(), "--max-object-size", "16MiB"];
    let output = run(&limit);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
    assert!(talk.contains("bomb.json.gz") && talk.contains("--max-object-size"), "{talk}");
    assert_eq!(query(&lake, "SELECT count(*) AS n FROM cloudtrail"), [json!({"n": 10})]);
    assert_eq!(query(&lake, "SELECT count(*) AS n FROM quarantine"), [json!({"n": 1})]);
}

#[test]
fn of_many_problems_the_first_are_listed_and_all_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    let whole = trail(0..3);
    for number in 0..57 {
        put(&logs, &format!("{number:02}.json.gz"), &whole[..whole.len() / 2]);
    }
    let output = run(&["ingest", logs.to_str().unwrap(), "--lake", lake.to_str().unwrap()]);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(talk.matches("gzip ends after").count(), 50, "{talk}");
    assert!(talk.contains("and 7 more"), "{talk}");
    let named = query(&lake, "SELECT count(*) AS n FROM objects WHERE problem IS NOT NULL");
    assert_eq!(named, [json!({"n": 57})]);

    let summary = ingest(&folder.path().join("other"), &logs);
    assert_eq!((summary["problems"].as_array().map(Vec::len), &summary["unlisted_problems"]), (Some(50), &json!(7)));
}

#[test]
fn a_wrong_path_is_one_sentence_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    put(&logs, "good.json.gz", &trail(0..10));
    let wrong = folder.path().join("nowhere");
    let output =
        run(&["ingest", wrong.to_str().unwrap(), logs.to_str().unwrap(), "--lake", lake.to_str().unwrap(), "-q"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(query(&lake, "SELECT count(*) AS n FROM cloudtrail"), [json!({"n": 10})]);
}

#[test]
fn days_that_cannot_match_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    for day in 0..5 {
        put(&logs, &format!("day{day}.json.gz"), &trail(day * 1440..day * 1440 + 200));
    }
    ingest(&lake, &logs);
    let plan = query(
        &lake,
        "EXPLAIN ANALYZE SELECT eventName FROM cloudtrail WHERE eventTime >= '2026-10-03T00:00:00Z' AND eventTime < '2026-10-04T00:00:00Z'",
    );
    let text = plan.iter().map(Value::to_string).collect::<String>();
    assert!(text.contains("date=2026-10-03") && !text.contains("date=2026-10-04"), "{text}");
    assert!(text.contains("row_groups_pruned_statistics"), "{text}");
    let by_key = query(
        &lake,
        "EXPLAIN SELECT eventName FROM cloudtrail WHERE userIdentity.arn = 'arn:aws:iam::111122223333:user/x'",
    );
    let text = by_key.iter().map(Value::to_string).collect::<String>();
    assert!(text.contains("useridentity_arn@"), "a filter on a nested field is one on the flat column: {text}");
    assert!(text.contains("EmptyExec"), "no file can hold this caller: {text}");
}

#[test]
fn first_times_are_found_without_reading_all() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    // Later files of a day hold earlier events.
    for minutes in [700..760, 100..160] {
        let logs = folder.path().join(format!("logs{}", minutes.start));
        for day in 0..20 {
            let records: Vec<Value> = minutes.clone().map(|minute| account_record(day, minute)).collect();
            put(&logs, &format!("{day}.json.gz"), &gzip(json!({ "Records": records }).to_string().as_bytes()));
        }
        ingest(&lake, &logs);
    }
    for group in ["recipientAccountId", "eventID", "userIdentity.arn", "awsRegion"] {
        for condition in
            ["true", "eventTime >= '2026-10-03T02:30:00Z'", "eventName = 'Rare'", "eventTime < '2026-10-02'"]
        {
            let by_group = |more: &str| {
                let columns = format!("{group} AS group_, min(eventTime) AS began{more}");
                query(&lake, &format!("SELECT {columns} FROM cloudtrail WHERE {condition} GROUP BY 1 ORDER BY 1"))
            };
            let (firsts, mut all) = (by_group(""), by_group(", count(*) AS n"));
            all.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("n")));
            assert_eq!(firsts, all, "{group} where {condition}");
            assert!(!firsts.is_empty());
        }
    }
    let passed_over = |group: &str| {
        let plan = query(&lake, &format!("EXPLAIN ANALYZE SELECT {group}, min(eventTime) FROM cloudtrail GROUP BY 1"));
        let text = plan.iter().map(Value::to_string).collect::<String>();
        let (_, rest) = text.split_once("files_passed_over=").expect("a scan for first times");
        rest.split([',', ']']).next().unwrap().to_owned()
    };
    assert_eq!(
        [passed_over("recipientAccountId"), passed_over("awsRegion"), passed_over("eventID")],
        ["22", "32", "0"]
    );
}

#[test]
fn first_times_of_very_many_groups_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    // Each of twenty days has 4,500 ids of its own, and one that all have.
    for day in 0..20 {
        let mut records: Vec<Value> = (0..4_500).map(|number| record(day * 1440 + number % 1440)).collect();
        for (number, record) in records.iter_mut().enumerate() {
            record["eventID"] = json!(format!("{day}-{number}"));
            record["requestID"] = json!(if number == 0 { "all".to_owned() } else { format!("{day}-{number}") });
        }
        put(&logs, &format!("{day}.json.gz"), &gzip(json!({ "Records": records }).to_string().as_bytes()));
    }
    ingest(&lake, &logs);
    let firsts = "SELECT requestID, min(eventTime) AS began FROM cloudtrail GROUP BY 1";
    let rows = query(
        &lake,
        &format!(
            "SELECT count(*) AS n, count(DISTINCT date_trunc('day', began)) AS days,              min(began) FILTER (WHERE requestID = 'all') AS began FROM ({firsts})"
        ),
    );
    assert_eq!(rows, [json!({ "n": 20 * 4_499 + 1, "days": 20, "began": "2026-10-01T00:00:00Z" })]);
    let plan = query(&lake, &format!("EXPLAIN ANALYZE {firsts}"));
    assert!(plan.iter().any(|row| row.to_string().contains("files_passed_over=0")));
}

/// An account has events from the first day on, another from the tenth, a third on the fifteenth alone; some events of the
/// fourth have none.
fn account_record(day: u32, minute: u32) -> Value {
    let mut event = record(day * 1440 + minute);
    event["recipientAccountId"] = match (day, minute % 10) {
        (9.., 1) => json!("222222222222"),
        (14, 2) => json!("333333333333"),
        (3, 3) => Value::Null,
        _ => json!("111111111111"),
    };
    if minute.is_multiple_of(37) {
        event["eventName"] = json!("Rare");
    }
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn what_files_say_of_their_pages_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    put(&logs, "day.json.gz", &trail(0..200));
    ingest(&lake, &logs);
    let lake = pipeline::open_lake(lake.to_str().unwrap()).await.unwrap();
    let engine = Engine::new(Settings::default(), lake.providers().await.unwrap()).await.unwrap();
    let footers = engine.context().runtime_env().cache_manager.get_file_metadata_cache();
    let with_pages = || {
        let entries = footers.list_entries();
        entries.values().filter(|entry| entry.value.file_metadata.extra_info()["page_index"] == "true").count()
    };
    for (sql, remembered) in [
        ("SELECT eventName FROM cloudtrail", 0),
        ("SELECT eventName FROM cloudtrail WHERE concat(eventName, '') = 'x'", 0),
        ("SELECT eventName FROM cloudtrail WHERE eventID >= '0'", 1),
    ] {
        engine.sql(sql).await.unwrap().collect().await.unwrap();
        assert_eq!(with_pages(), remembered, "{sql}");
    }
}

#[test]
fn joined_files_have_every_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("logs"), folder.path().join("lake"));
    for part in 0..3u32 {
        put(&logs, &format!("{part}.json.gz"), &trail(part * 100..part * 100 + 150));
        ingest(&lake, &logs);
    }
    let place = lake.to_str().unwrap();
    let rows = "SELECT count(*) AS rows, count(DISTINCT eventID) AS ids, min(time) AS first, max(time) AS last FROM cloudtrail";
    let one = "SELECT time, requestID FROM cloudtrail WHERE eventID = '00000000-0000-4000-8000-000000000123'";
    let before = (query(&lake, rows), query(&lake, one));
    assert_eq!((&before.0[0]["rows"], &before.0[0]["ids"]), (&json!(350), &json!(350)));
    let joined = run(&["lake", "compact", "--lake", place]);
    let said = String::from_utf8_lossy(&joined.stdout).into_owned();
    assert!(joined.status.success() && said.contains("cloudtrail   3 files became 1\n"), "{said}");
    assert_eq!((query(&lake, rows), query(&lake, one)), before);
    let again = ingest(&lake, &logs);
    assert_eq!((again["objects"].as_u64(), again["unchanged"].as_u64()), (Some(0), Some(3)));
}
