//! Files of a table one by one, for tables of records whose rows are replaced.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::execution::context::SessionContext;

use super::Journal;
use super::provider::Snapshot;
use crate::error::{Error, Result, chain};
use crate::table::{DATE, Table};

/// A file of a table. It never changes; its rows may be in another file afterwards.
#[derive(Debug, Clone)]
pub struct File {
    /// Name, as the table's log spells it.
    pub path: String,
    /// UTC day of the event times of its rows, such as `2026-10-01`.
    pub date: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Statistics of its columns, JSON as in the table's log.
    pub(super) statistics: Option<String>,
}

impl Journal {
    /// The files of a table as of the last publish or refresh.
    pub fn files(&self, table: &'static Table) -> Result<Vec<File>> {
        let delta = self.delta(table)?;
        let failed = |e| Error::Lake(format!("cannot read the log of table {}: {}", table.name, chain(&e)));
        let mut files = Vec::new();
        for file in delta.snapshot().map_err(failed)?.log_data().iter() {
            files.push(File {
                path: file.path().into_owned(),
                date: file.partition_values_map().get(DATE).cloned().flatten(),
                size: file.size().max(0) as u64,
                statistics: file.stats(),
            });
        }
        Ok(files)
    }

    /// The rows of files, in the schema of [`Table::schema`].
    pub async fn read_files(&self, table: &'static Table, files: &[File]) -> Result<RecordBatch> {
        let failed =
            |e: &dyn std::error::Error| Error::Lake(format!("cannot read files of table {}: {}", table.name, chain(e)));
        let snapshot = Snapshot::of_files(table, self.delta(table)?, files)?;
        let schema = table.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let frame = SessionContext::new().read_table(Arc::new(snapshot)).map_err(|e| failed(&e))?;
        let frame = frame.select_columns(&names).map_err(|e| failed(&e))?;
        let mut batches = Vec::new();
        for batch in frame.collect().await.map_err(|e| failed(&e))? {
            let mut columns: Vec<ArrayRef> = Vec::with_capacity(names.len());
            for (column, field) in batch.columns().iter().zip(schema.fields()) {
                columns.push(cast(column, field.data_type()).map_err(|e| failed(&e))?);
            }
            batches.push(RecordBatch::try_new(schema.clone(), columns).map_err(|e| failed(&e))?);
        }
        concat_batches(&schema, &batches).map_err(|e| failed(&e))
    }
}
