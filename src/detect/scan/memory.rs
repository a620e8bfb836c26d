//! Memory that rows of leaves may take: all together a fixed part of the engine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

/// A limit for all shares together.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
    pool: MemoryReservation,
}

/// What one leaf holds. Given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    held: MemoryReservation,
}

impl Budget {
    /// Up to `limit` bytes, which also count in `pool`.
    pub fn new(limit: usize, pool: &Arc<dyn MemoryPool>) -> Budget {
        Budget { limit, used: AtomicUsize::new(0), pool: MemoryConsumer::new("rows of shared scans").register(pool) }
    }

    /// A share of nothing yet.
    pub fn share(self: &Arc<Budget>) -> Share {
        Share { budget: self.clone(), held: self.pool.new_empty() }
    }
}

impl Share {
    /// Takes `bytes` more; false, and nothing taken, when that is over a limit.
    pub fn grow(&self, bytes: usize) -> bool {
        let used = self.budget.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let fits = used <= self.budget.limit && self.held.try_grow(bytes).is_ok();
        if !fits {
            self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.held.size(), Ordering::Relaxed);
    }
}
