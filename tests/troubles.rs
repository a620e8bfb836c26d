//! A follower in trouble: it says so, ends when it is asked to, and loses nothing.
#![cfg(unix)]

#[path = "support/s3_server.rs"]
mod s3_server;
mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use s3_server::S3Server;
use support::{put, query, run, trail, trailhound};

/// Long enough for anything that works, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn start(folder: &Path, source: &str, address: &str, environment: &[(&str, String)]) -> Child {
    let arguments = ["follow", source, "--lake", "lake", "--output", "told.ndjson", "--listen", address];
    let quick = ["--rest", "0s", "--poll", "1s", "--rule", "stopped_trail", "--log-format", "json"];
    let mut command = trailhound(&[&arguments[..], &quick[..]].concat());
    command.current_dir(folder).envs(environment.iter().map(|(name, value)| (name, value)));
    let log = std::fs::File::create(folder.join("follow.log")).unwrap();
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Status and body of a page; nothing when nobody answers.
fn page(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Waits for a page that is as wanted.
fn wait_for(address: &str, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
    let end = Instant::now() + PATIENCE;
    let mut last = None;
    while Instant::now() < end {
        last = page(address, path);
        if let Some((status, body)) = &last
            && wanted(*status, body)
        {
            return body.clone();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{path}: {last:?}");
}

/// Asks it to end; exit code, and how long it took.
fn end(mut follower: Child) -> (Option<i32>, Duration) {
    let began = Instant::now();
    let asked = Command::new("kill").args(["-TERM", &follower.id().to_string()]).status().unwrap();
    assert!(asked.success());
    (follower.wait().unwrap().code(), began.elapsed())
}

fn count(lake: &Path) -> u64 {
    query(lake, "SELECT count(*) AS n FROM cloudtrail")[0]["n"].as_u64().unwrap()
}

#[test]
fn objects_that_s3_throttles_are_read_later_and_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3Server::start();
    for object in 0..3 {
        server.put("logs", &format!("{object}.json.gz"), trail(object * 10..object * 10 + 10));
    }
    server.throttle(true);
    let mut environment = server.environment();
    environment.push(("AWS_MAX_ATTEMPTS", "1".to_owned()));
    let address = free_address();
    let follower = start(folder.path(), "s3://logs", &address, &environment);
    let body = wait_for(&address, "/readyz", |status, body| status == 503 && body.contains("cannot be read just now"));
    assert!(body.contains("3 objects") && body.contains("SlowDown"), "{body}");
    wait_for(&address, "/metrics", |_, body| body.contains("\ntrailhound_unread_objects 3\n"));
    assert!(page(&address, "/metrics").unwrap().1.contains("\ntrailhound_trouble 1\n"));
    server.throttle(false);
    wait_for(&address, "/readyz", |status, _| status == 200);
    wait_for(&address, "/metrics", |_, body| body.contains("\ntrailhound_unread_objects 0\n"));
    assert_eq!(end(follower).0, Some(0));
    assert_eq!(count(&folder.path().join("lake")), 30);
}

#[test]
fn asked_to_end_while_its_lake_is_gone_it_ends_and_the_next_start_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake, away) = (folder.path().join("in"), folder.path().join("lake"), folder.path().join("away"));
    put(&logs, "a.json.gz", &trail(0..10));
    let address = free_address();
    let follower = start(folder.path(), logs.to_str().unwrap(), &address, &[]);
    wait_for(&address, "/metrics", |_, body| body.contains("\ntrailhound_objects_total 1\n"));
    wait_for(&address, "/readyz", |status, _| status == 200);
    std::fs::rename(&lake, &away).unwrap();
    std::fs::write(&lake, "in its place").unwrap();
    put(&logs, "b.json.gz", &trail(10..20));
    wait_for(&address, "/readyz", |status, body| status == 503 && body.contains("because"));
    let (code, took) = end(follower);
    assert!(code == Some(4) && took < Duration::from_secs(30), "{code:?} after {took:?}");
    std::fs::remove_file(&lake).unwrap();
    std::fs::rename(&away, &lake).unwrap();
    let (lake, logs) = (lake.to_str().unwrap(), logs.to_str().unwrap());
    let done = run(&["follow", logs, "--once", "--lake", lake, "--rule", "stopped_trail", "-q"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(count(lake.as_ref()), 20);
}

#[test]
fn events_of_a_write_that_failed_are_stored_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, lake) = (folder.path().join("in"), folder.path().join("lake"));
    put(&logs, "a.json.gz", &trail(0..10));
    let address = free_address();
    let follower = start(folder.path(), logs.to_str().unwrap(), &address, &[]);
    wait_for(&address, "/metrics", |_, body| body.contains("\ntrailhound_objects_total 1\n"));
    wait_for(&address, "/readyz", |status, _| status == 200);
    // The events are of the day after, whose folder cannot be made.
    let obstacle = lake.join("cloudtrail/date=2026-10-02");
    std::fs::write(&obstacle, "in its place").unwrap();
    put(&logs, "b.json.gz", &trail(1440..1450));
    wait_for(&address, "/readyz", |status, body| status == 503 && body.contains("because"));
    std::fs::remove_file(&obstacle).unwrap();
    wait_for(&address, "/metrics", |_, body| body.contains("\ntrailhound_objects_total 2\n"));
    assert_eq!(end(follower).0, Some(0));
    assert_eq!(count(&lake), 20);
}
