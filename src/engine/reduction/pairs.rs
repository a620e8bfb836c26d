//! What is equal on both sides of a join.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::JoinType;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Join, Operator};

use super::origin::Origin;

/// What is equal on both sides of a join, where rows matter that meet `rows`.
pub fn pairs(join: &Join, rows: &[Expr]) -> Vec<(Expr, Expr)> {
    let conditions = join.filter.iter().flat_map(split_conjunction);
    // A condition above an outer join may hold for rows without a partner.
    let above = rows.iter().filter(|_| join.join_type == JoinType::Inner);
    let equal = conditions.chain(above).filter_map(|condition| match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => Some((left.as_ref(), right.as_ref())),
        _ => None,
    });
    let (left, right) = (Origin::same(join.left.schema()), Origin::same(join.right.schema()));
    let mut pairs = Vec::new();
    for (one, other) in join.on.iter().map(|(left, right)| (left, right)).chain(equal) {
        for (one, other) in [(one, other), (other, one)] {
            let has_columns = !one.column_refs().is_empty() && !other.column_refs().is_empty();
            let is_across = has_columns && left.exact(one).is_some() && right.exact(other).is_some();
            if is_across && has_same_type(join, one, other) {
                pairs.push((one.clone(), other.clone()));
            }
        }
    }
    pairs
}

/// Values of one type, or texts: others may be equal in ways that keys do not know.
fn has_same_type(join: &Join, left: &Expr, right: &Expr) -> bool {
    let is_text = |found: &DataType| matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (left.get_type(join.left.schema()), right.get_type(join.right.schema())) {
        (Ok(left), Ok(right)) => left == right || (is_text(&left) && is_text(&right)),
        _ => false,
    }
}
