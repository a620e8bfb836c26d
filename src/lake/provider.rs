//! Reads a table as of one Delta version: files from the Delta log with their statistics, a plain Parquet source below.
//!
//! The Parquet source prunes files, row groups and pages itself, by the statistics and partition values given with each
//! file and by bloom filters, and shows what it pruned in `EXPLAIN ANALYZE`.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::compute::kernels::cast_utils::Parser as _;
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::{DFSchema, Result as PlanResult, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use deltalake_core::DeltaTable;
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;

use super::files::File;
use super::footers::Footers;
use super::local::LocalFiles;
use super::statistics;
use super::tables::IDENTITY;
use crate::error::{Error, Result, chain};
use crate::table::{DATE, TIME, Table};

/// A table as of one version. Cheap to clone the parts of; never changes.
#[derive(Debug)]
pub struct Snapshot {
    schema: SchemaRef,
    files_schema: SchemaRef,
    files: Vec<PartitionedFile>,
    /// Bounds of the values in each file, of the same order.
    bounds: Vec<Arc<Statistics>>,
    store: Option<(ObjectStoreUrl, Arc<dyn ObjectStore>)>,
    /// The folder, where the table lies in one.
    folder: Option<PathBuf>,
}

impl Snapshot {
    /// The table as of the version that `delta` has loaded; empty when there is none.
    pub fn of(table: &'static Table, delta: Option<&DeltaTable>) -> Result<Snapshot> {
        Self::with_columns(table, Schema::new(viewed(table.schema().fields())), delta)
    }

    /// Only the identities of a table of events, and their times.
    pub fn identities(table: &'static Table, delta: &DeltaTable) -> Result<Snapshot> {
        let identity = Arc::new(Field::new(IDENTITY, DataType::BinaryView, true));
        let time = table.schema().fields().iter().find(|field| field.name() == TIME.name).cloned();
        let columns: Vec<Arc<Field>> = time.into_iter().chain([identity]).collect();
        Self::with_columns(table, Schema::new(columns), Some(delta))
    }

    /// Only the rows of these files, which belong to the table now or did at some time.
    pub fn of_files(table: &'static Table, delta: &DeltaTable, files: &[File]) -> Result<Snapshot> {
        let mut snapshot = Self::of(table, None)?;
        for file in files {
            let path = ObjectPath::parse(&file.path).unwrap_or_else(|_| ObjectPath::from(file.path.as_str()));
            snapshot.add(path, file.size, file.date.as_deref(), file.statistics.as_deref());
        }
        snapshot.close(delta);
        Ok(snapshot)
    }

    fn add(&mut self, path: ObjectPath, size: u64, day: Option<&str>, stats: Option<&str>) {
        let day = day.and_then(Date32Type::parse);
        let known = statistics::from_delta(stats, &self.files_schema, size);
        let file = PartitionedFile::new(path.to_string(), size)
            .with_partition_values(vec![ScalarValue::Date32(day)])
            .with_statistics(known);
        self.files.push(file);
    }

    /// All files are there: in the order of their paths, with their bounds.
    fn close(&mut self, delta: &DeltaTable) {
        self.files.sort_by(|a: &PartitionedFile, b| a.path().cmp(b.path()));
        let bounds = |file: &PartitionedFile| file.statistics.as_deref().map(statistics::bounds);
        self.bounds = self.files.iter().filter_map(bounds).collect();
        self.store = Some((delta.log_store().object_store_url(), delta.log_store().object_store(None)));
        self.folder = delta.log_store().root_url().to_file_path().ok();
    }

    /// True when the table has no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Files that may hold rows for these filters, by their day and their statistics. The others are not even opened. True
    /// when such bounds can tell anything of the filters.
    fn candidates(&self, state: &dyn Session, filters: &[Expr]) -> PlanResult<(Vec<PartitionedFile>, bool)> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok((self.files.clone(), false)) };
        let columns = DFSchema::try_from(self.schema.clone())?;
        let condition = state.create_physical_expr(filter, &columns)?;
        let pruning = PruningPredicateBuilder::new().with_file_schema(self.schema.clone()).build(condition);
        let Some(predicate) = pruning else { return Ok((self.files.clone(), false)) };
        let may_match = predicate.prune(&PrunableStatistics::new(self.bounds.clone(), self.schema.clone()))?;
        let kept = self.files.iter().zip(may_match).filter(|(_, keep)| *keep).map(|(file, _)| file.clone());
        Ok((kept.collect(), true))
    }

    fn with_columns(table: &'static Table, columns: Schema, delta: Option<&DeltaTable>) -> Result<Snapshot> {
        let files_schema = Arc::new(columns);
        let date: Arc<Field> = Arc::new(Field::new(DATE, DataType::Date32, true));
        let mut fields: Vec<Arc<Field>> = files_schema.fields().iter().cloned().collect();
        fields.push(date);
        let schema = Arc::new(Schema::new(fields));
        let mut snapshot =
            Snapshot { schema, files_schema, files: Vec::new(), bounds: Vec::new(), store: None, folder: None };
        let Some(delta) = delta else { return Ok(snapshot) };
        let failed = |e: &dyn std::error::Error| {
            Error::Lake(format!("cannot read the log of table {}: {}", table.name, chain(e)))
        };
        for file in delta.snapshot().map_err(|e| failed(&e))?.log_data().iter() {
            if file.deletion_vector_descriptor().is_some() {
                return Err(Error::Lake(format!(
                    "table {} has deletion vectors, which Trailhound does not read; rewrite it without them",
                    table.name
                )));
            }
            let day = file.partition_values_map().get(DATE).cloned().flatten();
            let size = file.size().max(0) as u64;
            snapshot.add(file.object_store_path(), size, day.as_deref(), file.stats().as_deref());
        }
        snapshot.close(delta);
        Ok(snapshot)
    }
}

#[async_trait]
impl TableProvider for Snapshot {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> PlanResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> PlanResult<Arc<dyn ExecutionPlan>> {
        let (mut files, by_bounds) = self.candidates(state, filters)?;
        if !state.config_options().execution.collect_statistics {
            // They have passed files over already, and each would be asked again when it is opened.
            files.iter_mut().for_each(|file| file.statistics = None);
        }
        let Some((url, store)) = self.store.as_ref().filter(|_| !files.is_empty()) else {
            let shown = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(shown)));
        };
        state.runtime_env().register_object_store(url.as_ref(), store.clone());
        let date: Arc<Field> = Arc::new(Field::new(DATE, DataType::Date32, true));
        let columns = TableSchema::builder(self.files_schema.clone()).with_table_partition_cols(vec![date]).build();
        // Queries of one session share the footers of the files: reading those costs more than the rows of a small file.
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let mut reader: Arc<dyn ParquetFileReaderFactory> =
            Arc::new(CachedParquetFileReaderFactory::new(store.clone(), footers));
        if by_bounds {
            reader = Arc::new(Footers { readers: reader });
        }
        if let Some(folder) = &self.folder {
            reader = Arc::new(LocalFiles { folder: folder.clone(), others: reader });
        }
        let mut options = state.table_options().parquet.clone();
        // Some scans have settings of their own.
        options.global = state.config_options().execution.parquet.clone();
        let source =
            ParquetSource::new(columns).with_table_parquet_options(options).with_parquet_file_reader_factory(reader);
        let partitions = state.config().target_partitions().max(1);
        let groups = FileGroup::new(files).split_files(partitions);
        let config = FileScanConfigBuilder::new(url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// The same fields with text as views, also inside lists and structs: reading such text copies nothing.
fn viewed(fields: &Fields) -> Fields {
    fields.iter().map(|field| Arc::new(field.as_ref().clone().with_data_type(viewed_type(field.data_type())))).collect()
}

fn viewed_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 => DataType::Utf8View,
        DataType::List(item) => {
            DataType::List(Arc::new(item.as_ref().clone().with_data_type(viewed_type(item.data_type()))))
        }
        DataType::Struct(fields) => DataType::Struct(viewed(fields)),
        other => other.clone(),
    }
}
