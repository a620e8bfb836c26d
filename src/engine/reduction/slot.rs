//! Slots of time of one width: `date_bin(width, time)`.

use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;

use super::begin::instant;

/// The parts of `date_bin(width, time)`, where the width is the same for all rows.
pub struct Slot<'a> {
    function: &'a ScalarFunction,
    pub width: &'a Expr,
    pub time: &'a Expr,
}

/// What the expression says of a slot, if it is one.
pub fn binned(key: &Expr) -> Option<Slot<'_>> {
    let Expr::ScalarFunction(function) = key else { return None };
    let [width, time] = function.args.as_slice() else { return None };
    let is_slot = function.name() == "date_bin" && matches!(width, Expr::Literal(..));
    is_slot.then_some(Slot { function, width, time })
}

impl Slot<'_> {
    /// What rows meet that are of the slot in which `begin` (microseconds since 1970 UTC) is, or of a later one: slots begin at or
    /// before their rows, and do not overlap.
    pub fn reached_from(&self, begin: i64) -> Expr {
        let first = self.function.func.call(vec![self.width.clone(), instant(begin)]);
        self.time.clone().gt_eq(first)
    }
}
