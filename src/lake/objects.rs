//! The record of what was read: one row per object and ingest.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use crate::error::{Error, Result};
use crate::logs::rows::Batch;
use crate::table::{Column, Kind, Table, column, searched};

/// Objects that were read, with what was found in them.
pub static OBJECTS: Table = Table {
    name: "objects",
    about: "An object (file or S3 key) that was read, and what was found in it. `time` is when it was read.",
    time_name: None,
    clustered_by: &["_object"],
    columns: &COLUMNS,
};

static COLUMNS: [Column; 13] = [
    searched("version", Kind::Text, "ETag of an S3 object; modification time and size of a file"),
    searched("sha256", Kind::Text, "SHA-256 of the object as delivered, hex"),
    column("size", Kind::Long, "size as delivered, bytes"),
    column("bytes", Kind::Long, "size after decompression, bytes"),
    column("logs", Kind::Text, "log types found in it, separated by blanks"),
    column("read", Kind::Long, "records recognised as one of our logs, or broken"),
    column("stored", Kind::Long, "records stored by this ingest"),
    column("duplicates", Kind::Long, "records that the lake already had"),
    column("quarantined", Kind::Long, "records that could not be read"),
    column("foreign", Kind::Long, "records that are none of our logs"),
    column("foreign_kind", Kind::Text, "what the first foreign record was"),
    column("problem", Kind::Text, "what was wrong with the object as a whole"),
    column("run_id", Kind::Text, "the run that read it"),
];

/// Identity of an object in one state: the same URI with the same version is not read again.
pub fn fingerprint(uri: &str, version: &str) -> u128 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(&(uri.len() as u64).to_le_bytes());
    hash.update(uri.as_bytes());
    hash.update(version.as_bytes());
    hash.digest128()
}

/// What was read of one object.
#[derive(Debug, Clone, Default)]
pub struct ObjectRow {
    /// URI of the object.
    pub uri: String,
    /// ETag, or modification time and size.
    pub version: String,
    /// SHA-256 of the bytes as delivered, hex.
    pub sha256: String,
    /// Bytes as delivered.
    pub size: u64,
    /// Bytes after decompression.
    pub bytes: u64,
    /// Log types found, separated by blanks.
    pub logs: String,
    /// Records read.
    pub read: u64,
    /// Records stored.
    pub stored: u64,
    /// Records that the lake already had.
    pub duplicates: u64,
    /// Records quarantined.
    pub quarantined: u64,
    /// Records of other logs.
    pub foreign: u64,
    /// What the first foreign record was.
    pub foreign_kind: Option<&'static str>,
    /// What was wrong with the object as a whole.
    pub problem: Option<String>,
}

/// The rows of a run as a batch of [`OBJECTS`], read at `now` (microseconds UTC).
pub fn batch(rows: &[ObjectRow], now: i64, run_id: &str) -> Result<Batch> {
    let text = |value: fn(&ObjectRow) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringArray>())
    };
    let long = |value: fn(&ObjectRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row) as i64)).collect::<Int64Array>())
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(vec![now; rows.len()]).with_timezone("UTC")),
        text(|r| Some(&r.version)),
        text(|r| Some(&r.sha256)),
        long(|r| r.size),
        long(|r| r.bytes),
        text(|r| Some(&r.logs)),
        long(|r| r.read),
        long(|r| r.stored),
        long(|r| r.duplicates),
        long(|r| r.quarantined),
        long(|r| r.foreign),
        text(|r| r.foreign_kind),
        text(|r| r.problem.as_deref()),
        Arc::new(StringArray::from(vec![run_id; rows.len()])),
        text(|r| Some(&r.uri)),
        Arc::new(Int64Array::from(vec![0; rows.len()])),
    ];
    let rows = RecordBatch::try_new(OBJECTS.schema(), columns)
        .map_err(|e| Error::Lake(format!("cannot record which objects were read: {e}")))?;
    Ok(Batch { table: &OBJECTS, ids: vec![0; rows.num_rows()], rows })
}
