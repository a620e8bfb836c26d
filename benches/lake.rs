//! How fast an archive becomes a lake, rules judge it, values are looked up in it, and one new object is taken in and judged:
//! each beside what limits it, or the plain way to do the same, in the same run.
//!
//! `cargo bench --bench lake` makes its own archive. `TRAILHOUND_BENCH_EVENTS` sets its size (1,000,000 events when not set).
//! `TRAILHOUND_BENCH_ROLES` says how many roles make the events (one when not set, the worst case of rules that look back).
//! `TRAILHOUND_BENCH_LAKE=/folder` measures a lake that an earlier run of the same size left there, or leaves one there.
//! `cargo bench --bench lake -- rules look-up delta` measures only these of what comes after the ingest.

mod corpus;

use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use chrono::{Duration, TimeZone, Utc};
use indicatif::ProgressBar;
use libdeflater::Decompressor;
use trailhound::detect::{self, Report, Rule, Scans, Shelf, Tuning};
use trailhound::engine::{Engine, Settings, Window};
use trailhound::intake::{Intake, Options};
use trailhound::lake::Lake;
use trailhound::pipeline::{self, Ingest, Summary};

/// Rounds of what is fast; the best counts.
const ROUNDS: usize = 5;

fn main() {
    let events = std::env::var("TRAILHOUND_BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(16 << 20)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = std::env::var_os("TRAILHOUND_BENCH_LAKE").map_or(folder.path().join("lake"), PathBuf::from);
        let place = lake.to_string_lossy().into_owned();
        let objects = u64::max(events / corpus::PER_OBJECT, 1);
        println!("{} events in {objects} objects, {} threads", objects * corpus::PER_OBJECT, threads());
        if !lake.exists() {
            let archive = folder.path().join("archive");
            write_archive(&archive, objects);
            bench_ingest(&archive, &place, objects).await;
        }
        let asked: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
        let wants = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
        if wants("rules") {
            bench_rules(&place).await;
        }
        if wants("look-up") {
            bench_lookup(&place).await;
        }
        if wants("delta") {
            bench_delta(folder.path(), &place, objects).await;
            bench_follow(folder.path(), &place, objects);
        }
    });
}

/// Ingest, beside inflating and parsing the same objects on the same threads with nothing kept.
async fn bench_ingest(archive: &Path, place: &str, objects: u64) {
    let floor = tokio::task::block_in_place(|| parse_all(archive, objects));
    let (seconds, summary) = ingest(archive, place).await;
    assert_eq!(summary.stored, objects * corpus::PER_OBJECT, "every made event is new");
    let rate = summary.stored as f64 / seconds;
    println!(
        "ingest: {seconds:.2} s, {rate:.0} events/s; inflate + sonic-rs on the same threads: {floor:.2} s; {:.1} times that",
        seconds / floor
    );
}

/// Rules that name up to four kinds of events, together and, as the peer, each by itself.
async fn bench_rules(place: &str) {
    let engine = open(place).await;
    for count in [10, 100, 1_000] {
        let rules: Vec<Rule> = (0..count).map(made_rule).collect();
        let mut best: Option<Report> = None;
        for _ in 0..ROUNDS {
            let report = judge(&engine, &rules, &Window::default(), Scans::Shared).await;
            let seconds = |report: &Report| report.scanning + report.answering;
            if best.as_ref().is_none_or(|known| seconds(&report) < seconds(known)) {
                best = Some(report);
            }
        }
        let report = best.expect("a round");
        let planning = report.seconds - report.scanning - report.answering;
        let alone = match count {
            1_000 => None,
            _ => Some(judge(&engine, &rules, &Window::default(), Scans::Alone).await.seconds),
        };
        println!(
            "rules: {count}: {:.3} s from start of scan to {} findings (scan {:.3} s), {planning:.3} s planning before; {}",
            report.scanning + report.answering,
            report.findings.len(),
            report.scanning,
            alone.map_or("one query per rule not run".to_owned(), |alone| format!(
                "one query per rule: {alone:.2} s, {:.0} times all of it",
                alone / report.seconds
            ))
        );
    }
}

/// All rows of one value, beside a query that has to look at every row of the column; after small files were joined.
async fn bench_lookup(place: &str) {
    let began = Instant::now();
    let joined = pipeline::open_lake(place).await.expect("a lake").compact().await.expect("a compaction");
    for (table, before, after) in joined.iter().filter(|(_, before, _)| *before > 0) {
        println!("lake compact: {table}: {before} files became {after} in {:.1} s", began.elapsed().as_secs_f64());
    }
    let engine = open(place).await;
    let row = "SELECT eventID, requestID, userIdentity.accessKeyId, userIdentity.arn, sourceIPAddress FROM cloudtrail LIMIT 1";
    let first = engine.sql(row).await.expect("a plan").collect().await.expect("a row");
    let sample = first.first().expect("a row");
    for (place, column) in [
        (0, "eventID"),
        (1, "requestID"),
        (2, "userIdentity.accessKeyId"),
        (3, "userIdentity.arn"),
        (4, "sourceIPAddress"),
    ] {
        let value = datafusion::arrow::util::display::array_value_to_string(sample.column(place), 0).expect("a text");
        let exact = format!("SELECT time, eventName, requestParameters FROM cloudtrail WHERE {column} = '{value}'");
        let full =
            format!("SELECT time, eventName, requestParameters FROM cloudtrail WHERE concat({column}, '') = '{value}'");
        let (found, seconds) = timed(&engine, &exact).await;
        let (same, slow) = timed(&engine, &full).await;
        assert_eq!(found, same, "both ways find the same rows");
        println!(
            "look-up: {column}: {found} rows in {:.0} ms; looking at every row: {:.0} ms",
            1e3 * seconds,
            1e3 * slow
        );
    }
}

/// One new object into the lake and judged, beside the same object into a lake of its own.
async fn bench_delta(folder: &Path, place: &str, objects: u64) {
    let rules = Shelf::built_in().expect("the built-in rules").rules().to_vec();
    let mut times = Vec::new();
    for (name, lake) in [
        ("one new object", place.to_owned()),
        ("into an empty lake", folder.join("empty").to_string_lossy().into_owned()),
    ] {
        let fresh = folder.join(format!("fresh-{}", times.len()));
        // Another one each time: a lake that was left by an earlier run has its objects.
        let number = Utc::now().timestamp_micros() as u64;
        write(&fresh, &corpus::key(objects - 1, objects), &corpus::made_object(number, number + 1));
        let began = Instant::now();
        let (_, summary) = ingest(&fresh, &lake).await;
        let ingested = began.elapsed().as_secs_f64();
        assert_eq!(summary.stored, corpus::PER_OBJECT, "the object is new");
        let engine = open(&lake).await;
        let first = Utc.with_ymd_and_hms(2026, 10, 1, 0, 0, 0).single().expect("a time");
        let start = first + Duration::hours(corpus::hour(objects - 1, objects) as i64);
        let window = Window { start: Some(start), end: None, lookback: Duration::zero() };
        let report = judge(&engine, &rules, &window, Scans::Shared).await;
        let all = began.elapsed().as_secs_f64();
        println!(
            "small delta: {name}: {all:.2} s (ingest {ingested:.2} s, {} rules over its hour {:.2} s, of which scans {:.2} s)",
            rules.len(),
            report.seconds,
            report.scanning
        );
        times.push(all);
    }
}

/// One new object for a follower of the lake: seconds until it tells what the object makes it find. Rules over more than one
/// row answer when their logs are complete.
fn bench_follow(folder: &Path, place: &str, objects: u64) {
    let (logs, state) = (folder.join("incoming"), folder.join("state"));
    std::fs::create_dir(&logs).expect("a folder");
    let mut follower = Command::new(env!("CARGO_BIN_EXE_trailhound"));
    follower.args(["follow", "--output", "-", "--rest", "0s", "--listen", "none", "--quiet", "--lake", place]);
    let follower = follower.arg("--state").arg(&state).arg(&logs).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut follower = follower.spawn().expect("the program was built");
    let told = BufReader::new(follower.stdout.take().expect("its findings"));
    let mut findings = told.lines().map(|line| line.expect("a finding"));
    let mut times = Vec::new();
    for round in 0..=ROUNDS as u64 {
        let number = Utc::now().timestamp_micros() as u64;
        let trail = format!("trail-{number}");
        let json = corpus::made_object(number, number + 1).replacen(
            r#"{"Records":["#,
            &format!(r#"{{"Records":[{},"#, corpus::stopped_trail(&trail)),
            1,
        );
        let packed = corpus::pack(&json);
        let path = logs.join(format!("{number}.json.gz"));
        let unfinished = logs.join(format!(".{number}"));
        std::fs::write(&unfinished, packed).expect("an object");
        let began = Instant::now();
        std::fs::rename(unfinished, path).expect("an object");
        assert!(findings.any(|line| line.contains("stopped_trail") && line.contains(&trail)), "it is found");
        times.push(began.elapsed().as_secs_f64());
        if round == 0 {
            println!(
                "small delta: a follower that begins on a lake of {objects} objects: first answer in {:.1} s",
                times[0]
            );
        }
    }
    follower.kill().expect("it runs");
    follower.wait().expect("it ran");
    times.remove(0);
    times.sort_by(f64::total_cmp);
    println!(
        "small delta: one new object for a follower: told in {:.2} s (of {ROUNDS}: least {:.2}, most {:.2})",
        times[ROUNDS / 2],
        times[0],
        times[ROUNDS - 1]
    );
}

fn write_archive(folder: &Path, objects: u64) {
    for object in 0..objects {
        write(folder, &corpus::key(object, objects), &corpus::made_object(object, objects));
    }
}

fn write(folder: &Path, key: &str, json: &str) {
    let path = folder.join(key);
    std::fs::create_dir_all(path.parent().expect("a key has folders")).expect("a folder");
    std::fs::write(path, corpus::pack(json)).expect("an object");
}

/// Seconds to inflate all objects and parse their JSON, on as many threads as an ingest uses.
fn parse_all(archive: &Path, objects: u64) -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads() as u64 {
            scope.spawn(move || {
                let (mut inflater, mut buffer) = (Decompressor::new(), vec![0u8; 16 << 20]);
                for object in (thread..objects).step_by(threads()) {
                    let packed = std::fs::read(archive.join(corpus::key(object, objects))).expect("an object");
                    let length = inflater.gzip_decompress(&packed, &mut buffer).expect("an intact gzip object");
                    black_box(sonic_rs::from_slice::<sonic_rs::Value>(&buffer[..length]).expect("JSON"));
                }
            });
        }
    });
    began.elapsed().as_secs_f64()
}

async fn ingest(logs: &Path, place: &str) -> (f64, Summary) {
    let lake: Lake = pipeline::open_lake(place).await.expect("a lake");
    let settings = Ingest {
        threads: threads(),
        memory: 256 << 20,
        limit: 512 << 20,
        publish_rows: pipeline::PUBLISH_ROWS,
        run_id: "bench".into(),
    };
    let (intake, logs) = (Intake::new(Options::default()), [logs.to_string_lossy().into_owned()]);
    let began = Instant::now();
    let summary = pipeline::ingest(&lake, &intake, &logs, &settings, &ProgressBar::hidden()).await.expect("an ingest");
    (began.elapsed().as_secs_f64(), summary)
}

async fn open(place: &str) -> Engine {
    let lake = pipeline::open_lake(place).await.expect("a lake");
    let providers = lake.providers().await.expect("its tables");
    Engine::new(Settings { threads: threads(), ..Settings::default() }, providers).await.expect("an engine")
}

async fn judge(engine: &Engine, rules: &[Rule], window: &Window, scans: Scans) -> Report {
    detect::run(engine, rules, &Tuning::default(), window, threads(), scans, "bench")
        .await
        .expect("the tables can be read")
}

/// Rows and best seconds of a query.
async fn timed(engine: &Engine, sql: &str) -> (usize, f64) {
    let (mut rows, mut best) = (0, f64::MAX);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let batches = engine.sql(sql).await.expect("a plan").collect().await.expect("rows");
        rows = batches.iter().map(|batch| batch.num_rows()).sum();
        best = best.min(began.elapsed().as_secs_f64());
    }
    (rows, best)
}

/// A rule on one to four rare kinds of events, sometimes narrowed further, that fires on few.
fn made_rule(number: u64) -> Rule {
    let kinds: Vec<(String, String)> =
        (0..=number % 4).map(|kind| corpus::rare_kind(number * 30 + kind * 30)).collect();
    let service = &kinds.first().expect("a kind").0;
    let names: Vec<String> = kinds.iter().map(|(_, name)| format!("'{name}'")).collect();
    let mut condition = format!("eventSource = '{service}.amazonaws.com' AND eventName IN ({})", names.join(", "));
    if number.is_multiple_of(2) {
        condition.push_str(" AND errorCode IS NULL");
    }
    if number.is_multiple_of(3) {
        condition.push_str(" AND userIdentity.type = 'AssumedRole'");
    }
    condition.push_str(&format!(" AND requestParameters LIKE '%thing-{}\"%'", number % 1_000));
    let text = format!(
        "title = \"A thing was changed\"\nseverity = \"low\"\nconfidence = \"low\"\nkind = \"hunt\"\nlogs = [\"cloudtrail\"]\n\
         needs = [\"cloudtrail\"]\nlayer = \"identity\"\nphase = \"prototype\"\nwhy = \"To measure.\"\ngaps = \"none known\"\n\
         false_positives = [\"everyone\"]\ntriage = [\"Look at the hour before.\"]\nentity = [\"principal\"]\nlookback = \"0s\"\n\
         quiet = \"1h\"\nsql = '''\nSELECT time, fresh, userIdentity.arn AS principal, sourceIPAddress AS source_ip, \
         eventID AS event_id, _object, _record FROM cloudtrail WHERE {condition}\n'''\n\
         [[test]]\nname = \"fires\"\nfires = true\nevents = [{{ log = \"cloudtrail\" }}]\n\
         [[test]]\nname = \"is quiet\"\nfires = false\nevents = [{{ log = \"cloudtrail\" }}]\n"
    );
    Rule::read(&format!("bench/rule_{number}.toml"), &text, true).expect("the rule is sound")
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
