//! Builds the session: threads, memory, options and functions.

use std::sync::Arc;

use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use super::catalog::{self, Catalog};
use super::compact::CompactSorts;
use super::first_rows::FirstRows;
use super::firsts::Firsts;
use super::grouped_windows::GroupedWindows;
use super::sorted_joins::SortedJoins;
use super::{functions, sql_error};
use crate::error::Result;

/// What a session may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads for queries.
    pub threads: usize,
    /// Bytes that sorts, joins and aggregations may hold before they spill to disk.
    pub memory: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Settings { threads, memory: 1 << 30 }
    }
}

/// Part of the memory that footers of Parquet files may take, which queries of a session share: about 40 kB a file, so
/// thousands of files in an eighth of a GiB.
const FOOTERS: usize = 8;

/// What the sessions over one lake share: memory that they may use together, and what they remember of its files.
pub fn runtime(settings: &Settings) -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(settings.memory)))
        .with_metadata_cache_limit(settings.memory / FOOTERS)
        .build_arc()
        .map_err(sql_error)
}

/// A session with our settings and functions and no tables, and where its tables go.
pub fn context(settings: &Settings, runtime: Arc<RuntimeEnv>) -> Result<(SessionContext, Arc<Catalog>)> {
    let mut config = SessionConfig::new()
        .with_target_partitions(settings.threads)
        .with_information_schema(true)
        .with_parquet_pruning(true)
        .with_parquet_bloom_filter_pruning(true);
    config.options_mut().execution.parquet.pushdown_filters = true;
    config.options_mut().execution.parquet.reorder_filters = true;
    let mut logical = Optimizer::new().rules;
    // Before conditions and columns are pushed down.
    logical.insert(0, Arc::new(GroupedWindows));
    let mut physical = PhysicalOptimizer::new().rules;
    // Before sorts are put where windows need them.
    let place = physical.iter().position(|rule| rule.name() == "WindowTopN").unwrap_or_default();
    physical.insert(place, Arc::new(FirstRows));
    // Before a side is chosen to be held.
    physical.insert(0, Arc::new(SortedJoins));
    // When scans are as they stay.
    physical.push(Arc::new(Firsts));
    // When sorts are where they stay.
    physical.push(Arc::new(CompactSorts));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_optimizer_rules(logical)
        .with_physical_optimizer_rules(physical)
        .build();
    let context = SessionContext::new_with_state(state);
    let catalog = catalog::install(&context)?;
    functions::register(&context)?;
    Ok((context, catalog))
}
