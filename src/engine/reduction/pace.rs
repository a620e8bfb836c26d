//! Fresh rows that only count where they are more than what was before: a day tells of most that they are not.

use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunctionParams;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Window, WindowFrameUnits,
};

use super::begin::{RECENT, begin, instant};
use super::novelty::made_by;
use super::origin::{Origin, is_row_by_row, origins, plain};
use super::sieve::Sieve;
use super::slot::binned;

/// A condition on the greatest value before a row: `n >= factor * max(n) OVER (PARTITION BY ... ORDER BY time RANGE ...)`. With
/// less of the history, the greatest value is at most as great, and the condition is met wherever it is with all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Keys of the window and, last, the time of a row, over the rows whose keys are looked for.
    keys: Vec<Expr>,
    /// The same over the rows that the window sees.
    seen_keys: Vec<Expr>,
    seen: LogicalPlan,
    /// The function that makes the greatest value.
    greatest: Expr,
    condition: Expr,
}

impl Pace {
    /// What `conditions` on the rows of `window` ask of greatest values.
    pub fn asked(window: &Window, conditions: &[Expr]) -> Vec<Pace> {
        conditions.iter().filter_map(|condition| asked(window, condition)).collect()
    }

    /// The same in terms of the rows of an input; none when another row may decide.
    pub fn below(&self, origin: &Origin) -> Option<Pace> {
        let keys = self.keys.iter().map(|key| origin.exact(key)).collect::<Option<Vec<_>>>()?;
        Some(Pace { keys, ..self.clone() })
    }

    /// The groups and times for which the condition is met as far as the history shortly before fresh rows tells, which are
    /// those of `node` that meet `conditions`; none when it is not known when they begin.
    pub fn sieve(&self, node: &LogicalPlan, conditions: &[Expr]) -> Result<Option<Sieve>> {
        let (Some(time), Some(seen_time)) = (self.keys.last(), self.seen_keys.last()) else { return Ok(None) };
        let time = binned(time).map_or(time, |slot| slot.time);
        let Some(begin) = begin(node, time, conditions) else { return Ok(None) };
        let Some(seen) = since(&self.seen, seen_time, begin.saturating_sub(RECENT))? else { return Ok(None) };
        let named = self.seen_keys.iter().enumerate().map(|(place, key)| key.clone().alias(format!("paced{place}")));
        let windows = LogicalPlanBuilder::from(seen).window([self.greatest.clone()])?;
        let groups = windows.filter(self.condition.clone())?.project(named)?.build()?;
        Ok(Some(Sieve { keys: self.keys.clone(), groups, keeps: JoinType::LeftSemi }))
    }
}

fn asked(window: &Window, condition: &Expr) -> Option<Pace> {
    let read = condition.column_refs();
    let mut made = read.into_iter().filter_map(|column| {
        let result = Expr::Column(column.clone());
        made_by(window, &result).map(|function| (column, function))
    });
    let (Some((column, function)), None) = (made.next(), made.next()) else { return None };
    let WindowFunctionParams { partition_by, order_by, window_frame, filter, .. } = &function.params;
    let is_greatest = function.fun.name() == "max" && filter.is_none();
    // The rows that a frame of time leaves out are the same for all histories.
    let [time] = order_by.as_slice() else { return None };
    let is_worth_it = !partition_by.is_empty() && window_frame.units == WindowFrameUnits::Range;
    if !is_greatest || !is_worth_it || !falls(condition, column, &window.schema) {
        return None;
    }
    let mut seen = window.input.as_ref();
    // Windows that stand on each other see the same rows.
    while let LogicalPlan::Window(other) = seen {
        seen = &other.input;
    }
    let greatest = Expr::from(function.clone());
    // Without a value, nothing is known: there may be one in what is left out.
    let condition = Expr::Column(column.clone()).is_null().or(condition.clone());
    let keys: Vec<Expr> = partition_by.iter().chain([&time.expr]).cloned().collect();
    let columns = keys.iter().chain([&greatest]).flat_map(Expr::column_refs);
    let is_seen = |read: &Column| read == column || seen.schema().maybe_index_of_column(read).is_some();
    let is_told = columns.chain(condition.column_refs()).all(is_seen);
    is_told.then(|| Pace { keys: keys.clone(), seen_keys: keys, seen: seen.clone(), greatest, condition })
}

/// Those rows of `node` whose `time` is `begin` (microseconds since 1970 UTC) or later, and earlier ones of the same slot; none
/// where groups would lose some of their rows.
fn since(node: &LogicalPlan, time: &Expr, begin: i64) -> Result<Option<LogicalPlan>> {
    if is_row_by_row(node) {
        let asked = match binned(time) {
            Some(slot) => slot.reached_from(begin),
            None => time.clone().gt_eq(instant(begin)),
        };
        return Ok(Some(LogicalPlan::Filter(Filter::try_new(asked, node.clone().into())?)));
    }
    let (LogicalPlan::Projection(_)
    | LogicalPlan::SubqueryAlias(_)
    | LogicalPlan::Filter(_)
    | LogicalPlan::Aggregate(_)) = node
    else {
        return Ok(None);
    };
    let origins = origins(node);
    let below = origins.first().and_then(|(origin, input)| Some((origin.exact(time)?, input)));
    let Some((time, input)) = below else { return Ok(None) };
    let input = since(input, &time, begin)?;
    input.map(|input| node.with_new_exprs(node.expressions(), vec![input])).transpose()
}

/// True when a condition on rows of this schema that is met with some value of `greatest` is met with any smaller one.
fn falls(condition: &Expr, greatest: &Column, schema: &DFSchema) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = plain(condition) else {
        let is_known = matches!(plain(condition), Expr::IsNull(inner) if rises(inner, greatest));
        return is_known || is_without(condition, greatest);
    };
    // Numbers as text have an order of their own.
    let are_numbers = || [left, right].iter().all(|side| side.get_type(schema).is_ok_and(|kind| kind.is_numeric()));
    match op {
        Operator::And | Operator::Or => falls(left, greatest, schema) && falls(right, greatest, schema),
        Operator::Gt | Operator::GtEq => are_numbers() && is_without(left, greatest) && rises(right, greatest),
        Operator::Lt | Operator::LtEq => are_numbers() && rises(left, greatest) && is_without(right, greatest),
        _ => is_without(condition, greatest),
    }
}

/// True when the value of an expression is never smaller for a greater value of `greatest`.
fn rises(expression: &Expr, greatest: &Column) -> bool {
    match plain(expression) {
        Expr::Column(column) => column == greatest,
        Expr::ScalarFunction(function) if function.name() == "coalesce" => match function.args.as_slice() {
            [first, others @ ..] => rises(first, greatest) && others.iter().all(|other| is_without(other, greatest)),
            [] => false,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Multiply, right }) => {
            (is_factor(left) && rises(right, greatest)) || (rises(left, greatest) && is_factor(right))
        }
        other => is_without(other, greatest),
    }
}

fn is_without(expression: &Expr, column: &Column) -> bool {
    !expression.column_refs().contains(column)
}

/// True for a number that keeps the order of what it is multiplied with.
fn is_factor(expression: &Expr) -> bool {
    match plain(expression) {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => *number > 0,
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => *number > 0.0 && number.is_finite(),
        _ => false,
    }
}
