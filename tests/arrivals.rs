//! Live sources: folders and polled S3 prefixes, against a server in this process. Queues are in `queue.rs`.

#[path = "support/s3_server.rs"]
mod s3_server;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{Days, Utc};
use s3_server::{S3Server, config, write};
use trailhound::error::Error;
use trailhound::intake::arrivals::{Arrival, Arrivals, Pace};
use trailhound::intake::{Intake, Options};

/// Long enough for anything that works, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn quick() -> Pace {
    let poll = Duration::from_millis(100);
    Pace { poll, rest: Duration::from_millis(300), ..Pace::default() }
}

fn once() -> Pace {
    Pace { once: true, ..quick() }
}

fn start(intake: Intake, places: &[&str], pace: Pace) -> Arrivals {
    let places: Vec<String> = places.iter().map(|place| (*place).to_owned()).collect();
    Arrivals::start(Arc::new(intake), &places, pace).unwrap()
}

fn folder_intake() -> Intake {
    Intake::new(Options::default())
}

async fn next(arrivals: &mut Arrivals) -> Arrival {
    tokio::time::timeout(PATIENCE, arrivals.next()).await.expect("nothing arrives").expect("it ended")
}

/// Nothing arrives for a while.
async fn silence(arrivals: &mut Arrivals, millis: u64) {
    let arrival = tokio::time::timeout(Duration::from_millis(millis), arrivals.next()).await;
    assert!(arrival.is_err(), "{arrival:?}");
}

fn names(arrival: &Arrival) -> Vec<&str> {
    arrival.found.iter().map(|found| found.uri.rsplit('/').next().unwrap()).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Key of a trail's object, so many days ago.
fn key(days_ago: u64, name: &str) -> String {
    let day = Utc::now().date_naive() - Days::new(days_ago);
    format!("AWSLogs/111122223333/CloudTrail/us-east-1/{}/{name}", day.format("%Y/%m/%d"))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_taken_when_they_rest() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().canonicalize().unwrap();
    write(&top, "here.json", b"{}");
    write(&top, "copy.json.part", b"{}");
    let mut arrivals = start(folder_intake(), &[top.to_str().unwrap()], quick());
    let first = next(&mut arrivals).await;
    assert_eq!(names(&first), ["here.json"]);
    let listed = folder_intake().list(&[top.display().to_string()]).await.found.remove(0);
    assert_eq!((&first.found[0].uri, &first.found[0].version), (&listed.uri, &listed.version));
    first.done().await;

    let grown = top.join("deep/er/growing.json");
    let began = Instant::now();
    write(&top, "deep/er/growing.json", b"{");
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut file = std::fs::OpenOptions::new().append(true).open(&grown).unwrap();
        std::io::Write::write_all(&mut file, b" ").unwrap();
    }
    let second = next(&mut arrivals).await;
    assert_eq!(names(&second), ["growing.json"]);
    assert!(began.elapsed() >= Duration::from_millis(800), "taken after {:?}", began.elapsed());
    assert_eq!(second.found[0].size, 6, "all that was written");
    second.done().await;
    silence(&mut arrivals, 600).await;
    let state = arrivals.state().remove(0);
    assert_eq!((state.kind, state.received, state.finished, state.in_flight), ("folder", 2, 2, 0));
    assert!(state.caught_up && state.trouble.is_none(), "{state:?}");

    std::fs::rename(top.join("copy.json.part"), top.join("copy.json")).unwrap();
    assert_eq!(names(&next(&mut arrivals).await), ["copy.json"]);
    arrivals.stop();
    assert!(tokio::time::timeout(PATIENCE, arrivals.next()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_comes_again_and_changed_files_are_new() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", b"{}");
    let mut arrivals = start(folder_intake(), &[folder.path().to_str().unwrap()], quick());
    drop(next(&mut arrivals).await);
    assert_eq!(arrivals.state()[0].finished, 0);
    let again = next(&mut arrivals).await;
    assert_eq!(names(&again), ["a.json"]);
    let version = again.found[0].version.clone();
    again.done().await;
    write(folder.path(), "a.json", b"{} {}");
    let changed = next(&mut arrivals).await;
    assert_eq!(names(&changed), ["a.json"]);
    assert_ne!(changed.found[0].version, version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_vanishes_is_trouble_until_it_is_back() {
    let above = tempfile::tempdir().unwrap();
    let top = above.path().canonicalize().unwrap().join("in");
    write(&top, "a.json", b"{}");
    let mut arrivals = start(folder_intake(), &[top.to_str().unwrap()], quick());
    next(&mut arrivals).await.done().await;
    std::fs::remove_dir_all(&top).unwrap();
    until("trouble", || arrivals.state()[0].trouble.is_some()).await;
    assert!(arrivals.state()[0].failures > 0);
    write(&top, "b.json", b"{}");
    let back = next(&mut arrivals).await;
    assert_eq!((names(&back), arrivals.state()[0].trouble.clone()), (vec!["b.json"], None));
    write(&top, "c.json", b"{}");
    assert_eq!(names(&next(&mut arrivals).await), ["c.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_files_waits_for_the_consumer() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..10_000 {
        write(folder.path(), &format!("{i:05}.json"), b"{}");
    }
    let mut arrivals = start(folder_intake(), &[folder.path().to_str().unwrap()], quick());
    until("waiting", || arrivals.state()[0].in_flight >= 3_000).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let state = arrivals.state().remove(0);
    assert!(state.in_flight <= 4_000 && state.waiting > Some(0) && !state.caught_up, "{state:?}");
    let mut uris = Vec::new();
    while uris.len() < 10_000 {
        let arrival = next(&mut arrivals).await;
        uris.extend(arrival.found.iter().map(|found| found.uri.clone()));
        arrival.done().await;
    }
    uris.sort();
    uris.dedup();
    assert_eq!(uris.len(), 10_000);
    until("all done", || arrivals.state()[0].finished == 10_000).await;
    assert!(arrivals.try_next().is_none());
}

#[tokio::test]
async fn once_takes_what_is_there_from_all_places_and_ends() {
    let server = S3Server::start();
    server.put("logs", &key(400, "old.json"), b"{}");
    server.put("logs", "x/new.json", b"{}");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.json", b"{}");
    let intake = Intake::with_aws(Options::default(), server.config());
    let top = folder.path().to_str().unwrap();
    let mut arrivals = start(intake, &["s3://logs", top, "s3://none-such", top], once());
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    while let Some(arrival) = tokio::time::timeout(PATIENCE, arrivals.next()).await.unwrap() {
        found.extend(names(&arrival).into_iter().map(str::to_owned));
        problems.extend(arrival.problems.clone());
        arrival.done().await;
    }
    found.sort();
    assert_eq!(found, ["a.json", "new.json", "old.json"]);
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.reason.contains("no bucket"), "{problem:?}");
    let states = arrivals.state();
    let [logs, files, none] = &states[..] else { panic!("{states:?}") };
    assert_eq!((logs.kind, logs.finished, files.kind, files.finished), ("s3", 2, "folder", 1));
    assert!(logs.trouble.is_none() && none.trouble.is_some(), "{states:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_polled_by_day_after_the_first_listing() {
    let server = S3Server::start();
    for days_ago in [0, 1, 30] {
        server.put("logs", &key(days_ago, "first.json"), b"{}");
    }
    let mut arrivals = start(Intake::with_aws(Options::default(), server.config()), &["s3://logs/"], quick());
    let first = next(&mut arrivals).await;
    assert_eq!(first.found.len(), 3);
    let versions = |arrival: &Arrival| -> Vec<(String, String)> {
        arrival.found.iter().map(|found| (found.uri.clone(), found.version.clone())).collect()
    };
    let listing = Intake::with_aws(Options::default(), server.config()).list(&["s3://logs/".to_owned()]).await;
    let listed: Vec<_> = listing.found.iter().map(|found| (found.uri.clone(), found.version.clone())).collect();
    assert_eq!(versions(&first), listed);
    first.done().await;
    silence(&mut arrivals, 500).await;

    let before = server.seen().len();
    server.put("logs", &key(30, "late.json"), b"{}");
    server.put("logs", &key(0, "second.json"), b"{}");
    server.put("logs", &key(0, "first.json"), b"{ }");
    let second = next(&mut arrivals).await;
    let mut both = names(&second).into_iter().map(str::to_owned).collect::<Vec<_>>();
    if both.len() == 1 {
        both.extend(names(&next(&mut arrivals).await).into_iter().map(str::to_owned));
    }
    both.sort();
    assert_eq!(both, ["first.json", "second.json"], "the one that changed and the one that is new");
    let asked: Vec<String> = server.seen().into_iter().skip(before).map(|seen| seen.target).collect();
    let old = (Utc::now().date_naive() - Days::new(30)).format("%Y%%2F%m%%2F%d").to_string();
    assert!(!asked.is_empty() && asked.iter().all(|target| !target.contains(&old)), "{asked:?}");
    assert!(arrivals.state()[0].caught_up || arrivals.state()[0].in_flight > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_there_yet_is_trouble_that_passes() {
    let server = S3Server::start();
    let mut arrivals = start(Intake::with_aws(Options::default(), server.config()), &["s3://later/p"], quick());
    until("trouble", || arrivals.state()[0].failures >= 2).await;
    assert!(arrivals.state()[0].trouble.as_ref().unwrap().contains("no bucket later"), "{:?}", arrivals.state());
    server.put("later", "p/x.json", b"{}");
    let arrival = next(&mut arrivals).await;
    assert_eq!((names(&arrival), arrivals.state()[0].trouble.clone()), (vec!["x.json"], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_slow_down_is_told_and_asked_again() {
    let server = slow_down();
    let config = config(&server, s3_server::KEY_ID, s3_server::SECRET);
    let arrivals = start(Intake::with_aws(Options::default(), config), &["s3://logs/"], quick());
    until("trouble", || arrivals.state()[0].failures >= 2).await;
    let state = arrivals.state().remove(0);
    assert!(state.trouble.as_ref().unwrap().contains("SlowDown"), "{state:?}");
    assert!(!state.caught_up);
}

/// A server that throttles every request.
fn slow_down() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut request = [0; 4096];
            let _ = std::io::Read::read(&mut socket, &mut request);
            let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
            let head = format!("HTTP/1.1 503 Slow Down\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = std::io::Write::write_all(&mut socket, format!("{head}{body}").as_bytes());
        }
    });
    address
}

#[tokio::test]
async fn wrong_places_are_told_at_once() {
    let folder = Path::new("no/such/folder").display().to_string();
    for place in [folder, "s3://".to_owned(), "https://example.com/".to_owned(), "-".to_owned()] {
        let started = Arrivals::start(Arc::new(folder_intake()), std::slice::from_ref(&place), Pace::default());
        assert!(matches!(started, Err(Error::Usage(_))), "{place}");
    }
}
