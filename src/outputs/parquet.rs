//! Parquet: one file, zstd, with the types of the result.

use std::io::{self, Write};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;

use super::{Encoder, Hidden, Page};

struct Parquet<'a> {
    writer: ArrowWriter<&'a mut (dyn Write + Send)>,
}

pub(super) fn encoder<'a>(
    schema: SchemaRef,
    to: &'a mut (dyn Write + Send),
    _: &Page,
) -> io::Result<Box<dyn Encoder + 'a>> {
    if let Some(field) = schema.fields().iter().find(|field| matches!(field.data_type(), DataType::Union(..))) {
        return Err(io::Error::other(format!(
            "column {:?} has values of several types; read them with ->> as text",
            field.name()
        )));
    }
    let level = ZstdLevel::try_new(3).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let writer = ArrowWriter::try_new(to, schema, Some(properties)).map_err(failed)?;
    Ok(Box::new(Parquet { writer }))
}

impl Encoder for Parquet<'_> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.writer.write(batch).map_err(failed)
    }

    fn finish(&mut self, _hidden: Hidden) -> io::Result<()> {
        self.writer.finish().map_err(failed)?;
        self.writer.inner_mut().flush()
    }
}

/// Keeps the kind of an error of the destination: a reader that went away is not a failure.
fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other.to_string()),
        },
        other => io::Error::other(other.to_string()),
    }
}
