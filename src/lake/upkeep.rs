//! Upkeep: what the tables hold, joining small files, deleting what no version needs.

use std::num::NonZeroU64;
use std::sync::Arc;

use deltalake_core::delta_datafusion::create_session;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::operations::optimize::OptimizeType;

use super::parquet::joined_properties;
use super::pinned::clean;
use super::{Lake, tables};
use crate::error::{Error, Result, chain};

/// Size that compaction aims at: large enough that opening files costs little, small enough to prune.
const TARGET_BYTES: u64 = 128 << 20;

/// What a table holds.
#[derive(Debug)]
pub struct Status {
    /// Table.
    pub table: &'static str,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Delta version.
    pub version: u64,
}

impl Lake {
    /// What each table holds; tables that were never written are left out.
    pub async fn status(&self) -> Result<Vec<Status>> {
        let mut all = Vec::new();
        for &table in self.events.iter().chain(&self.records) {
            let Some(delta) = tables::load(&self.root, table).await? else { continue };
            let mut status =
                Status { table: table.name, rows: 0, files: 0, bytes: 0, version: delta.version().unwrap_or_default() };
            for file in delta.snapshot().map_err(|e| failed(table.name, &e))?.log_data().iter() {
                status.files += 1;
                status.bytes += file.size().max(0) as u64;
                status.rows += file.num_records().unwrap_or_default() as u64;
            }
            all.push(status);
        }
        Ok(all)
    }

    /// Joins the small files of each day. Returns per table the files before and after.
    pub async fn compact(&self) -> Result<Vec<(&'static str, u64, u64)>> {
        drop(self.begin().await?);
        let mut done = Vec::new();
        // One file after the other: alike rows, which lie together in each of them, stay together.
        let mut reading = create_session().state();
        reading.config_mut().options_mut().execution.target_partitions = 1;
        let reading = Arc::new(reading);
        for &table in self.events.iter().chain(&self.records) {
            let Some(delta) = tables::load(&self.root, table).await? else { continue };
            let (joined, metrics) = delta
                .optimize()
                .with_type(OptimizeType::Compact)
                .with_session_state(reading.clone())
                .with_target_size(NonZeroU64::new(TARGET_BYTES).unwrap_or(NonZeroU64::MIN))
                .with_writer_properties(joined_properties(table)?)
                .with_commit_properties(without_clean_up())
                .await
                .map_err(|e| failed(table.name, &e))?;
            clean(table, &joined).await;
            done.push((table.name, metrics.num_files_removed, metrics.num_files_added));
        }
        Ok(done)
    }

    /// Deletes files that no version of the last seven days needs. Returns per table how many.
    pub async fn vacuum(&self) -> Result<Vec<(&'static str, u64)>> {
        drop(self.begin().await?);
        let mut done = Vec::new();
        for &table in self.events.iter().chain(&self.records) {
            let Some(delta) = tables::load(&self.root, table).await? else { continue };
            let vacuum = delta.vacuum().with_commit_properties(without_clean_up());
            let (vacuumed, metrics) = vacuum.await.map_err(|e| failed(table.name, &e))?;
            clean(table, &vacuumed).await;
            done.push((table.name, metrics.files_deleted.len() as u64));
        }
        Ok(done)
    }
}

/// The log is cleaned afterwards: within a commit, a clean-up that fails would make the commit fail that is done.
fn without_clean_up() -> CommitProperties {
    CommitProperties::default().with_cleanup_expired_logs(Some(false))
}

fn failed(table: &str, error: &dyn std::error::Error) -> Error {
    Error::Lake(format!("cannot keep table {table}: {}", chain(error)))
}
