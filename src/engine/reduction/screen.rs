//! Fresh rows that only count in a group of a slot of time that meets some condition, or is new: all its rows are near.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator,
};

use super::begin::{begin, span};
use super::novelty::Novelty;
use super::origin::{Origin, asks_for_fresh, plain};
use super::sieve::Sieve;
use super::slot::binned;

/// What is asked of groups, one key of which is `date_bin(width, time)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// Keys of the group of a row, over the rows whose keys are looked for.
    groups: Vec<Expr>,
    /// Which of them is the slot of time.
    slot: usize,
    /// What rows meet that are grouped.
    rows: Vec<Expr>,
    /// What groups meet that matter, in terms of aggregates of their rows.
    having: Vec<Expr>,
    /// Conditions that one row or another meets of each group that matters.
    some: Vec<Expr>,
    /// Groups by windows: each group that matters has a row that is new to them.
    new: Vec<Novelty>,
}

impl Screen {
    /// What `conditions` on the rows of `node`, an aggregate, ask of more than one row of a group.
    pub fn asked(node: &LogicalPlan, aggregate: &Aggregate, conditions: &[Expr]) -> Option<Screen> {
        let groups: Vec<Expr> = aggregate.group_expr.iter().map(plain).cloned().collect();
        let slot = groups.iter().position(|key| binned(key).is_some())?;
        let (values, flags) = (Origin::of_values(aggregate), Origin::of_groups(aggregate));
        let asked = || conditions.iter().filter(|condition| !asks_for_fresh(node, condition));
        let having = asked()
            .filter_map(|condition| values.weaker(condition))
            .filter(|having| lasts(having, aggregate))
            .collect();
        let some: Vec<Expr> = asked().filter_map(|condition| flags.of_some_row(condition)).collect();
        let some = some.iter().flat_map(split_conjunction).cloned().collect();
        Screen { groups, slot, rows: Vec::new(), having, some, new: Vec::new() }.that_asks()
    }

    /// The same in terms of the rows of an input of `node`; none when that has other rows, or their keys are not known.
    pub fn below(&self, node: &LogicalPlan, origin: &Origin) -> Option<Screen> {
        let mut rows = self.rows.clone();
        let mut new: Vec<Novelty> = self.new.iter().filter_map(|new| new.below(origin)).collect();
        match node {
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {}
            LogicalPlan::Filter(filter) => rows.push(filter.predicate.clone()),
            LogicalPlan::Window(window) => new.extend(Novelty::asked(window, &self.some)),
            _ => return None,
        }
        let groups = self.groups.iter().map(|key| origin.exact(key)).collect::<Option<Vec<_>>>()?;
        let weaker = |all: &[Expr]| all.iter().filter_map(|one| origin.weaker(one)).collect::<Vec<_>>();
        let (mut having, some) = (weaker(&self.having), weaker(&self.some));
        let asked: Vec<&Expr> = rows.iter().flat_map(split_conjunction).collect();
        let rows: Vec<Expr> = asked.iter().filter_map(|condition| origin.exact(condition)).collect();
        if rows.len() < asked.len() {
            // More rows than the group has.
            having = having.iter().filter_map(lasting).collect();
        }
        Screen { groups, slot: self.slot, rows, having, some, new }.that_asks()
    }

    fn that_asks(self) -> Option<Screen> {
        let asks = !self.having.is_empty() || !self.some.is_empty() || !self.new.is_empty();
        asks.then_some(self)
    }

    /// Groups that meet what is asked, for each thing that is; nothing when it is not known when rows of `node` begin that meet
    /// `conditions`.
    pub fn sieves(&self, node: &LogicalPlan, conditions: &[Expr]) -> Result<Vec<Sieve>> {
        let mut sieves = Vec::new();
        let Some(slot) = self.groups.get(self.slot).and_then(binned) else { return Ok(sieves) };
        let Some(begin) = begin(node, slot.time, conditions) else { return Ok(sieves) };
        let asked = self.rows.iter().cloned().fold(slot.reached_from(begin), Expr::and);
        let rows = LogicalPlan::Filter(Filter::try_new(asked, node.clone().into())?);
        if !self.having.is_empty() {
            sieves.push(self.kept(self.meeting(rows.clone())?)?);
        }
        for new in &self.new {
            // How far the new row of a slot is from its fresh one is only known by the time that the slot is of.
            let width = span(slot.width).filter(|_| new.is_by(slot.time));
            if let Some(known) = width.and_then(|width| new.sieve(node, conditions, width).transpose()) {
                let rows = LogicalPlanBuilder::from(known?.of(rows.clone())?);
                sieves.push(self.kept(rows.project(named(&self.groups, group))?.distinct()?)?);
            }
        }
        Ok(sieves)
    }

    /// Groups of the rows that meet what is asked of their values.
    fn meeting(&self, rows: LogicalPlan) -> Result<LogicalPlanBuilder> {
        let mut values = Vec::new();
        let having = self.having.iter().map(|condition| told(condition, &mut values)).collect::<Result<Vec<_>>>()?;
        let groups = LogicalPlanBuilder::from(rows).aggregate(named(&self.groups, group), named(&values, value))?;
        match conjunction(having) {
            Some(condition) => groups.filter(condition),
            None => Ok(groups),
        }
    }

    /// Rows of the groups are kept.
    fn kept(&self, groups: LogicalPlanBuilder) -> Result<Sieve> {
        let keys = (0..self.groups.len()).map(|place| Expr::Column(Column::from_name(group(place))));
        Ok(Sieve { keys: self.groups.clone(), groups: groups.project(keys)?.build()?, keeps: JoinType::LeftSemi })
    }
}

fn named(expressions: &[Expr], name: fn(usize) -> String) -> Vec<Expr> {
    expressions.iter().enumerate().map(|(place, expression)| expression.clone().alias(name(place))).collect()
}

fn group(place: usize) -> String {
    format!("group{place}")
}

fn value(place: usize) -> String {
    format!("value{place}")
}

/// True for a condition on values of groups that are the same in whatever order rows come: it is asked a second time, of the rows
/// that are read then.
fn lasts(having: &Expr, aggregate: &Aggregate) -> bool {
    let mut lasts = true;
    // Nothing in it fails.
    let _ = having.apply(|inner| {
        if let Expr::AggregateFunction(function) = inner {
            let is_exact = |value: &Expr| {
                value.get_type(aggregate.input.schema()).is_ok_and(|kind| kind.is_integer() || kind.is_decimal())
            };
            lasts &= match function.func.name() {
                "count" | "min" | "max" | "bool_and" | "bool_or" => true,
                "sum" => function.params.args.iter().all(is_exact),
                _ => false,
            };
        }
        Ok(TreeNodeRecursion::Continue)
    });
    lasts
}

/// What of a condition a group still meets when rows are added to it; none when that is nothing.
fn lasting(condition: &Expr) -> Option<Expr> {
    match plain(condition) {
        Expr::AggregateFunction(function) if function.func.name() == "bool_or" => Some(condition.clone()),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => match (lasting(left), lasting(right)) {
            (Some(left), Some(right)) => Some(left.and(right)),
            (left, right) => left.or(right),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => Some(lasting(left)?.or(lasting(right)?)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Gt | Operator::GtEq, right }) => {
            let is_count = matches!(plain(left), Expr::AggregateFunction(count) if count.func.name() == "count");
            (is_count && matches!(plain(right), Expr::Literal(..))).then(|| condition.clone())
        }
        _ => None,
    }
}

/// A condition on columns, one for each of the aggregates in it, which go to `values`.
fn told(condition: &Expr, values: &mut Vec<Expr>) -> Result<Expr> {
    let told = condition.clone().transform_down(|inner| {
        if !matches!(inner, Expr::AggregateFunction(_)) {
            return Ok(Transformed::no(inner));
        }
        let place = values.iter().position(|known| *known == inner).unwrap_or(values.len());
        if place == values.len() {
            values.push(inner);
        }
        let column = Expr::Column(Column::from_name(value(place)));
        Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
    })?;
    Ok(told.data)
}
