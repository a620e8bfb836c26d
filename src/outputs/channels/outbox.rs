//! The end of a spool that findings leave: batches in order, and the cursor that says which of them are done.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::cursor::{self, Lock};
use super::spool::{self, Filled};
use crate::error::{Error, Result};
use crate::findings::hex;

/// File with the findings that the receiver will not have, beside the spool.
pub(super) const REFUSED: &str = "refused.ndjson";

/// The most that one batch holds. A finding that is larger than `bytes` goes alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub findings: usize,
    pub bytes: usize,
}

/// Findings that go together.
#[derive(Debug)]
pub(super) struct Batch {
    /// Made of the findings: a batch that is sent again has the same one.
    pub id: String,
    /// A finding each, as JSON.
    pub lines: Vec<String>,
    /// Lines that are no JSON: only a damaged disk makes them.
    pub broken: Vec<(String, String)>,
}

/// How far delivery is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// What the channel is called, for people who look into the folder.
    pub name: String,
    /// Segment that is being delivered.
    pub segment: u64,
    /// Bytes of it that are done.
    offset: u64,
    /// End of the batch that is on its way. Written before the batch leaves, so that after a kill the same batch leaves
    /// again under the same id, whatever the spool has taken since.
    end: Option<u64>,
    pub delivered: u64,
    pub refused: u64,
}

#[derive(Serialize)]
struct Refused<'a> {
    batch: &'a str,
    at: String,
    reason: &'a str,
    finding: Box<RawValue>,
}

/// What leaves a spool.
pub(super) struct Outbox {
    folder: PathBuf,
    limits: Limits,
    cursor: Cursor,
    /// False when the cursor on disk is older than the one here.
    saved: bool,
    filled: watch::Receiver<Filled>,
    _lock: Arc<Lock>,
}

impl Cursor {
    pub fn load(folder: &Path) -> Result<Option<Cursor>> {
        cursor::load(&folder.join("cursor.json"))
    }

    /// Findings that are done with.
    pub fn done(&self) -> u64 {
        self.delivered + self.refused
    }
}

impl Outbox {
    pub fn new(
        folder: &Path,
        limits: Limits,
        mut cursor: Cursor,
        filled: watch::Receiver<Filled>,
        lock: Arc<Lock>,
    ) -> Outbox {
        let Filled { segment, length, .. } = *filled.borrow();
        let reached = (cursor.segment, cursor.end.unwrap_or(cursor.offset));
        if reached > (segment, length) {
            // Only a spool that lost its end is shorter than what was delivered from it.
            tracing::warn!(spool = %folder.display(), "the spool is shorter than what was delivered of it");
            let offset = if cursor.segment == segment { cursor.offset.min(length) } else { length };
            (cursor.segment, cursor.offset, cursor.end) = (segment, offset, None);
        }
        Outbox { folder: folder.to_owned(), limits, cursor, saved: false, filled, _lock: lock }
    }

    /// The next batch, after a note on disk that it is on its way; nothing when all is done.
    pub fn next(&mut self) -> Result<Option<Batch>> {
        self.plan().map_err(|error| Error::Output(format!("{} cannot be used: {error}", self.folder.display())))
    }

    fn plan(&mut self) -> io::Result<Option<Batch>> {
        let filled = *self.filled.borrow_and_update();
        let none = Limits { findings: usize::MAX, bytes: usize::MAX };
        loop {
            let newest = self.cursor.segment >= filled.segment;
            let path = spool::segment(&self.folder, self.cursor.segment);
            let end = match std::fs::metadata(&path) {
                _ if newest => filled.length,
                Ok(there) => there.len(),
                // Removed by hand, or gone before the cursor was written: the next one goes on.
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(error),
            };
            if self.cursor.offset < end {
                let planned = self.cursor.end.is_some();
                let limits = if planned { none } else { self.limits };
                let (batch, read) = read(&path, self.cursor.offset, self.cursor.end.unwrap_or(end), limits)?;
                if batch.lines.is_empty() && batch.broken.is_empty() {
                    (self.cursor.offset, self.cursor.end) = (self.cursor.end.unwrap_or(end), None);
                    self.saved = false;
                    continue;
                }
                if !planned {
                    self.cursor.end = Some(read);
                    self.saved = false;
                }
                self.save()?;
                return Ok(Some(batch));
            }
            if newest {
                self.save()?;
                return Ok(None);
            }
            (self.cursor.segment, self.cursor.offset, self.cursor.end) = (self.cursor.segment + 1, 0, None);
            self.saved = false;
        }
    }

    /// Ends a batch: so many findings arrived, and these never will.
    pub fn settle(&mut self, batch: &str, delivered: u64, refused: &[(String, String)]) -> Result<()> {
        if !refused.is_empty() {
            let path = self.folder.join(REFUSED);
            set_aside(&path, batch, refused)
                .map_err(|error| Error::Output(format!("{} cannot be written: {error}", path.display())))?;
        }
        self.cursor.offset = self.cursor.end.take().unwrap_or(self.cursor.offset);
        self.cursor.delivered += delivered;
        self.cursor.refused += refused.len() as u64;
        self.saved = false;
        Ok(())
    }

    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Waits until the spool has taken more; false when it is closed.
    pub async fn more(&mut self) -> bool {
        self.filled.changed().await.is_ok()
    }

    fn save(&mut self) -> io::Result<()> {
        if self.saved {
            return Ok(());
        }
        cursor::store(&self.folder.join("cursor.json"), &self.cursor)?;
        self.saved = true;
        for number in spool::segments(&self.folder)? {
            if number < self.cursor.segment {
                std::fs::remove_file(spool::segment(&self.folder, number))?;
            }
        }
        Ok(())
    }
}

/// Findings between two places of a segment, within limits, and where they end.
fn read(path: &Path, from: u64, to: u64, limits: Limits) -> io::Result<(Batch, u64)> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::with_capacity(1 << 16, file.take(to.saturating_sub(from)));
    let mut batch = Batch { id: String::new(), lines: Vec::new(), broken: Vec::new() };
    let (mut hash, mut bytes, mut end) = (Sha256::new(), 0, from);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        if length == 0 && end < to {
            // Whoever cut it: to go on would be to leave findings out. The next start looks at what is there.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} was cut", path.display())));
        }
        if length == 0 {
            break;
        }
        if !spool::is_mark(&line) {
            let taken = batch.lines.len() + batch.broken.len();
            if taken >= limits.findings || taken > 0 && bytes + length > limits.bytes {
                break;
            }
            bytes += length;
            hash.update(&line);
            let json = line.trim_ascii_end();
            match (std::str::from_utf8(json), serde_json::from_slice::<IgnoredAny>(json)) {
                (Ok(text), Ok(_)) => batch.lines.push(text.to_owned()),
                _ => {
                    batch.broken.push((String::from_utf8_lossy(json).into_owned(), "the spool was damaged".to_owned()))
                }
            }
        }
        end += length as u64;
    }
    batch.id = hex(&hash.finalize()).chars().take(32).collect();
    Ok((batch, end))
}

/// Adds findings to the file of those that were refused.
fn set_aside(path: &Path, batch: &str, refused: &[(String, String)]) -> io::Result<()> {
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let mut text = Vec::new();
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            // A kill tore the last line.
            text.push(b'\n');
        }
    }
    let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    for (line, reason) in refused {
        let finding = match RawValue::from_string(line.clone()) {
            Ok(finding) => finding,
            Err(_) => to_raw_value(line)?,
        };
        serde_json::to_writer(&mut text, &Refused { batch, at: at.clone(), reason, finding })?;
        text.push(b'\n');
    }
    file.write_all(&text)?;
    file.sync_data()?;
    cursor::sync_folder_of(path)
}
