//! Keys of fresh rows: where they are found with the least to read.

use datafusion::common::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};

use super::origin::{asks_for_fresh, origins};

/// Rows and what of them are keys. Other rows may be among them too: never fewer.
#[derive(Debug, Clone)]
pub struct Source {
    rows: LogicalPlan,
    /// Expressions over the rows.
    pub keys: Vec<Expr>,
}

impl Source {
    /// Keys of those rows of `node` that meet `conditions`, one of which asks for fresh ones. They are looked for as far down
    /// as conditions and keys are known: below what groups, sorts and joins whole histories.
    pub fn below(node: &LogicalPlan, conditions: Vec<Expr>, keys: Vec<Expr>) -> Result<Source> {
        let (mut node, mut conditions, mut keys) = (node, conditions, keys);
        while let Some((input, conditions_below, keys_below)) = step(node, &conditions, &keys) {
            (node, conditions, keys) = (input, conditions_below, keys_below);
        }
        let rows = match conjunction(conditions) {
            Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, node.clone().into())?),
            None => node.clone(),
        };
        Ok(Source { rows, keys })
    }

    /// The same rows with these of the keys.
    pub fn with(&self, keys: Vec<Expr>) -> Source {
        Source { rows: self.rows.clone(), keys }
    }

    /// Adds the keys of a source that has the same rows: where each of them stands; none, and nothing added, when its rows are
    /// others.
    pub fn add(&mut self, other: &Source) -> Option<Vec<usize>> {
        if self.rows != other.rows {
            return None;
        }
        let mut places = Vec::with_capacity(other.keys.len());
        for key in &other.keys {
            let place = self.keys.iter().position(|known| known == key).unwrap_or(self.keys.len());
            if place == self.keys.len() {
                self.keys.push(key.clone());
            }
            places.push(place);
        }
        Some(places)
    }

    /// The query for the keys, each once.
    pub fn query(&self) -> Result<LogicalPlan> {
        let named = self.keys.iter().enumerate().map(|(place, key)| key.clone().alias(format!("key{place}")));
        LogicalPlanBuilder::from(self.rows.clone()).project(named)?.distinct()?.build()
    }
}

/// The same for an input of `node`, where that is possible.
fn step<'a>(
    node: &'a LogicalPlan,
    conditions: &[Expr],
    keys: &[Expr],
) -> Option<(&'a LogicalPlan, Vec<Expr>, Vec<Expr>)> {
    for (origin, input) in origins(node) {
        let Some(keys) = keys.iter().map(|key| origin.exact(key)).collect::<Option<Vec<_>>>() else { continue };
        let mut below = origin.implied(conditions, input);
        if let LogicalPlan::Filter(filter) = node {
            below.extend(origin.implied(std::slice::from_ref(&filter.predicate), input));
        }
        if below.iter().any(|condition| asks_for_fresh(input, condition)) {
            return Some((input, below, keys));
        }
    }
    None
}
