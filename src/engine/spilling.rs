//! Sessions for queries that ran out of memory: slower plans, which go to disk.

use datafusion::common::config::ConfigOptions;
use datafusion::prelude::SessionConfig;

/// Rows of a batch: a sort takes a batch as a whole, however long its texts are.
const BATCH: usize = 1_024;
/// Part of the memory that each sort sets aside for merging what it wrote to disk. A plan may have a dozen of them.
const MERGES: usize = 32;

/// The same session with plans that go to disk, where queries may hold `memory` bytes.
pub fn spilling(config: SessionConfig, memory: usize) -> SessionConfig {
    let mut config = config.with_batch_size(BATCH);
    let options = config.options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.sort_spill_reservation_bytes = memory / MERGES;
    config
}

/// True when plans have to go to disk.
pub(super) fn is_spilling(options: &ConfigOptions) -> bool {
    !options.optimizer.prefer_hash_join
}
