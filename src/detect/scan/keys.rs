//! Values that a row must have for a condition to hold: by them, rows find the rules that may want them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};

/// Columns whose values tell rules apart, the more telling first.
pub const DISPATCH: [&str; 2] = ["eventname", "eventsource"];

/// Column of [`DISPATCH`] -> the values, one of which a row must have. Columns that are not listed may have any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keys(BTreeMap<&'static str, BTreeSet<String>>);

impl Keys {
    /// What `condition` demands of the dispatch columns.
    pub fn of(condition: &Arc<dyn PhysicalExpr>) -> Keys {
        let mut keys = BTreeMap::new();
        for guarantee in LiteralGuarantee::analyze(condition) {
            let column = DISPATCH.into_iter().find(|column| *column == guarantee.column.name());
            let (Some(column), Guarantee::In) = (column, guarantee.guarantee) else { continue };
            let values =
                guarantee.literals.iter().filter_map(|literal| literal.try_as_str().flatten().map(str::to_owned));
            keys.insert(column, values.collect());
        }
        Keys(keys)
    }

    /// True when rows of every kind have to be looked at.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values for `column`, if it must have one of some.
    pub fn values(&self, column: &str) -> Option<&BTreeSet<String>> {
        self.0.get(column)
    }

    /// Whether a row with these values of the [`DISPATCH`] columns may meet the condition.
    pub fn admit(&self, values: &[Option<&str>; DISPATCH.len()]) -> bool {
        DISPATCH.iter().zip(values).all(|(column, value)| match (self.values(column), value) {
            (None, _) => true,
            (Some(wanted), Some(value)) => wanted.contains(*value),
            (Some(_), None) => false,
        })
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (column, values)) in self.0.iter().enumerate() {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            write!(f, "{}{column}: {}", if position == 0 { "" } else { ", " }, values.join(" "))?;
        }
        Ok(())
    }
}
