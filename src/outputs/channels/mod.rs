//! Channels: where findings go at once while logs are followed. No finding twice, none lost across restarts.
//!
//! Each channel keeps how far it is (the position of the newest commit that it has taken) in a folder, and says so only
//! when it has the findings durably. After a crash the follower asks for the position and offers what came later; a
//! channel ignores what it has.
//!
//! ```text
//! stdout   lines, flushed; a kill between that and the cursor repeats one commit
//! file     lines, synced; at a start the file is cut back to what was acknowledged
//! webhook  a spool on disk, from which a task sends batches; a batch that may have arrived is sent again unchanged,
//! SNS      under the same id, so that receivers can drop it
//! ```

mod address;
mod courier;
mod cursor;
mod file;
mod outbox;
mod secret;
mod sns;
mod spool;
mod stdout;
mod webhook;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use datafusion::arrow::array::RecordBatch;
use futures::future::join_all;
use tokio::sync::Mutex;

use self::address::Address;
use self::courier::{Courier, Pace, Progress, Receiver};
use self::cursor::Lock;
use self::outbox::Outbox;
pub use self::secret::Secret;
use self::spool::Spool;
use super::{Format, Page};
use crate::error::{Error, Result};

/// What channels need to know beyond their addresses.
#[derive(Debug, Clone)]
pub struct Options {
    /// Key that signs what goes to webhooks.
    pub secret: Option<Secret>,
    /// AWS configuration for SNS; that of the environment when there is none.
    pub aws: Option<SdkConfig>,
    /// Pause after the first failure of a delivery; it doubles with every further one.
    pub first_pause: Duration,
    /// Longest pause that doubling leads to.
    pub longest_pause: Duration,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Bytes after which a spool starts a new file; files that are delivered are removed.
    pub segment_size: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            secret: None,
            aws: None,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(5 * 60),
            timeout: Duration::from_secs(30),
            segment_size: 8 << 20,
        }
    }
}

/// What a channel leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// Lines on standard output.
    Stdout,
    /// Lines at the end of a file.
    File,
    /// Requests to an HTTP address.
    Webhook,
    /// Messages to an SNS topic.
    Sns,
}

impl ChannelKind {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ChannelKind::Stdout => "stdout",
            ChannelKind::File => "file",
            ChannelKind::Webhook => "webhook",
            ChannelKind::Sns => "sns",
        }
    }
}

/// How a channel does.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelState {
    /// `stdout`, a path, a topic's ARN, or a webhook's scheme and host with eight digits that tell its path apart. Holds
    /// no secrets.
    pub name: String,
    /// What it leads to.
    pub kind: ChannelKind,
    /// Findings that arrived, over all runs.
    pub delivered: u64,
    /// Findings on disk that are still to be delivered.
    pub waiting: u64,
    /// Findings that the receiver refused for good, over all runs; they are in `refused.ndjson` in the channel's folder.
    pub refused: u64,
    /// Attempts in this run that did not deliver all they had.
    pub failures: u64,
    /// Why the newest attempt failed; nothing when it did not. Receivers may have a part in the text: escape it.
    pub trouble: Option<String>,
}

/// Findings as lines.
struct Lines {
    text: Vec<u8>,
    count: u64,
}

/// What takes findings durably.
trait Shelf: Send {
    /// Position of the newest commit that it has.
    fn position(&self) -> Option<u64>;
    /// Findings that it has ever taken.
    fn total(&self) -> u64;
    /// Takes the findings of a commit: all of them or, with an error, none. Ignores a commit that it has.
    fn take(&mut self, position: u64, lines: &Lines) -> Result<()>;
}

struct Channel {
    name: String,
    kind: ChannelKind,
    shelf: Arc<Mutex<Box<dyn Shelf>>>,
    position: Option<u64>,
    total: u64,
    failures: u64,
    trouble: Option<String>,
    courier: Option<Courier>,
}

/// The open channels. Dropped, they stop as they are; nothing that was taken is lost.
pub struct Channels {
    channels: Vec<Channel>,
    _lock: Arc<Lock>,
}

impl Channels {
    /// Opens channels with default options, see [`Channels::open_with`].
    ///
    /// # Errors
    /// Those of [`Channels::open_with`].
    pub async fn open(addresses: &[String], folder: &Path, secret: Option<Secret>) -> Result<Channels> {
        Channels::open_with(addresses, folder, Options { secret, ..Options::default() }).await
    }

    /// Opens channels, and starts to deliver what waits in their spools.
    ///
    /// Addresses: `-` (lines on standard output), a path that ends in `.ndjson` (appended to), `https://...` or
    /// `http://127.0.0.1/...` (webhook), the ARN of an SNS topic. `folder` holds cursors and spools, and is made when it is
    /// not there. A channel that is named again in a later run goes on where it was; the query of a URL does not count.
    ///
    /// # Errors
    /// [`Error::Usage`] for an address that is none, one that is named twice, an empty secret, or a folder that another
    /// process uses; [`Error::Output`] when the folder or a file cannot be used.
    pub async fn open_with(addresses: &[String], folder: &Path, options: Options) -> Result<Channels> {
        if options.secret.as_ref().is_some_and(Secret::is_empty) {
            return Err(Error::Usage("the secret for webhooks is empty; give one, or none at all".into()));
        }
        let addresses: Vec<Address> = addresses.iter().map(|text| Address::parse(text)).collect::<Result<_>>()?;
        let mut folders = HashSet::new();
        for address in &addresses {
            if !folders.insert(address.folder()) {
                return Err(Error::Usage(format!(
                    "findings would go to {} twice; name it once (the query of a URL makes no second channel)",
                    address.name()
                )));
            }
        }
        cursor::make_folder(folder)?;
        let lock = Arc::new(Lock::take(folder).await?);
        let mut channels = Vec::new();
        for address in addresses {
            channels.push(open_channel(address, folder, &options, &lock).await?);
        }
        for (name, waiting) in left_behind(folder, &folders) {
            tracing::warn!(channel = name, waiting, "findings wait for a channel that is not named any more");
        }
        Ok(Channels { channels, _lock: lock })
    }

    /// The position up to which every channel has findings durably; offer what came after it.
    ///
    /// A channel that is new has none and does not count: it starts with what is offered next, see [`Channels::begin`].
    /// `None` when all are new.
    pub fn position(&self) -> Option<u64> {
        self.channels.iter().filter_map(|channel| channel.position).min()
    }

    /// Lets the channels that are new note, durably, that they begin after `position`: from then on nothing that comes
    /// later is lost to them, whenever the process ends. Channels that have a position keep it.
    ///
    /// [`Channels::offer`] does so itself before any channel takes findings: a kill could otherwise leave one new channel
    /// with and one without them, and the one without would take itself for new again.
    ///
    /// # Errors
    /// [`Error::Output`] when a channel could not note it.
    pub async fn begin(&mut self, position: u64) -> Result<()> {
        let none = Arc::new(Lines { text: Vec::new(), count: 0 });
        let new = self.channels.iter_mut().filter(|channel| channel.position.is_none());
        outcome(join_all(new.map(|channel| channel.take(position, none.clone()))).await)
    }

    /// Gives the findings of one commit, rows of the table of findings, to every channel that does not have that commit.
    /// Positions grow from commit to commit; a commit without findings is offered too, so that channels remember where
    /// they are.
    ///
    /// Returns when each channel has the findings durably: on standard output, synced in the file, or synced in its spool.
    ///
    /// # Errors
    /// [`Error::Output`] when a channel could not take them. The others have them all the same: offer the same commit
    /// again, or end.
    pub async fn offer(&mut self, position: u64, findings: &RecordBatch) -> Result<()> {
        let lines = Arc::new(lines(findings)?);
        if let Some(before) = position.checked_sub(1) {
            self.begin(before).await?;
        }
        let late = self.channels.iter_mut().filter(|channel| channel.position < Some(position));
        outcome(join_all(late.map(|channel| channel.take(position, lines.clone()))).await)
    }

    /// How each channel does, in the order of the addresses.
    pub fn state(&self) -> Vec<ChannelState> {
        self.channels.iter().map(Channel::state).collect()
    }

    /// Ends. Deliveries may go on for `patience`; what is not delivered then stays on disk for the next start.
    pub async fn close(self, patience: Duration) {
        let ending = self.channels.into_iter().filter_map(|channel| Some((channel.courier?, channel.shelf)));
        join_all(ending.map(|(courier, shelf)| async move {
            let total = shelf.lock().await.total();
            courier.finish(total, patience).await;
        }))
        .await;
    }
}

impl Channel {
    async fn take(&mut self, position: u64, lines: Arc<Lines>) -> Result<()> {
        let mut shelf = self.shelf.clone().lock_owned().await;
        // Disks and readers of standard output may be slow.
        let done = tokio::task::spawn_blocking(move || {
            let taken = shelf.take(position, &lines);
            (taken, shelf.position(), shelf.total())
        });
        let (taken, position, total) =
            done.await.map_err(|error| Error::Output(format!("{} broke off: {error}", self.name)))?;
        (self.position, self.total) = (position, total);
        self.failures += u64::from(taken.is_err());
        self.trouble = taken.as_ref().err().map(ToString::to_string);
        taken
    }

    fn state(&self) -> ChannelState {
        let here = Progress { delivered: self.total, refused: 0, failures: 0, trouble: None };
        let there = self.courier.as_ref().map_or(here, Courier::progress);
        ChannelState {
            name: self.name.clone(),
            kind: self.kind,
            delivered: there.delivered,
            waiting: self.total.saturating_sub(there.delivered + there.refused),
            refused: there.refused,
            failures: self.failures + there.failures,
            trouble: self.trouble.clone().or(there.trouble),
        }
    }
}

fn outcome(taken: Vec<Result<()>>) -> Result<()> {
    let failed: Vec<String> = taken.into_iter().filter_map(|done| done.err().map(|error| error.to_string())).collect();
    if failed.is_empty() { Ok(()) } else { Err(Error::Output(failed.join("; "))) }
}

async fn open_channel(address: Address, folder: &Path, options: &Options, lock: &Arc<Lock>) -> Result<Channel> {
    let own = folder.join(address.folder());
    let (name, kind, direct) = (address.name(), address.kind(), address.is_plain());
    let (shelf, courier): (Box<dyn Shelf>, _) = match address {
        Address::Stdout => (Box::new(stdout::Stdout::open(&own)?), None),
        Address::File(path) => (Box::new(file::NdjsonFile::open(&path, &own)?), None),
        Address::Webhook(url) => {
            let webhook = webhook::Webhook::new(url, options.secret.clone(), options.timeout, direct)?;
            let (spool, courier) = spooled(&own, &name, Box::new(webhook), options, lock)?;
            (Box::new(spool), Some(courier))
        }
        Address::Topic { arn, region } => {
            let topic = sns::Topic::open(arn, region, options.aws.clone(), options.timeout).await;
            let (spool, courier) = spooled(&own, &name, Box::new(topic), options, lock)?;
            (Box::new(spool), Some(courier))
        }
    };
    let (position, total) = (shelf.position(), shelf.total());
    let shelf = Arc::new(Mutex::new(shelf));
    Ok(Channel { name, kind, shelf, position, total, failures: 0, trouble: None, courier })
}

/// A spool and the courier that empties it.
fn spooled(
    folder: &Path,
    name: &str,
    receiver: Box<dyn Receiver>,
    options: &Options,
    lock: &Arc<Lock>,
) -> Result<(Spool, Courier)> {
    cursor::make_folder(folder)?;
    let known = outbox::Cursor::load(folder)?;
    let start = known.as_ref().map_or((1, 0), |cursor| (cursor.segment + 1, cursor.done()));
    let spool = Spool::open(folder, start, options.segment_size, lock.clone())?;
    let mut cursor = known.unwrap_or_default();
    cursor.name = name.to_owned();
    let outbox = Outbox::new(folder, receiver.limits(), cursor, spool.filled(), lock.clone());
    let pace = Pace { first: options.first_pause, longest: options.longest_pause };
    Ok((spool, Courier::start(outbox, receiver, pace)))
}

/// Channels of earlier runs that are not named now and that have findings waiting: name and number.
fn left_behind(folder: &Path, named: &HashSet<String>) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().to_str().is_some_and(|name| named.contains(name)) {
            continue;
        }
        let (Some(taken), Ok(Some(cursor))) = (spool::taken(&path), outbox::Cursor::load(&path)) else { continue };
        if taken > cursor.done() {
            found.push((cursor.name.clone(), taken - cursor.done()));
        }
    }
    found
}

fn lines(findings: &RecordBatch) -> Result<Lines> {
    let mut text = Vec::new();
    if findings.num_rows() > 0 {
        let rows = std::slice::from_ref(findings);
        super::write(rows, findings.schema(), Format::Ndjson, &mut text, &Page::default())?;
    }
    Ok(Lines { text, count: findings.num_rows() as u64 })
}
