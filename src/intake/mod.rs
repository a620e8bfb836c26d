//! Intake: where bytes come from. Files, folders and S3 are listed first, then fetched ahead in that order.

pub mod arrivals;
pub mod bodies;
mod days;
mod gzip;
mod local;
pub mod names;
mod prefixes;
mod refusals;
pub mod s3;
pub mod unpack;

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use futures::future::Either;
use futures::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;

use bodies::BodyReader;
use days::Days;

/// Mebibytes of S3 objects that may be on their way or waiting for the consumer; one larger object passes alone.
const AHEAD: u32 = 64;

/// What to read and how much at once.
#[derive(Debug, Clone)]
pub struct Options {
    /// Start of the events that are wanted. Objects whose key names an earlier day (less one) are not listed.
    pub since: Option<DateTime<Utc>>,
    /// End of the events that are wanted. Objects whose key names a later day (plus one) are not listed.
    pub until: Option<DateTime<Utc>>,
    /// Accept the costs of buckets whose owner makes the reader pay.
    pub requester_pays: bool,
    /// Largest object, unpacked, in bytes.
    pub limit: u64,
    /// S3 downloads in flight.
    pub concurrency: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { since: None, until: None, requester_pays: false, limit: 512 << 20, concurrency: 32 }
    }
}

/// An object that can be fetched.
#[derive(Debug, Clone)]
pub struct Found {
    /// Absolute path, `s3://bucket/key`, or `-`; bytes that cannot be shown are escaped without loss ([`names`]).
    pub uri: String,
    /// Bytes as stored, before unpacking.
    pub size: u64,
    /// The same uri with the same version has the same bytes: the ETag in S3, time of change and size of a file.
    pub version: String,
    /// Time of the last change, where known.
    pub modified: Option<DateTime<Utc>>,
    /// The day that the key or path names, where it names one: UTC, day of delivery.
    pub day: Option<NaiveDate>,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    File,
    S3,
    /// Standard input and pipes can be read only once.
    Held(Box<Bytes>),
}

/// Something that was asked for and cannot be read, or holds nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The path or address.
    pub place: String,
    /// One sentence: what is wrong and what to do.
    pub reason: String,
    /// True when the command line has to change: the place names nothing.
    pub wrong_use: bool,
    /// True when the place can be read and has nothing to read in it: worth a word, not a failure.
    pub empty: bool,
}

/// What the places hold.
#[derive(Debug, Default)]
pub struct Listing {
    /// Sorted by day (objects without one last) and uri; each uri once.
    pub found: Vec<Found>,
    /// In the order in which the places were given.
    pub problems: Vec<Problem>,
}

/// Reads objects from everywhere.
#[derive(Debug)]
pub struct Intake {
    options: Options,
    s3: Arc<s3::S3>,
}

impl Intake {
    /// An intake with these options; nothing is contacted yet.
    pub fn new(options: Options) -> Intake {
        let s3 = Arc::new(s3::S3::new(None, options.requester_pays, options.limit));
        Intake { options, s3 }
    }

    /// An intake whose S3 requests use this configuration and not that of the environment.
    pub fn with_aws(options: Options, config: aws_config::SdkConfig) -> Intake {
        let s3 = Arc::new(s3::S3::new(Some(config), options.requester_pays, options.limit));
        Intake { options, s3 }
    }

    /// Finds the objects of files, folders, globs, `-` (standard input) and `s3://bucket/prefix` addresses.
    ///
    /// A place that cannot be read becomes a problem; the others are listed all the same.
    pub async fn list(&self, logs: &[String]) -> Listing {
        let days = Days::new(self.options.since, self.options.until);
        let mut listing = Listing::default();
        for (i, log) in logs.iter().enumerate() {
            if logs.iter().take(i).any(|earlier| earlier == log) {
                continue;
            }
            let part = if log.starts_with("s3://") {
                prefixes::list(&self.s3, log, days).await
            } else {
                let (log, limit) = (log.clone(), self.options.limit);
                let listed = tokio::task::spawn_blocking(move || local::list(&log, days, limit)).await;
                listed.unwrap_or_default()
            };
            listing.found.extend(part.found);
            listing.problems.extend(part.problems);
        }
        listing.found.sort_by(|a, b| (&a.uri, a.day.is_none()).cmp(&(&b.uri, b.day.is_none())));
        listing.found.dedup_by(|later, first| later.uri == first.uri);
        listing.found.sort_by_key(|found| found.day.unwrap_or(NaiveDate::MAX));
        listing
    }

    /// Objects in the order of `found`. S3 downloads run ahead of the consumer, within bounds of number and memory;
    /// files are read by [`Fetched::load`]. Must be polled on a tokio runtime; dropping the stream ends the downloads.
    pub fn fetch(&self, found: Vec<Found>) -> impl Stream<Item = Fetched> + Send + Unpin + use<> {
        let room = Arc::new(Semaphore::new(AHEAD as usize));
        let (s3, limit) = (self.s3.clone(), self.options.limit);
        stream::iter(found)
            .then(move |found| {
                // Taken in order, so that the object which the consumer waits for is never kept out by later ones.
                let room = room.clone();
                let mebibytes = u32::try_from(found.size >> 20).unwrap_or(AHEAD).saturating_add(1).min(AHEAD);
                async move {
                    let taken = match found.place {
                        Place::S3 => room.acquire_many_owned(mebibytes).await.ok(),
                        Place::File | Place::Held(_) => None,
                    };
                    (found, taken)
                }
            })
            .map(move |(found, taken)| {
                let source = match &found.place {
                    Place::File => Either::Left(Source::File),
                    Place::Held(bytes) => Either::Left(Source::Ready(Ok(Bytes::clone(bytes)))),
                    Place::S3 => Either::Right(Task::start(s3.clone(), found.clone())),
                };
                async move {
                    let source = match source {
                        Either::Left(source) => source,
                        Either::Right(mut task) => Source::Ready(task.done().await),
                    };
                    (Fetched { found, source, limit }, taken)
                }
            })
            .buffered(self.options.concurrency.max(1))
            .map(|(fetched, taken)| {
                drop(taken);
                fetched
            })
            .boxed()
    }

    /// Reads bodies that a log keeps in objects of their own, from threads outside the runtime.
    pub fn body_reader(&self, runtime: tokio::runtime::Handle) -> BodyReader {
        BodyReader::new(self.s3.clone(), runtime, self.options.limit)
    }
}

/// A download that ends when nobody waits for it.
struct Task(tokio::task::JoinHandle<Result<Bytes, String>>);

impl Task {
    fn start(s3: Arc<s3::S3>, found: Found) -> Task {
        Task(tokio::spawn(async move { s3.download(&found.uri, found.size, &found.version).await }))
    }

    async fn done(&mut self) -> Result<Bytes, String> {
        (&mut self.0).await.unwrap_or_else(|error| Err(format!("the download was given up: {error}")))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An object whose bytes are at hand, or nearly so.
#[derive(Debug)]
pub struct Fetched {
    /// What was listed.
    pub found: Found,
    source: Source,
    limit: u64,
}

#[derive(Debug)]
enum Source {
    File,
    Ready(Result<Bytes, String>),
}

impl Fetched {
    /// The bytes as stored, or why they cannot be had and what to do. Reads a file where that is still to be done: call
    /// it on a thread that may block.
    pub fn load(self) -> Result<(Found, Bytes), (Found, String)> {
        let bytes = match self.source {
            Source::Ready(bytes) => bytes,
            Source::File => read_file(&self.found, self.limit),
        };
        match bytes {
            Ok(bytes) => Ok((self.found, bytes)),
            Err(reason) => Err((self.found, reason)),
        }
    }
}

/// Reads as many bytes as were listed: what a writer appends meanwhile belongs to the next version.
fn read_file(found: &Found, limit: u64) -> Result<Bytes, String> {
    if found.size > limit {
        return Err(unpack::too_large(limit));
    }
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}; check its permissions");
    let file = std::fs::File::open(names::path(&found.uri)).map_err(unreadable)?;
    let mut bytes = Vec::with_capacity(usize::try_from(found.size).unwrap_or(0));
    file.take(found.size).read_to_end(&mut bytes).map_err(unreadable)?;
    if (bytes.len() as u64) < found.size {
        return Err("became shorter while it was read; run again when it is complete".to_owned());
    }
    Ok(Bytes::from(bytes))
}
