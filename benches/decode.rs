//! How fast one core decodes CloudTrail, beside the floor: inflating, and inflating plus parsing with nothing kept.
//!
//! `cargo bench --bench decode` makes its own objects. `TRAILHOUND_BENCH_ARCHIVE=/folder` takes the `.gz` objects below
//! that folder instead. Speeds are unpacked bytes per second of CPU time (of wall time where the system does not tell),
//! best of several rounds.

use std::path::Path;
use std::time::Instant;

use libdeflater::{CompressionLvl, Compressor, Decompressor};
use serde::Deserialize;
use sonic_rs::LazyValue;
use trailhound::logs::{NoBodies, framing};

const ROUNDS: usize = 7;
const LARGEST_ARCHIVE: usize = 64 << 20;

/// The fields that every event has; sub-objects are passed over, not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Event<'a> {
    #[serde(borrow, default)]
    user_identity: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    event_time: Option<&'a str>,
    #[serde(borrow, default)]
    event_source: Option<&'a str>,
    #[serde(borrow, default)]
    event_name: Option<&'a str>,
    #[serde(borrow, default)]
    aws_region: Option<&'a str>,
    #[serde(borrow, default, rename = "sourceIPAddress")]
    source: Option<&'a str>,
    #[serde(borrow, default)]
    user_agent: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    request_parameters: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    response_elements: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    additional_event_data: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    resources: Option<LazyValue<'a>>,
    #[serde(borrow, default, rename = "eventID")]
    id: Option<&'a str>,
    #[serde(borrow, default, rename = "requestID")]
    request: Option<&'a str>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Event<'a>>,
}

fn main() {
    let archive = match std::env::var_os("TRAILHOUND_BENCH_ARCHIVE") {
        Some(folder) => {
            let mut objects = Vec::new();
            collect(Path::new(&folder), &mut objects);
            objects
        }
        None => (0..24).map(|object| pack(&made_object(object))).collect(),
    };
    let mut inflater = Decompressor::new();
    let mut buffer = vec![0u8; 256 << 20];
    let mut measure = |name: &str, work: &mut dyn FnMut(&[u8]) -> usize| -> f64 {
        let (mut best, mut bytes, mut records) = (f64::MAX, 0, 0);
        for _ in 0..ROUNDS {
            (bytes, records) = (0, 0);
            let clock = Clock::start();
            for object in &archive {
                let length = inflater.gzip_decompress(object, &mut buffer).expect("an intact gzip object");
                bytes += length;
                records += work(&buffer[..length]);
            }
            best = best.min(clock.seconds());
        }
        let speed = bytes as f64 / best / 1e6;
        println!("{name:44} {speed:7.0} MB/s  {:6.3} ns/byte  {records} records", best / bytes as f64 * 1e9);
        speed
    };
    measure("inflate (libdeflate)", &mut |_| 0);
    let floor = measure("inflate + sonic-rs, sub-objects passed over", &mut |json| {
        sonic_rs::from_slice::<Object>(json).expect("an object with records").records.len()
    });
    let ours = measure("inflate + decode to Arrow", &mut |json| {
        let decoded = framing::decode("s3://bench/object.json.gz", json, &NoBodies, 0);
        decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum()
    });
    println!("decode runs at {:.0} % of inflate + sonic-rs", ours / floor * 100.0);
}

/// Measures this thread's CPU time, so that other work on the machine does not count.
struct Clock(Instant, Option<u64>);

impl Clock {
    fn start() -> Self {
        Clock(Instant::now(), on_cpu())
    }

    fn seconds(&self) -> f64 {
        match (self.1, on_cpu()) {
            (Some(before), Some(now)) => (now - before) as f64 / 1e9,
            _ => self.0.elapsed().as_secs_f64(),
        }
    }
}

/// Nanoseconds that this thread has run, from Linux.
fn on_cpu() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn collect(folder: &Path, objects: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, objects);
        } else if path.extension().is_some_and(|extension| extension == "gz")
            && objects.iter().map(Vec::len).sum::<usize>() < LARGEST_ARCHIVE
        {
            objects.push(std::fs::read(path).expect("a readable object"));
        }
    }
}

fn pack(json: &str) -> Vec<u8> {
    let mut packer = Compressor::new(CompressionLvl::default());
    let mut packed = vec![0; packer.gzip_compress_bound(json.len())];
    let length = packer.gzip_compress(json.as_bytes(), &mut packed).expect("room for the packed object");
    packed.truncate(length);
    packed
}

/// An object of 2,500 events of five shapes, as a trail would deliver it.
fn made_object(object: u64) -> String {
    let mut dice = Dice(object + 1);
    let events: Vec<String> = (0..2_500).map(|_| made_event(&mut dice)).collect();
    format!("{{\"Records\":[{}]}}", events.join(","))
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn id(&mut self) -> String {
        let (high, low) = (self.roll(), self.roll());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
        format!("{a:08x}-{b:04x}-{c:04x}-{:04x}-{:012x}", low >> 48, low & 0xffff_ffff_ffff)
    }
}

fn made_event(dice: &mut Dice) -> String {
    let (service, name, details) = match dice.roll() % 5 {
        0 => ("s3", "GetObject", read_object(dice)),
        1 => ("bedrock", "Converse", converse()),
        2 => ("sts", "AssumeRole", assume_role(dice)),
        3 => ("ec2", "DescribeInstances", describe_instances()),
        _ => ("kms", "Decrypt", decrypt(dice)),
    };
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLEID:run-{run}","arn":"arn:aws:sts::111122223333:assumed-role/pipeline/run-{run}","accountId":"111122223333","accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLEID","arn":"arn:aws:iam::111122223333:role/pipeline","accountId":"111122223333","userName":"pipeline"}},"attributes":{{"creationDate":"2026-10-01T11:58:03Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-10-01T12:{minute:02}:{second:02}Z","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","sourceIPAddress":"10.0.{a}.{b}","userAgent":"Boto3/1.35.50 md/Botocore#1.35.50 ua/2.0 os/linux#6.1.112 md/arch#x86_64 lang/python#3.11.9 md/pyimpl#CPython cfg/retry-mode#legacy",{details},"requestID":"{request}","eventID":"{id}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.us-east-1.amazonaws.com"}}}}"#,
        run = dice.roll() % 5_000,
        minute = dice.roll() % 60,
        second = dice.roll() % 60,
        a = dice.roll() % 256,
        b = dice.roll() % 256,
        request = dice.id(),
        id = dice.id(),
    )
}

fn read_object(dice: &mut Dice) -> String {
    format!(
        r#""requestParameters":{{"bucketName":"training-data-{}","Host":"training-data.s3.us-east-1.amazonaws.com","key":"sets/{}/part-{:05}.parquet"}},"responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":"{}","bytesTransferredOut":{}}},"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::training-data/sets"}},{{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::training-data"}}]"#,
        dice.roll() % 40,
        dice.roll() % 9_000,
        dice.roll() % 20_000,
        dice.id(),
        dice.roll() % 1_000_000
    )
}

fn converse() -> String {
    r#""requestParameters":{"modelId":"anthropic.claude-3-5-sonnet-20240620-v1:0"},"responseElements":null"#.to_owned()
}

fn assume_role(dice: &mut Dice) -> String {
    format!(
        r#""requestParameters":{{"roleArn":"arn:aws:iam::111122223333:role/pipeline","roleSessionName":"run-{}","durationSeconds":3600}},"responseElements":{{"credentials":{{"accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionToken":"{}{}","expiration":"Oct 1, 2026, 1:00:00 PM"}},"assumedRoleUser":{{"assumedRoleId":"AROAEXAMPLEID:run","arn":"arn:aws:sts::111122223333:assumed-role/pipeline/run"}}}}"#,
        dice.roll() % 5_000,
        dice.id(),
        dice.id()
    )
}

fn describe_instances() -> String {
    r#""requestParameters":{"maxResults":1000,"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"}]}}]}},"responseElements":null"#.to_owned()
}

fn decrypt(dice: &mut Dice) -> String {
    format!(
        r#""requestParameters":{{"encryptionContext":{{"aws:s3:arn":"arn:aws:s3:::training-data/sets/{}"}},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}},"responseElements":null,"resources":[{{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"arn:aws:kms:us-east-1:111122223333:key/{}"}}]"#,
        dice.roll() % 9_000,
        dice.id()
    )
}
