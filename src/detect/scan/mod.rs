//! One pass over a table for all rules: each row is looked at once, and only by the rules that may want it.
//!
//! Every place where a rule reads a table with conditions is a [`Leaf`]. Leaves are collected while rules are planned, then
//! each table is read once for all of them, and each rule goes on with the rows of its leaves, from memory. A leaf that would
//! hold too much reads the table alone, as one query per rule does, which stays the reference for what rules find.

mod compact;
mod dispatch;
mod group;
mod keys;
mod leaf;
mod memory;
mod table;

use std::sync::Arc;

pub use keys::{DISPATCH, Keys};
pub use leaf::{LEAF, Leaf, leaves};

use crate::engine::{Engine, sql_error};
use crate::error::Result;
use memory::Budget;
use table::SharedTable;
pub use table::is_selective;

/// The tables of an engine, each read once for all leaves.
#[derive(Debug)]
pub struct SharedScans {
    tables: Vec<Arc<SharedTable>>,
    engine: Engine,
    budget: Arc<Budget>,
}

impl SharedScans {
    /// Puts the tables of `engine` behind shared scans. Rows of leaves take up to half of the engine's memory.
    pub async fn over(engine: &Engine) -> Result<SharedScans> {
        Self::with(engine, false).await
    }

    /// The same, with leaves that note when the rows happened that they keep.
    pub async fn noting_minutes(engine: &Engine) -> Result<SharedScans> {
        Self::with(engine, true).await
    }

    async fn with(engine: &Engine, noting: bool) -> Result<SharedScans> {
        let mut tables = Vec::new();
        let shared = engine.with_providers(|provider| {
            let table = Arc::new(SharedTable::new(provider, noting)?);
            tables.push(table.clone());
            Ok(table)
        });
        let engine = shared.await?;
        let limit = engine.settings().memory / 2;
        let budget = Arc::new(Budget::new(limit, &engine.context().runtime_env().memory_pool));
        Ok(SharedScans { tables, engine, budget })
    }

    /// The engine whose queries read through the shared scans. They wait for [`SharedScans::read`].
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reads the tables for the leaves of all queries that were planned since the last call: each once for the leaves that
    /// want rows of some kinds, and once for those that have to see every row.
    pub async fn read(&self) -> Result<()> {
        for table in &self.tables {
            let (keyed, unkeyed): (Vec<_>, Vec<_>) =
                table.take_leaves().into_iter().partition(|leaf| !leaf.keys.is_empty());
            for leaves in [keyed, unkeyed] {
                if !leaves.is_empty() {
                    group::read(&self.engine, table.inner(), &leaves, &self.budget).await.map_err(sql_error)?;
                }
            }
        }
        Ok(())
    }
}
