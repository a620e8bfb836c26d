//! Footers of files come with what they say of each page, and both are remembered together.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result as PlanResult;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;

/// Readers of another factory that remembers footers, for scans that look at pages.
///
/// Such a scan asks for a footer without its page index first, and reads the index itself when it needs it: on every query
/// again, past what is remembered, for all columns. Taking apart what is said of the pages of a file costs more than finding
/// a row in it.
#[derive(Debug)]
pub struct Footers {
    /// Reads files, and remembers their footers.
    pub readers: Arc<dyn ParquetFileReaderFactory>,
}

impl ParquetFileReaderFactory for Footers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> PlanResult<Box<dyn AsyncFileReader + Send>> {
        let reader = self.readers.create_reader(partition, file, footer, metrics)?;
        Ok(Box::new(WithPages { reader }))
    }
}

/// A reader of one file whose footer is never without its page index, where the file has one.
struct WithPages {
    reader: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for WithPages {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.reader.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        self.reader.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        let options = options.cloned().unwrap_or_default().with_page_index_policy(PageIndexPolicy::Optional);
        async move { self.reader.get_metadata(Some(&options)).await }.boxed()
    }
}
