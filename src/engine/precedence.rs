//! JSON operators bind more tightly than comparisons, as in PostgreSQL.

use datafusion::logical_expr::sqlparser::ast::{BinaryOperator, Expr, Ident};

/// True for operators that reach into JSON.
pub fn is_json_operator(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Arrow | BinaryOperator::LongArrow | BinaryOperator::HashArrow | BinaryOperator::HashLongArrow
    )
}

/// Makes JSON operators bind more tightly than comparisons, as in PostgreSQL: the parser reads `a ->> 'k' = 'v'` as
/// `a ->> ('k' = 'v')` and `'v' = a ->> 'k'` as `('v' = a) ->> 'k'`. Brackets that people write are kept by the parser
/// as a node of their own, so only what was not bracketed is regrouped.
pub fn regroup(expr: &mut Expr) {
    let Expr::BinaryOp { left, op, right } = expr else { return };
    let op = op.clone();
    let (mut before, mut after) = (take(left), take(right));
    let value = last_operand(&mut before).map(take);
    let key = first_operand(&mut after).map(take);
    let (comparison_before, comparison_after) = (value.is_some(), key.is_some());
    let value = value.unwrap_or_else(|| take(&mut before));
    let key = key.unwrap_or_else(|| take(&mut after));
    let mut whole = Expr::BinaryOp { left: Box::new(value), op, right: Box::new(key) };
    if comparison_after && let Some(hole) = first_operand(&mut after) {
        *hole = whole;
        whole = after;
    }
    if comparison_before && let Some(hole) = last_operand(&mut before) {
        *hole = whole;
        whole = before;
    }
    *expr = whole;
}

/// The operand at the end of a comparison; `None` for anything that is not one.
fn last_operand(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::BinaryOp { right, op, .. } if is_comparison(op) => Some(right),
        Expr::Like { pattern, .. } | Expr::ILike { pattern, .. } | Expr::SimilarTo { pattern, .. } => Some(pattern),
        Expr::Between { high, .. } => Some(high),
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => Some(right),
        _ => None,
    }
}

/// The operand at the beginning of a comparison; `None` for anything that is not one.
fn first_operand(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::BinaryOp { left, op, .. } if is_comparison(op) => Some(left),
        Expr::Like { expr, .. }
        | Expr::ILike { expr, .. }
        | Expr::SimilarTo { expr, .. }
        | Expr::Between { expr, .. }
        | Expr::InList { expr, .. }
        | Expr::InSubquery { expr, .. }
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsDistinctFrom(expr, _)
        | Expr::IsNotDistinctFrom(expr, _) => Some(expr),
        _ => None,
    }
}

fn is_comparison(op: &BinaryOperator) -> bool {
    use BinaryOperator::*;
    matches!(
        op,
        Eq | NotEq
            | Lt
            | LtEq
            | Gt
            | GtEq
            | Spaceship
            | PGRegexMatch
            | PGRegexIMatch
            | PGRegexNotMatch
            | PGRegexNotIMatch
            | PGLikeMatch
            | PGILikeMatch
            | PGNotLikeMatch
            | PGNotILikeMatch
    )
}

/// Takes an expression out of the tree; what is left behind is filled or dropped before anyone looks.
pub fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Identifier(Ident::new("")))
}
