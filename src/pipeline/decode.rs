//! Objects from bytes to rows: load, hash, unpack, decode. Runs on the thread pool.

use sha2::{Digest, Sha256};

use super::stretch::{Stretch, share};
use crate::findings::hex;
use crate::intake::Fetched;
use crate::intake::bodies::BodyReader;
use crate::intake::unpack::unpack;
use crate::logs::framing;
use crate::logs::rows::Batch;
use crate::logs::sink::Counts;
use crate::logs::{Bodies, LOG_TYPES};

/// What one object held.
#[derive(Debug)]
pub struct ReadObject {
    /// URI and version.
    pub uri: String,
    /// ETag, or modification time and size.
    pub version: String,
    /// Bytes as delivered.
    pub size: u64,
    /// What was in it, or why it could not be opened (it will be tried again by the next run).
    pub content: Result<Content, String>,
}

/// The content of an object that could be opened.
#[derive(Debug)]
pub struct Content {
    /// SHA-256 of the bytes as delivered, hex.
    pub sha256: String,
    /// Bytes after decompression.
    pub unpacked: u64,
    /// Its rows, in the order of [`LOG_TYPES`].
    pub rows: Vec<Stretch>,
    /// Quarantined records, if any.
    pub quarantine: Option<Batch>,
    /// Counts per log type, in the order of [`LOG_TYPES`].
    pub counts: Vec<Counts>,
    /// Records that were quarantined before their log type was known.
    pub unrecognised: Counts,
    /// Readable records that are none of our logs.
    pub foreign: u64,
    /// What the first foreign record was, in a few words.
    pub foreign_kind: Option<&'static str>,
    /// What was wrong with the object as a whole.
    pub problem: Option<String>,
}

/// Reads several objects, whose rows share batches. The other arguments are those of [`read`].
pub fn read_all(group: Vec<Fetched>, limit: u64, bodies: &BodyReader, now: i64) -> Vec<ReadObject> {
    let mut objects: Vec<ReadObject> = Vec::with_capacity(group.len());
    let mut rows: Vec<(usize, Batch)> = Vec::new();
    for fetched in group {
        let (object, batches) = read(fetched, limit, bodies, now);
        rows.extend(batches.into_iter().map(|batch| (objects.len(), batch)));
        objects.push(object);
    }
    rows.sort_by_key(|(_, batch)| LOG_TYPES.iter().position(|log| std::ptr::eq(log.table, batch.table)));
    let (owners, batches): (Vec<usize>, Vec<Batch>) = rows.into_iter().unzip();
    for (owner, stretch) in owners.into_iter().zip(share(batches)) {
        if let Some(ReadObject { content: Ok(content), .. }) = objects.get_mut(owner) {
            content.rows.push(stretch);
        }
    }
    objects
}

/// Reads one object; its rows come beside it. `limit` bounds its size after decompression; `now` (microseconds UTC) dates
/// quarantined records.
fn read(fetched: Fetched, limit: u64, bodies: &BodyReader, now: i64) -> (ReadObject, Vec<Batch>) {
    let (found, packed) = match fetched.load() {
        Ok(loaded) => loaded,
        Err((found, reason)) => {
            let object = ReadObject { uri: found.uri, version: found.version, size: found.size, content: Err(reason) };
            return (object, Vec::new());
        }
    };
    let sha256 = hex(&Sha256::digest(&packed));
    let size = packed.len() as u64;
    let unpacked = unpack(packed, limit);
    let neighbours = Neighbours { bodies, object: &found.uri };
    let decoded = match &unpacked.problem {
        None => framing::decode(&found.uri, &unpacked.bytes, &neighbours, now),
        Some(fault) => framing::decode_until(fault, &found.uri, &unpacked.bytes, &neighbours, now),
    };
    let content = Content {
        sha256,
        unpacked: unpacked.bytes.len() as u64,
        rows: Vec::new(),
        quarantine: decoded.quarantine,
        counts: decoded.counts,
        unrecognised: decoded.unrecognised,
        foreign: decoded.foreign,
        foreign_kind: decoded.foreign_kind,
        problem: unpacked.problem,
    };
    let object = ReadObject { uri: found.uri, version: found.version, size, content: Ok(content) };
    (object, decoded.batches)
}

impl Content {
    /// Counts of everything in the object, and the names of the logs found.
    pub fn total(&self) -> (Counts, String) {
        let mut total = self.unrecognised;
        let mut names = Vec::new();
        for (log, counts) in LOG_TYPES.iter().zip(&self.counts) {
            total.read += counts.read;
            total.quarantined += counts.quarantined;
            if counts.read > 0 {
                names.push(log.name);
            }
        }
        (total, names.join(" "))
    }
}

/// Bodies beside one object.
struct Neighbours<'a> {
    bodies: &'a BodyReader,
    object: &'a str,
}

impl Bodies for Neighbours<'_> {
    fn body(&self, uri: &str) -> Result<Vec<u8>, String> {
        self.bodies.read(self.object, uri)
    }
}
