//! What was added to the lake since a moment: the files of later commits, whoever made them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::Action;

use super::Journal;
use super::files::File;
use super::provider::Snapshot;
use crate::error::{Error, Result, chain};
use crate::table::{DATE, Table};

/// A moment in the life of a lake: the version of each table.
pub type Position = BTreeMap<String, u64>;

/// Rows of some commits to a table of records.
#[derive(Debug)]
pub struct Commit {
    /// Version that the commit made.
    pub version: u64,
    /// Its rows, in the schema of [`Table::schema`].
    pub rows: RecordBatch,
}

impl Journal {
    /// Where the lake is as of the last publish or refresh.
    pub fn position(&self) -> Result<Position> {
        let mut position = Position::new();
        for table in self.tables() {
            position.insert(table.name.to_owned(), self.delta(table)?.version().unwrap_or_default());
        }
        Ok(position)
    }

    /// Every table as of the last publish or refresh, ready for SQL.
    pub fn providers(&self) -> Result<Vec<(&'static Table, Arc<dyn TableProvider>)>> {
        let mut providers: Vec<(&'static Table, Arc<dyn TableProvider>)> = Vec::new();
        for table in self.tables() {
            providers.push((table, Arc::new(Snapshot::of(table, Some(self.delta(table)?))?)));
        }
        Ok(providers)
    }

    /// The rows of a table that were added after `position`. A table that the position does not know counts from its
    /// beginning, and so does one whose log no longer reaches back to it. Files that were joined meanwhile count as what
    /// they were joined from.
    pub async fn added_since(&self, table: &'static Table, position: &Position) -> Result<Arc<dyn TableProvider>> {
        let delta = self.delta(table)?;
        let from = position.get(table.name).map_or(0, |version| version + 1);
        let mut added = Vec::new();
        for version in from..=delta.version().unwrap_or_default() {
            match added_by(table, delta, version).await? {
                Some((files, _)) => added.extend(files),
                None => {
                    tracing::info!(
                        table = table.name,
                        version,
                        "the log no longer says what was added: all rows count"
                    );
                    return Ok(Arc::new(Snapshot::of(table, Some(delta))?));
                }
            }
        }
        Ok(Arc::new(Snapshot::of_files(table, delta, &added)?))
    }

    /// The commits after `version` that only added rows to a table: not those that replaced some, and not those that the
    /// table's log no longer has. And the version that it has come to.
    pub async fn appended_since(&self, table: &'static Table, version: u64) -> Result<(Vec<Commit>, u64)> {
        let delta = self.delta(table)?;
        let newest = delta.version().unwrap_or_default();
        let (mut commits, mut gone) = (Vec::new(), 0u64);
        for version in version + 1..=newest {
            match added_by(table, delta, version).await? {
                Some((added, false)) if !added.is_empty() => {
                    commits.push(Commit { version, rows: self.read_files(table, &added).await? });
                }
                Some(_) => {}
                None => gone += 1,
            }
        }
        if gone > 0 {
            tracing::warn!(
                table = table.name,
                commits = gone,
                "the log no longer has these: what they added is not told"
            );
        }
        Ok((commits, newest))
    }
}

/// Files with new rows that a commit added, and whether it took others away; `None` when the log no longer has the commit.
async fn added_by(table: &Table, delta: &DeltaTable, version: u64) -> Result<Option<(Vec<File>, bool)>> {
    let failed = |e: &dyn std::error::Error| {
        Error::Lake(format!("cannot read version {version} of the log of table {}: {}", table.name, chain(e)))
    };
    let Some(entry) = delta.log_store().read_commit_entry(version).await.map_err(|e| failed(&e))? else {
        return Ok(None);
    };
    let mut added = Vec::new();
    let mut replaced = false;
    for line in entry.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Action>(line).map_err(|e| failed(&e))? {
            Action::Add(file) if file.data_change => added.push(File {
                date: file.partition_values.get(DATE).cloned().flatten(),
                path: file.path,
                size: file.size.max(0) as u64,
                statistics: file.stats,
            }),
            Action::Remove(_) => replaced = true,
            _ => {}
        }
    }
    Ok(Some((added, replaced)))
}
