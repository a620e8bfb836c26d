//! Rows of one day become one Parquet file: row groups by time, alike rows together, statistics, bloom filters.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::{cast, interleave};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
use datafusion::parquet::schema::types::ColumnPath;
use deltalake_core::kernel::Add;

use super::layout::Layout;
use super::statistics;
use super::tables::{IDENTITY, file_schema};
use crate::error::{Error, Result};
use crate::logs::rows::{Batch, nulls_of};
use crate::table::{DATE, Kind, Table};

/// Rows per row group. Smaller groups prune better by bloom filter and time; larger ones compress better.
const ROW_GROUP_ROWS: usize = 65_536;
/// The same for joined files, whose pages still prune as well: each row group of a file that is read costs the dictionaries of
/// its columns, whatever is wanted of it.
const JOINED_GROUP_ROWS: usize = 4 * ROW_GROUP_ROWS;
/// zstd level of joined files, which are written once and read often.
const JOINED_ZSTD_LEVEL: i32 = 3;
/// Rows per page: scans for a few kinds of rows read only their pages.
const PAGE_ROWS: usize = 4_096;
/// Bytes of a page, more or less: the rows of one caller lie all over a file, and each costs the unpacking of a page. With
/// these bounds made CloudTrail takes a fiftieth more space than with pages of 1 MiB and dictionaries of the same size.
const PAGE_BYTES: usize = 16 << 10;
/// Bytes of the dictionary of a column: whoever wants one row of a row group has to unpack it, and most columns with more
/// values have as many as rows.
const DICTIONARY_BYTES: usize = 384 << 10;
/// The same for JSON, whose values are long.
const JSON_DICTIONARY_BYTES: usize = 64 << 10;
/// Rows after which a page is looked at whether it is full.
const PAGE_STEP_ROWS: usize = 64;
/// Rows that are copied into their order at a time, and about as many bytes: the copy lives beside the rows.
const SORTED_ROWS: usize = 8_192;
const SORTED_BYTES: usize = 16 << 20;
/// Bytes of a text that statistics keep: URIs of objects begin alike and differ only after account, Region and day.
const STATISTICS_BYTES: usize = 256;

/// Bytes that a file takes in memory while it is open, beside those that are written: what it will say of its columns and row
/// groups. Of made CloudTrail with a few rows each, by the peak of an ingest.
const OPEN_BYTES: usize = 160 << 10;

/// A file of a table that is written and not yet visible.
#[derive(Debug)]
pub struct Part {
    table: &'static Table,
    date: i32,
    path: String,
    size: u64,
    rows: u64,
    bytes: Vec<u8>,
    statistics: String,
}

/// Batch, and row in it.
pub type Place = (usize, usize);

/// A file that takes more rows of its day.
pub struct OpenFile {
    table: &'static Table,
    date: i32,
    rows: usize,
    schema: SchemaRef,
    layout: Layout,
    writer: Box<ArrowWriter<Vec<u8>>>,
}

/// Rows that were encoded.
#[derive(Debug)]
pub struct Encoded {
    /// The file that has them.
    pub file: OpenFile,
    /// The file that was to take them, where it keeps its columns otherwise.
    pub closed: Option<Part>,
}

/// Rows of one day that will become a file, or row groups of one.
#[derive(Debug)]
pub struct Job {
    pub(super) table: &'static Table,
    pub(super) identified: bool,
    pub(super) date: i32,
    pub(super) zstd_level: i32,
    pub(super) batches: Vec<Arc<Batch>>,
    /// In the order of arrival.
    pub(super) rows: Vec<Place>,
    /// Has other rows of that day, and takes these.
    pub(super) file: Option<OpenFile>,
}

impl Job {
    /// Sorts and encodes the rows. Takes most of the time of an ingest: run it on a thread pool.
    pub fn encode(mut self) -> Result<Encoded> {
        self.sort();
        self.cluster();
        let blanks = self.blanks();
        let layout = Layout::of(self.table, &self.batches, &self.rows, &blanks);
        let (mut file, closed) = match self.file.take() {
            Some(file) if file.layout.suits(&layout) => (file, None),
            other => (OpenFile::new(&self, layout)?, other.map(OpenFile::close).transpose()?),
        };
        for rows in self.rows.chunks(self.rows_at_a_time()) {
            let batch = self.sorted_batch(rows, &blanks, &file.schema)?;
            file.writer.write(&batch).map_err(|e| cannot_encode(self.table, &e))?;
        }
        // The row group ends: other rows of the day have times of their own.
        file.writer.flush().map_err(|e| cannot_encode(self.table, &e))?;
        file.rows += self.rows.len();
        Ok(Encoded { file, closed })
    }

    /// By event time; rows of one instant keep the order in which they arrived, which is the same on every run.
    fn sort(&mut self) {
        let times: Vec<Option<&TimestampMicrosecondArray>> =
            self.batches.iter().map(|b| b.rows.column(0).as_any().downcast_ref()).collect();
        let time = |&(batch, row): &Place| times.get(batch).copied().flatten().map_or(0, |t| t.value(row));
        self.rows.sort_by_key(time);
    }

    /// Within each row group, by the columns of [`Table::clustered_by`]; equal rows stay in their order.
    fn cluster(&mut self) {
        for name in self.table.clustered_by.iter().rev() {
            let name = name.to_ascii_lowercase();
            let texts: Vec<Option<&StringArray>> = self
                .batches
                .iter()
                .map(|batch| batch.rows.column_by_name(&name).and_then(|column| column.as_any().downcast_ref()))
                .collect();
            let value = |&(batch, row): &Place| {
                let texts = texts.get(batch).copied().flatten()?;
                texts.is_valid(row).then(|| texts.value(row))
            };
            let values: BTreeSet<Option<&str>> = self.rows.iter().map(value).collect();
            let ranks: HashMap<Option<&str>, u32> = values.into_iter().zip(0..).collect();
            let mut ranked: Vec<(u32, Place)> =
                self.rows.iter().map(|row| (ranks.get(&value(row)).copied().unwrap_or_default(), *row)).collect();
            for group in ranked.chunks_mut(ROW_GROUP_ROWS) {
                group.sort_by_key(|(rank, _)| *rank);
            }
            self.rows = ranked.into_iter().map(|(_, row)| row).collect();
        }
    }

    /// How many rows are copied into their order at a time: fewer when they are as large as model invocations.
    fn rows_at_a_time(&self) -> usize {
        let bytes: usize = self.batches.iter().map(|batch| batch.rows.get_array_memory_size()).sum();
        let rows: usize = self.batches.iter().map(|batch| batch.rows.num_rows()).sum();
        let row_bytes = bytes / rows.max(1);
        (SORTED_BYTES / row_bytes.max(1)).clamp(1, SORTED_ROWS)
    }

    /// For each column that has no value in any batch, as many nulls as are copied at a time: most logs fill few columns of
    /// a wide table, and nulls need not be copied row by row.
    fn blanks(&self) -> Vec<Option<ArrayRef>> {
        let Some(first) = self.batches.first() else { return Vec::new() };
        let rows = SORTED_ROWS.min(self.rows.len());
        let (mut nulls, mut blanks) = (Vec::new(), Vec::with_capacity(first.rows.num_columns()));
        for (place, field) in first.rows.schema_ref().fields().iter().enumerate() {
            let filled = |batch: &Arc<Batch>| batch.rows.column(place).logical_null_count() < batch.rows.num_rows();
            let is_filled = self.batches.iter().any(filled);
            blanks.push((!is_filled).then(|| nulls_of(&mut nulls, field.data_type(), rows)));
        }
        blanks
    }

    /// The rows at these places, at most [`SORTED_ROWS`], in one batch.
    fn sorted_batch(&self, rows: &[Place], blanks: &[Option<ArrayRef>], schema: &SchemaRef) -> Result<RecordBatch> {
        let failed = |e| Error::Lake(format!("cannot sort rows of {}: {e}", self.table.name));
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(blanks.len() + 1);
        for (place, blank) in blanks.iter().enumerate() {
            columns.push(match blank {
                Some(nulls) => nulls.slice(0, rows.len()),
                None => {
                    let arrays: Vec<&dyn Array> =
                        self.batches.iter().map(|batch| batch.rows.column(place).as_ref()).collect();
                    let sorted = interleave(&arrays, rows).map_err(failed)?;
                    cast(&sorted, schema.field(place).data_type()).map_err(failed)?
                }
            });
        }
        if !self.identified {
            return RecordBatch::try_new(schema.clone(), columns).map_err(failed);
        }
        let ids: Vec<[u8; 16]> = rows
            .iter()
            .map(|&(batch, row)| {
                let id = self.batches.get(batch).and_then(|b| b.ids.get(row)).copied().unwrap_or_default();
                id.to_be_bytes()
            })
            .collect();
        let identity: ArrayRef = Arc::new(BinaryArray::from_iter_values(&ids));
        columns.push(identity);
        RecordBatch::try_new(schema.clone(), columns).map_err(failed)
    }
}

fn cannot_encode(table: &Table, error: &dyn std::error::Error) -> Error {
    Error::Lake(format!("cannot encode rows of {}: {}", table.name, crate::error::chain(error)))
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile").field("date", &self.date).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl OpenFile {
    /// One without rows, for those of `job`.
    fn new(job: &Job, layout: Layout) -> Result<OpenFile> {
        let schema = file_schema(job.table, job.identified);
        let properties = properties(job.table, job.zstd_level, &layout, ROW_GROUP_ROWS)?;
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties));
        let writer = writer.map_err(|e| cannot_encode(job.table, &e))?;
        Ok(OpenFile { table: job.table, date: job.date, rows: 0, schema, layout, writer: Box::new(writer) })
    }

    /// The table that the file belongs to.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// The day of its rows, counted from 1970.
    pub fn date(&self) -> i32 {
        self.date
    }

    /// Bytes that it takes in memory, about.
    pub fn bytes(&self) -> usize {
        OPEN_BYTES + self.writer.bytes_written()
    }

    /// Writes the footer.
    pub fn close(mut self) -> Result<Part> {
        let metadata = self.writer.finish().map_err(|e| cannot_encode(self.table, &e))?;
        let bytes = std::mem::take(self.writer.inner_mut());
        let date = day_name(self.date);
        Ok(Part {
            table: self.table,
            date: self.date,
            path: format!("{DATE}={date}/part-{}.zstd.parquet", uuid::Uuid::new_v4().simple()),
            size: bytes.len() as u64,
            rows: self.rows as u64,
            statistics: statistics::to_delta(&metadata, &self.schema),
            bytes,
        })
    }
}

/// How files are written that are joined of others.
pub(super) fn joined_properties(table: &Table) -> Result<WriterProperties> {
    properties(table, JOINED_ZSTD_LEVEL, &Layout::default(), JOINED_GROUP_ROWS)
}

/// How files of a table are written: zstd, small row groups, bloom filters on searched columns, no statistics on JSON.
fn properties(table: &Table, zstd_level: i32, layout: &Layout, group_rows: usize) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(zstd_level)
        .map_err(|e| Error::Usage(format!("zstd level {zstd_level} is not possible: {e}")))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(PAGE_STEP_ROWS)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_column_dictionary_enabled(ColumnPath::from(IDENTITY), false)
        .set_column_statistics_enabled(ColumnPath::from(IDENTITY), EnabledStatistics::None);
    for name in &layout.plain {
        properties = properties.set_column_compression(ColumnPath::from(name.as_str()), Compression::UNCOMPRESSED);
    }
    for name in &layout.unique {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name.as_str()), false);
    }
    for column in table.stored_columns() {
        let path = ColumnPath::from(column.stored_name());
        if column.searched {
            properties = properties
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_max_ndv(path, group_rows as u64);
        } else if column.kind == Kind::Json {
            properties = properties
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
                .set_column_dictionary_page_size_limit(path, JSON_DICTIONARY_BYTES);
        }
    }
    Ok(properties.build())
}

impl Part {
    /// The table that the file belongs to.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// Path below the table's folder.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Rows in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file's content, once: it is given to the store and not kept.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// What the Delta log says of the file.
    pub(super) fn add(&self) -> Add {
        Add {
            path: self.path.clone(),
            partition_values: HashMap::from([(DATE.to_owned(), Some(day_name(self.date)))]),
            size: self.size as i64,
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(self.statistics.clone()),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        }
    }
}

/// `2026-10-01` for a day counted from 1970.
fn day_name(day: i32) -> String {
    let date = chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0).unwrap_or_default();
    date.format("%Y-%m-%d").to_string()
}
