//! A spool: findings on disk on their way to a receiver that may be slow or away, in segments of lines.
//!
//! ```text
//! {"time":...}                                          a finding, as NDJSON
//! {"time":...}
//! #{"position":7,"total":2,"bytes":812,"check":"..."}   a mark: the lines since the last one are a whole commit
//! ```
//!
//! Every segment starts with a mark, so the newest one alone says how far the spool is. Lines after the last whole mark
//! were never acknowledged: they are cut off at the start, and offered again.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::cursor::{self, Lock};
use super::{Lines, Shelf};
use crate::error::{Error, Result};

const ENDING: &str = ".spool";

/// How far the spool is filled, durably.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    /// Number of the newest segment.
    pub segment: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Findings that the spool has ever taken.
    pub total: u64,
}

/// The end of the spool that takes findings.
pub(super) struct Spool {
    folder: PathBuf,
    file: File,
    position: Option<u64>,
    /// Bytes after which a new segment begins.
    segment_size: u64,
    /// True after a write that failed: the segment may be longer than `filled` says.
    torn: bool,
    filled: watch::Sender<Filled>,
    _lock: Arc<Lock>,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    position: Option<u64>,
    total: u64,
    bytes: u64,
    check: String,
}

impl Spool {
    /// Opens the spool in a folder. `start` is where one that is not there begins: number of its first segment, and
    /// findings taken before.
    pub fn open(folder: &Path, start: (u64, u64), segment_size: u64, lock: Arc<Lock>) -> Result<Spool> {
        let failed = |error: io::Error| Error::Output(format!("{} cannot be used: {error}", folder.display()));
        let newest = match segments(folder).map_err(failed)?.last() {
            Some(newest) => *newest,
            None => {
                create(folder, start.0, None, start.1).map_err(failed)?;
                start.0
            }
        };
        let path = segment(folder, newest);
        let bytes = std::fs::read(&path).map_err(failed)?;
        let Some((length, mark)) = whole(&bytes) else {
            return Err(Error::Output(format!(
                "{} is damaged; move its folder away to start the channel anew with what is found next",
                path.display()
            )));
        };
        let file = File::options().append(true).open(&path).map_err(failed)?;
        if bytes.len() > length {
            tracing::warn!(spool = %path.display(), bytes = bytes.len() - length, "an unfinished write was cut off");
            file.set_len(length as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let filled = Filled { segment: newest, length: length as u64, total: mark.total };
        let filled = watch::Sender::new(filled);
        let folder = folder.to_owned();
        Ok(Spool { folder, file, position: mark.position, segment_size, torn: false, filled, _lock: lock })
    }

    /// What [`super::outbox::Outbox`] reads by.
    pub fn filled(&self) -> watch::Receiver<Filled> {
        self.filled.subscribe()
    }

    fn append(&mut self, position: u64, lines: &Lines) -> io::Result<()> {
        let mut filled = *self.filled.borrow();
        if self.torn {
            self.file.set_len(filled.length)?;
            self.torn = false;
        }
        if filled.length >= self.segment_size {
            filled = create(&self.folder, filled.segment + 1, self.position, filled.total)?;
            self.file = File::options().append(true).open(segment(&self.folder, filled.segment))?;
            self.filled.send_replace(filled);
        }
        let total = filled.total + lines.count;
        let mut text = lines.text.clone();
        text.extend(mark(&lines.text, Some(position), total)?);
        self.torn = true;
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        self.torn = false;
        self.position = Some(position);
        self.filled.send_replace(Filled { length: filled.length + text.len() as u64, total, ..filled });
        Ok(())
    }
}

impl Shelf for Spool {
    fn position(&self) -> Option<u64> {
        self.position
    }

    fn total(&self) -> u64 {
        self.filled.borrow().total
    }

    fn take(&mut self, position: u64, lines: &Lines) -> Result<()> {
        if self.position >= Some(position) {
            return Ok(());
        }
        self.append(position, lines).map_err(|error| {
            Error::Output(format!(
                "findings cannot be kept in {}: {error}; make room on its disk",
                self.folder.display()
            ))
        })
    }
}

/// Path of a segment.
pub(super) fn segment(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}{ENDING}"))
}

/// Numbers of the segments in a folder, in order.
pub(super) fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_suffix(ENDING)).and_then(|number| number.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// True for a line that is a mark and no finding.
pub(super) fn is_mark(line: &[u8]) -> bool {
    line.starts_with(b"#")
}

/// Findings that a spool has ever taken; nothing when there is no spool.
pub(super) fn taken(folder: &Path) -> Option<u64> {
    let newest = *segments(folder).ok()?.last()?;
    let bytes = std::fs::read(segment(folder, newest)).ok()?;
    whole(&bytes).map(|(_, mark)| mark.total)
}

fn create(folder: &Path, number: u64, position: Option<u64>, total: u64) -> io::Result<Filled> {
    let head = mark(b"", position, total)?;
    cursor::replace(&segment(folder, number), &head)?;
    Ok(Filled { segment: number, length: head.len() as u64, total })
}

fn mark(text: &[u8], position: Option<u64>, total: u64) -> io::Result<Vec<u8>> {
    let mark = Mark { position, total, bytes: text.len() as u64, check: check(text, total) };
    let mut line = b"#".to_vec();
    serde_json::to_writer(&mut line, &mark)?;
    line.push(b'\n');
    Ok(line)
}

fn check(text: &[u8], total: u64) -> String {
    format!("{:016x}", xxh3_64_with_seed(text, total))
}

/// The last mark up to which every commit is whole, and where it ends.
fn whole(bytes: &[u8]) -> Option<(usize, Mark)> {
    let mut found = None;
    let mut commit = 0;
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = bytes.get(commit..at)?;
        at += line.len();
        if !is_mark(line) {
            continue;
        }
        let mark = line.strip_prefix(b"#").and_then(|json| serde_json::from_slice::<Mark>(json).ok());
        let good = |mark: &Mark| {
            line.ends_with(b"\n") && mark.bytes == text.len() as u64 && mark.check == check(text, mark.total)
        };
        match mark.filter(good) {
            Some(mark) => found = Some((at, mark)),
            None => break,
        }
        commit = at;
    }
    found
}
