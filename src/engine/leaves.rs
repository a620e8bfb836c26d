//! Paths into presented structs become the flat columns behind them, before the optimizer looks at a plan.
//!
//! [`super::nested`] presents a hundred flat columns as a few structs. The optimizer finds its way back to the columns, but
//! on every query it first carries all of them through each of its rules. Here a plan keeps only what it names.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion, TreeNodeRewriter};
use datafusion::common::{Column, DFSchemaRef, Result};
use datafusion::logical_expr::expr::{Alias, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, SubqueryAlias};

use super::stored;

/// What a plan names of the columns below it, wherever it stands: more than needed where names repeat, never less.
#[derive(Debug, Default)]
struct Named {
    /// Columns, also those of which only a field is named.
    columns: HashSet<String>,
    /// Columns that are named as a whole.
    whole: HashSet<String>,
    /// Paths from a column to a field.
    paths: BTreeSet<Vec<String>>,
}

/// The same plan on flat columns where it names fields of presented structs.
pub fn flatten(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut named = Named::default();
    plan.apply_with_subqueries(|node| {
        if presented(node).is_some() {
            return Ok(TreeNodeRecursion::Jump);
        }
        node.apply_expressions(|expression| named.add(expression))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(plan.rewrite_with_subqueries(&mut Flattener { named })?.data)
}

/// The projection of a presented table, under the name that a query gives it. What stands above uses only names of its
/// columns, so that others may go and come.
fn presented(node: &LogicalPlan) -> Option<(&Projection, &SubqueryAlias)> {
    let LogicalPlan::SubqueryAlias(alias) = node else { return None };
    let LogicalPlan::Projection(projection) = alias.input.as_ref() else { return None };
    let source = match projection.input.as_ref() {
        LogicalPlan::Filter(filter) => filter.input.as_ref(),
        other => other,
    };
    let LogicalPlan::TableScan(scan) = source else { return None };
    stored::is_stored(scan.table_name.table()).then_some((projection, alias))
}

/// Narrows presented tables and names fields of their structs by flat columns.
struct Flattener {
    named: Named,
}

impl TreeNodeRewriter for Flattener {
    type Node = LogicalPlan;

    fn f_down(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let Some((projection, alias)) = presented(&node) else { return Ok(Transformed::no(node)) };
        let narrow = LogicalPlan::Projection(self.named.narrow(projection)?);
        let narrow = SubqueryAlias::try_new(Arc::new(narrow), alias.alias.clone())?;
        Ok(Transformed::new(LogicalPlan::SubqueryAlias(narrow), true, TreeNodeRecursion::Jump))
    }

    fn f_up(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        if presented(&node).is_some() {
            return Ok(Transformed::no(node));
        }
        let inputs: Vec<DFSchemaRef> = node.inputs().into_iter().map(|input| input.schema().clone()).collect();
        let names = NamePreserver::new(&node);
        let flat = node.map_expressions(|expression| match expression {
            // The set itself has no name: its elements have.
            Expr::GroupingSet(_) => expression.map_children(|element| on_leaves(element, &inputs, &names)),
            other => on_leaves(other, &inputs, &names),
        })?;
        flat.map_data(|node| match node {
            // Its expressions keep their names and types, whatever the rows below have beside them.
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => Ok(node),
            node => node.recompute_schema(),
        })
    }
}

/// The expression with fields of structs named by the flat columns that the inputs have for them, under its old name.
fn on_leaves(expression: Expr, inputs: &[DFSchemaRef], names: &NamePreserver) -> Result<Transformed<Expr>> {
    let saved = names.save(&expression);
    let flat = expression.transform_down(|inner| {
        let Some((column, path)) = path(&inner) else { return Ok(Transformed::no(inner)) };
        let leaf = Column::new(column.relation.clone(), leaf_name(&path));
        let known = inputs.iter().any(|schema| schema.has_column(&leaf));
        Ok(if known { Transformed::yes(Expr::Column(leaf)) } else { Transformed::no(inner) })
    })?;
    Ok(if flat.transformed { flat.update_data(|flat| saved.restore(flat)) } else { flat })
}

/// Name of the flat column within a plan: one that nobody types.
fn leaf_name(path: &[String]) -> String {
    format!("_leaf_{}", path.join("."))
}

impl Named {
    fn add(&mut self, expression: &Expr) -> Result<TreeNodeRecursion> {
        expression.apply(|inner| {
            if let Some((column, path)) = path(inner) {
                self.columns.insert(column.name.clone());
                self.paths.insert(path);
                return Ok(TreeNodeRecursion::Jump);
            }
            if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = inner {
                self.columns.insert(column.name.clone());
                self.whole.insert(column.name.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    }

    /// The projection of a presented table without what the plan does not name, and with the flat columns that it does.
    fn narrow(&self, projection: &Projection) -> Result<Projection> {
        let mut kept = Vec::new();
        for expression in &projection.expr {
            let (_, name) = expression.qualified_name();
            if !self.columns.contains(&name) {
                continue;
            }
            let mut whole = self.whole.contains(&name);
            for path in self.paths.iter().filter(|path| path.first() == Some(&name)) {
                match leaf(expression, path.get(1..).unwrap_or_default()) {
                    Some(leaf) => kept.push(leaf.clone().alias(leaf_name(path))),
                    None => whole = true,
                }
            }
            if whole {
                kept.push(expression.clone());
            }
        }
        if kept.is_empty() {
            kept.extend(projection.expr.first().cloned());
        }
        Projection::try_new(kept, projection.input.clone())
    }
}

/// The column at the root of field accesses, and the names from it to the field.
fn path(expression: &Expr) -> Option<(&Column, Vec<String>)> {
    let mut path = Vec::new();
    let mut inner = expression;
    while let Expr::ScalarFunction(ScalarFunction { func, args }) = inner {
        let (base, names) = args.split_first().filter(|_| func.name() == "get_field")?;
        for name in names.iter().rev() {
            let Expr::Literal(name, _) = name else { return None };
            path.push(name.try_as_str().flatten()?.to_owned());
        }
        inner = base;
    }
    let Expr::Column(column) = inner else { return None };
    if path.is_empty() {
        return None;
    }
    path.push(column.name.clone());
    path.reverse();
    Some((column, path))
}

/// The flat column that stands at `path` in the structs that `expression` builds.
fn leaf<'a>(expression: &'a Expr, path: &[String]) -> Option<&'a Expr> {
    let inner = match expression {
        Expr::Alias(Alias { expr, .. }) => expr.as_ref(),
        other => other,
    };
    let Some((first, rest)) = path.split_first() else {
        return matches!(inner, Expr::Column(_)).then_some(inner);
    };
    let Expr::ScalarFunction(ScalarFunction { func, args }) = inner else { return None };
    if func.name() != "named_struct" {
        return None;
    }
    let mut fields = args.chunks_exact(2);
    fields.find_map(|field| match field {
        [Expr::Literal(name, _), value] if name.try_as_str().flatten() == Some(first) => leaf(value, rest),
        _ => None,
    })
}
