//! Queues of S3 events as live sources, against moto: `.ci/moto.sh` starts it and runs these.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use trailhound::intake::arrivals::{Arrival, Arrivals, Pace};
use trailhound::intake::{Intake, Options, s3};

/// Long enough for anything that works, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const TRAIL: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/01";

struct Case {
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    bucket: String,
    /// Address of the queue.
    url: String,
    arn: String,
}

impl Case {
    /// A bucket and a queue of this name, or nothing when there is no moto.
    async fn new(name: &str) -> Option<Case> {
        let mut case = Case::without_queue(name).await?;
        case.create().await;
        Some(case)
    }

    async fn without_queue(name: &str) -> Option<Case> {
        if std::env::var_os("TRAILHOUND_MOTO").is_none() {
            println!("not run: needs moto, which .ci/moto.sh starts");
            return None;
        }
        let config = s3::environment().await;
        let settings = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(settings);
        let sqs = aws_sdk_sqs::Client::new(&config);
        s3.create_bucket().bucket(name).send().await.unwrap();
        Some(Case { s3, sqs, bucket: name.to_owned(), url: String::new(), arn: String::new() })
    }

    async fn create(&mut self) {
        (self.url, self.arn) = self.queue(&self.bucket).await;
    }

    async fn queue(&self, name: &str) -> (String, String) {
        let url = self.sqs.create_queue().queue_name(name).send().await.unwrap().queue_url.unwrap();
        (url.clone(), self.attribute(&url, QueueAttributeName::QueueArn).await)
    }

    async fn attribute(&self, url: &str, name: QueueAttributeName) -> String {
        let request = self.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
        request.send().await.unwrap().attributes.unwrap().remove(&name).unwrap()
    }

    /// Messages in the queue, visible or not.
    async fn left(&self) -> u64 {
        let visible = self.attribute(&self.url, QueueAttributeName::ApproximateNumberOfMessages).await;
        let hidden = self.attribute(&self.url, QueueAttributeName::ApproximateNumberOfMessagesNotVisible).await;
        visible.parse::<u64>().unwrap() + hidden.parse::<u64>().unwrap()
    }

    async fn put(&self, key: &str, bytes: &[u8]) {
        self.s3.put_object().bucket(&self.bucket).key(key).body(bytes.to_vec().into()).send().await.unwrap();
    }

    async fn send(&self, body: &str) {
        self.sqs.send_message().queue_url(&self.url).message_body(body).send().await.unwrap();
    }

    /// A message about an object that need not exist.
    fn event(&self, key: &str) -> String {
        let object = json!({ "key": key, "size": 2, "eTag": "99914b932bd37a50b983c5e7c90ae93b" });
        let s3 = json!({ "bucket": { "name": self.bucket }, "object": object });
        json!({ "Records": [{ "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3 }] }).to_string()
    }

    fn start(&self, place: &str, pace: Pace) -> Arrivals {
        Arrivals::start(Arc::new(Intake::new(Options::default())), &[place.to_owned()], pace).unwrap()
    }
}

fn once() -> Pace {
    Pace { once: true, ..Pace::default() }
}

async fn next(arrivals: &mut Arrivals) -> Arrival {
    tokio::time::timeout(PATIENCE, arrivals.next()).await.expect("nothing arrives").expect("it ended")
}

async fn all(arrivals: &mut Arrivals) -> Vec<Arrival> {
    let mut all = Vec::new();
    while let Some(arrival) = tokio::time::timeout(PATIENCE, arrivals.next()).await.expect("nothing arrives") {
        all.push(arrival);
    }
    all
}

/// Ten by ten: moto loses deletions that come at the same time.
async fn finish(mut arrivals: Vec<Arrival>) {
    while !arrivals.is_empty() {
        let rest = arrivals.split_off(arrivals.len().min(10));
        Arrival::all_done(std::mem::replace(&mut arrivals, rest)).await;
    }
}

fn identities(arrivals: &[Arrival]) -> Vec<(String, u64, String)> {
    let found = arrivals.iter().flat_map(|arrival| &arrival.found);
    let mut all: Vec<_> = found.map(|found| (found.uri.clone(), found.size, found.version.clone())).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_announced_as_they_would_be_listed() {
    let Some(case) = Case::new("queue-wired").await else { return };
    let queue = QueueConfiguration::builder().queue_arn(&case.arn).events(Event::S3ObjectCreated).build().unwrap();
    let wiring = NotificationConfiguration::builder().queue_configurations(queue).build();
    let request = case.s3.put_bucket_notification_configuration().bucket(&case.bucket);
    request.notification_configuration(wiring).send().await.unwrap();
    for name in ["a b+c.json", "ü&x=1;#?.json", "100%41.json", "plain.json.gz"] {
        case.put(&format!("{TRAIL}/{name}"), name.as_bytes()).await;
    }
    assert!(case.left().await >= 5, "four objects and a test event");
    // The ARN leads to the same queue as the URL.
    let mut arrivals = case.start(&case.arn, once());
    let came = all(&mut arrivals).await;
    let listing = Intake::new(Options::default()).list(&[format!("s3://{}", case.bucket)]).await;
    let mut listed: Vec<_> = listing.found.iter().map(|f| (f.uri.clone(), f.size, f.version.clone())).collect();
    listed.sort();
    assert_eq!((identities(&came), listed.len()), (listed, 4));
    assert!(came.iter().all(|arrival| arrival.found[0].day == "2026-10-01".parse().ok()));
    assert_eq!(case.left().await, 4, "only the test event is deleted before the work is done");
    let state = arrivals.state().remove(0);
    assert_eq!((state.received, state.finished, state.in_flight, state.refused), (5, 1, 4, 0));
    assert!(state.oldest.is_some() && state.trouble.is_none(), "{state:?}");
    Arrival::all_done(came).await;
    assert_eq!(case.left().await, 0);
    assert_eq!((arrivals.state()[0].finished, arrivals.state()[0].in_flight), (5, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_tags_are_completed_and_lost_objects_are_told() {
    let Some(case) = Case::new("queue-wrapped").await else { return };
    case.put("trail a+b.json", b"{}").await;
    case.put("bridge.json", b"{ }").await;
    let trail = json!({ "s3Bucket": case.bucket, "s3ObjectKey": ["trail a+b.json", "gone.json"] }).to_string();
    case.send(&json!({ "Type": "Notification", "Message": trail }).to_string()).await;
    let detail = json!({ "bucket": { "name": case.bucket }, "object": { "key": "bridge.json" } });
    let bridge = json!({ "detail-type": "Object Created", "source": "aws.s3", "detail": detail });
    case.send(&bridge.to_string()).await;
    let mut arrivals = case.start(&case.url, once());
    let came = all(&mut arrivals).await;
    let listing = Intake::new(Options::default()).list(&[format!("s3://{}", case.bucket)]).await;
    let mut listed: Vec<_> = listing.found.iter().map(|f| (f.uri.clone(), f.size, f.version.clone())).collect();
    listed.sort();
    assert_eq!(identities(&came), listed);
    let problems: Vec<_> = came.iter().flat_map(|arrival| &arrival.problems).collect();
    assert!(problems.len() == 1 && problems[0].place == "s3://queue-wrapped/gone.json", "{problems:?}");
    for arrival in came {
        arrival.done().await;
    }
    assert_eq!(case.left().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_messages_end_in_the_dead_letter_queue() {
    let Some(case) = Case::new("queue-foreign").await else { return };
    let (_, dead) = case.queue("queue-foreign-dead").await;
    let policy = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": 1 }).to_string();
    let request = case.sqs.set_queue_attributes().queue_url(&case.url);
    request.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.unwrap();
    case.send("\u{7}hostile").await;
    case.send(&case.event("good.json")).await;
    let pace = Pace { visibility: Duration::from_secs(5), ..once() };
    let mut arrivals = case.start(&case.url, pace.clone());
    let came = all(&mut arrivals).await;
    assert_eq!(identities(&came).len(), 1);
    let state = arrivals.state().remove(0);
    let trouble = state.trouble.unwrap();
    assert!(state.refused >= 1 && trouble.contains("not JSON") && !trouble.contains("hostile"), "{trouble}");
    Arrival::all_done(came).await;
    // Received once more than allowed, it moves on.
    tokio::time::sleep(Duration::from_millis(5200)).await;
    let mut arrivals = case.start(&case.url, pace);
    assert!(all(&mut arrivals).await.is_empty());
    let state = arrivals.state().remove(0);
    assert_eq!((state.waiting, state.dead_letters), (Some(0), Some(1)), "{state:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_stay_hidden_while_work_runs_and_come_again_when_it_is_dropped() {
    let Some(case) = Case::new("queue-hidden").await else { return };
    case.send(&case.event("a.json")).await;
    let pace = Pace { visibility: Duration::from_secs(2), ..Pace::default() };
    let mut arrivals = case.start(&case.url, pace.clone());
    let held = next(&mut arrivals).await;
    let mut other = case.start(&case.url, pace);
    let early = tokio::time::timeout(Duration::from_secs(6), other.next()).await;
    assert!(early.is_err(), "{early:?}");
    drop(held);
    assert_eq!(arrivals.state()[0].in_flight, 0);
    let again = tokio::select! {
        again = next(&mut arrivals) => again,
        again = next(&mut other) => again,
    };
    // The object that it names was never there, which only matters when a message comes again.
    assert!(again.found.is_empty() && again.problems[0].reason.contains("not there"), "{again:?}");
    again.done().await;
    assert_eq!(case.left().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_vanishes_is_trouble_that_passes() {
    let Some(mut case) = Case::without_queue("queue-late").await else { return };
    let url = format!("{}/111122223333/queue-late", std::env::var("TRAILHOUND_MOTO").unwrap());
    let mut arrivals = case.start(&url, Pace::default());
    let end = Instant::now() + PATIENCE;
    while arrivals.state()[0].failures < 2 {
        assert!(Instant::now() < end, "{:?}", arrivals.state());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(arrivals.state()[0].trouble.as_ref().unwrap().contains("no such queue"), "{:?}", arrivals.state());
    case.create().await;
    case.send(&case.event("a.json")).await;
    next(&mut arrivals).await.done().await;
    let state = arrivals.state().remove(0);
    assert_eq!((state.trouble, state.finished), (None, 1));

    let missing = url.replace("queue-late", "queue-never");
    let mut arrivals = case.start(&missing, once());
    let told = all(&mut arrivals).await;
    assert!(told.len() == 1 && told[0].problems[0].reason.contains("no such queue"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_waits_in_the_queue_and_stopping_gives_back_what_nobody_took() {
    let Some(case) = Case::new("queue-flood").await else { return };
    for i in 0..300 {
        case.send(&case.event(&format!("{i:03}.json"))).await;
    }
    let mut arrivals = case.start(&case.url, Pace::default());
    let end = Instant::now() + PATIENCE;
    while arrivals.state()[0].in_flight < 100 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let held = arrivals.state()[0].in_flight;
    assert!((33..=112).contains(&held), "32 wait, and at most 8 receives of 10: {held}");
    let mut taken = Vec::new();
    for _ in 0..100 {
        taken.push(next(&mut arrivals).await);
    }
    arrivals.stop();
    taken.extend(all(&mut arrivals).await);
    let count = taken.len() as u64;
    assert!((100..=212).contains(&count), "{count}");
    finish(taken).await;
    assert_eq!(arrivals.state()[0].in_flight, 0);
    // What was given back is there for others, and nothing that was finished.
    let mut rest = case.start(&case.url, once());
    let rest = all(&mut rest).await;
    assert_eq!(rest.len() as u64, 300 - count);
    finish(rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_offers_what_waits_to_others_at_once() {
    let Some(case) = Case::new("queue-closed").await else { return };
    for i in 0..120 {
        case.send(&case.event(&format!("{i:03}.json"))).await;
    }
    let mut arrivals = case.start(&case.url, Pace::default());
    let end = Instant::now() + PATIENCE;
    while arrivals.state()[0].in_flight < 33 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    next(&mut arrivals).await.done().await;
    arrivals.close(PATIENCE).await;
    let visible = case.attribute(&case.url, QueueAttributeName::ApproximateNumberOfMessages).await;
    assert_eq!((visible.as_str(), case.left().await), ("119", 119));
}
