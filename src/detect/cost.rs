//! What judging a rule took, and which way its tables were read.

use std::sync::Arc;
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;

use super::scan::{self, Leaf};

/// Time and rows of one rule. Times of one rule overlap with those of others.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Places where it reads a table together with other rules.
    pub shared: usize,
    /// Places where it reads a table alone.
    pub alone: usize,
    /// Rows that were looked at.
    pub examined: u64,
    /// Rows of them that met the conditions on the table itself.
    pub matched: u64,
    /// Time to plan it.
    pub planning: Duration,
    /// Time of the shared scans that is its own: evaluating its conditions.
    pub scanning: Duration,
    /// Time from its rows to its findings, reading tables alone included.
    pub answering: Duration,
}

impl Cost {
    /// `shared`, `alone`, `both`, or `none` for a rule that was not judged.
    pub fn way(&self) -> &'static str {
        match (self.shared, self.alone) {
            (0, 0) => "none",
            (_, 0) => "shared",
            (0, _) => "alone",
            _ => "both",
        }
    }

    /// Time of the rule in all.
    pub fn time(&self) -> Duration {
        self.planning + self.scanning + self.answering
    }

    /// Adds what the places of `plan` took that read tables, after it ran.
    pub(super) fn add_reads(&mut self, plan: &Arc<dyn ExecutionPlan>) {
        for leaf in scan::leaves(plan) {
            self.add_leaf(&leaf);
        }
        self.add_alone(plan);
    }

    fn add_leaf(&mut self, leaf: &Leaf) {
        let tally = leaf.tally();
        self.examined += tally.examined;
        self.matched += tally.matched;
        self.scanning += tally.time;
        match leaf.alone() {
            None => self.shared += 1,
            Some(plan) => self.add_alone(&plan),
        }
    }

    fn add_alone(&mut self, plan: &Arc<dyn ExecutionPlan>) {
        if plan.children().is_empty()
            && let Some(metrics) = plan.metrics()
        {
            let count = |name: &str| metrics.sum_by_name(name).map_or(0, |value| value.as_usize() as u64);
            self.alone += 1;
            self.matched += count("output_rows");
            self.examined += count("output_rows") + count("pushdown_rows_pruned");
        }
        for child in plan.children() {
            self.add_alone(child);
        }
    }
}
