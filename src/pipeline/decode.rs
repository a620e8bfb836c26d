//! Objects from bytes to rows: load, hash, unpack, decode. Runs on the thread pool.

use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::findings::hex;
use crate::intake::Fetched;
use crate::intake::bodies::BodyReader;
use crate::intake::unpack::unpack;
use crate::logs::framing;
use crate::logs::rows::Batch;
use crate::logs::sink::{Counts, Inventory, Sink};
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
    /// Everything else that was found.
    pub found: Inventory,
    /// What was wrong with the object as a whole.
    pub problem: Option<String>,
}

/// The rows of one object and log: a part of a batch.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The batch, which other objects may have rows in.
    pub batch: Arc<Batch>,
    /// Its rows that belong to the object.
    pub rows: Range<usize>,
}

/// Reads several objects, whose rows share batches. `limit` bounds the size of each after decompression; `now` (microseconds
/// UTC) dates quarantined records.
pub fn read_all(group: Vec<Fetched>, limit: u64, bodies: &BodyReader, now: i64) -> Vec<ReadObject> {
    let mut sink = Sink::new(now);
    let mut objects: Vec<ReadObject> =
        group.into_iter().map(|fetched| read(fetched, limit, bodies, &mut sink)).collect();
    let mut opened: Vec<&mut Content> = objects.iter_mut().filter_map(|object| object.content.as_mut().ok()).collect();
    for (batch, shares) in sink.take() {
        let batch = Arc::new(batch);
        for share in shares {
            if let Some(content) = opened.get_mut(share.object) {
                content.rows.push(Stretch { batch: batch.clone(), rows: share.rows });
            }
        }
    }
    objects
}

/// Reads one object, whose rows stay in the sink.
fn read(fetched: Fetched, limit: u64, bodies: &BodyReader, sink: &mut Sink) -> ReadObject {
    let (found, packed) = match fetched.load() {
        Ok(loaded) => loaded,
        Err((found, reason)) => {
            return ReadObject { uri: found.uri, version: found.version, size: found.size, content: Err(reason) };
        }
    };
    let sha256 = hex(&Sha256::digest(&packed));
    let size = packed.len() as u64;
    let unpacked = unpack(packed, limit);
    let neighbours = Neighbours { bodies, object: &found.uri };
    let content = Content {
        sha256,
        unpacked: unpacked.bytes.len() as u64,
        rows: Vec::new(),
        found: framing::decode_into(sink, &found.uri, &unpacked.bytes, unpacked.problem.as_deref(), &neighbours),
        problem: unpacked.problem,
    };
    ReadObject { uri: found.uri, version: found.version, size, content: Ok(content) }
}

impl Content {
    /// Counts of everything in the object, and the names of the logs found.
    pub fn total(&self) -> (Counts, String) {
        let mut total = self.found.unrecognised;
        let mut names = Vec::new();
        for (log, counts) in LOG_TYPES.iter().zip(&self.found.counts) {
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
