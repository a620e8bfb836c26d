//! Opening and creating the Delta tables below the root of a lake.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::{StructField, StructType};
use deltalake_core::logstore::{StorageConfig, logstore_for};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::SaveMode;
use deltalake_core::{DeltaTable, DeltaTableBuilder, DeltaTableError, TableProperty};
use object_store::ObjectStore;
use url::Url;

use super::objects::OBJECTS;
use crate::error::{Error, Result, chain};
use crate::logs::sink::QUARANTINE;
use crate::table::{DATE, Table};

/// Identity of an event, 16 bytes: in the files of event tables, not shown in SQL.
pub const IDENTITY: &str = "_id";

/// How long the logs of tables that publishes commit to keep what a checkpoint has taken in. A follower publishes three times
/// a second, and each commit to a folder reads the names of all versions that are there. Other tables of records keep the
/// thirty days that are usual: channels are told by their commits.
const PUBLISHES_KEPT: &str = "interval 1 hours";

/// Schema of the Parquet files of a table: its own columns, and the identity for tables of events.
pub fn file_schema(table: &Table, identified: bool) -> SchemaRef {
    let mut fields: Vec<Arc<Field>> = table.schema().fields().iter().cloned().collect();
    if identified {
        fields.push(Arc::new(Field::new(IDENTITY, DataType::Binary, true)));
    }
    Arc::new(Schema::new(fields))
}

/// URL of a lake from what the user typed: a path or `s3://bucket/prefix`.
pub fn root_url(location: &str) -> Result<Url> {
    let wrong = |reason: String| Error::Usage(format!("cannot use {location} as a lake: {reason}"));
    if location.starts_with("s3://") {
        let text = format!("{}/", location.trim_end_matches('/'));
        return Url::parse(&text).map_err(|e| wrong(e.to_string()));
    }
    if location.contains("://") {
        return Err(wrong("a lake is a folder or s3://bucket/prefix".into()));
    }
    let path = std::path::absolute(location).map_err(|e| wrong(e.to_string()))?;
    Url::from_directory_path(&path).map_err(|()| wrong("the path is not absolute".into()))
}

/// The table as of now, or `None` when it was never written.
pub async fn load(root: &Url, table: &Table) -> Result<Option<DeltaTable>> {
    let url = table_url(root, table)?;
    if let Ok(path) = url.to_file_path()
        && !path.join("_delta_log").is_dir()
    {
        return Ok(None);
    }
    match DeltaTableBuilder::from_url(url).map_err(|e| failed("open", root, table, &e))?.load().await {
        Ok(delta) => Ok(Some(delta)),
        Err(DeltaTableError::NotATable(_) | DeltaTableError::InvalidVersion(_)) => Ok(None),
        Err(error) => Err(failed("open", root, table, &error)),
    }
}

/// Creates the table, or opens it when another process was faster.
pub async fn create(root: &Url, table: &Table, identified: bool) -> Result<DeltaTable> {
    let url = table_url(root, table)?;
    if let Ok(path) = url.to_file_path() {
        std::fs::create_dir_all(&path)
            .map_err(|e| Error::Lake(format!("cannot create {}: {e}; choose another --lake", path.display())))?;
    }
    let mut fields: Vec<Arc<Field>> = file_schema(table, identified).fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(DATE, DataType::Date32, true)));
    let schema: StructType = (&Schema::new(fields)).try_into_kernel().map_err(|e| failed("create", root, table, &e))?;
    let columns: Vec<StructField> = schema.fields().cloned().collect();
    let log_store = logstore_for(&url, StorageConfig::default()).map_err(|e| failed("create", root, table, &e))?;
    let mut builder = CreateBuilder::new()
        .with_log_store(log_store)
        .with_table_name(table.name)
        .with_comment(table.about)
        .with_columns(columns)
        .with_partition_columns([DATE])
        .with_save_mode(SaveMode::Ignore);
    if identified || [OBJECTS.name, QUARANTINE.name].contains(&table.name) {
        builder = builder.with_configuration_property(TableProperty::LogRetentionDuration, Some(PUBLISHES_KEPT));
    }
    match builder.await {
        Ok(delta) => Ok(delta),
        Err(error) => match load(root, table).await {
            Ok(Some(delta)) => Ok(delta),
            _ => Err(failed("create", root, table, &error)),
        },
    }
}

/// Object store rooted at the table's folder.
pub fn object_store(root: &Url, table: &Table) -> Result<Arc<dyn ObjectStore>> {
    folder(&table_url(root, table)?).map_err(|e| failed("open", root, table, &e))
}

/// Object store rooted at a folder of a lake, whether or not it exists.
pub fn folder(url: &Url) -> std::result::Result<Arc<dyn ObjectStore>, DeltaTableError> {
    Ok(logstore_for(url, StorageConfig::default())?.object_store(None))
}

fn table_url(root: &Url, table: &Table) -> Result<Url> {
    root.join(&format!("{}/", table.name)).map_err(|e| Error::Lake(format!("{root} is no place for tables: {e}")))
}

fn failed(doing: &str, root: &Url, table: &Table, error: &dyn std::error::Error) -> Error {
    Error::Lake(format!("cannot {doing} table {} of the lake at {root}: {}", table.name, chain(error)))
}
