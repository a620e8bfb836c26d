//! Reads the files of a lake that lies in a folder in place, without a change of threads for each piece.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result as PlanResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;

/// Readers of files below a folder. Footers come from the readers of another factory, which may remember them.
#[derive(Debug)]
pub struct LocalFiles {
    /// Folder that the paths of files start from.
    pub folder: PathBuf,
    /// Reads footers, and files whose names are spelled in a way of their own.
    pub others: Arc<dyn ParquetFileReaderFactory>,
}

impl ParquetFileReaderFactory for LocalFiles {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> PlanResult<Box<dyn AsyncFileReader + Send>> {
        let location = file.object_meta.location.as_ref().to_owned();
        let other = self.others.create_reader(partition, file, footer, metrics)?;
        // Only plain names are the same on disk as in the store.
        if location.contains('%') {
            return Ok(other);
        }
        let path = self.folder.join(&location);
        let metrics = ParquetFileMetrics::new(partition, &location, metrics);
        Ok(Box::new(LocalFile { path, file: None, other, metrics }))
    }
}

/// One file, opened when it is first read.
struct LocalFile {
    path: PathBuf,
    file: Option<File>,
    other: Box<dyn AsyncFileReader + Send>,
    metrics: ParquetFileMetrics,
}

impl LocalFile {
    fn read(&mut self, range: Range<u64>) -> Result<Bytes> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        let length = range.end.saturating_sub(range.start);
        self.metrics.bytes_scanned.add(length as usize);
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = vec![0; length as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl AsyncFileReader for LocalFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        std::future::ready(self.read(range)).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        std::future::ready(ranges.into_iter().map(|range| self.read(range)).collect()).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        self.other.get_metadata(options)
    }
}
