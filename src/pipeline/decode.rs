//! Objects from bytes to rows: load, hash, unpack, decode. Runs on the thread pool.

use sha2::{Digest, Sha256};

use super::stretch::{Stretch, share};
use crate::findings::hex;
use crate::intake::Fetched;
use crate::intake::bodies::BodyReader;
use crate::intake::unpack::unpack;
use crate::logs::framing;
use crate::logs::rows::Batch;
use crate::logs::sink::{Counts, Decoded};
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
    /// Quarantine and counts; its rows were taken out.
    pub decoded: Decoded,
    /// What was wrong with the object as a whole.
    pub problem: Option<String>,
}

/// Reads several objects, whose rows share batches. The other arguments are those of [`read`].
pub fn read_all(group: Vec<Fetched>, limit: u64, bodies: &BodyReader, now: i64) -> Vec<ReadObject> {
    let mut objects: Vec<ReadObject> = group.into_iter().map(|fetched| read(fetched, limit, bodies, now)).collect();
    for log in LOG_TYPES {
        let mut batches = Vec::new();
        let mut owners = Vec::new();
        for content in objects.iter_mut().flat_map(|object| &mut object.content) {
            let all = std::mem::take(&mut content.decoded.batches);
            let (of_log, rest): (Vec<Batch>, Vec<Batch>) =
                all.into_iter().partition(|batch| std::ptr::eq(batch.table, log.table));
            owners.push(of_log.len());
            batches.extend(of_log);
            content.decoded.batches = rest;
        }
        let mut stretches = share(batches).into_iter();
        let contents = objects.iter_mut().flat_map(|object| &mut object.content);
        for (content, count) in contents.zip(owners) {
            content.rows.extend(stretches.by_ref().take(count));
        }
    }
    objects
}

/// Reads one object. `limit` bounds its size after decompression; `now` (microseconds UTC) dates quarantined records.
fn read(fetched: Fetched, limit: u64, bodies: &BodyReader, now: i64) -> ReadObject {
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
    let decoded = match &unpacked.problem {
        None => framing::decode(&found.uri, &unpacked.bytes, &neighbours, now),
        Some(fault) => framing::decode_until(fault, &found.uri, &unpacked.bytes, &neighbours, now),
    };
    let content =
        Content { sha256, unpacked: unpacked.bytes.len() as u64, rows: Vec::new(), decoded, problem: unpacked.problem };
    ReadObject { uri: found.uri, version: found.version, size, content: Ok(content) }
}

impl Content {
    /// Counts of everything in the object, and the names of the logs found.
    pub fn total(&self) -> (Counts, String) {
        let mut total = self.decoded.unrecognised;
        let mut names = Vec::new();
        for (log, counts) in LOG_TYPES.iter().zip(&self.decoded.counts) {
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
