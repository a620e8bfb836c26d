//! Outputs: one file per format or destination; all that is shown is escaped for its place.

mod cell;
pub mod channels;
mod csv;
pub mod destination;
pub mod escape;
mod json;
mod parquet;
pub mod report;
mod table;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::{Stream, StreamExt};

use crate::error::{Error, Result};

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for eyes: bounded width, long values cut.
    Table,
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated values with a header (RFC 4180); formulas are defused.
    Csv,
    /// One Parquet file, zstd.
    Parquet,
}

/// The formats with what writes them.
static FORMATS: &[(Format, &str, Make)] = &[
    (Format::Table, "txt", table::encoder),
    (Format::Json, "json", json::array),
    (Format::Ndjson, "ndjson", json::lines),
    (Format::Csv, "csv", csv::encoder),
    (Format::Parquet, "parquet", parquet::encoder),
];

type Make = for<'a> fn(SchemaRef, &'a mut (dyn Write + Send), &Page) -> io::Result<Box<dyn Encoder + 'a>>;

/// Writes batches of one schema in one format. An error of the destination comes back as it is.
trait Encoder: Send {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()>;
    fn finish(&mut self, hidden: Hidden) -> io::Result<()>;
}

/// Who looks at the result, and how much of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page {
    /// True when it goes to a terminal: nothing may move its cursor, and binary formats are refused.
    pub terminal: bool,
    /// Columns of the terminal, for [`Format::Table`].
    pub width: Option<usize>,
    /// Rows to show; the rest is counted.
    pub rows: Option<usize>,
}

/// Rows that were not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Hidden {
    /// How many are known.
    pub rows: u64,
    /// True when counting stopped before the end.
    pub more: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Written {
    /// Rows shown.
    pub rows: u64,
    /// Rows not shown, because of [`Page::rows`].
    pub hidden: Hidden,
    /// True when the reader went away before the end (`| head`): not an error.
    pub closed: bool,
}

/// How long rows beyond the limit are counted before the query is stopped.
const COUNTING: Duration = Duration::from_secs(2);

impl Format {
    /// The format that a file name asks for.
    pub fn of_path(path: &std::path::Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let wanted = if extension == "jsonl" { "ndjson" } else { &extension };
        FORMATS.iter().find(|(_, known, _)| *known == wanted).map(|(format, _, _)| *format)
    }
}

/// Writes a stream of batches as they come.
///
/// # Errors
/// Those of the stream, [`Error::Usage`] for a format that the destination cannot show, [`Error::Output`] when writing fails.
pub async fn stream<S>(
    mut batches: S,
    schema: SchemaRef,
    format: Format,
    to: &mut (dyn Write + Send),
    page: &Page,
) -> Result<Written>
where
    S: Stream<Item = Result<RecordBatch>> + Unpin,
{
    let mut output = Output::new(schema, format, to, page)?;
    while let Some(batch) = batches.next().await {
        if !output.write(&batch?)? {
            break;
        }
    }
    output.finish()
}

/// Writes batches that are at hand; see [`stream`].
pub fn write(
    batches: &[RecordBatch],
    schema: SchemaRef,
    format: Format,
    to: &mut (dyn Write + Send),
    page: &Page,
) -> Result<Written> {
    let mut output = Output::new(schema, format, to, page)?;
    for batch in batches {
        if !output.write(batch)? {
            break;
        }
    }
    output.finish()
}

struct Output<'a> {
    encoder: Option<Box<dyn Encoder + 'a>>,
    limit: u64,
    full_since: Option<Instant>,
    written: Written,
}

impl<'a> Output<'a> {
    fn new(schema: SchemaRef, format: Format, to: &'a mut (dyn Write + Send), page: &Page) -> Result<Output<'a>> {
        if format == Format::Parquet && page.terminal {
            return Err(Error::Usage("Parquet is not for terminals: name a file with -o result.parquet".into()));
        }
        let limit = page.rows.map_or(u64::MAX, |rows| rows as u64);
        let mut output = Output { encoder: None, limit, full_since: None, written: Written::default() };
        let make = FORMATS.iter().find(|(known, _, _)| *known == format).map(|(_, _, make)| *make);
        if let Some(make) = make {
            match make(schema, to, page) {
                Ok(encoder) => output.encoder = Some(encoder),
                Err(error) => output.failed(error)?,
            }
        }
        Ok(output)
    }

    /// Writes a batch; false when nothing more is wanted.
    fn write(&mut self, batch: &RecordBatch) -> Result<bool> {
        let room = self.limit.saturating_sub(self.written.rows);
        let shown = (batch.num_rows() as u64).min(room) as usize;
        if let Some(encoder) = &mut self.encoder
            && shown > 0
            && let Err(error) = encoder.write(&batch.slice(0, shown))
        {
            self.failed(error)?;
            return Ok(false);
        }
        self.written.rows += shown as u64;
        self.written.hidden.rows += (batch.num_rows() - shown) as u64;
        if self.written.hidden.rows > 0 && self.full_since.get_or_insert_with(Instant::now).elapsed() > COUNTING {
            self.written.hidden.more = true;
            return Ok(false);
        }
        Ok(!self.written.closed)
    }

    fn finish(mut self) -> Result<Written> {
        if let Some(mut encoder) = self.encoder.take()
            && let Err(error) = encoder.finish(self.written.hidden)
        {
            self.failed(error)?;
        }
        Ok(self.written)
    }

    fn failed(&mut self, error: io::Error) -> Result<()> {
        if error.kind() == io::ErrorKind::BrokenPipe {
            self.encoder = None;
            self.written.closed = true;
            return Ok(());
        }
        Err(Error::Output(format!("the result cannot be written: {error}")))
    }
}
