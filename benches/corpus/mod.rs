//! Made objects of the three logs: the same for the same numbers, on every machine. CloudTrail is in this file.

#![allow(dead_code, reason = "each bench uses a part of it")]

#[cfg(not(target_env = "msvc"))]
mod allocator;
pub mod flows;
pub mod invocations;

use std::sync::LazyLock;

use libdeflater::{CompressionLvl, Compressor};

/// The text as gzip, packed about as well as AWS does.
pub fn pack(text: &str) -> Vec<u8> {
    let mut packer = Compressor::new(CompressionLvl::default());
    let mut packed = vec![0; packer.gzip_compress_bound(text.len())];
    let length = packer.gzip_compress(text.as_bytes(), &mut packed).expect("room for the packed object");
    packed.truncate(length);
    packed
}

/// Events of one object.
pub const PER_OBJECT: u64 = 2_500;
/// Days over which the objects of an archive are spread, from 2026-10-01.
pub const DAYS: u64 = 30;

/// Roles that make the events, in turn: what is new of one role is looked for among few of its events, and the one role of all
/// events has them all. `TRAILHOUND_BENCH_ROLES` sets it.
static ROLES: LazyLock<u64> =
    LazyLock::new(|| std::env::var("TRAILHOUND_BENCH_ROLES").ok().and_then(|text| text.parse().ok()).unwrap_or(1));

/// Hour of its events, counted from 2026-10-01.
pub fn hour(object: u64, objects: u64) -> u64 {
    object * DAYS * 24 / objects.max(1)
}

/// Object number `object` of `objects`, as a trail would deliver it: events of five common shapes and of 300 rare kinds.
pub fn made_object(object: u64, objects: u64) -> String {
    let mut dice = Dice::of(object);
    let hour = hour(object, objects);
    let events: Vec<String> = (0..PER_OBJECT).map(|_| made_event(&mut dice, hour)).collect();
    format!("{{\"Records\":[{}]}}", events.join(","))
}

/// An event that is a finding by itself.
pub fn stopped_trail(name: &str) -> String {
    let mut dice = Dice(name.bytes().fold(1, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))));
    let (id, request) = (dice.id(), dice.id());
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/{name}","accountId":"111122223333","accessKeyId":"AKIAIOSFODNN7EXAMPLE"}},"eventTime":"2026-10-30T23:59:00Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.7","userAgent":"aws-cli/2.17","requestParameters":{{"name":"{name}"}},"responseElements":null,"requestID":"{request}","eventID":"{id}","readOnly":false,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#
    )
}

/// Where a trail would put that object below the folder that it delivers to.
pub fn key(object: u64, objects: u64) -> String {
    let hour = hour(object, objects);
    let (day, hour) = (hour / 24 + 1, hour % 24);
    format!(
        "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/{day:02}/\
         111122223333_CloudTrail_us-east-1_202610{day:02}T{hour:02}00Z_{object:016}.json.gz"
    )
}

/// A role and how it calls.
struct Caller {
    role: String,
    /// Numbers of its session and of the session's key.
    run: u64,
    key: u64,
    address: String,
    kms_key: String,
}

impl Caller {
    /// The one role has 5,000 sessions, each event an address of its own, and each of the 40 buckets a KMS key: an account can have
    /// 100,000 (AWS KMS Developer Guide, "Resource quotas"). Of many roles, each has 16 sessions with a new key each hour, 16
    /// addresses and one KMS key.
    fn of(dice: &mut Dice, hour: u64) -> Caller {
        if *ROLES <= 1 {
            let (run, key) = (dice.roll() % 5_000, dice.roll() % 5_000);
            let [a, b, c] = [(); 3].map(|()| dice.roll() % 256);
            return Caller {
                role: "pipeline".into(),
                run,
                key,
                address: format!("10.{a}.{b}.{c}"),
                kms_key: format!("{:08x}-1b2c-4d3e-8f40-0123456789ab", dice.roll() % 40),
            };
        }
        let number = dice.roll() % *ROLES;
        let run = number * 16 + dice.roll() % 16;
        Caller {
            role: format!("pipeline-{number}"),
            run,
            key: run * 1_000 + hour,
            address: format!("10.{}.{}.{}", number / 256 % 256, number % 256, dice.roll() % 16),
            kms_key: format!("{number:08x}-1b2c-4d3e-8f40-0123456789ab"),
        }
    }
}

/// Service and name of a rare kind of event.
pub fn rare_kind(number: u64) -> (String, String) {
    (format!("service{:02}", number % 30), format!("ChangeThing{:03}", number % 300))
}

struct Dice(u64);

impl Dice {
    /// A row of numbers of its own for each object.
    fn of(object: u64) -> Self {
        Dice((object + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// One of these words.
    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.roll() as usize % words.len()]
    }

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

fn made_event(dice: &mut Dice, hour: u64) -> String {
    let rare = dice.roll() % 10 < 3;
    let Caller { role, run, key, address, kms_key } = Caller::of(dice, hour);
    let (service, name, details) = if rare { rare_event(dice) } else { common_event(dice, &role, run, &kms_key) };
    let (day, hour) = (hour / 24 + 1, hour % 24);
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLEID:run-{run}","arn":"arn:aws:sts::111122223333:assumed-role/{role}/run-{run}","accountId":"111122223333","accessKeyId":"ASIA{key:016}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLEID","arn":"arn:aws:iam::111122223333:role/{role}","accountId":"111122223333","userName":"{role}"}},"attributes":{{"creationDate":"2026-10-01T11:58:03Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-10-{day:02}T{hour:02}:{minute:02}:{second:02}Z","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","sourceIPAddress":"{address}","userAgent":"Boto3/1.35.50 md/Botocore#1.35.50 ua/2.0 os/linux#6.1.112 md/arch#x86_64 lang/python#3.11.9 md/pyimpl#CPython cfg/retry-mode#legacy",{details},"requestID":"{request}","eventID":"{id}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.us-east-1.amazonaws.com"}}}}"#,
        minute = dice.roll() % 60,
        second = dice.roll() % 60,
        request = dice.id(),
        id = dice.id(),
    )
}

fn common_event(dice: &mut Dice, role: &str, run: u64, kms_key: &str) -> (String, String, String) {
    let (service, name, details) = match dice.roll() % 5 {
        0 => ("s3", "GetObject", read_object(dice)),
        1 => ("bedrock", "Converse", converse()),
        2 => ("sts", "AssumeRole", assume_role(dice, role, run)),
        3 => ("ec2", "DescribeInstances", describe_instances()),
        _ => ("kms", "Decrypt", decrypt(dice, kms_key)),
    };
    (service.to_owned(), name.to_owned(), details)
}

fn rare_event(dice: &mut Dice) -> (String, String, String) {
    let (service, name) = rare_kind(dice.roll());
    let details = match dice.roll() % 4 {
        0 => r#""errorCode":"AccessDenied","errorMessage":"not authorized","requestParameters":null,"responseElements":null"#.to_owned(),
        _ => format!(r#""requestParameters":{{"name":"thing-{}"}},"responseElements":null"#, dice.roll() % 1_000),
    };
    (service, name, details)
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

fn assume_role(dice: &mut Dice, role: &str, run: u64) -> String {
    format!(
        r#""requestParameters":{{"roleArn":"arn:aws:iam::111122223333:role/{role}","roleSessionName":"run-{run}","durationSeconds":3600}},"responseElements":{{"credentials":{{"accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionToken":"{}{}","expiration":"Oct 1, 2026, 1:00:00 PM"}},"assumedRoleUser":{{"assumedRoleId":"AROAEXAMPLEID:run","arn":"arn:aws:sts::111122223333:assumed-role/{role}/run-{run}"}}}}"#,
        dice.id(),
        dice.id()
    )
}

fn describe_instances() -> String {
    r#""requestParameters":{"maxResults":1000,"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"}]}}]}},"responseElements":null"#.to_owned()
}

fn decrypt(dice: &mut Dice, kms_key: &str) -> String {
    format!(
        r#""requestParameters":{{"encryptionContext":{{"aws:s3:arn":"arn:aws:s3:::training-data/sets/{}"}},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}},"responseElements":null,"resources":[{{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"arn:aws:kms:us-east-1:111122223333:key/{kms_key}"}}]"#,
        dice.roll() % 9_000,
    )
}
