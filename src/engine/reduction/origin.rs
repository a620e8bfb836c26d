//! What a node's rows tell of the rows below it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, BinaryExpr, Distinct, Expr, LogicalPlan, Operator, Volatility};

/// The column of windowed tables and views that says that a row is judged, not only looked back at.
const FRESH: &str = "fresh";

/// Columns of a node in terms of an input: of the row that a row of the node was made of, or of the rows of its group.
#[derive(Debug, Default)]
pub struct Origin {
    columns: HashMap<Column, Expr>,
    /// Columns that are true only when a row of the group meets a condition.
    flags: HashMap<Column, Expr>,
}

/// Inputs of which each row of a node has a row, and the node's columns in their terms.
pub fn origins(node: &LogicalPlan) -> Vec<(Origin, &Arc<LogicalPlan>)> {
    match node {
        LogicalPlan::Projection(projection) => {
            let columns = projection.schema.columns().into_iter().zip(projection.expr.iter().map(plain).cloned());
            vec![(Origin { columns: columns.collect(), ..Origin::default() }, &projection.input)]
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let below = alias.input.schema().columns().into_iter().map(Expr::Column);
            let columns = alias.schema.columns().into_iter().zip(below);
            vec![(Origin { columns: columns.collect(), ..Origin::default() }, &alias.input)]
        }
        LogicalPlan::Filter(filter) => vec![(Origin::same(filter.input.schema()), &filter.input)],
        LogicalPlan::Sort(sort) => vec![(Origin::same(sort.input.schema()), &sort.input)],
        LogicalPlan::Limit(limit) => vec![(Origin::same(limit.input.schema()), &limit.input)],
        LogicalPlan::Distinct(Distinct::All(input)) => vec![(Origin::same(input.schema()), input)],
        LogicalPlan::Window(window) => vec![(Origin::same(window.input.schema()), &window.input)],
        LogicalPlan::Aggregate(aggregate) => vec![(Origin::of_groups(aggregate), &aggregate.input)],
        LogicalPlan::Join(join) => {
            let (left, right) = kept_sides(join.join_type);
            let sides = [(left, &join.left), (right, &join.right)];
            sides.into_iter().filter(|(kept, _)| *kept).map(|(_, side)| (Origin::same(side.schema()), side)).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether each row of a join has a row of its left, and of its right side.
pub fn kept_sides(join: JoinType) -> (bool, bool) {
    match join {
        JoinType::Inner => (true, true),
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (true, false),
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (false, true),
        JoinType::Full => (false, false),
    }
}

impl Origin {
    /// Rows are passed on.
    pub fn same(schema: &DFSchema) -> Origin {
        let columns = schema.columns().into_iter().map(|column| (column.clone(), Expr::Column(column)));
        Origin { columns: columns.collect(), ..Origin::default() }
    }

    /// Groups of rows: their keys in terms of each row, and what one row or another of them meets.
    pub fn of_groups(aggregate: &Aggregate) -> Origin {
        let mut origin = Origin::default();
        if aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_))) {
            return origin;
        }
        let mut columns = aggregate.schema.columns().into_iter();
        origin.columns.extend(columns.by_ref().zip(aggregate.group_expr.iter().map(plain).cloned()));
        for (column, value) in columns.zip(&aggregate.aggr_expr) {
            let Expr::AggregateFunction(function) = plain(value) else { continue };
            if let ("bool_or" | "bool_and", [condition]) = (function.func.name(), function.params.args.as_slice()) {
                origin.flags.insert(column, condition.clone());
            }
        }
        origin
    }

    /// Values of groups, without their keys, in terms of all rows of a group.
    pub fn of_values(aggregate: &Aggregate) -> Origin {
        let values = aggregate.schema.columns().into_iter().skip(aggregate.group_expr.len());
        let columns = values.zip(aggregate.aggr_expr.iter().map(plain).cloned());
        Origin { columns: columns.collect(), ..Origin::default() }
    }

    /// The expression in terms of the input; none when more than one row of the input says what it is.
    pub fn exact(&self, expression: &Expr) -> Option<Expr> {
        let mut known = true;
        let below = expression.clone().transform_down(|inner| match &inner {
            Expr::Column(column) => match self.columns.get(column) {
                Some(origin) if origin.is_volatile() => {
                    known = false;
                    Ok(Transformed::new(inner, false, TreeNodeRecursion::Stop))
                }
                Some(origin) => Ok(Transformed::new(origin.clone(), true, TreeNodeRecursion::Jump)),
                None => {
                    known = false;
                    Ok(Transformed::new(inner, false, TreeNodeRecursion::Stop))
                }
            },
            // Another time, it may be another value.
            Expr::ScalarFunction(function) if function.func.signature().volatility != Volatility::Immutable => {
                known = false;
                Ok(Transformed::new(inner, false, TreeNodeRecursion::Stop))
            }
            Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::ScalarSubquery(_)
            | Expr::SetComparison(_)
            | Expr::OuterReferenceColumn(..) => {
                known = false;
                Ok(Transformed::new(inner, false, TreeNodeRecursion::Stop))
            }
            _ => Ok(Transformed::no(inner)),
        });
        below.ok().filter(|_| known).map(|below| below.data)
    }

    /// What one row of `input` meets when a row of the node meets all of `conditions`: as far as it is known.
    pub fn implied(&self, conditions: &[Expr], input: &LogicalPlan) -> Vec<Expr> {
        let mut rows = Vec::new();
        let mut flagged = Vec::new();
        for condition in conditions {
            match self.weaker(condition) {
                Some(below) if self.is_flagged(condition) => flagged.push(below),
                below => rows.extend(below),
            }
        }
        // Two flags of a group may be of two rows: one of them holds for one row, and that is to be a fresh one.
        let place = flagged.iter().position(|below| asks_for_fresh(input, below)).unwrap_or_default();
        rows.extend(flagged.into_iter().nth(place));
        rows.iter().flat_map(split_conjunction).cloned().collect()
    }

    /// What one row or another of a group meets, where the group meets `condition` and its keys alone do not.
    pub fn of_some_row(&self, condition: &Expr) -> Option<Expr> {
        self.weaker(condition).filter(|_| self.is_flagged(condition))
    }

    /// What some row of the input meets when a row of the node meets `condition`; none when nothing is known.
    pub fn weaker(&self, condition: &Expr) -> Option<Expr> {
        match condition {
            Expr::Alias(alias) => self.weaker(&alias.expr),
            Expr::Column(column) if self.flags.contains_key(column) => self.flags.get(column).cloned(),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                match (self.weaker(left), self.weaker(right)) {
                    (Some(left), Some(_)) if self.is_flagged(condition) => Some(left),
                    (Some(left), Some(right)) => Some(left.and(right)),
                    (left, right) => left.or(right),
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Some(self.weaker(left)?.or(self.weaker(right)?))
            }
            other => self.exact(other),
        }
    }

    fn is_flagged(&self, condition: &Expr) -> bool {
        condition.column_refs().into_iter().any(|column| self.flags.contains_key(column))
    }
}

/// True when only fresh rows of `node`, or groups with one, meet the condition, under whatever name it has `fresh`.
pub fn asks_for_fresh(node: &LogicalPlan, condition: &Expr) -> bool {
    match plain(condition) {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            asks_for_fresh(node, left) || asks_for_fresh(node, right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            asks_for_fresh(node, left) && asks_for_fresh(node, right)
        }
        Expr::Column(column) => {
            let is_below = |(origin, input): &(Origin, &Arc<LogicalPlan>)| {
                origin.weaker(condition).is_some_and(|below| asks_for_fresh(input, &below))
            };
            column.name == FRESH || origins(node).iter().any(is_below)
        }
        _ => false,
    }
}

/// True when its rows come from rows of tables one by one: nothing groups, orders or joins them.
pub fn is_row_by_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) | LogicalPlan::Values(_) => true,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => plan.inputs().into_iter().all(is_row_by_row),
        _ => false,
    }
}

/// The expression without the name that it is given.
pub fn plain(expression: &Expr) -> &Expr {
    match expression {
        Expr::Alias(alias) => plain(&alias.expr),
        other => other,
    }
}
