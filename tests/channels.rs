//! Findings on their way out: each arrives once, whatever is killed, torn, moved away or switched off in between.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use datafusion::arrow::array::RecordBatch;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use trailhound::error::Error;
use trailhound::findings::{Finding, to_batch};
use trailhound::outputs::channels::{ChannelKind, ChannelState, Channels, Options, Secret};

use receiver::{Answer, Receiver};

#[path = "support/finding.rs"]
mod plain;
#[path = "support/receiver.rs"]
mod receiver;

const HOSTILE: &str = "\"},{\u{1b}[31m\n\u{202e}#<b>\u{fffe}";
const SOON: Duration = Duration::from_secs(20);

/// A finding with a number of its own, and with text that breaks what does not escape it.
fn finding(number: usize) -> Finding {
    Finding {
        region: Some("us-east-1".into()),
        principal: Some("arn:aws:iam::111122223333:user/dana".into()),
        source_ip: Some("192.0.2.10".into()),
        user_agent: Some(HOSTILE.into()),
        ..plain::finding(number)
    }
}

/// The findings of a commit: `count` of them, numbered by the commit.
fn commit(position: u64, count: usize) -> RecordBatch {
    let findings: Vec<Finding> = (0..count).map(|n| finding(position as usize * 1000 + n)).collect();
    to_batch(&findings).unwrap()
}

fn id(finding: &Value) -> usize {
    usize::from_str_radix(finding["finding_id"].as_str().unwrap(), 16).unwrap()
}

fn numbers(positions: std::ops::RangeInclusive<u64>, count: usize) -> Vec<usize> {
    positions.flat_map(|position| (0..count).map(move |n| position as usize * 1000 + n)).collect()
}

fn quick() -> Options {
    Options {
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(40),
        timeout: Duration::from_secs(2),
        ..Options::default()
    }
}

async fn open(address: &str, folder: &Path) -> Channels {
    Channels::open_with(&[address.to_owned()], folder, quick()).await.unwrap()
}

fn only(channels: &Channels) -> ChannelState {
    channels.state().remove(0)
}

/// Waits until a channel is in a state.
async fn until(channels: &Channels, what: &str, reached: impl Fn(&ChannelState) -> bool) -> ChannelState {
    let begin = Instant::now();
    loop {
        let state = only(channels);
        if reached(&state) {
            return state;
        }
        assert!(begin.elapsed() < SOON, "not reached: {what}; {state:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Findings in an NDJSON file, each line of which must be whole.
fn lines(path: &Path) -> Vec<usize> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| id(&serde_json::from_str(line).unwrap())).collect()
}

/// The one folder of a channel below the folder of all.
fn own(folder: &Path, kind: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn append(path: &Path, text: &str) {
    use std::io::Write;
    std::fs::File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Waits until what was dropped has let go of the folder.
async fn ended(folder: &Path) {
    Channels::open(&[], folder, None).await.unwrap();
}

/// The newest file of a spool.
fn newest_segment(folder: &Path) -> PathBuf {
    let entries = std::fs::read_dir(own(folder, "webhook")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "spool")).max().unwrap()
}

mod file {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (file, state) = (folder.path().join("findings.ndjson"), folder.path().join("state"));
        (folder, file, state)
    }

    #[tokio::test]
    async fn lines_are_those_of_hunt_and_a_commit_is_taken_once() {
        let (_keep, file, state) = place();
        let mut channels = open(file.to_str().unwrap(), &state).await;
        assert_eq!(channels.position(), None, "it is new");
        channels.offer(7, &commit(7, 2)).await.unwrap();
        channels.offer(7, &commit(7, 2)).await.unwrap();
        channels.offer(6, &commit(6, 2)).await.unwrap();
        channels.offer(9, &commit(9, 0)).await.unwrap();
        assert_eq!(channels.position(), Some(9));
        let state_now = only(&channels);
        assert_eq!((state_now.kind, state_now.delivered, state_now.waiting), (ChannelKind::File, 2, 0));
        channels.close(Duration::ZERO).await;

        assert_eq!(lines(&file), numbers(7..=7, 2));
        let rows = commit(7, 2);
        let mut hunted = Vec::new();
        let format = trailhound::outputs::Format::Ndjson;
        trailhound::outputs::write(
            std::slice::from_ref(&rows),
            rows.schema(),
            format,
            &mut hunted,
            &Default::default(),
        )
        .unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), hunted);

        let channels = open(file.to_str().unwrap(), &state).await;
        assert_eq!((channels.position(), only(&channels).delivered), (Some(9), 2));
    }

    #[tokio::test]
    async fn a_line_that_a_kill_tore_is_cut_off_and_offered_again() {
        let (_keep, file, state) = place();
        let mut channels = open(file.to_str().unwrap(), &state).await;
        channels.offer(1, &commit(1, 3)).await.unwrap();
        drop(channels);
        let good = std::fs::read_to_string(&file).unwrap();
        append(&file, &good[..good.len() / 2]);

        let mut channels = open(file.to_str().unwrap(), &state).await;
        assert_eq!(channels.position(), Some(1));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), good);
        channels.offer(2, &commit(2, 3)).await.unwrap();
        assert_eq!(lines(&file), numbers(1..=2, 3));
    }

    #[tokio::test]
    async fn a_kill_between_the_lines_and_the_cursor_leaves_no_finding_twice() {
        let (_keep, file, state) = place();
        for torn in 0..5 {
            let mut channels = open(file.to_str().unwrap(), &state).await;
            let known = channels.position();
            let cursor = own(&state, "file").join("cursor.json");
            let before = std::fs::read(&cursor).unwrap();
            channels.offer(torn + 1, &commit(torn + 1, 2)).await.unwrap();
            drop(channels);
            // As if the process had ended before the cursor was replaced, also with the very first commit.
            std::fs::write(&cursor, before).unwrap();
            let mut channels = open(file.to_str().unwrap(), &state).await;
            assert_eq!(channels.position(), known);
            channels.offer(torn + 1, &commit(torn + 1, 2)).await.unwrap();
        }
        assert_eq!(lines(&file), numbers(1..=5, 2));
    }

    #[tokio::test]
    async fn a_file_that_rotation_moves_away_is_begun_anew() {
        let (_keep, file, state) = place();
        let old = file.with_extension("old");
        let mut channels = open(file.to_str().unwrap(), &state).await;
        channels.offer(1, &commit(1, 2)).await.unwrap();
        std::fs::rename(&file, &old).unwrap();
        channels.offer(2, &commit(2, 2)).await.unwrap();
        assert_eq!((lines(&old), lines(&file)), (numbers(1..=1, 2), numbers(2..=2, 2)));
        drop(channels);

        // While nobody looks, and with something else in its place that is none of ours to cut.
        std::fs::rename(&file, &old).unwrap();
        std::fs::write(&file, "x".repeat(100_000)).unwrap();
        let mut channels = open(file.to_str().unwrap(), &state).await;
        assert_eq!(channels.position(), Some(2));
        channels.offer(3, &commit(3, 1)).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let (foreign, ours) = text.split_once('\n').unwrap();
        assert_eq!(foreign.len(), 100_000);
        assert_eq!(id(&serde_json::from_str(ours).unwrap()), 3000);
    }

    #[tokio::test]
    async fn a_file_that_someone_emptied_goes_on() {
        let (_keep, file, state) = place();
        let mut channels = open(file.to_str().unwrap(), &state).await;
        channels.offer(1, &commit(1, 2)).await.unwrap();
        std::fs::File::options().write(true).open(&file).unwrap().set_len(0).unwrap();
        channels.offer(2, &commit(2, 2)).await.unwrap();
        drop(channels);
        std::fs::File::options().write(true).open(&file).unwrap().set_len(10).unwrap();
        let mut channels = open(file.to_str().unwrap(), &state).await;
        channels.offer(3, &commit(3, 2)).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let ids: Vec<usize> = text.lines().skip(1).map(|line| id(&serde_json::from_str(line).unwrap())).collect();
        assert_eq!(ids, numbers(3..=3, 2));
    }

    #[tokio::test]
    async fn what_a_new_channel_finds_in_its_file_stays() {
        let (_keep, file, state) = place();
        std::fs::write(&file, "{\"finding_id\":\"5\"}").unwrap();
        let mut channels = open(file.to_str().unwrap(), &state).await;
        channels.offer(1, &commit(1, 1)).await.unwrap();
        assert_eq!(lines(&file), [5, 1000]);
    }
}

mod webhook {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn batches_are_signed_and_wait_out_failures() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start();
        receiver.answer_with(vec![Answer::Status(503), Answer::Status(503), Answer::Status(425), Answer::Status(500)]);
        let options = Options { secret: Some(Secret::new("correct horse\n")), ..quick() };
        let address = receiver.address("/hook?token=hidden");
        let mut channels = Channels::open_with(&[address], folder.path(), options).await.unwrap();
        channels.offer(1, &commit(1, 3)).await.unwrap();
        assert_eq!(channels.position(), Some(1));
        let state = until(&channels, "delivered", |state| state.delivered == 3).await;
        assert_eq!((state.waiting, state.failures, state.refused, state.trouble), (0, 4, 0, None));

        let seen = receiver.seen();
        assert_eq!(seen.len(), 5);
        for request in &seen {
            assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/hook?token=hidden"));
            assert_eq!(request.headers["content-type"], "application/json");
            assert!(request.headers["user-agent"].starts_with("trailhound/"));
            let timestamp = &request.headers["x-trailhound-timestamp"];
            assert!((chrono::Utc::now().timestamp() - timestamp.parse::<i64>().unwrap()).abs() < 60);
            let mut mac = Hmac::<Sha256>::new_from_slice(b"correct horse").unwrap();
            mac.update(format!("{timestamp}.{}", request.body).as_bytes());
            let expected: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(request.headers["x-trailhound-signature"], format!("v1={expected}"));
            assert_eq!(request.body, seen[0].body, "a batch is sent again as it was");
            assert_eq!(request.headers["x-trailhound-batch"], seen[0].headers["x-trailhound-batch"]);
        }
        let body: Value = serde_json::from_str(&seen[0].body).unwrap();
        assert_eq!(body["batch"], json!(seen[0].headers["x-trailhound-batch"]));
        assert_eq!(body["findings"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), numbers(1..=1, 3));
        assert_eq!(body["findings"][0]["user_agent"], json!(HOSTILE));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_receiver_misses_while_it_is_away_comes_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start();
        let address = receiver.address("/hook");
        let mut channels = open(&address, folder.path()).await;
        channels.offer(1, &commit(1, 2)).await.unwrap();
        until(&channels, "delivered", |state| state.delivered == 2).await;
        let receiver = receiver.stop();
        for position in 2..=30 {
            channels.offer(position, &commit(position, 20)).await.unwrap();
        }
        let state = until(&channels, "in trouble", |state| state.trouble.is_some()).await;
        assert_eq!((state.delivered, state.waiting), (2, 580));
        let trouble = state.trouble.unwrap();
        assert!(trouble.contains("cannot be reached") && !trouble.contains("/hook"), "{trouble}");
        channels.close(Duration::from_millis(50)).await;

        let receiver = receiver.again();
        let channels = open(&address, folder.path()).await;
        assert_eq!(channels.position(), Some(30));
        channels.close(SOON).await;
        let mut ids = Vec::new();
        for request in receiver.seen() {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let findings = body["findings"].as_array().unwrap();
            assert!(findings.len() <= 100 && request.body.len() <= 257 << 10);
            ids.extend(findings.iter().map(id));
        }
        assert_eq!(ids[..2], numbers(1..=1, 2));
        assert_eq!(ids[2..], numbers(2..=30, 20), "in order, each once");
        let channels = open(&address, folder.path()).await;
        assert_eq!((only(&channels).delivered, only(&channels).waiting), (582, 0));
    }

    /// Kills at many points; then whoever drops batches with an id that he knows has each finding once.
    #[tokio::test(flavor = "multi_thread")]
    async fn kills_lose_nothing_and_repeat_batches_not_findings() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start();
        let address = receiver.address("/");
        let options = Options { segment_size: 20_000, ..quick() };
        let mut random: u64 = 7;
        let mut chance = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let mut next = 1;
        for _ in 0..40 {
            let fault = |n| match n {
                0 => Answer::Status(503),
                1 => Answer::Slow(Duration::from_millis(30), 200),
                2 => Answer::Slow(Duration::from_millis(5), 500),
                _ => Answer::Status(200),
            };
            receiver.answer_with((0..6).map(|_| fault(chance(4))).collect());
            let mut channels =
                Channels::open_with(std::slice::from_ref(&address), folder.path(), options.clone()).await.unwrap();
            // A commit that was on its way when the process was killed is there as a whole, or not at all.
            let position = channels.position().unwrap_or(0);
            assert!(position + 1 == next || position + 2 == next, "{position} {next}");
            next = position + 1;
            for _ in 0..chance(6) {
                let findings = commit(next, 1 + chance(9) as usize % 5);
                // A kill while a commit is taken: it may be in the spool, or not.
                let taking = tokio::time::timeout(Duration::from_micros(chance(9000)), channels.offer(next, &findings));
                let killed = taking.await.is_err();
                next += 1;
                if killed {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(chance(30))).await;
            drop(channels);
        }
        receiver.answer_with(vec![]);
        let mut channels = Channels::open_with(&[address], folder.path(), options).await.unwrap();
        let last = channels.position().unwrap();
        channels.offer(last + 1, &commit(last + 1, 1)).await.unwrap();
        channels.close(SOON).await;

        let mut batches: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let (mut repeated, mut all) = (0, 0);
        for request in receiver.seen() {
            all += 1;
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let ids: Vec<usize> = body["findings"].as_array().unwrap().iter().map(id).collect();
            let batch = request.headers["x-trailhound-batch"].clone();
            if let Some(before) = batches.insert(batch, ids.clone()) {
                assert_eq!(before, ids);
                repeated += 1;
            }
        }
        let mut times: HashMap<usize, usize> = HashMap::new();
        for number in batches.values().flatten() {
            *times.entry(*number).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "in two batches: {times:?}");
        for position in 1..=last + 1 {
            assert!(times.contains_key(&(position as usize * 1000)), "lost: commit {position} of {last}");
        }
        assert!(repeated > 0 && batches.len() > 2, "{repeated} of {all}: the kills did not hit anything");
        let segments = std::fs::read_dir(own(folder.path(), "webhook")).unwrap().count();
        assert!(segments <= 3, "delivered segments are removed: {segments}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_torn_end_of_a_spool_is_offered_again() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start().stop();
        let address = receiver.address("/");
        let mut channels = open(&address, folder.path()).await;
        channels.offer(1, &commit(1, 2)).await.unwrap();
        channels.offer(2, &commit(2, 2)).await.unwrap();
        drop(channels);
        ended(folder.path()).await;
        let segment = newest_segment(folder.path());
        let whole = std::fs::read_to_string(&segment).unwrap();

        // In the middle of a line, after whole lines without their mark, in the middle of the mark, and zeros.
        let second =
            whole.lines().take_while(|line| !line.contains("\"position\":1,")).map(|l| l.len() + 1).sum::<usize>();
        let second = second + whole[second..].find('\n').unwrap() + 1;
        let mark = whole.trim_end().rfind('\n').unwrap() + 1;
        for torn in [second + 30, mark, mark + 20, whole.len() - 1] {
            std::fs::write(&segment, &whole[..torn]).unwrap();
            assert_eq!(open(&address, folder.path()).await.position(), Some(1), "torn at {torn} of {}", whole.len());
            ended(folder.path()).await;
        }
        append(&segment, &"\0".repeat(500));
        let mut channels = open(&address, folder.path()).await;
        assert_eq!((channels.position(), only(&channels).waiting), (Some(1), 2));
        channels.offer(2, &commit(2, 2)).await.unwrap();
        let receiver = receiver.again();
        channels.close(SOON).await;
        assert_eq!(receiver.findings(), numbers(1..=2, 2));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_receiver_refuses_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start();
        receiver.answer_with(vec![Answer::Status(400)]);
        let mut channels = open(&receiver.address("/"), folder.path()).await;
        channels.offer(1, &commit(1, 2)).await.unwrap();
        let state = until(&channels, "refused", |state| state.refused == 2).await;
        assert_eq!((state.delivered, state.waiting, state.failures), (0, 0, 1));
        assert!(state.trouble.unwrap().contains("400"));
        channels.offer(2, &commit(2, 1)).await.unwrap();
        let state = until(&channels, "delivered", |state| state.delivered == 1).await;
        assert_eq!((state.trouble, state.refused), (None, 2));
        let text = std::fs::read_to_string(own(folder.path(), "webhook").join("refused.ndjson")).unwrap();
        let refused: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(refused.iter().map(|line| id(&line["finding"])).collect::<Vec<_>>(), numbers(1..=1, 2));
        assert!(refused[0]["reason"].as_str().unwrap().contains("400"));
        assert_eq!(refused[0]["batch"], json!(receiver.seen()[0].headers["x-trailhound-batch"]));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_receiver_that_asks_for_time_gets_it_and_redirects_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start();
        receiver.answer_with(vec![Answer::Wait(1), Answer::Redirect]);
        let mut channels = open(&receiver.address("/"), folder.path()).await;
        channels.offer(1, &commit(1, 1)).await.unwrap();
        until(&channels, "delivered", |state| state.delivered == 1).await;
        let seen = receiver.seen();
        assert_eq!(seen.iter().map(|request| request.target.as_str()).collect::<Vec<_>>(), ["/", "/", "/"]);
        assert!(seen[1].at - seen[0].at >= Duration::from_secs(1), "came back too early");
        assert!(seen[2].at - seen[1].at < Duration::from_secs(1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_finding_larger_than_a_batch_goes_alone() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start();
        let mut channels = open(&receiver.address("/"), folder.path()).await;
        let mut findings: Vec<Finding> = (1000..1003).map(finding).collect();
        findings[1].evidence = vec![json!({"a": "x".repeat(400_000)}).to_string()];
        channels.offer(1, &to_batch(&findings).unwrap()).await.unwrap();
        channels.close(SOON).await;
        let seen = receiver.seen();
        assert_eq!((seen.len(), receiver.findings()), (3, numbers(1..=1, 3)));
    }
}

mod all {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_channel_starts_with_what_is_offered_next_and_an_old_one_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (state, receiver) = (folder.path().join("state"), Receiver::start());
        let file = folder.path().join("findings.ndjson").to_str().unwrap().to_owned();
        let mut channels = open(&file, &state).await;
        channels.offer(5, &commit(5, 1)).await.unwrap();
        drop(channels);
        let both = [file.clone(), receiver.address("/")];
        let mut channels = Channels::open_with(&both, &state, quick()).await.unwrap();
        assert_eq!(channels.position(), Some(5), "what the old one does not have is offered to both");
        channels.offer(6, &commit(6, 1)).await.unwrap();
        drop(channels);
        let mut channels = open(&file, &state).await;
        channels.offer(7, &commit(7, 1)).await.unwrap();
        drop(channels);
        let mut channels = Channels::open_with(&both, &state, quick()).await.unwrap();
        assert_eq!(channels.position(), Some(6), "the webhook was away for a commit");
        channels.offer(7, &commit(7, 1)).await.unwrap();
        assert_eq!(channels.position(), Some(7));
        channels.close(SOON).await;
        assert_eq!(receiver.findings(), numbers(6..=7, 1));
        assert_eq!(lines(Path::new(&file)), numbers(5..=7, 1));
    }

    #[tokio::test]
    async fn a_new_channel_remembers_where_it_began() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("findings.ndjson").to_str().unwrap().to_owned();
        let mut channels = open(&file, folder.path()).await;
        channels.begin(4).await.unwrap();
        drop(channels);
        let mut channels = open(&file, folder.path()).await;
        channels.begin(9).await.unwrap();
        assert_eq!(channels.position(), Some(4), "what came while nobody was there is still to be offered");
    }

    #[tokio::test]
    async fn one_process_at_a_time_uses_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("findings.ndjson").to_str().unwrap().to_owned();
        let first = open(&file, folder.path()).await;
        let second = Channels::open(std::slice::from_ref(&file), folder.path(), None).await;
        let Err(Error::Usage(reason)) = second.map(|_| ()) else { panic!("two at once") };
        assert!(reason.contains("another process") && reason.contains(folder.path().to_str().unwrap()), "{reason}");
        drop(first);
        open(&file, folder.path()).await;
    }

    #[tokio::test]
    async fn addresses_that_are_none_are_named_without_their_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = [
            ("http://hooks.example.com/services/hidden?token=hidden", "https"),
            ("http://user:hidden@192.0.2.1/", "https"),
            ("ftp://user:hidden@hooks.example.com/", "ftp"),
            ("https://user:hidden@", "URL"),
            ("findings.txt", ".ndjson"),
            ("", ".ndjson"),
            ("arn:aws:sqs:us-east-1:111122223333:findings", "SNS"),
            ("arn:aws:sns:us-east-1:111122223333", "SNS"),
        ];
        for (address, part) in wrong {
            let opened = Channels::open(&[address.to_owned()], folder.path(), None).await;
            let Err(Error::Usage(reason)) = opened.map(|_| ()) else { panic!("{address} was opened") };
            assert!(reason.contains(part) && !reason.contains("hidden"), "{address}: {reason}");
        }
        let twice =
            ["https://hooks.example.com/hidden?a=1".to_owned(), "https://hooks.example.com/hidden?a=2".to_owned()];
        let Err(Error::Usage(reason)) = Channels::open(&twice, folder.path(), None).await.map(|_| ()) else { panic!() };
        assert!(reason.contains("twice") && !reason.contains("hidden"), "{reason}");
        let empty = Channels::open(&[], folder.path(), Some(Secret::new(" \n"))).await;
        assert!(matches!(empty.map(|_| ()), Err(Error::Usage(_))));
    }

    #[tokio::test]
    async fn nothing_shows_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!format!("{:?}", Options { secret: Some(Secret::new("hidden")), ..quick() }).contains("hidden"));
        let address = "https://user:hidden@hooks.example.com:8443/services/hidden?token=hidden#hidden";
        let channels = open(address, folder.path()).await;
        let state = only(&channels);
        assert!(state.name.starts_with("https://hooks.example.com:8443#"), "{}", state.name);
        assert!(!format!("{state:?}").contains("hidden"));
        drop(channels);
        let again = open("https://hooks.example.com:8443/services/hidden?token=new", folder.path()).await;
        assert_eq!(only(&again).name, state.name, "a new token is no new channel");
        assert!(!own(folder.path(), "webhook").to_str().unwrap().contains("hidden"));
    }
}

mod kill {
    use super::*;

    /// Tells a process that it is the one to be killed: folder, file and address.
    const PLACES: &str = "TRAILHOUND_TEST_CHANNELS";

    fn some(position: u64) -> RecordBatch {
        commit(position, position as usize % 4)
    }

    /// What the next test starts and kills.
    #[tokio::test(flavor = "multi_thread")]
    async fn victim() {
        let Ok(places) = std::env::var(PLACES) else { return };
        let places: Vec<String> = places.split('\n').map(str::to_owned).collect();
        let mut channels = Channels::open_with(&places[1..], Path::new(&places[0]), quick()).await.unwrap();
        let mut next = channels.position().unwrap_or(0) + 1;
        let begin = Instant::now();
        while begin.elapsed() < SOON {
            channels.offer(next, &some(next)).await.unwrap();
            next += 1;
        }
    }

    /// What the file's cursor says.
    fn progress(state: &Path) -> Option<String> {
        let mut folders = std::fs::read_dir(state).ok()?.flatten().map(|entry| entry.path());
        let own = folders.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("file"))?;
        std::fs::read_to_string(own.join("cursor.json")).ok()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_killed_process_leaves_no_finding_twice_and_loses_none() {
        let folder = tempfile::tempdir().unwrap();
        let (state, file) = (folder.path().join("state"), folder.path().join("findings.ndjson"));
        let receiver = Receiver::start();
        let addresses = [file.to_str().unwrap().to_owned(), receiver.address("/")];
        let places = format!("{}\n{}", state.display(), addresses.join("\n"));
        for round in 0..12_u64 {
            let before = progress(&state);
            let program = std::env::current_exe().unwrap();
            let mut victim = std::process::Command::new(program)
                .args(["--exact", "kill::victim"])
                .env(PLACES, &places)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let begin = Instant::now();
            while progress(&state) == before {
                assert!(begin.elapsed() < SOON, "the process does nothing");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_micros(round * 7_300 % 40_000)).await;
            victim.kill().unwrap();
            victim.wait().unwrap();
        }
        let mut channels = Channels::open_with(&addresses, &state, quick()).await.unwrap();
        let last = channels.position().unwrap() + 2;
        for position in last - 1..=last {
            channels.offer(position, &some(position)).await.unwrap();
        }
        channels.close(SOON).await;

        let expected: Vec<usize> = (1..=last).flat_map(|p| numbers(p..=p, p as usize % 4)).collect();
        assert!(last > 12, "the processes were killed before they did anything: {last}");
        assert_eq!(lines(&file), expected);
        assert_eq!(receiver.findings(), expected, "{} requests", receiver.seen().len());
    }
}

mod topic {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:findings";

    fn aws(endpoint: &str) -> aws_config::SdkConfig {
        let credentials =
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY", None, None, "tests");
        aws_config::SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(endpoint)
            .build()
    }

    /// The messages of a `PublishBatch` request.
    fn entries(body: &str) -> Vec<BTreeMap<String, String>> {
        let mut entries: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
        for (key, value) in url::form_urlencoded::parse(body.as_bytes()) {
            let Some(rest) = key.strip_prefix("PublishBatchRequestEntries.member.") else { continue };
            let (number, field) = rest.split_once('.').unwrap();
            entries.entry(number.parse().unwrap()).or_default().insert(field.to_owned(), value.into_owned());
        }
        entries.into_values().collect()
    }

    /// SNS's answer: the entries with these ids are throttled, these refused, the rest taken.
    fn answer(ids: std::ops::Range<usize>, throttled: &[usize], refused: &[usize]) -> Answer {
        let (mut good, mut bad) = (String::new(), String::new());
        for id in ids {
            match (throttled.contains(&id), refused.contains(&id)) {
                (false, false) => good += &format!("<member><Id>{id}</Id><MessageId>m</MessageId></member>"),
                (busy, _) => {
                    let code = if busy { "Throttled" } else { "InvalidParameter" };
                    bad += &format!(
                        "<member><Id>{id}</Id><Code>{code}</Code><Message>no</Message><SenderFault>{}</SenderFault></member>",
                        !busy
                    );
                }
            }
        }
        Answer::Body(format!(
            "<PublishBatchResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishBatchResult><Successful>{good}</Successful><Failed>{bad}</Failed></PublishBatchResult></PublishBatchResponse>"
        ))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn findings_are_published_in_tens_and_only_what_failed_is_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start();
        receiver.answer_with(vec![
            Answer::Status(503),
            answer(0..10, &[3, 7], &[5]),
            answer(0..2, &[], &[]),
            answer(0..2, &[], &[]),
        ]);
        let options = Options { aws: Some(aws(&receiver.address(""))), ..quick() };
        let mut channels = Channels::open_with(&[TOPIC.to_owned()], folder.path(), options).await.unwrap();
        channels.offer(1, &commit(1, 12)).await.unwrap();
        let state = until(&channels, "delivered", |state| state.waiting == 0).await;
        assert_eq!((state.name.as_str(), state.kind), (TOPIC, ChannelKind::Sns));
        assert_eq!((state.delivered, state.refused, state.failures), (11, 1, 3));
        channels.close(SOON).await;

        let seen = receiver.seen();
        let sent: Vec<Vec<usize>> = seen
            .iter()
            .map(|request| {
                entries(&request.body).iter().map(|e| id(&serde_json::from_str(&e["Message"]).unwrap())).collect()
            })
            .collect();
        let ten: Vec<usize> = (1000..1010).collect();
        assert_eq!(sent, [ten.clone(), ten, vec![1003, 1007], vec![1010, 1011]]);
        let first = &entries(&seen[0].body)[0];
        let mut attributes = BTreeMap::new();
        for number in 1..=2 {
            let at = |field: &str| first[&format!("MessageAttributes.entry.{number}.{field}")].clone();
            attributes.insert(at("Name"), at("Value.StringValue"));
        }
        let expected = [("rule_id", "stopped_trail"), ("severity", "high")];
        assert_eq!(attributes, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(!first.contains_key("Subject"));
        let refused = std::fs::read_to_string(own(folder.path(), "sns").join("refused.ndjson")).unwrap();
        assert_eq!(id(&serde_json::from_str::<Value>(&refused).unwrap()["finding"]), 1005);
    }
}
