//! Intake from S3, and lakes in S3, against a server in this process.

#[path = "support/records.rs"]
mod records;
#[path = "support/s3_server.rs"]
mod s3_server;

use std::io::Write;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use object_store::path::Path;
use records::record;
use s3_server::{Conditions, KEY_ID, S3Server, config, write};
use trailhound::error::{Error, Result};
use trailhound::intake::{Intake, Listing, Options};
use trailhound::lake::Lake;
use trailhound::lake::objects::fingerprint;
use trailhound::lake::s3::{probe_conditional_put, register_with};

fn intake(server: &S3Server, options: Options) -> Intake {
    Intake::with_aws(options, server.config())
}

async fn list(intake: &Intake, place: &str) -> Listing {
    intake.list(&[place.to_owned()]).await
}

fn uris(listing: &Listing) -> Vec<&str> {
    listing.found.iter().map(|found| found.uri.as_str()).collect()
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    Some(text.parse().unwrap())
}

/// Every object of a place as (name below the place, bytes).
async fn read_all(intake: &Intake, place: &str) -> Vec<(String, Vec<u8>)> {
    let listing = list(intake, place).await;
    assert_eq!(listing.problems, []);
    let mut objects = Vec::new();
    let mut stream = intake.fetch(listing.found);
    while let Some(fetched) = stream.next().await {
        let (found, bytes) = fetched.load().unwrap();
        assert_eq!(found.size, bytes.len() as u64);
        let (_, name) = found.uri.split_once("top/").unwrap();
        objects.push((name.to_owned(), bytes.to_vec()));
    }
    objects
}

#[tokio::test]
async fn every_page_is_listed_once_and_in_order() {
    let server = S3Server::start();
    for i in 0..1050 {
        server.put("logs", &format!("many/{i:04}.json"), b"{}");
    }
    server.put("logs", "other/x.json", b"{}");
    let listing = list(&intake(&server, Options::default()), "s3://logs/many").await;
    let expected: Vec<String> = (0..1050).map(|i| format!("s3://logs/many/{i:04}.json")).collect();
    assert_eq!(uris(&listing), expected);
    assert_eq!(listing.problems, []);
}

const TREE: &[&str] = &[
    "AWSLogs/111122223333/CloudTrail/us-east-1/2025/10/01/a.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/09/30/b.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/01/c.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/02/d.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/05/e.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/stray.json.gz",
    "AWSLogs/o-abcdef1234/444455556666/CloudTrail/eu-west-1/2026/10/03/f.json.gz",
    "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=10/day=02/g.log",
    "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=08/day=02/h.log",
    "AWSLogs/111122223333/BedrockModelInvocationLogs/us-east-1/2026/10/02/13/data/i_input.json.gz",
    "by-hand/2026/10/02/j.json",
    "by-hand/2026/11/02/k.json",
    "by-hand/2026/11/02/AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/02/l.json.gz",
    "by-hand/notes/2019/m.json",
    "111122223333_CloudTrail_us-east-1_20261002T1205Z_AbCdEfGh01234567.json.gz",
    "111122223333_CloudTrail_us-east-1_20261009T1205Z_AbCdEfGh01234567.json.gz",
    "copy.json.part",
];

fn window() -> Options {
    Options { since: time("2026-10-02T08:00:00Z"), until: time("2026-10-02T20:00:00Z"), ..Options::default() }
}

#[tokio::test]
async fn only_wanted_days_are_asked_for() {
    let server = S3Server::start();
    for key in TREE {
        server.put("logs", key, key);
    }
    let listing = list(&intake(&server, window()), "s3://logs").await;
    assert_eq!(listing.problems, []);
    let mut letters: Vec<&str> = uris(&listing).iter().map(|uri| uri.rsplit('/').next().unwrap()).collect();
    letters.sort();
    let expected =
        ["111122223333_CloudTrail_us-east-1_20261002T1205Z_AbCdEfGh01234567.json.gz", "c.json.gz", "d.json.gz"]
            .into_iter()
            .chain(["f.json.gz", "g.log", "i_input.json.gz", "j.json", "l.json.gz", "m.json", "stray.json.gz"]);
    assert_eq!(letters, expected.collect::<Vec<_>>());
    let days: Vec<_> = listing.found.iter().map(|found| found.day).collect();
    let dated = days.iter().take_while(|day| day.is_some()).count();
    assert!(days[..dated].is_sorted() && days[dated..].iter().all(Option::is_none), "{days:?}");

    let asked: Vec<String> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert!(asked.iter().any(|target| target.contains("2026%2F10%2F02")), "{asked:?}");
    for unwanted in ["2025", "2026%2F09", "2026%2F10%2F05", "month%3D08", "prefix=by-hand%2F2026%2F11%2F02%2F&"] {
        assert!(!asked.iter().any(|target| target.contains(unwanted)), "{unwanted} in {asked:?}");
    }
}

#[tokio::test]
async fn a_folder_and_a_bucket_with_the_same_content_read_the_same() {
    let server = S3Server::start();
    let folder = tempfile::tempdir().unwrap();
    let odd =
        ["a b+c.json", "grün/ü&x=1;#?.json", "100%41.json", "deep/er/than/five/levels/of/folders/x.json", "empty"];
    for key in TREE.iter().chain(&odd) {
        let bytes = if *key == "empty" { "" } else { key };
        server.put("logs", &format!("top/{key}"), bytes);
        write(&folder.path().join("top"), key, bytes.as_bytes());
    }
    for options in [Options::default(), window(), Options { until: time("2026-09-01T00:00:00Z"), ..window() }] {
        let options = Options { since: options.since.filter(|_| options.until > options.since), ..options };
        let intake = intake(&server, options.clone());
        let from_folder = read_all(&intake, folder.path().join("top").to_str().unwrap()).await;
        let from_bucket = read_all(&intake, "s3://logs/top/").await;
        assert_eq!(from_folder, from_bucket);
        assert!(from_folder.iter().any(|(name, bytes)| name == "100%2541.json" && bytes == b"100%41.json"));
        assert!(from_folder.len() > odd.len(), "{options:?}");
    }
}

#[tokio::test]
async fn large_objects_come_in_parts_and_whole() {
    let server = S3Server::start();
    let large: Vec<u8> = (0..20u32 << 20).map(|i| (i ^ (i >> 11) ^ (i >> 19)) as u8).collect();
    server.put("logs", "top/large.bin", &large);
    server.put("logs", "top/small.bin", b"small");
    let objects = read_all(&intake(&server, Options::default()), "s3://logs/top").await;
    assert_eq!(objects.len(), 2);
    assert!(objects[0].1 == large && objects[1].1 == b"small");
    let seen = server.seen();
    let mut ranges: Vec<&str> = seen.iter().filter_map(|seen| seen.headers.get("range")).map(String::as_str).collect();
    ranges.sort();
    assert_eq!(ranges, ["bytes=0-8388607", "bytes=16777216-20971519", "bytes=8388608-16777215"]);
}

#[tokio::test]
async fn objects_above_the_limit_are_not_downloaded() {
    let server = S3Server::start();
    server.put("logs", "large.bin", vec![7; 5000]);
    let intake = intake(&server, Options { limit: 4096, ..Options::default() });
    let listing = list(&intake, "s3://logs").await;
    let fetched = intake.fetch(listing.found).next().await.unwrap();
    let (found, reason) = fetched.load().unwrap_err();
    assert_eq!(found.uri, "s3://logs/large.bin");
    assert!(reason.contains("4 KiB") && reason.contains("--max-object-size"), "{reason}");
    assert!(!server.seen().iter().any(|seen| seen.target.contains("large.bin")));
}

#[tokio::test]
async fn objects_arrive_in_the_order_of_the_list_and_overlaps_count_once() {
    let server = S3Server::start();
    for i in 0..200 {
        server.put("logs", &format!("a/{i:03}"), format!("{i}"));
    }
    let intake = intake(&server, Options { concurrency: 7, ..Options::default() });
    let places = ["s3://logs/a/", "s3://logs", "s3://logs/a/017", "s3://logs"].map(str::to_owned);
    let listing = intake.list(&places).await;
    assert_eq!((listing.found.len(), listing.problems.len()), (200, 0));
    let found = listing.found.clone();
    let fetched: Vec<_> = intake.fetch(found).map(|fetched| fetched.load().unwrap()).collect().await;
    for (i, (found, bytes)) in fetched.iter().enumerate() {
        assert_eq!((found.uri.as_str(), &bytes[..]), (uris(&listing)[i], format!("{i}").as_bytes()));
    }
}

#[tokio::test]
async fn an_address_may_name_one_object() {
    let server = S3Server::start();
    server.put("logs", "x/one.json", b"1");
    server.put("logs", "x/one.json.gz", b"2");
    let intake = intake(&server, Options::default());
    assert_eq!(uris(&list(&intake, "s3://logs/x/one.json").await), ["s3://logs/x/one.json"]);
    let part = list(&intake, "s3://logs/x/on").await;
    assert!(part.found.is_empty() && part.problems[0].wrong_use, "{part:?}");
}

#[tokio::test]
async fn what_is_wrong_is_said_and_the_rest_is_listed() {
    let server = S3Server::start();
    server.put("logs", "x.json", b"1");
    server.bucket("bare");
    let intake = intake(&server, Options::default());
    let places = ["s3://missing/p", "s3://logs/nothing/*.gz", "s3://bare", "s3:///p", "s3://logs"].map(str::to_owned);
    let listing = intake.list(&places).await;
    assert_eq!(uris(&listing), ["s3://logs/x.json"]);
    let told: Vec<_> = listing.problems.iter().map(|p| (p.place.as_str(), p.wrong_use, p.empty)).collect();
    let expected = [
        ("s3://missing/p", true, false),
        ("s3://logs/nothing/*.gz", true, false),
        ("s3://bare", false, true),
        ("s3:///p", true, false),
    ];
    assert_eq!(told, expected);
    let reasons: Vec<_> = listing.problems.iter().map(|p| p.reason.as_str()).collect();
    assert!(reasons[0].contains("no bucket missing") && reasons[1].contains("wildcards"), "{reasons:?}");
}

#[tokio::test]
async fn refusals_and_silence_say_what_to_do() {
    let server = S3Server::start();
    server.put("logs", "x.json", b"1");
    let none = aws_config::profile::ProfileFileCredentialsProvider::builder().profile_name("no-such-profile").build();
    let none = aws_credential_types::provider::SharedCredentialsProvider::new(none);
    let cases = [
        (config(&server.endpoint, KEY_ID, "wrong"), "AWS_PROFILE"),
        (config("http://127.0.0.1:9", KEY_ID, "x"), "AWS_ENDPOINT_URL"),
        (server.config().into_builder().credentials_provider(none).build(), "set AWS_PROFILE, sign in"),
    ];
    for (config, remedy) in cases {
        let listing = list(&Intake::with_aws(Options::default(), config), "s3://logs/p/").await;
        let [problem] = &listing.problems[..] else { panic!("{listing:?}") };
        assert!(!problem.wrong_use && problem.reason.contains(remedy), "{problem:?}");
        println!("{}: {}", problem.place, problem.reason);
    }
}

#[tokio::test]
async fn requester_pays_is_said_on_every_request() {
    let server = S3Server::start();
    server.put("logs", "top/x.json", b"1");
    for (requester_pays, expected) in [(false, None), (true, Some("requester"))] {
        let before = server.seen().len();
        read_all(&intake(&server, Options { requester_pays, ..Options::default() }), "s3://logs/top").await;
        let seen = server.seen().split_off(before);
        assert!(seen.len() >= 3, "{seen:?}");
        assert!(seen.iter().all(|seen| seen.headers.get("x-amz-request-payer").map(String::as_str) == expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_read_from_the_bucket_of_their_log_only() {
    let server = S3Server::start();
    let body = "{\"messages\":[]}";
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(body.as_bytes()).unwrap();
    server.put("logs", "AWSLogs/1/B/us-east-1/2026/10/01/12/data/r_input.json.gz", packed.finish().unwrap());
    server.put("secrets", "r_input.json.gz", b"secret");
    let reader = intake(&server, Options::default()).body_reader(tokio::runtime::Handle::current());
    let log = "s3://logs/AWSLogs/1/B/us-east-1/2026/10/01/12/x.json.gz";
    let asked = server.seen().len();
    tokio::task::spawn_blocking(move || {
        let own = "s3://logs/AWSLogs/1/B/us-east-1/2026/10/01/12/data/r_input.json.gz";
        assert_eq!(reader.read(log, own), Ok(body.as_bytes().to_vec()));
        assert!(reader.read(log, "s3://logs/AWSLogs/none.gz").unwrap_err().contains("not there"));
        assert!(reader.read(log, "s3://secrets/r_input.json.gz").unwrap_err().contains("another bucket"));
        for elsewhere in ["s3://logs/../secrets/r_input.json.gz", "http://192.0.2.1/x", "s3://logs", "/etc/passwd"] {
            assert!(reader.read(log, elsewhere).is_err(), "{elsewhere}");
        }
    })
    .await
    .unwrap();
    assert!(server.seen().split_off(asked).iter().all(|seen| !seen.target.contains("secrets")));
}

/// Delta's registries belong to the process: tests of lakes take turns.
static LAKES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn lake(server: &S3Server) -> Lake {
    server.bucket("lake");
    register_with(&server.config()).await.unwrap();
    Lake::at("s3://lake/some/where", vec![], vec![]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ingests_that_race_for_a_lake_in_s3_one_wins() {
    let _turn = LAKES.lock().await;
    let server = S3Server::start();
    let lake = lake(&server).await;
    assert!(!lake.exists().await.unwrap());
    drop(lake.begin().await.unwrap());
    let mut stored = 0;
    for round in 0..3 {
        let mut racers = Vec::new();
        for racer in 0..4 {
            let journal = lake.begin().await.unwrap();
            racers.push((journal, record(&lake, &format!("{round}/{racer}")).await));
        }
        let races = racers.into_iter().map(|(mut journal, (part, print))| {
            tokio::spawn(async move { journal.publish(&[], &[part], &[print]).await })
        });
        let outcomes: Vec<Result<()>> =
            futures::future::join_all(races).await.into_iter().map(|o| o.unwrap()).collect();
        let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::Conflict))).count();
        assert_eq!((outcomes.iter().filter(|o| o.is_ok()).count(), lost), (1, 3), "{outcomes:?}");
        let mut journal = lake.begin().await.unwrap();
        let uris: Vec<String> = (0..4).map(|racer| format!("{round}/{racer}")).collect();
        journal.look_for(&uris.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
        stored += uris.iter().filter(|uri| journal.has_seen(fingerprint(uri, "1"))).count();
    }
    assert_eq!(stored, 3);
    assert!(lake.exists().await.unwrap());
}

#[tokio::test]
async fn a_lake_on_a_server_without_conditions_is_refused() {
    let _turn = LAKES.lock().await;
    let server = S3Server::start_with(Conditions::Ignored);
    let error = lake(&server).await.begin().await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("ignores If-None-Match"), "{error}");
}

#[tokio::test]
async fn the_probe_of_conditions_leaves_nothing_behind() {
    let _turn = LAKES.lock().await;
    for (conditions, fine) in [(Conditions::Kept, true), (Conditions::Ignored, false)] {
        let server = S3Server::start_with(conditions);
        server.bucket("lake");
        register_with(&server.config()).await.unwrap();
        let url = url::Url::parse("s3://lake/some/where").unwrap();
        let store = deltalake_core::logstore::store_for(&url, [("a", "b")]).unwrap();
        let answer = probe_conditional_put(&store, &Path::from("some/where")).await;
        assert_eq!(answer.is_ok(), fine, "{answer:?}");
        let left: Vec<_> = store.list(None).collect().await;
        assert!(left.is_empty(), "the probe is removed: {left:?}");
    }
}
