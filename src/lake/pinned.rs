//! A table of the lake as of one version, and how it goes on to later ones.

use deltalake_core::DeltaTable;
use deltalake_core::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake_core::table::state::DeltaTableState;

use crate::error::{Error, Result, chain};
use crate::table::Table;

/// Versions after which the log of a table is read anew. Each version that is taken in adds a batch to what is known of the
/// files, and every later one goes through all of these: what publishing costs, and the memory, would grow for ever.
const MOST_STEPS: u64 = 64;

/// A table of the lake as of one version.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) table: &'static Table,
    pub(super) delta: DeltaTable,
    /// Version at which the log was read as a whole.
    read: u64,
}

impl Pinned {
    /// A table that was just loaded.
    pub(super) fn new(table: &'static Table, delta: DeltaTable) -> Pinned {
        let read = delta.version().unwrap_or_default();
        Pinned { table, delta, read }
    }

    /// Goes on to the state that a commit led to.
    pub(super) async fn take(&mut self, state: DeltaTableState) -> Result<()> {
        self.delta.state = Some(state);
        self.fold().await
    }

    /// Goes on to the newest version.
    pub(super) async fn reload(&mut self) -> Result<()> {
        self.delta.update_state().await.map_err(|e| self.failed(&e))?;
        self.fold().await
    }

    /// After many steps, reads the log anew, from a checkpoint that is written for it.
    async fn fold(&mut self) -> Result<()> {
        let version = self.delta.version().unwrap_or_default();
        if version.saturating_sub(self.read) < MOST_STEPS {
            return Ok(());
        }
        // Without a new checkpoint the log is longer, and all the same complete.
        if let Err(error) = create_checkpoint(&self.delta, None).await {
            tracing::debug!(table = self.table.name, error = %chain(&error).escape_debug(), "no checkpoint was written");
        }
        clean(self.table, &self.delta).await;
        // Kept until the new state is there: a lake that cannot be read for a moment does not lose the table.
        let state = DeltaTableState::try_new(self.delta.log_store().as_ref(), Some(version)).await;
        self.delta.state = Some(state.map_err(|e| self.failed(&e))?);
        self.read = version;
        Ok(())
    }

    fn failed(&self, error: &dyn std::error::Error) -> Error {
        Error::Lake(format!("cannot read the log of table {}: {}", self.table.name, chain(error)))
    }
}

/// Deletes what has expired from the log of a table, up to a checkpoint. What another process deleted first is no harm.
pub(super) async fn clean(table: &Table, delta: &DeltaTable) {
    if let Err(error) = cleanup_metadata(delta, None).await {
        tracing::debug!(table = table.name, error = %chain(&error).escape_debug(), "the log was not cleaned");
    }
}
