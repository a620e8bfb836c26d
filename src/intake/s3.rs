//! S3: one client per Region with the credentials of the environment; pages of keys, and objects in parts.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime as AwsTime;
use aws_sdk_s3::types::RequestPayer;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Mutex, OnceCell};

use super::refusals::{self, Refusal};
use super::{names, unpack};

/// Objects above this come in parts: one connection is slower than the network, and a fault repeats only its part.
const WHOLE: u64 = 16 << 20;
const PART: u64 = 8 << 20;
const PARTS_AT_ONCE: usize = 8;
/// The SDK repeats requests, but not a body that breaks off.
const BODY_TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Any Region can say where a bucket is; AWS's own default is this one.
const DEFAULT_REGION: &str = "us-east-1";

/// The AWS configuration of the environment: profiles, SSO, roles, containers, instances, `AWS_ENDPOINT_URL`.
pub async fn environment() -> SdkConfig {
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let chosen = config.retry_config().is_some_and(|retry| *retry != RetryConfig::standard());
    if chosen {
        return config;
    }
    // Thousands of small objects at full speed meet throttling sooner or later; three attempts give up too early.
    config.into_builder().retry_config(RetryConfig::standard().with_max_attempts(8)).build()
}

/// Address of a service that stands in for S3: the general setting, or the one for S3 alone.
pub fn endpoint(config: &SdkConfig) -> Option<String> {
    let own = std::env::var("AWS_ENDPOINT_URL_S3").ok().filter(|url| !url.is_empty());
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// S3 as this process sees it.
#[derive(Debug)]
pub struct S3 {
    config: OnceCell<SdkConfig>,
    /// Client for each bucket, in the bucket's Region.
    buckets: Mutex<HashMap<String, Client>>,
    payer: Option<RequestPayer>,
    limit: u64,
}

/// One answer to a listing request.
pub(super) struct Page {
    pub objects: Vec<Listed>,
    /// Keys cut off at the next delimiter, each once.
    pub prefixes: Vec<String>,
    pub next: Option<String>,
}

pub(super) struct Listed {
    pub key: String,
    pub size: u64,
    pub version: String,
    pub modified: Option<DateTime<Utc>>,
}

impl S3 {
    /// S3 with this configuration, or with that of the environment when the first request needs it.
    pub fn new(config: Option<SdkConfig>, requester_pays: bool, limit: u64) -> S3 {
        S3 {
            config: OnceCell::new_with(config),
            buckets: Mutex::default(),
            payer: requester_pays.then_some(RequestPayer::Requester),
            limit,
        }
    }

    /// Region of a bucket, asked from S3; `None` when an endpoint is set, which has no other Regions.
    pub(crate) async fn region(&self, bucket: &str) -> Option<String> {
        let config = self.config().await;
        if endpoint(config).is_some() {
            return None;
        }
        match client(config, None).head_bucket().bucket(bucket).send().await {
            Ok(answer) => answer.bucket_region().map(str::to_owned),
            // Refusals name the Region too.
            Err(error) => error.raw_response()?.headers().get("x-amz-bucket-region").map(str::to_owned),
        }
    }

    /// The AWS configuration that requests use.
    pub(super) async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(environment).await
    }

    async fn bucket(&self, bucket: &str) -> Client {
        let mut buckets = self.buckets.lock().await;
        if let Some(client) = buckets.get(bucket) {
            return client.clone();
        }
        let region = self.region(bucket).await;
        let client = client(self.config().await, region);
        buckets.insert(bucket.to_owned(), client.clone());
        client
    }

    /// Keys below a prefix, a thousand at a time in order; with `fold`, whole folders become one entry.
    pub(super) async fn page(
        &self,
        bucket: &str,
        prefix: &str,
        fold: bool,
        next: Option<String>,
    ) -> Result<Page, Refusal> {
        let request = self.bucket(bucket).await.list_objects_v2().bucket(bucket).prefix(prefix);
        let request = request.set_delimiter(fold.then(|| "/".to_owned())).set_continuation_token(next);
        let answer = request.set_request_payer(self.payer.clone()).send().await;
        let answer = answer.map_err(|error| refusals::explain(&error, bucket))?;
        let objects = answer.contents().iter().filter_map(listed).collect();
        let prefixes = answer.common_prefixes().iter().filter_map(|p| p.prefix().map(str::to_owned)).collect();
        let next = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
        Ok(Page { objects, prefixes, next })
    }

    /// The object as a listing shows it now, or nothing when it is not there.
    pub(super) async fn look(&self, bucket: &str, key: &str) -> Result<Option<Listed>, Refusal> {
        let client = self.bucket(bucket).await;
        let head = client.head_object().bucket(bucket).key(key).set_request_payer(self.payer.clone()).send().await;
        match head {
            Ok(head) => {
                let size = head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                Ok(Some(as_listed(key.to_owned(), size, head.e_tag(), head.last_modified())))
            }
            Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => Ok(None),
            Err(error) => Err(refusals::explain(&error, bucket)),
        }
    }

    /// The object as it was listed, whole.
    pub(super) async fn download(&self, uri: &str, size: u64, version: &str) -> Result<Bytes, String> {
        let (bucket, key) = names::bucket_and_key(uri).ok_or("is not an s3://bucket/key address")?;
        if size > self.limit {
            return Err(unpack::too_large(self.limit));
        }
        let object = Object { client: &self.bucket(bucket).await, bucket, key: &key, version: Some(version) };
        if size <= WHOLE {
            return self.part(&object, None, size).await;
        }
        let starts = (0..size).step_by(PART as usize);
        let parts = starts.map(|start| (start, PART.min(size - start)));
        let object = &object;
        let mut parts =
            stream::iter(parts).map(|(start, length)| self.part(object, Some(start), length)).buffered(PARTS_AT_ONCE);
        let mut whole = BytesMut::with_capacity(usize::try_from(size).unwrap_or(0));
        while let Some(part) = parts.try_next().await? {
            whole.extend_from_slice(&part);
        }
        Ok(whole.freeze())
    }

    /// An object that was not listed, whole.
    pub(super) async fn get(&self, bucket: &str, key: &str) -> Result<Bytes, String> {
        let client = self.bucket(bucket).await;
        let head = client.head_object().bucket(bucket).key(key).set_request_payer(self.payer.clone()).send().await;
        let head = head.map_err(|error| refusals::explain(&error, bucket).reason)?;
        let size = head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
        let version = head.e_tag().map(bare).unwrap_or_default();
        self.download(&names::object(bucket, key), size, version).await
    }

    async fn part(&self, object: &Object<'_>, start: Option<u64>, length: u64) -> Result<Bytes, String> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_part(object, start, length).await {
                Err(Fault::Broken(_)) if tries < BODY_TRIES => {}
                Err(Fault::Broken(reason) | Fault::Refused(reason)) => return Err(reason),
                Ok(bytes) => return Ok(bytes),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn try_part(&self, object: &Object<'_>, start: Option<u64>, length: u64) -> Result<Bytes, Fault> {
        let request = object.client.get_object().bucket(object.bucket).key(object.key);
        let range = start.map(|start| format!("bytes={start}-{}", start + length - 1));
        let request = request.set_range(range).set_if_match(object.condition());
        let answer = request.set_request_payer(self.payer.clone()).send().await;
        let answer = answer.map_err(|error| Fault::Refused(refusals::explain(&error, object.bucket).reason))?;
        if answer.content_length().and_then(|n| u64::try_from(n).ok()) != Some(length) {
            let told = answer.content_length().unwrap_or(0);
            let reason = format!("S3 sent {told} bytes where {length} were listed: the object changed; run again");
            return Err(Fault::Refused(reason));
        }
        match answer.body.collect().await {
            Ok(body) => Ok(body.into_bytes()),
            Err(error) => {
                let reason = crate::error::chain(&error);
                Err(Fault::Broken(format!("the download broke off {BODY_TRIES} times ({reason}); check the network")))
            }
        }
    }
}

struct Object<'a> {
    client: &'a Client,
    bucket: &'a str,
    key: &'a str,
    version: Option<&'a str>,
}

impl Object<'_> {
    /// Value for If-Match. Servers without ETags have a version of ours, with a colon in it.
    fn condition(&self) -> Option<String> {
        self.version.filter(|version| !version.is_empty() && !version.contains(':')).map(|tag| format!("\"{tag}\""))
    }
}

enum Fault {
    /// The answer broke off: another try may do.
    Broken(String),
    Refused(String),
}

fn client(config: &SdkConfig, region: Option<String>) -> Client {
    let mut settings = aws_sdk_s3::config::Builder::from(config);
    if endpoint(config).is_some() {
        // Stand-ins rarely have a host name for each bucket.
        settings = settings.force_path_style(true);
    }
    let fallback = || config.region().is_none().then(|| DEFAULT_REGION.to_owned());
    if let Some(region) = region.or_else(fallback) {
        settings = settings.region(Region::new(region));
    }
    Client::from_conf(settings.build())
}

fn listed(object: &aws_sdk_s3::types::Object) -> Option<Listed> {
    let key = object.key()?.to_owned();
    let size = u64::try_from(object.size()?).ok()?;
    Some(as_listed(key, size, object.e_tag(), object.last_modified()))
}

fn as_listed(key: String, size: u64, tag: Option<&str>, modified: Option<&AwsTime>) -> Listed {
    let modified = modified.and_then(|t| DateTime::from_timestamp(t.secs(), t.subsec_nanos()));
    let version = match tag {
        Some(tag) => bare(tag).to_owned(),
        None => format!("{}:{size}", modified.map(|t| t.timestamp_micros()).unwrap_or(0)),
    };
    Listed { key, size, version, modified }
}

/// An ETag without its quotes.
pub(super) fn bare(tag: &str) -> &str {
    tag.trim_start_matches("W/").trim_matches('"')
}
