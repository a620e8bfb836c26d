//! Which way a rule's SQL is judged: where it reads tables together with other rules, where alone, and by which keys.

use std::fmt;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as PlanResult;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};

use super::scan::{Keys, is_selective};
use crate::engine::stored::PREFIX;

/// The places where a rule reads tables, without repetition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Path {
    /// In the order in which the plan names them.
    pub reads: Vec<Read>,
}

/// A place where a rule reads a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The table.
    pub table: String,
    /// What rows must have to be looked at, when the table is read together with other rules; none when alone.
    pub shared: Option<Keys>,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, Read { table, shared }) in self.reads.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "; " })?;
            match shared {
                None => write!(f, "{table} alone")?,
                Some(keys) if keys.is_empty() => write!(f, "shared scan of {table}")?,
                Some(keys) => write!(f, "shared scan of {table}, {keys}")?,
            }
        }
        Ok(())
    }
}

impl Path {
    /// The way of an optimised plan whose tables are behind shared scans.
    pub fn of(plan: &LogicalPlan, context: &SessionContext) -> PlanResult<Path> {
        let mut path = Path::default();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let read = Read { table: table_name(scan.table_name.table()).to_owned(), shared: keys(scan, context)? };
                if !path.reads.contains(&read) {
                    path.reads.push(read);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(path)
    }
}

fn keys(scan: &TableScan, context: &SessionContext) -> PlanResult<Option<Keys>> {
    let schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
    let condition = conjunction(scan.filters.iter().cloned()).filter(|_| scan.filters.iter().any(is_selective));
    condition.map(|condition| Ok(Keys::of(&context.state().create_physical_expr(condition, &schema)?))).transpose()
}

/// The table of a plan that is not optimised yet and returns single events: a filter over that one table.
pub fn events_of(plan: &LogicalPlan) -> Option<String> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let source = match projection.input.as_ref() {
        LogicalPlan::Filter(filter) => filter.input.as_ref(),
        other => other,
    };
    let LogicalPlan::SubqueryAlias(alias) = source else { return None };
    if projection.expr.iter().any(needs_more_than_its_row) {
        return None;
    }
    stored_table(&alias.input)
}

/// The one stored table below a view that only renames, nests and filters.
fn stored_table(plan: &LogicalPlan) -> Option<String> {
    match plan {
        LogicalPlan::Projection(projection) => stored_table(&projection.input),
        LogicalPlan::Filter(filter) => stored_table(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => stored_table(&alias.input),
        LogicalPlan::TableScan(scan) if scan.fetch.is_none() => Some(table_name(scan.table_name.table()).to_owned()),
        _ => None,
    }
}

/// The table that SQL knows a stored table by.
pub fn table_name(stored: &str) -> &str {
    stored.strip_prefix(PREFIX).unwrap_or(stored)
}

fn needs_more_than_its_row(expression: &Expr) -> bool {
    let mut found = false;
    let visited = expression.apply(|inner| {
        let query = matches!(inner, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_));
        found |=
            query || matches!(inner, Expr::WindowFunction(_) | Expr::AggregateFunction(_)) || inner.is_volatile_node();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found || visited.is_err()
}
