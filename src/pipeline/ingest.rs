//! Ingest: objects are read in the order of their days, decoded on all cores, deduplicated in order, and published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::decode::{self, ReadObject, Stretch};
use super::summary::{Kept, Summary};
use crate::error::{Error, Result};
use crate::intake::bodies::BodyReader;
use crate::intake::{Fetched, Found, Intake};
use crate::lake::objects::{self as record, OBJECTS, ObjectRow};
use crate::lake::{Encoded, Job, Journal, Lake, OpenFiles, Part, Writer, WriterSettings, day_of, times};
use crate::logs::LOG_TYPES;
use crate::logs::framing;
use crate::logs::sink::QUARANTINE;

/// How an ingest runs.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Threads that decode and encode.
    pub threads: usize,
    /// Bytes that rows may take while they wait for their file. Files that wait for more rows take half as many.
    pub memory: usize,
    /// Largest object after decompression, bytes.
    pub limit: u64,
    /// Rows after which everything read so far is published. Bounds the identities in memory; more publishes make more,
    /// smaller files.
    pub publish_rows: usize,
    /// Identifies the run in the lake.
    pub run_id: String,
}

/// Packed bytes of objects that one task decodes together: small objects share the cost of a task.
const GROUP_BYTES: u64 = 1 << 20;
/// Objects that one task decodes at most.
const GROUP_OBJECTS: usize = 256;
/// Part of the memory for rows that files may take which wait for more of them.
const FILES_SHARE: usize = 2;
/// Rows per publish unless something else is asked for.
pub const PUBLISH_ROWS: usize = 1_000_000;
/// Objects per publish: bounds what a killed run has to do again.
const PUBLISH_OBJECTS: usize = 50_000;
/// How often an ingest starts again because another one published first.
const ATTEMPTS: usize = 20;

/// Reads what is new under `logs` into the lake.
pub async fn ingest(
    lake: &Lake,
    intake: &Intake,
    logs: &[String],
    settings: &Ingest,
    progress: &ProgressBar,
) -> Result<Summary> {
    let started = Instant::now();
    let mut summary = Summary::new();
    let listing = intake.list(logs).await;
    for problem in &listing.problems {
        summary.problem(format!("{}: {}", problem.place, problem.reason));
        summary.wrong_use |= problem.wrong_use;
        summary.failed |= !problem.wrong_use && !problem.empty;
    }
    let (bodies, objects): (Vec<Found>, Vec<Found>) =
        listing.found.into_iter().partition(|found| framing::is_body(&found.uri));
    summary.bodies = bodies.len() as u64;
    if objects.is_empty() {
        progress.finish_and_clear();
        summary.seconds = started.elapsed().as_secs_f64();
        return Ok(summary);
    }
    let reading = Reading::new(lake, intake, settings, progress)?;
    for attempt in 1.. {
        let mut journal = lake.begin().await?;
        let (new, unchanged) = unread(&mut journal, &objects).await?;
        if attempt == 1 {
            summary.unchanged = unchanged;
            progress.set_length(new.len() as u64);
        }
        match reading.read(&mut journal, new, &mut summary).await {
            Err(Error::Conflict) if attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    progress.finish_and_clear();
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// The objects that the lake has not read in their present state, and how many of them it has.
pub async fn unread(journal: &mut Journal, objects: &[Found]) -> Result<(Vec<Found>, u64)> {
    journal.look_for(&objects.iter().map(|found| found.uri.as_str()).collect::<Vec<_>>()).await?;
    let is_new = |found: &&Found| !journal.has_seen(record::fingerprint(&found.uri, &found.version));
    let new: Vec<Found> = objects.iter().filter(is_new).cloned().collect();
    let unchanged = (objects.len() - new.len()) as u64;
    Ok((new, unchanged))
}

/// What reads objects into a lake.
pub struct Reading<'a> {
    lake: &'a Lake,
    intake: &'a Intake,
    settings: &'a Ingest,
    progress: &'a ProgressBar,
    pool: rayon::ThreadPool,
}

impl<'a> Reading<'a> {
    /// Starts the threads.
    pub fn new(
        lake: &'a Lake,
        intake: &'a Intake,
        settings: &'a Ingest,
        progress: &'a ProgressBar,
    ) -> Result<Reading<'a>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(settings.threads.max(1))
            .build()
            .map_err(|e| Error::Input(format!("cannot start {} threads: {e}", settings.threads)))?;
        Ok(Reading { lake, intake, settings, progress, pool })
    }

    /// Reads objects and publishes what they hold. `summary` counts what was published, also when that ends in an error;
    /// after [`Error::Conflict`], ask again which objects are unread.
    pub async fn read(&self, journal: &mut Journal, objects: Vec<Found>, summary: &mut Summary) -> Result<()> {
        let mut walk = Walk::new(self.lake, journal, self.settings, self.progress);
        let bodies = self.intake.body_reader(tokio::runtime::Handle::current());
        let outcome = walk.run(&self.pool, self.intake.fetch(objects), bodies).await;
        summary.merge(&walk.published);
        outcome
    }
}

/// What the pool hands back.
enum Done {
    Decoded(u64, Vec<ReadObject>),
    Encoded(Result<Encoded>),
}

/// One attempt: everything since the journal was opened.
struct Walk<'a> {
    lake: &'a Lake,
    journal: &'a mut Journal,
    settings: &'a Ingest,
    progress: &'a ProgressBar,
    writers: Vec<Writer>,
    quarantine: Writer,
    files: OpenFiles,
    objects: Vec<ObjectRow>,
    rows: usize,
    waiting: Summary,
    published: Summary,
    parts: Vec<Part>,
    uploads: JoinSet<Result<Part>>,
    now: i64,
}

impl<'a> Walk<'a> {
    fn new(lake: &'a Lake, journal: &'a mut Journal, settings: &'a Ingest, progress: &'a ProgressBar) -> Self {
        let how = WriterSettings::default();
        Walk {
            lake,
            journal,
            settings,
            progress,
            writers: LOG_TYPES.iter().map(|log| lake.writer(log.table, how)).collect(),
            quarantine: lake.writer(&QUARANTINE, how),
            files: OpenFiles::default(),
            objects: Vec::new(),
            rows: 0,
            waiting: Summary::new(),
            published: Summary::new(),
            parts: Vec::new(),
            uploads: JoinSet::new(),
            now: chrono::Utc::now().timestamp_micros(),
        }
    }

    async fn run(
        &mut self,
        pool: &rayon::ThreadPool,
        fetched: impl Stream<Item = Fetched>,
        bodies: BodyReader,
    ) -> Result<()> {
        let mut fetched = std::pin::pin!(fetched);
        let bodies = Arc::new(bodies);
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let busy_limit = self.settings.threads.max(1) * 2 + 1;
        let (mut decoding, mut encoding, mut exhausted) = (0, 0, false);
        let mut next_group = 0;
        let mut next_to_take = 0;
        let mut out_of_turn: BTreeMap<u64, Vec<ReadObject>> = BTreeMap::new();
        loop {
            // Also what was decoded while a publish waited: nothing else may be on its way any more.
            while !self.is_full()
                && let Some(read) = out_of_turn.remove(&next_to_take)
            {
                next_to_take += 1;
                for object in read {
                    self.take(object).await?;
                }
            }
            // While a publish waits, more decoded rows would only wait in memory.
            let full = self.is_full();
            while !full && !exhausted && decoding + encoding < busy_limit {
                let group = next_objects(&mut fetched).await;
                if group.is_empty() {
                    exhausted = true;
                    break;
                }
                let (sender, bodies) = (sender.clone(), bodies.clone());
                let (turn, limit, now) = (next_group, self.settings.limit, self.now);
                pool.spawn(move || {
                    let read = decode::read_all(group, limit, &bodies, now);
                    let _ = sender.send(Done::Decoded(turn, read));
                });
                next_group += 1;
                decoding += 1;
            }
            let finished = exhausted && decoding == 0 && out_of_turn.is_empty();
            let keep = if finished || full { 0 } else { self.settings.memory };
            for job in self.overflow(keep)? {
                let sender = sender.clone();
                pool.spawn(move || {
                    let _ = sender.send(Done::Encoded(job.encode()));
                });
                encoding += 1;
            }
            let complete = self.files.shrink(keep / FILES_SHARE)?;
            self.upload(complete);
            if (finished || full) && encoding == 0 {
                self.publish().await?;
                if finished {
                    return Ok(());
                }
                continue;
            }
            match receiver.recv().await {
                Some(Done::Decoded(turn, read)) => {
                    decoding -= 1;
                    out_of_turn.insert(turn, read);
                }
                Some(Done::Encoded(encoded)) => {
                    encoding -= 1;
                    let complete = self.files.add(encoded?)?;
                    self.upload(complete);
                }
                None => return Ok(()),
            }
        }
    }

    /// True when it is time to publish.
    fn is_full(&self) -> bool {
        self.rows >= self.settings.publish_rows || self.objects.len() >= PUBLISH_OBJECTS
    }

    /// Takes over what one object held: new events wait for their file, the rest is counted.
    async fn take(&mut self, read: ReadObject) -> Result<()> {
        self.progress.inc(1);
        let mut content = match read.content {
            Ok(content) => content,
            Err(reason) => {
                self.waiting.problem(format!("{}: {reason}", read.uri));
                self.waiting.unread.push(read.uri);
                return Ok(());
            }
        };
        let (total, logs) = content.total();
        let mut row = ObjectRow {
            uri: read.uri,
            version: read.version,
            size: read.size,
            bytes: content.unpacked,
            logs,
            read: total.read,
            quarantined: total.quarantined,
            foreign: content.found.foreign,
            foreign_kind: content.found.foreign_kind,
            ..ObjectRow::default()
        };
        let mut kept = vec![Kept::default(); LOG_TYPES.len()];
        for rows in content.rows.drain(..) {
            let Some(log) = LOG_TYPES.iter().position(|log| log.table.name == rows.batch.table.name) else { continue };
            let stored = self.store(log, rows).await?;
            kept[log].stored += stored.stored;
            kept[log].duplicates += stored.duplicates;
            row.stored += stored.stored;
            row.duplicates += stored.duplicates;
        }
        if let Some(batch) = content.found.quarantine.take() {
            self.quarantine.push_all(batch);
        }
        row.sha256 = content.sha256;
        row.problem = content.problem;
        self.waiting.add(&row, &content.found.counts, &kept);
        self.objects.push(row);
        Ok(())
    }

    /// Keeps the events that the lake does not have.
    async fn store(&mut self, log: usize, rows: Stretch) -> Result<Kept> {
        let Stretch { batch, rows } = rows;
        let times = times(&batch, rows.clone());
        let known = self.journal.known(batch.table)?;
        let mut new = Vec::with_capacity(times.len());
        let mut loaded = None;
        let ids = batch.ids.get(rows.clone()).unwrap_or_default();
        for (row, (&time, &id)) in rows.zip(times.iter().zip(ids)) {
            let span = known.span(time);
            if loaded != Some(span) {
                known.load(span).await?;
                loaded = Some(span);
            }
            if known.is_new(span, id) {
                new.push((day_of(time), row));
            }
        }
        let kept = Kept { stored: new.len() as u64, duplicates: (times.len() - new.len()) as u64 };
        self.rows += new.len();
        if !new.is_empty() {
            self.writers[log].push(&batch, &new);
        }
        Ok(kept)
    }

    fn overflow(&mut self, keep: usize) -> Result<Vec<Job>> {
        let waiting: usize = self.writers.iter().map(Writer::waiting_bytes).sum();
        if waiting <= keep && keep > 0 {
            return Ok(Vec::new());
        }
        let mut jobs = Vec::new();
        for writer in &mut self.writers {
            let share = writer.waiting_bytes() as u128 * keep as u128 / 2 / waiting.max(1) as u128;
            jobs.extend(writer.overflow(share as usize)?);
        }
        if keep == 0 {
            jobs.extend(self.quarantine.drain());
        }
        jobs.iter_mut().for_each(|job| self.files.join(job));
        Ok(jobs)
    }

    fn upload(&mut self, complete: Vec<Part>) {
        for mut part in complete {
            let lake = self.lake.clone();
            self.uploads.spawn(async move {
                lake.store(&mut part).await?;
                Ok(part)
            });
        }
    }

    /// Publishes everything taken so far.
    async fn publish(&mut self) -> Result<()> {
        if !self.objects.is_empty() {
            let mut journal_writer = self.lake.writer(&OBJECTS, WriterSettings::default());
            let batch = record::batch(&self.objects, self.now, &self.settings.run_id)?;
            journal_writer.push_all(batch);
            let mut records = Vec::new();
            for job in journal_writer.drain() {
                let mut part = job.encode()?.file.close()?;
                self.lake.store(&mut part).await?;
                records.push(part);
            }
            while let Some(uploaded) = self.uploads.join_next().await {
                let part = uploaded.map_err(|e| Error::Lake(format!("an upload was aborted: {e}")))??;
                self.parts.push(part);
            }
            let seen: Vec<u128> = self.objects.iter().map(|o| record::fingerprint(&o.uri, &o.version)).collect();
            self.journal.publish(&self.parts, &records, &seen).await?;
        }
        let waiting = std::mem::replace(&mut self.waiting, Summary::new());
        self.published.merge(&waiting);
        self.parts.clear();
        self.objects.clear();
        self.rows = 0;
        Ok(())
    }
}

/// The next objects to decode together; none at the end.
async fn next_objects<S: Stream<Item = Fetched>>(fetched: &mut std::pin::Pin<&mut S>) -> Vec<Fetched> {
    let mut group = Vec::new();
    let mut bytes = 0;
    while bytes < GROUP_BYTES && group.len() < GROUP_OBJECTS {
        let Some(object) = fetched.next().await else { break };
        bytes += object.found.size;
        group.push(object);
    }
    group
}
