//! Fresh rows that only count in a group that was not there before.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{JoinConstraint, JoinType, NullEquality, Result, ScalarValue};
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator, Window, WindowFrame, lit,
};

use super::origin::{Origin, is_row_by_row, origins, plain};

/// Microseconds of a day.
const DAY: i64 = 24 * 3_600_000_000;
/// Microseconds of history before fresh rows that are looked at for their groups: what happens daily is known from a day before.
/// It decides how much is read, not what is found.
const RECENT: i64 = DAY;

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

    /// The groups that were there shortly before fresh rows begin; none when rows of `node` that meet `conditions` may be older.
    pub fn before(&self, node: &LogicalPlan, conditions: &[Expr]) -> Result<Option<Before>> {
        let Some(begin) = conditions.iter().find_map(|condition| begin(node, &self.time, condition)) else {
            return Ok(None);
        };
        let end = begin.saturating_sub(self.slack);
        let is_before = self.seen_time.clone().lt(instant(end));
        let is_recent = self.seen_time.clone().gt_eq(instant(end.saturating_sub(RECENT)));
        let rows = LogicalPlan::Filter(Filter::try_new(is_recent.and(is_before), self.seen.clone().into())?);
        let named = self.seen_keys.iter().enumerate().map(|(place, key)| key.clone().alias(format!("before{place}")));
        let groups = LogicalPlanBuilder::from(rows).project(named)?.distinct()?.build()?;
        Ok(Some(Before { keys: self.keys.clone(), groups }))
    }
}

/// Groups that were there before.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    /// Keys of the group of a row.
    keys: Vec<Expr>,
    /// The same, of each group that was there.
    groups: LogicalPlan,
}

impl Before {
    /// Those of `rows` whose group was not there.
    pub fn without(&self, rows: LogicalPlan) -> Result<LogicalPlan> {
        let columns = self.groups.schema().columns().into_iter().map(Expr::Column);
        let pairs = self.keys.iter().cloned().zip(columns).collect();
        let (rows, groups) = (rows.into(), self.groups.clone().into());
        let (kind, by) = (JoinType::LeftAnti, JoinConstraint::On);
        // Null is a key of its own in a window.
        let equal = NullEquality::NullEqualsNull;
        Ok(LogicalPlan::Join(Join::try_new(rows, groups, pairs, None, kind, by, equal, false)?))
    }
}

/// Microseconds (since 1970 UTC) from which on the `time` of rows of `node` is that meet `condition`.
fn begin(node: &LogicalPlan, time: &Expr, condition: &Expr) -> Option<i64> {
    if let Some((_, Expr::Literal(begin, _))) = sides(condition, Operator::GtEq).filter(|(left, _)| *left == time) {
        return match begin.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))) {
            Ok(ScalarValue::TimestampMicrosecond(begin, _)) => begin,
            _ => None,
        };
    }
    origins(node).iter().find_map(|(origin, input)| begin(input, &origin.exact(time)?, &origin.exact(condition)?))
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
    // Windows that stand on each other see the same rows.
    while let LogicalPlan::Window(other) = seen {
        seen = &other.input;
    }
    let origin = Origin::same(seen.schema());
    let seen_keys = keys.iter().map(|key| origin.exact(key)).collect::<Option<Vec<_>>>()?;
    let seen_time = origin.exact(time)?;
    let is_worth_it = !keys.is_empty() && is_row_by_row(seen);
    is_worth_it.then(|| Novelty { keys, time: time.clone(), seen: seen.clone(), seen_keys, seen_time, slack })
}

/// The function that makes the column `result` of a window.
fn made_by<'a>(window: &'a Window, result: &Expr) -> Option<&'a WindowFunction> {
    let Expr::Column(column) = result else { return None };
    let place = window.schema.maybe_index_of_column(column)?.checked_sub(window.input.schema().fields().len())?;
    match plain(window.window_expr.get(place)?) {
        Expr::WindowFunction(function) => Some(function),
        _ => None,
    }
}

fn sides(expression: &Expr, operator: Operator) -> Option<(&Expr, &Expr)> {
    match plain(expression) {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == operator => Some((left, right)),
        _ => None,
    }
}

/// The length of an interval in microseconds; none for months, which have many.
fn span(interval: &Expr) -> Option<i64> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = interval else { return None };
    let days = i64::from(interval.days).checked_mul(DAY)?;
    let whole = days.checked_add(interval.nanoseconds / 1_000)?;
    (interval.months == 0 && whole >= 0).then_some(whole)
}

/// Microseconds since 1970 UTC.
fn instant(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}
