//! What a message says: S3 events bare, in SNS and from EventBridge, and the notifications of CloudTrail itself.
//!
//! Sources: "Event message structure" and "Using EventBridge" in the Amazon S3 User Guide, "Parsing message JSON" in the
//! Amazon SNS Developer Guide, "Configuring Amazon SNS notifications for CloudTrail" in the AWS CloudTrail User Guide.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::intake::{names, s3};

/// What is to be done about a message.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// Objects were written.
    Objects(Vec<Named>),
    /// It is about S3, and no object was written: a test, a deletion, an empty folder.
    Nothing,
    /// It is something else: `a message ...`. Safe to show.
    Foreign(String),
}

/// An object that a message names.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub bucket: String,
    pub key: String,
    /// Bytes as stored.
    pub size: Option<u64>,
    /// The ETag without quotes.
    pub version: Option<String>,
    /// When the event happened.
    pub time: Option<DateTime<Utc>>,
}

/// Reads the body of a message.
pub(super) fn read(body: &str) -> Meaning {
    let document = match parse(body) {
        Ok(document) => document,
        Err(meaning) => return meaning,
    };
    // SNS wraps whatever it was given as text, unless it delivers raw.
    let inner = match (text(&document, "Type"), text(&document, "Message")) {
        (Some("Notification"), Some(message)) => match parse(message) {
            Ok(inner) => inner,
            Err(meaning) => return meaning,
        },
        (Some("SubscriptionConfirmation" | "UnsubscribeConfirmation"), Some(_)) => {
            return foreign("asks to confirm a subscription to an SNS topic; confirm it where the topic is");
        }
        _ => document,
    };
    let read = if let Some(records) = inner.get("Records").and_then(Value::as_array) {
        notification(records)
    } else if text(&inner, "Event") == Some("s3:TestEvent") {
        Ok(Vec::new())
    } else if inner.get("detail-type").is_some() {
        event_bridge(&inner)
    } else if let Some(keys) = inner.get("s3ObjectKey") {
        cloudtrail(&inner, keys)
    } else {
        Err("is JSON but no S3 event")
    };
    match read {
        Err(reason) => foreign(reason),
        Ok(named) => wanted(named),
    }
}

fn foreign(reason: &str) -> Meaning {
    Meaning::Foreign(reason.to_owned())
}

fn parse(body: &str) -> Result<Value, Meaning> {
    // CloudTrail sends this once to a topic that it is pointed at.
    if body.trim() == "CloudTrail validation message." {
        return Err(Meaning::Nothing);
    }
    serde_json::from_str(body).map_err(|_| foreign("is not JSON"))
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

/// Leaves out what a listing leaves out: markers of folders, and copies that are not complete yet.
fn wanted(named: Vec<Named>) -> Meaning {
    let mut wanted: Vec<Named> = Vec::new();
    for object in named {
        if !is_bucket(&object.bucket) {
            return foreign("names a bucket that cannot exist");
        }
        let marker = object.key.ends_with('/') && object.size.unwrap_or(0) == 0;
        let again = wanted.iter().any(|known| known.key == object.key && known.version == object.version);
        if !marker && !again && !names::left_over(&object.key) {
            wanted.push(object);
        }
    }
    if wanted.is_empty() { Meaning::Nothing } else { Meaning::Objects(wanted) }
}

/// `{"Records": [...]}` as S3 sends it. Keys are encoded as in forms: `+` is a blank.
fn notification(records: &[Value]) -> Result<Vec<Named>, &'static str> {
    if records.is_empty() {
        return Err("has no records");
    }
    let mut named = Vec::new();
    for record in records {
        let (Some(name), Some(s3)) = (text(record, "eventName"), record.get("s3")) else {
            return Err("has records that are not S3 events");
        };
        if !written(name.strip_prefix("s3:").unwrap_or(name)) {
            continue;
        }
        let object = s3.get("object").unwrap_or(&Value::Null);
        let (Some(bucket), Some(key)) = (s3.get("bucket").and_then(|b| text(b, "name")), text(object, "key")) else {
            return Err("is an S3 event without bucket or key");
        };
        let Ok(key) = String::from_utf8(names::bytes(&key.replace('+', " "))) else {
            return Err("is an S3 event whose key is not UTF-8");
        };
        named.push(self::named(bucket, key, object, "eTag", text(record, "eventTime")));
    }
    Ok(named)
}

/// True for events after which there is an object to read that was not there before.
fn written(event: &str) -> bool {
    event.starts_with("ObjectCreated:") || event == "ObjectRestore:Completed"
}

/// An event that S3 sends through EventBridge. Keys are as they are.
fn event_bridge(event: &Value) -> Result<Vec<Named>, &'static str> {
    if text(event, "source") != Some("aws.s3") {
        return Err("is an EventBridge event of another service");
    }
    if !matches!(text(event, "detail-type"), Some("Object Created" | "Object Restore Completed")) {
        return Ok(Vec::new());
    }
    let detail = event.get("detail").unwrap_or(&Value::Null);
    let object = detail.get("object").unwrap_or(&Value::Null);
    let (Some(bucket), Some(key)) = (detail.get("bucket").and_then(|b| text(b, "name")), text(object, "key")) else {
        return Err("is an S3 event without bucket or key");
    };
    Ok(vec![named(bucket, key.to_owned(), object, "etag", text(event, "time"))])
}

/// The notification of a trail about the files it delivered: no sizes, no ETags, keys as they are.
fn cloudtrail(event: &Value, keys: &Value) -> Result<Vec<Named>, &'static str> {
    let (Some(bucket), Some(keys)) = (text(event, "s3Bucket"), keys.as_array()) else {
        return Err("is a CloudTrail notification without bucket or keys");
    };
    let mut objects = Vec::new();
    for key in keys {
        let Some(key) = key.as_str() else { return Err("is a CloudTrail notification without bucket or keys") };
        objects.push(named(bucket, key.to_owned(), &Value::Null, "", None));
    }
    Ok(objects)
}

fn named(bucket: &str, key: String, object: &Value, tag: &str, time: Option<&str>) -> Named {
    let version = text(object, tag).map(s3::bare).filter(|tag| !tag.is_empty());
    let size = object.get("size").and_then(Value::as_u64);
    let time = time.and_then(|time| time.parse().ok());
    Named { bucket: bucket.to_owned(), key, size, version: version.map(str::to_owned), time }
}

/// Old buckets may have long names with capitals and underscores.
fn is_bucket(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TRAIL: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/01/a.json.gz";

    fn record(event: &str, object: Value) -> Value {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-10-01T12:00:05.120Z", "eventName": event,
            "s3": { "s3SchemaVersion": "1.0", "bucket": { "name": "logs", "arn": "arn:aws:s3:::logs" }, "object": object },
        })
    }

    fn put(key: &str, tag: &str) -> Value {
        record("ObjectCreated:Put", json!({ "key": key, "size": 12, "eTag": tag, "sequencer": "00" }))
    }

    fn sns(message: &str) -> String {
        json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:111122223333:t",
            "Subject": "Amazon S3 Notification", "Message": message, "Timestamp": "2026-10-01T12:00:06.000Z",
        })
        .to_string()
    }

    fn event_bridge(kind: &str, object: Value) -> Value {
        json!({
            "version": "0", "id": "00000000-0000-4000-8000-000000000001", "detail-type": kind, "source": "aws.s3",
            "account": "111122223333", "time": "2026-10-01T12:00:05Z", "region": "us-east-1",
            "detail": { "version": "0", "bucket": { "name": "logs" }, "object": object, "reason": "PutObject" },
        })
    }

    fn objects(body: &str) -> Vec<(String, Option<u64>, Option<String>)> {
        match read(body) {
            Meaning::Objects(named) => named.into_iter().map(|o| (o.key, o.size, o.version)).collect(),
            other => panic!("{other:?} for {body}"),
        }
    }

    fn one(key: &str, size: Option<u64>, tag: Option<&str>) -> Vec<(String, Option<u64>, Option<String>)> {
        vec![(key.to_owned(), size, tag.map(str::to_owned))]
    }

    #[test]
    fn every_wrapping_names_the_same_object() {
        let bare = json!({ "Records": [put("AWSLogs/a+b%2B%C3%BC%2541.json", "0a1b")] }).to_string();
        let expected = one("AWSLogs/a b+ü%41.json", Some(12), Some("0a1b"));
        assert_eq!(objects(&bare), expected);
        assert_eq!(objects(&sns(&bare)), expected);
        let event =
            event_bridge("Object Created", json!({ "key": "AWSLogs/a b+ü%41.json", "size": 12, "etag": "0a1b" }));
        assert_eq!(objects(&event.to_string()), expected);
        assert_eq!(objects(&sns(&event.to_string())), expected);
        let Meaning::Objects(named) = read(&bare) else { panic!() };
        assert_eq!((named[0].bucket.as_str(), named[0].time), ("logs", "2026-10-01T12:00:05.120Z".parse().ok()));
    }

    #[test]
    fn keys_of_event_bridge_and_cloudtrail_are_taken_as_they_are() {
        let event = event_bridge("Object Created", json!({ "key": "a+b%20c", "size": 1, "etag": "t" })).to_string();
        assert_eq!(objects(&event), one("a+b%20c", Some(1), Some("t")));
        let trail = json!({ "s3Bucket": "logs", "s3ObjectKey": [TRAIL, "a+b%20c"] }).to_string();
        let expected = [one(TRAIL, None, None), one("a+b%20c", None, None)].concat();
        assert_eq!(objects(&trail), expected);
        assert_eq!(objects(&sns(&trail)), expected);
    }

    #[test]
    fn messages_hold_several_records_each_once() {
        let body = json!({ "Records": [
            put("a.json", "1"), put("b.json", "2"), put("a.json", "1"), put("a.json", "3"),
            record("ObjectRemoved:Delete", json!({ "key": "c.json" })),
            record("s3:ObjectCreated:CompleteMultipartUpload", json!({ "key": "d.json", "size": 9, "eTag": "\"x-2\"" })),
            record("ObjectCreated:Copy", json!({ "key": "e.json" })),
            put("f.json.part", "4"),
            record("ObjectCreated:Put", json!({ "key": "folder/", "size": 0, "eTag": "5" })),
            record("ObjectTagging:Put", json!({ "key": "g.json", "eTag": "6" })),
        ]});
        let expected = [
            one("a.json", Some(12), Some("1")),
            one("b.json", Some(12), Some("2")),
            one("a.json", Some(12), Some("3")),
            one("d.json", Some(9), Some("x-2")),
            one("e.json", None, None),
        ];
        assert_eq!(objects(&body.to_string()), expected.concat());
    }

    #[test]
    fn tests_deletions_and_folders_are_nothing() {
        let test = json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs" }).to_string();
        let removed = json!({ "Records": [record("ObjectRemoved:DeleteMarkerCreated", json!({ "key": "a" }))] });
        let deleted = event_bridge("Object Deleted", json!({ "key": "a" })).to_string();
        let nothing = [
            test.clone(),
            sns(&test),
            removed.to_string(),
            deleted,
            event_bridge("Object Created", json!({ "key": "x/", "size": 0, "etag": "e" })).to_string(),
            "CloudTrail validation message.".to_owned(),
            sns("CloudTrail validation message."),
        ];
        for body in nothing {
            assert_eq!(read(&body), Meaning::Nothing, "{body}");
        }
    }

    #[test]
    fn everything_else_is_foreign_and_never_quoted() {
        let others = [
            "".to_owned(),
            "\u{1b}[31mhostile".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            "7".to_owned(),
            "[".repeat(100_000),
            json!({ "Records": [] }).to_string(),
            json!({ "Records": [{ "eventSource": "iam.amazonaws.com", "eventName": "hostile" }] }).to_string(),
            json!({ "Records": [put("a", "1"), { "Sns": "hostile" }] }).to_string(),
            json!({ "Records": [record("ObjectCreated:Put", json!({ "size": 1 }))] }).to_string(),
            json!({ "Records": [put("%FF%FE", "1")] }).to_string(),
            json!({ "s3Bucket": "hos/tile", "s3ObjectKey": ["a"] }).to_string(),
            json!({ "s3Bucket": "..", "s3ObjectKey": ["a"] }).to_string(),
            json!({ "s3Bucket": "logs", "s3ObjectKey": "hostile" }).to_string(),
            json!({ "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3control", "detail": {} })
                .to_string(),
            json!({ "Type": "SubscriptionConfirmation", "Message": "hostile", "Token": "hostile" }).to_string(),
            sns("hostile"),
            sns(&sns("{}")),
        ];
        for body in others {
            match read(&body) {
                Meaning::Foreign(reason) => assert!(!reason.contains("hostile"), "{reason}"),
                other => panic!("{other:?} for {body:.80}"),
            }
        }
    }
}
