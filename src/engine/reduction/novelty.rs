//! Fresh rows that only count in a group that was not there before.

use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Window, WindowFrame,
};

use super::begin::{RECENT, begin, instant, sides, span};
use super::origin::{Origin, is_row_by_row, origins, plain};
use super::sieve::Sieve;
use super::slot::binned;

/// A group of rows by a window: rows count that are its first, or that come soon after its first.
#[derive(Debug, Clone, PartialEq)]
pub struct Novelty {
    /// Keys of the group and the time of a row, over the rows whose keys are looked for.
    keys: Vec<Expr>,
    time: Expr,
    /// The same over the rows that the window sees.
    seen: LogicalPlan,
    seen_keys: Vec<Expr>,
    seen_time: Expr,
    /// How long after the first row others count, in microseconds.
    slack: i64,
}

impl Novelty {
    /// What `conditions` on the rows of `window` ask of groups: `row_number() ... = 1` in the order of time, or
    /// `time < min(time) ... + INTERVAL`.
    pub fn asked(window: &Window, conditions: &[Expr]) -> Vec<Novelty> {
        conditions.iter().filter_map(|condition| first(window, condition).or_else(|| soon(window, condition))).collect()
    }

    /// The same in terms of the rows of an input; none when another row may decide.
    pub fn below(&self, origin: &Origin) -> Option<Novelty> {
        let keys = self.keys.iter().map(|key| origin.exact(key)).collect::<Option<Vec<_>>>()?;
        Some(Novelty { keys, time: origin.exact(&self.time)?, ..self.clone() })
    }

    /// True when it is by this time, or its slots, that rows are new.
    pub fn is_by(&self, time: &Expr) -> bool {
        binned(&self.time).map_or(&self.time, |slot| slot.time) == time
    }

    /// The groups that were there shortly before rows begin that are asked for: those of `node` that meet `conditions`, and others
    /// up to `reach` microseconds before; none when it is not known when they begin.
    pub fn sieve(&self, node: &LogicalPlan, conditions: &[Expr], reach: i64) -> Result<Option<Sieve>> {
        // A row's slot of time begins at or before it, by less than the slot's width.
        let (time, width) = match binned(&self.time) {
            Some(slot) => (slot.time, span(slot.width)),
            None => (&self.time, Some(0)),
        };
        let (Some(begin), Some(width)) = (begin(node, time, conditions), width) else { return Ok(None) };
        let end = [reach, width, self.slack].into_iter().fold(begin, i64::saturating_sub);
        let seen_time = binned(&self.seen_time).map_or(&self.seen_time, |slot| slot.time);
        let is_before = seen_time.clone().lt(instant(end));
        let is_recent = seen_time.clone().gt_eq(instant(end.saturating_sub(RECENT)));
        let rows = LogicalPlan::Filter(Filter::try_new(is_recent.and(is_before), self.seen.clone().into())?);
        let named = self.seen_keys.iter().enumerate().map(|(place, key)| key.clone().alias(format!("before{place}")));
        let groups = LogicalPlanBuilder::from(rows).project(named)?.distinct()?.build()?;
        Ok(Some(Sieve { keys: self.keys.clone(), groups, keeps: JoinType::LeftAnti }))
    }
}

/// `row_number() OVER (PARTITION BY ... ORDER BY time ...) = 1`.
fn first(window: &Window, condition: &Expr) -> Option<Novelty> {
    let (left, right) = sides(condition, Operator::Eq)?;
    let (number, one) = if matches!(left, Expr::Literal(..)) { (right, left) } else { (left, right) };
    let Expr::Literal(one, _) = one else { return None };
    let function = made_by(window, number)?;
    let order = function.params.order_by.first().filter(|order| order.asc)?;
    let is_first = function.fun.name() == "row_number" && one.to_string() == "1";
    is_first.then(|| novelty(window, &function.params, &order.expr, 0)).flatten()
}

/// `time < min(time) OVER (PARTITION BY ...) + INTERVAL '...'`.
fn soon(window: &Window, condition: &Expr) -> Option<Novelty> {
    let (time, limit) = sides(condition, Operator::Lt)?;
    let (began, slack) = sides(limit, Operator::Plus)?;
    let function = made_by(window, began)?;
    let WindowFunctionParams { args, order_by, window_frame, filter, .. } = &function.params;
    let is_whole = order_by.is_empty() && filter.is_none() && *window_frame == WindowFrame::new(None);
    let is_min = function.fun.name() == "min" && args.as_slice() == std::slice::from_ref(time);
    (is_whole && is_min).then(|| novelty(window, &function.params, time, span(slack)?)).flatten()
}

fn novelty(window: &Window, params: &WindowFunctionParams, time: &Expr, slack: i64) -> Option<Novelty> {
    let (keys, mut seen) = (params.partition_by.clone(), window.input.as_ref());
    // Zeros of both signs are two groups of some windows, and one of joins.
    let is_number = |key: &Expr| key.get_type(seen.schema()).is_ok_and(|kind| kind.is_floating());
    if keys.iter().any(is_number) {
        return None;
    }
    // Windows that stand on each other see the same rows.
    while let LogicalPlan::Window(other) = seen {
        seen = &other.input;
    }
    let seen_in = |origin: &Origin, keys: &[Expr], time: &Expr| {
        Some((keys.iter().map(|key| origin.exact(key)).collect::<Option<Vec<_>>>()?, origin.exact(time)?))
    };
    let (mut seen_keys, mut seen_time) = seen_in(&Origin::same(seen.schema()), &keys, time)?;
    // A group of rows is there when one of its rows is.
    while let LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Aggregate(_) = seen {
        let origins = origins(seen);
        let (origin, input) = origins.first()?;
        (seen_keys, seen_time) = seen_in(origin, &seen_keys, &seen_time)?;
        seen = input;
    }
    let is_worth_it = !keys.is_empty() && is_row_by_row(seen);
    is_worth_it.then(|| Novelty { keys, time: time.clone(), seen: seen.clone(), seen_keys, seen_time, slack })
}

/// The function that makes the column `result` of a window.
pub fn made_by<'a>(window: &'a Window, result: &Expr) -> Option<&'a WindowFunction> {
    let Expr::Column(column) = result else { return None };
    let place = window.schema.maybe_index_of_column(column)?.checked_sub(window.input.schema().fields().len())?;
    match plain(window.window_expr.get(place)?) {
        Expr::WindowFunction(function) => Some(function),
        _ => None,
    }
}
