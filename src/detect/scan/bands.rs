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

/// What a catch asks of a row of some days.
#[derive(Debug)]
pub struct Wish {
    /// Who asks.
    pub catch: Arc<Catch>,
    /// Its conditions, without those that all rows of these days meet.
    pub filters: Vec<Expr>,
}

/// A lower bound of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    /// Day before which no row meets it.
    day: i32,
    /// True when not all rows of that day do.
    is_within: bool,
}

/// Bands that have all days that some catch wants, oldest first. A day of which a catch wants a part is a band of its own where
/// every row would be asked for its time.
pub fn bands(catches: &[Arc<Catch>]) -> Vec<Band> {
    let bounds: Vec<Option<Bound>> = catches.iter().map(|catch| catch.filters.iter().filter_map(bound).max()).collect();
    let mut edges: BTreeSet<Option<i32>> = bounds.iter().map(|bound| bound.map(|bound| bound.day)).collect();
    if catches.iter().any(|catch| catch.keys.is_empty()) {
        edges.extend(
            bounds.iter().flatten().filter(|bound| bound.is_within).map(|bound| Some(bound.day.saturating_add(1))),
        );
    }
    let ends = edges.iter().skip(1).copied().chain([None]);
    let wanting = |edge: Option<i32>| {
        let own = catches.iter().zip(&bounds).filter(move |(_, bound)| bound.map(|bound| bound.day) <= edge);
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

    /// What its catches ask of its rows.
    pub fn wishes(&self) -> Vec<Wish> {
        let wish = |catch: &Arc<Catch>| {
            let filters = catch.filters.iter().filter(|filter| !self.implies(filter)).cloned().collect();
            Wish { catch: catch.clone(), filters }
        };
        self.catches.iter().map(wish).collect()
    }

    /// True for a condition that all rows of its days meet.
    fn implies(&self, condition: &Expr) -> bool {
        let is_after =
            |bound: Bound| self.first.is_some_and(|first| first > bound.day || first == bound.day && !bound.is_within);
        let is_before = |bound: Bound| self.end.is_some_and(|end| end <= bound.day);
        bound(condition).is_some_and(is_after) || denied_bound(condition).is_some_and(is_before)
    }
}

/// The lower bound that a condition says no row meets: of what is not fresh.
fn denied_bound(condition: &Expr) -> Option<Bound> {
    let Expr::IsNotTrue(denied) = condition else { return None };
    bound(denied)
}

/// The lower bound that a condition says, if that is all that it says.
fn bound(condition: &Expr) -> Option<Bound> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
    let is_after = match op {
        Operator::GtEq => false,
        Operator::Gt => true,
        _ => return None,
    };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Date32(Some(day)), _)) if column.name == DATE => {
            Some(Bound { day: *day, is_within: is_after })
        }
        (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(Some(time), _), _))
            if column.name == TIME.name =>
        {
            Some(Bound { day: day_of(*time), is_within: is_after || day_of(time.saturating_sub(1)) == day_of(*time) })
        }
        _ => None,
    }
}
