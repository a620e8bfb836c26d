//! What a run did, in figures that add up: read = stored + duplicates + quarantined.

use serde::Serialize;

use crate::lake::objects::ObjectRow;
use crate::logs::LOG_TYPES;
use crate::logs::sink::Counts;

/// Figures of a run. Its JSON form is a contract: names are not changed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Objects read by this run.
    pub objects: u64,
    /// Objects that the lake had read before, in the same state.
    pub unchanged: u64,
    /// Objects beside Bedrock logs that hold bodies: they are read with the record that names them.
    pub bodies: u64,
    /// Records recognised as one of our logs, or too broken to tell.
    pub read: u64,
    /// Records stored.
    pub stored: u64,
    /// Records that the lake already had.
    pub duplicates: u64,
    /// Records that could not be read.
    pub quarantined: u64,
    /// Readable records that are none of our logs.
    pub foreign: u64,
    /// Bytes as delivered.
    pub bytes: u64,
    /// Bytes after decompression.
    pub unpacked_bytes: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The same per log type.
    pub logs: Vec<LogSummary>,
    /// What could not be read, with the reason, and what to do: the first 50.
    pub problems: Vec<String>,
    /// How many problems came after those.
    pub unlisted_problems: u64,
    /// URIs of objects that could not be opened: they are read by the next run.
    #[serde(skip)]
    pub unread: Vec<String>,
    /// True when a place that was named does not exist or is not a valid address.
    #[serde(skip)]
    pub wrong_use: bool,
    /// True when a place that was named could not be listed.
    #[serde(skip)]
    pub failed: bool,
}

/// Figures of one log type.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LogSummary {
    /// Log type.
    pub log: &'static str,
    /// Records read.
    pub read: u64,
    /// Records stored.
    pub stored: u64,
    /// Records that the lake already had.
    pub duplicates: u64,
    /// Records that could not be read.
    pub quarantined: u64,
}

/// How many records of one log type in one object were stored and how many the lake already had.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// Stored.
    pub stored: u64,
    /// Already there.
    pub duplicates: u64,
}

/// Problems that are listed one by one; the rest is counted.
const LISTED_PROBLEMS: usize = 50;

impl Summary {
    /// Nothing read yet.
    pub fn new() -> Self {
        let logs = LOG_TYPES.iter().map(|log| LogSummary { log: log.name, ..LogSummary::default() }).collect();
        Summary { logs, ..Summary::default() }
    }

    /// Adds one object: its own figures, and those of each log type in the order of [`LOG_TYPES`].
    pub fn add(&mut self, object: &ObjectRow, counts: &[Counts], kept: &[Kept]) {
        self.objects += 1;
        self.read += object.read;
        self.stored += object.stored;
        self.duplicates += object.duplicates;
        self.quarantined += object.quarantined;
        self.foreign += object.foreign;
        self.bytes += object.size;
        self.unpacked_bytes += object.bytes;
        for ((log, counts), kept) in self.logs.iter_mut().zip(counts).zip(kept) {
            log.read += counts.read;
            log.quarantined += counts.quarantined;
            log.stored += kept.stored;
            log.duplicates += kept.duplicates;
        }
        if let Some(problem) = &object.problem {
            self.problem(format!("{}: {problem}", object.uri));
        }
    }

    /// Adds a problem.
    pub fn problem(&mut self, text: String) {
        if self.problems.len() < LISTED_PROBLEMS {
            self.problems.push(text);
        } else {
            self.unlisted_problems += 1;
        }
    }

    /// Adds the figures of an earlier part of the same run.
    pub fn merge(&mut self, other: &Summary) {
        self.objects += other.objects;
        self.read += other.read;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.quarantined += other.quarantined;
        self.foreign += other.foreign;
        self.bytes += other.bytes;
        self.unpacked_bytes += other.unpacked_bytes;
        for (log, add) in self.logs.iter_mut().zip(&other.logs) {
            log.read += add.read;
            log.stored += add.stored;
            log.duplicates += add.duplicates;
            log.quarantined += add.quarantined;
        }
        for text in &other.problems {
            self.problem(text.clone());
        }
        self.unlisted_problems += other.unlisted_problems;
        self.unread.extend(other.unread.iter().cloned());
    }
}
