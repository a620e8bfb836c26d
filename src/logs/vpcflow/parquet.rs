//! Parquet objects as flow logs are delivered (and as query engines copy them): rows of the same form as from text.

mod columns;
mod contain;
mod guard;

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use self::columns::Columns;
use self::contain::contain;
use super::VPCFLOW;
use crate::logs::sink::Sink;

/// Rows that are read together.
const BATCH_ROWS: usize = 8192;

/// Rows of one object: far above what AWS delivers. Packed rows can take next to no bytes, so the file's size is no limit.
const OBJECT_ROWS: u64 = 1 << 24;

/// Bytes of text of one object's rows: one long value in a dictionary can be repeated in every row.
const OBJECT_TEXT: u64 = 1 << 30;

/// Unpacked bytes of one object's pages.
const OBJECT_PAGES: u64 = 4 << 30;

/// Reads a Parquet object. False when it is no flow log; then nothing was put into `sink`.
///
/// Columns may be of AWS's types (`INT32`, `INT64`, `STRING`) or of others that hold the same values. Columns that are not
/// known go to `extra` as text, nested ones are left out. The index of a record is the number of its row in the object, from 0.
/// What cannot be read (a row, the rest of a row group, the file) is one quarantined record with the reason.
pub fn parquet(bytes: &Bytes, sink: &mut Sink) -> bool {
    if !bytes.starts_with(b"PAR1") {
        return false;
    }
    let opened = match guard::footer(bytes) {
        Some(footer) if guard::is_sound_footer(footer) => contain(|| open(bytes)),
        _ => Err("its footer is broken".to_owned()),
    };
    match opened {
        Ok(Some(file)) => {
            file.read(bytes, sink);
            true
        }
        Ok(None) => false,
        Err(reason) if names_our_columns(bytes) => {
            quarantine_rest(sink, 0, bytes, &format!("the Parquet file cannot be read: {reason}"));
            true
        }
        Err(_) => false,
    }
}

/// A file whose schema is a flow log's.
struct File {
    metadata: ArrowReaderMetadata,
    columns: Columns,
}

/// Reads the schema; `None` when it is not a flow log's.
fn open(bytes: &Bytes) -> Result<Option<File>, String> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::load(bytes, options.clone()).map_err(|error| error.to_string())?;
    let Some((columns, schema)) = Columns::new(plain.schema()) else { return Ok(None) };
    let options = options.with_schema(schema);
    let metadata =
        ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options).map_err(|error| error.to_string())?;
    Ok(Some(File { metadata, columns }))
}

/// What was taken from one object, against its limits.
#[derive(Default)]
struct Used {
    rows: u64,
    text: u64,
    pages: u64,
}

impl File {
    fn read(&self, bytes: &Bytes, sink: &mut Sink) {
        let mut used = Used::default();
        let mut first = 0u64;
        for (number, group) in self.metadata.metadata().row_groups().iter().enumerate() {
            if let Err((row, reason)) = self.row_group(number, first, bytes, &mut used, sink) {
                quarantine_rest(sink, row, bytes, &format!("the rest of row group {number} cannot be read: {reason}"));
            }
            if used.rows > OBJECT_ROWS || used.text > OBJECT_TEXT || used.pages > OBJECT_PAGES {
                let reason = "the rest of the file was left out: it unpacks to more than one object may hold; split it";
                quarantine_rest(sink, first, bytes, reason);
                return;
            }
            first = first.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        }
    }

    /// Reads a row group whose first row is `first`; an error says at which row it ends.
    fn row_group(
        &self,
        number: usize,
        first: u64,
        bytes: &Bytes,
        used: &mut Used,
        sink: &mut Sink,
    ) -> Result<(), (u64, String)> {
        let group = self.metadata.metadata().row_groups().get(number).ok_or((first, "it is missing".to_owned()))?;
        let pages = guard::row_group(bytes, group).map_err(|reason| (first, reason))?;
        used.pages = used.pages.saturating_add(pages);
        if used.pages > OBJECT_PAGES {
            return Ok(());
        }
        let mut reader = contain(|| self.reader(number, bytes)).map_err(|reason| (first, reason))?;
        let mut row = first;
        loop {
            let batch = contain(|| reader.next().transpose().map_err(|error| error.to_string()))
                .map_err(|reason| (row, reason))?;
            let Some(batch) = batch else { return Ok(()) };
            self.rows(&batch, row, used, sink).map_err(|reason| (row, reason))?;
            row = row.saturating_add(batch.num_rows() as u64);
            used.rows = used.rows.saturating_add(batch.num_rows() as u64);
            if used.rows > OBJECT_ROWS || used.text > OBJECT_TEXT {
                return Ok(());
            }
        }
    }

    fn reader(&self, number: usize, bytes: &Bytes) -> Result<ParquetRecordBatchReader, String> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), self.columns.roots());
        builder
            .with_projection(mask)
            .with_row_groups(vec![number])
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())
    }

    fn rows(&self, batch: &RecordBatch, first: u64, used: &mut Used, sink: &mut Sink) -> Result<(), String> {
        let cells = contain(|| self.columns.cells(batch))?;
        for (row, index) in (0..batch.num_rows()).zip(first..) {
            match self.columns.values(&cells, row) {
                Ok(values) => sink.record(&VPCFLOW, index, &[], |rows| {
                    used.text = used.text.saturating_add(values.text);
                    self.columns.fill(rows, &values, index)
                }),
                Err(reason) => {
                    let shown = self.columns.shown(&cells, row);
                    sink.quarantine(Some(&VPCFLOW), index, shown.as_bytes(), &reason);
                }
            }
            if used.text > OBJECT_TEXT {
                break;
            }
        }
        Ok(())
    }
}

fn quarantine_rest(sink: &mut Sink, index: u64, bytes: &Bytes, reason: &str) {
    sink.quarantine(Some(&VPCFLOW), index, bytes, reason);
}

/// True when the end of a broken file still names columns that only flow logs have.
fn names_our_columns(bytes: &[u8]) -> bool {
    let end = bytes.get(bytes.len().saturating_sub(1 << 20)..).unwrap_or_default();
    let contains = |name: &[u8]| end.windows(name.len()).any(|window| window == name);
    let names: [&[u8]; 5] = [b"srcaddr", b"dstaddr", b"srcport", b"log_status", b"tgw_attachment_id"];
    names.into_iter().filter(|name| contains(name)).count() >= 2
}
