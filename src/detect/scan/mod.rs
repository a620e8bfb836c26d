//! One pass over a table for all rules: each row is looked at once, and only by the rules that may want it.
//!
//! Every place where a rule reads a table with conditions is a [`Leaf`]. Leaves are collected while rules are planned, then
//! each table is read once for all of them, and each rule goes on with the rows of its leaves, from memory. Leaves with the
//! same conditions share one [`Catch`]. Where that would hold too much, each of them reads the table alone, as one query per
//! rule does, which stays the reference for what rules find.

mod bands;
mod catch;
mod condition;
mod dispatch;
mod group;
mod keys;
mod kinds;
mod leaf;
mod memory;
mod router;
mod table;
mod wanted;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::prelude::{col, lit};

pub use keys::Keys;
pub use leaf::{LEAF, Leaf, MICROS_PER_MINUTE, leaves};

use crate::engine::reduction::Read;
use crate::engine::{Engine, sql_error, stored, views};
use crate::error::Result;
use crate::lake::day_of;
use crate::table::{DATE, TIME, Table};
use catch::Catch;
use group::Group;
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
        let shared = engine.with_providers(|table, provider| {
            let table = Arc::new(SharedTable::new(table, provider, noting)?);
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

    /// Reads the tables for the leaves of all queries that were planned since the last call and still are there: each once
    /// for the leaves that want rows of some kinds, and once for those that have to see every row.
    pub async fn read(&self) -> Result<()> {
        for table in &self.tables {
            let catches = Catch::of(&table.take_waiting(), &table.inner().schema()).map_err(sql_error)?;
            self.read_for(table, catches).await?;
        }
        Ok(())
    }

    /// Reads the tables for these leaves alone, which wait for their rows.
    pub async fn read_first(&self, leaves: &[Arc<Leaf>]) -> Result<()> {
        for table in &self.tables {
            let catches = Catch::of(&waiting(table, leaves), &table.inner().schema()).map_err(sql_error)?;
            self.read_for(table, catches).await?;
        }
        Ok(())
    }

    /// The tables as places where queries read.
    pub fn places(&self) -> Places {
        let names = self.engine.tables().map(|table| stored::name(table.name));
        let tables = names.zip(self.tables.iter().cloned()).collect();
        Places { tables, state: self.engine.context().state().into() }
    }

    /// Those of `leaves`, which wait for their rows, that will have one of `start` or later. Reads nothing that is older.
    pub async fn touched(&self, leaves: Vec<Arc<Leaf>>, start: DateTime<Utc>) -> Result<Vec<Arc<Leaf>>> {
        let begin = ScalarValue::TimestampMicrosecond(Some(start.timestamp_micros()), Some("UTC".into()));
        let day = ScalarValue::Date32(Some(day_of(start.timestamp_micros())));
        let fresh = vec![col(TIME.name).gt_eq(lit(begin)), col(DATE).gt_eq(lit(day))];
        let mut touched = Vec::new();
        for table in &self.tables {
            let waiting = waiting(table, &leaves);
            let mut probes: HashMap<&[Expr], Arc<Catch>> = HashMap::new();
            for leaf in &waiting {
                probes.entry(&leaf.filters).or_insert_with(|| Arc::new(Catch::probe(leaf, &fresh)));
            }
            self.read_for(table, probes.values().cloned().collect()).await?;
            let met = |leaf: &&Arc<Leaf>| {
                probes.get(leaf.filters.as_slice()).is_none_or(|probe| probe.is_closed() || probe.matched() > 0)
            };
            touched.extend(waiting.iter().filter(met).cloned());
        }
        Ok(touched)
    }

    /// The queries that were planned since the last call can be asked again and again, each time over other rows.
    pub fn hold(self) -> Result<HeldScans> {
        let state = group::state(&self.engine);
        let mut groups = Vec::new();
        for (table, shared) in self.engine.tables().zip(&self.tables) {
            let schema = shared.inner().schema();
            let group = Catch::of(&shared.take_waiting(), &schema)
                .and_then(|catches| Group::new(&state, &schema, catches, &self.budget, true));
            groups.push((table, group.map_err(sql_error)?));
        }
        Ok(HeldScans { groups, engine: self.engine })
    }

    async fn read_for(&self, table: &SharedTable, catches: Vec<Arc<Catch>>) -> Result<()> {
        let (keyed, unkeyed): (Vec<_>, Vec<_>) = catches.into_iter().partition(|catch| !catch.keys.is_empty());
        for catches in [keyed, unkeyed] {
            if !catches.is_empty() {
                group::read(&self.engine, table, catches, &self.budget).await.map_err(sql_error)?;
            }
        }
        Ok(())
    }
}

/// Tables behind shared scans, for questions about them that are asked on many threads.
#[derive(Debug, Clone)]
pub struct Places {
    tables: Vec<(String, Arc<SharedTable>)>,
    state: Arc<SessionState>,
}

impl Places {
    /// Leaves that want of the places in `reads` to know whether there are rows that matter, and no column of them; none when
    /// there is no such place, or one of them is none of the tables.
    pub fn wanting(&self, reads: &[Read]) -> Option<Vec<Arc<Leaf>>> {
        let mut leaves = Vec::with_capacity(reads.len());
        for read in reads.iter().filter(|read| !views::is_kept(read.table.table())) {
            let (_, table) = self.tables.iter().find(|(name, _)| name == read.table.table())?;
            leaves.push(table.wanting(&self.state, &read.conditions).ok()?);
        }
        (!leaves.is_empty()).then_some(leaves)
    }
}

/// Those of `leaves` that wait for rows of a table.
fn waiting(table: &SharedTable, leaves: &[Arc<Leaf>]) -> Vec<Arc<Leaf>> {
    let mut waiting = table.waiting();
    waiting.retain(|leaf| leaves.iter().any(|wanted| Arc::ptr_eq(wanted, leaf)));
    waiting
}

/// Leaves of queries that stay planned while rows come and go.
#[derive(Debug)]
pub struct HeldScans {
    groups: Vec<(&'static Table, Group)>,
    engine: Engine,
}

impl HeldScans {
    /// Gives the leaves of these tables the rows of the tables, in place of those that they have.
    pub async fn read(&self, tables: &[(&'static Table, Arc<dyn TableProvider>)]) -> Result<()> {
        for (table, rows) in tables {
            let own = self.groups.iter().find(|(known, _)| known.name == table.name);
            if let Some((_, group)) = own {
                group.read_all(&self.engine, rows).await.map_err(sql_error)?;
            }
        }
        // Nobody reads these files again through this engine.
        self.engine.context().runtime_env().cache_manager.get_file_metadata_cache().clear();
        Ok(())
    }
}
