//! Kinds of events that catches want, as conditions that all their rows meet.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::Result as PlanResult;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::prelude::{col, lit};

use super::bands::Wish;
use super::keys::DISPATCH;
use super::table::{is_selective, is_sure};
use crate::engine::repeats::once_per_value;

/// Values up to which a list is compared with what is known of a page: DataFusion's limit.
const MOST_LISTED: usize = 20;

/// What catches want of the dispatch columns.
#[derive(Debug, Default)]
pub struct Kinds {
    /// Values of the most telling dispatch column of each catch, one of which a row has.
    values: [BTreeSet<String>; DISPATCH.len()],
    /// Conditions of catches without such values.
    others: Vec<Expr>,
    /// All values of each dispatch column; none when some catch takes any.
    all: [Option<BTreeSet<String>>; DISPATCH.len()],
}

/// The condition that a row is of the times of some catch, and of a kind that it wants; none when any row may be wanted. By
/// that, files and pages are passed over.
pub fn windows(wishes: &[Wish]) -> Option<Expr> {
    let mut windows: Vec<(Option<Expr>, Vec<&Wish>)> = Vec::new();
    for wish in wishes {
        let of_time = wish.filters.iter().filter(|filter| !is_selective(filter) && is_sure(filter));
        let window = conjunction(of_time.cloned());
        match windows.iter_mut().find(|(same, _)| *same == window) {
            Some((_, wishes)) => wishes.push(wish),
            None => windows.push((window, vec![wish])),
        }
    }
    let conditions = windows
        .into_iter()
        .map(|(window, wishes)| conjunction(window.into_iter().chain(Kinds::of(wishes).condition())));
    disjunction(conditions.collect::<Option<Vec<_>>>()?)
}

impl Kinds {
    /// Those that `wishes` are for.
    pub fn of<'a>(wishes: impl IntoIterator<Item = &'a Wish>) -> Kinds {
        let mut kinds = Kinds { all: DISPATCH.map(|_| Some(BTreeSet::new())), ..Kinds::default() };
        for Wish { catch, filters } in wishes {
            let wanted = DISPATCH.map(|column| catch.keys.values(column));
            match wanted.iter().zip(&mut kinds.values).find_map(|(wanted, values)| Some(((*wanted)?, values))) {
                Some((wanted, values)) => values.extend(wanted.iter().cloned()),
                None => {
                    let sure = conjunction(filters.iter().filter(|filter| is_sure(filter)).cloned());
                    kinds.others.push(sure.unwrap_or_else(|| lit(true)));
                }
            }
            for (all, wanted) in kinds.all.iter_mut().zip(wanted) {
                match (all.as_mut(), wanted) {
                    (Some(all), Some(wanted)) => all.extend(wanted.iter().cloned()),
                    _ => *all = None,
                }
            }
        }
        kinds
    }

    /// What is asked of every row of a table, for little; nothing when not all catches want some kinds.
    pub fn conditions(self, table: &Schema, state: &SessionState) -> PlanResult<Vec<Expr>> {
        if !self.others.is_empty() {
            return Ok(Vec::new());
        }
        // Conditions on one column alone are what pages are passed over by: rows lie by kind.
        let few =
            self.all.clone().map(|values| values.filter(|values| values.len() <= MOST_LISTED).unwrap_or_default());
        let pages: Vec<Expr> = listed(few).collect();
        let kinds = self.condition().map(|kinds| once_per_value(kinds, table, state)).transpose()?;
        Ok(kinds.into_iter().chain(pages).collect())
    }

    /// None when any row may be wanted.
    fn condition(self) -> Option<Expr> {
        disjunction(listed(self.values).chain(self.others))
    }
}

/// A condition for each dispatch column with values, that a row has one of them.
fn listed(values: [BTreeSet<String>; DISPATCH.len()]) -> impl Iterator<Item = Expr> {
    let listed = DISPATCH.iter().zip(values).filter(|(_, values)| !values.is_empty());
    listed.map(|(column, values)| col(*column).in_list(values.into_iter().map(lit).collect(), false))
}
