//! When fresh rows begin, as conditions tell, and how long intervals are.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};

use super::origin::{origins, plain};

/// Microseconds of a day.
const DAY: i64 = 24 * 3_600_000_000;

/// Microseconds of history before fresh rows that are looked at for their groups: what happens daily is known from a day before.
/// It decides how much is read, not what is found.
pub const RECENT: i64 = DAY;

/// Years around 1970 in which slots of time are known, which are counted in nanoseconds.
const YEARS: i64 = 290;

/// Microseconds (since 1970 UTC) from which on the `time` of rows of `node` is that meet `conditions`.
pub fn begin(node: &LogicalPlan, time: &Expr, conditions: &[Expr]) -> Option<i64> {
    conditions.iter().find_map(|condition| asked(node, time, condition))
}

fn asked(node: &LogicalPlan, time: &Expr, condition: &Expr) -> Option<i64> {
    if let Some((_, Expr::Literal(begin, _))) = sides(condition, Operator::GtEq).filter(|(left, _)| *left == time) {
        // Text, numbers and times of other zones are compared in other ways.
        let is_utc = is_utc(&time.get_type(node.schema()).ok()?);
        let is_known = matches!(begin, ScalarValue::Utf8(_) | ScalarValue::Date32(_)) || is_utc_instant(begin);
        let begin = begin.cast_to(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        return match begin {
            Ok(ScalarValue::TimestampMicrosecond(begin, _)) if is_utc && is_known => {
                begin.filter(|begin| begin.abs() < YEARS * 365 * DAY)
            }
            _ => None,
        };
    }
    origins(node).iter().find_map(|(origin, input)| asked(input, &origin.exact(time)?, &origin.exact(condition)?))
}

fn is_utc(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(_, zone) => zone.as_deref().is_none_or(|zone| ["UTC", "+00:00", "Z"].contains(&zone)),
        _ => false,
    }
}

fn is_utc_instant(value: &ScalarValue) -> bool {
    is_utc(&value.data_type())
}

/// The sides of a condition or sum.
pub fn sides(expression: &Expr, operator: Operator) -> Option<(&Expr, &Expr)> {
    match plain(expression) {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == operator => Some((left, right)),
        _ => None,
    }
}

/// Microseconds since 1970 UTC.
pub fn instant(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}

/// The length of an interval in microseconds; none for months, which have many.
pub fn span(interval: &Expr) -> Option<i64> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = interval else { return None };
    let days = i64::from(interval.days).checked_mul(DAY)?;
    let whole = days.checked_add(interval.nanoseconds / 1_000)?;
    (interval.months == 0 && whole >= 0).then_some(whole)
}
