//! Which way a rule's SQL can be judged: together with others in one scan of a table, or alone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};

/// Columns of `cloudtrail` whose values tell the rules apart.
const DISPATCH: [&str; 2] = ["eventname", "eventsource"];

/// The way that a rule's SQL can take.
#[derive(Debug, Clone, PartialEq)]
pub enum Path {
    /// A filter over one table: can be judged in one scan together with others.
    Shared {
        /// The table.
        table: String,
        /// Column -> values, one of which a row must have: the rule need not look at other rows.
        keys: BTreeMap<String, Vec<String>>,
    },
    /// Needs a query of its own, because of this.
    Alone(&'static str),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Alone(why) => write!(f, "alone ({why})"),
            Path::Shared { table, keys } => {
                write!(f, "shared scan of {table}")?;
                for (column, values) in keys {
                    write!(f, ", {column}: {}", values.join(" "))?;
                }
                Ok(())
            }
        }
    }
}

impl Path {
    /// The way of a plan that is not optimised yet.
    pub fn of(plan: &LogicalPlan, context: &SessionContext) -> Path {
        let LogicalPlan::Projection(projection) = plan else { return Path::Alone(name(plan)) };
        let (filter, source) = match projection.input.as_ref() {
            LogicalPlan::Filter(filter) => (Some(filter), filter.input.as_ref()),
            other => (None, other),
        };
        let table = match source {
            LogicalPlan::SubqueryAlias(alias) => match stored_table(&alias.input) {
                Ok(table) => table,
                Err(why) => return Path::Alone(why),
            },
            other => return Path::Alone(name(other)),
        };
        let expressions = projection.expr.iter().chain(filter.map(|filter| &filter.predicate));
        if expressions.into_iter().any(needs_more_than_its_row) {
            return Path::Alone("subquery, window function or volatile function");
        }
        let keys = filter.map(|filter| keys(&filter.predicate, filter.input.as_ref(), context)).unwrap_or_default();
        Path::Shared { table, keys }
    }
}

/// The one stored table below a view that only renames, nests and filters.
fn stored_table(plan: &LogicalPlan) -> Result<String, &'static str> {
    match plan {
        LogicalPlan::Projection(projection) => stored_table(&projection.input),
        LogicalPlan::Filter(filter) => stored_table(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => stored_table(&alias.input),
        LogicalPlan::TableScan(scan) if scan.fetch.is_none() => Ok(table_name(scan.table_name.table()).to_owned()),
        other => Err(name(other)),
    }
}

/// The table that SQL knows a stored table by.
pub fn table_name(stored: &str) -> &str {
    stored.strip_prefix("_stored_").unwrap_or(stored)
}

fn name(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Aggregate(_) => "aggregate",
        LogicalPlan::Distinct(_) => "distinct",
        LogicalPlan::Join(_) => "join",
        LogicalPlan::Limit(_) => "limit",
        LogicalPlan::Sort(_) => "sort",
        LogicalPlan::Union(_) => "union",
        LogicalPlan::Unnest(_) => "unnest",
        LogicalPlan::Window(_) => "window function",
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => "nested query",
        _ => "more than a filter over one table",
    }
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

/// Values that the dispatch columns must have for `predicate` to hold. Empty when it says nothing about them.
fn keys(predicate: &Expr, input: &LogicalPlan, context: &SessionContext) -> BTreeMap<String, Vec<String>> {
    let mut keys = BTreeMap::new();
    let state = context.state();
    let schema = Arc::clone(input.schema());
    let options = state.config().options().clone();
    let simplifier =
        SimplifyContext::builder().with_schema(schema.clone()).with_config_options(options).with_current_time();
    let simplifier = ExprSimplifier::new(simplifier.build());
    // Without simplifying, casts hide the literals and nothing is found.
    let simple = simplifier.coerce(predicate.clone(), &schema).and_then(|expression| simplifier.simplify(expression));
    let Ok(physical) = simple.and_then(|expression| state.create_physical_expr(expression, &schema)) else {
        return keys;
    };
    for guarantee in LiteralGuarantee::analyze(&physical) {
        if guarantee.guarantee != Guarantee::In || !DISPATCH.contains(&guarantee.column.name()) {
            continue;
        }
        let values = guarantee.literals.iter().filter_map(|literal| literal.try_as_str().flatten().map(str::to_owned));
        let mut values: Vec<String> = values.collect();
        values.sort();
        keys.insert(guarantee.column.name().to_owned(), values);
    }
    keys
}
