//! Rows of which some are known not to matter, by the groups that they are of.

use datafusion::common::{JoinConstraint, JoinType, NullEquality, Result};
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

/// Groups, and whether rows of them are kept, or all others.
#[derive(Debug, Clone, PartialEq)]
pub struct Sieve {
    /// Keys of the group of a row.
    pub keys: Vec<Expr>,
    /// The same, of each of the groups.
    pub groups: LogicalPlan,
    /// [`JoinType::LeftSemi`] to keep rows of the groups, [`JoinType::LeftAnti`] to leave them out.
    pub keeps: JoinType,
}

impl Sieve {
    /// Those of `rows` that are kept.
    pub fn of(&self, rows: LogicalPlan) -> Result<LogicalPlan> {
        let columns = self.groups.schema().columns().into_iter().map(Expr::Column);
        let pairs = self.keys.iter().cloned().zip(columns).collect();
        let (rows, groups) = (rows.into(), self.groups.clone().into());
        // Null is a key of its own, as in groups and windows.
        let (by, equal) = (JoinConstraint::On, NullEquality::NullEqualsNull);
        Ok(LogicalPlan::Join(Join::try_new(rows, groups, pairs, None, self.keeps, by, equal, false)?))
    }
}
