//! Days of a table by who wants them: of years before the last days, only what few catches look for is read.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::prelude::{col, lit};

use super::catch::Catch;
use crate::lake::day_of;
use crate::table::{DATE, TIME};

/// Days that the same catches want.
#[derive(Debug)]
pub struct Band {
    /// First day, and first day after it (since 1970 UTC); no limit when none.
    first: Option<i32>,
    end: Option<i32>,
    /// Catches that want rows of these days.
    pub catches: Vec<Arc<Catch>>,
}

/// Bands that have all days that some catch wants, oldest first.
pub fn bands(catches: &[Arc<Catch>]) -> Vec<Band> {
    let firsts: Vec<Option<i32>> = catches.iter().map(|catch| first_day(&catch.filters)).collect();
    let edges: BTreeSet<Option<i32>> = firsts.iter().copied().collect();
    let ends = edges.iter().skip(1).copied().chain([None]);
    let wanting = |edge: Option<i32>| {
        let own = catches.iter().zip(&firsts).filter(move |(_, first)| **first <= edge);
        own.map(|(catch, _)| catch.clone()).collect()
    };
    edges.iter().zip(ends).map(|(first, end)| Band { first: *first, end, catches: wanting(*first) }).collect()
}

impl Band {
    /// Conditions that a row is of its days.
    pub fn days(&self) -> Vec<Expr> {
        let day = |day: i32| lit(ScalarValue::Date32(Some(day)));
        let first = self.first.map(|first| col(DATE).gt_eq(day(first)));
        first.into_iter().chain(self.end.map(|end| col(DATE).lt(day(end)))).collect()
    }
}

/// The day before which no row meets `conditions`; none where that is not known.
fn first_day(conditions: &[Expr]) -> Option<i32> {
    conditions.iter().filter_map(first_day_of).max()
}

fn first_day_of(condition: &Expr) -> Option<i32> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::GtEq | Operator::Gt, right }) = condition else {
        return None;
    };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Date32(day), _)) if column.name == DATE => *day,
        (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(time, _), _))
            if column.name == TIME.name =>
        {
            time.map(day_of)
        }
        _ => None,
    }
}
