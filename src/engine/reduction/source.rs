//! Keys of fresh rows: where they are found with the least to read.

use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};

use super::novelty::Novelty;
use super::origin::{asks_for_fresh, is_row_by_row, origins};
use super::pace::Pace;
use super::pairs::pairs;
use super::screen::Screen;
use super::sieve::Sieve;

/// Rows and what of them are keys. Other rows may be among them too: never fewer.
#[derive(Debug, Clone)]
pub struct Source {
    rows: LogicalPlan,
    /// Groups that tell which of the rows matter.
    sieves: Vec<Sieve>,
    /// Expressions over the rows.
    pub keys: Vec<Expr>,
}

impl Source {
    /// Those of `keys` that fresh rows tell, by position, for rows of `node` that meet `conditions`, one of which asks for fresh
    /// ones; none when more has to be read than fresh rows of one table. They are looked for as far down as the conditions and
    /// some key are known: below what groups, sorts and joins whole histories.
    pub fn below(node: &LogicalPlan, conditions: Vec<Expr>, keys: Vec<Expr>) -> Result<Option<(Source, Vec<usize>)>> {
        let keys = keys.into_iter().enumerate().collect();
        let mut at = Place { node, conditions, keys, new: Vec::new(), paces: Vec::new(), screens: Vec::new() };
        while let Some(below) = at.step() {
            at = below;
        }
        let Place { node, conditions, keys, new, paces, screens } = at;
        if !is_row_by_row(node) {
            return Ok(None);
        }
        let mut sieves = Vec::new();
        for new in new {
            sieves.extend(new.sieve(node, &conditions, 0)?);
        }
        for pace in paces {
            sieves.extend(pace.sieve(node, &conditions)?);
        }
        for screen in screens {
            sieves.extend(screen.sieves(node, &conditions)?);
        }
        let rows = match conjunction(conditions) {
            Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, node.clone().into())?),
            None => node.clone(),
        };
        let (places, keys) = keys.into_iter().unzip();
        Ok(Some((Source { rows, sieves, keys }, places)))
    }

    /// The same rows with these of the keys.
    pub fn with(&self, keys: Vec<Expr>) -> Source {
        Source { keys, ..self.clone() }
    }

    /// Adds the keys of a source that has the same rows: where each of them stands; none, and nothing added, when its rows are
    /// others.
    pub fn add(&mut self, other: &Source) -> Option<Vec<usize>> {
        if self.rows != other.rows || self.sieves != other.sieves {
            return None;
        }
        let mut places = Vec::with_capacity(other.keys.len());
        for key in &other.keys {
            let place = self.keys.iter().position(|known| known == key).unwrap_or(self.keys.len());
            if place == self.keys.len() {
                self.keys.push(key.clone());
            }
            places.push(place);
        }
        Some(places)
    }

    /// The query for the keys, each once.
    pub fn query(&self) -> Result<LogicalPlan> {
        let mut rows = self.rows.clone();
        for sieve in &self.sieves {
            rows = sieve.of(rows)?;
        }
        let named = self.keys.iter().enumerate().map(|(place, key)| key.clone().alias(format!("key{place}")));
        LogicalPlanBuilder::from(rows).project(named)?.distinct()?.build()
    }
}

/// What is known of the rows of a node on the way down.
struct Place<'a> {
    node: &'a LogicalPlan,
    conditions: Vec<Expr>,
    /// With their positions among all keys.
    keys: Vec<(usize, Expr)>,
    new: Vec<Novelty>,
    paces: Vec<Pace>,
    screens: Vec<Screen>,
}

impl<'a> Place<'a> {
    /// The same for an input of the node, where that is possible.
    fn step(&self) -> Option<Place<'a>> {
        let equal = match self.node {
            LogicalPlan::Join(join) if join.join_type == JoinType::Inner => pairs(join, &self.conditions),
            _ => Vec::new(),
        };
        for (origin, input) in origins(self.node) {
            let mut keys = Vec::with_capacity(self.keys.len());
            for (place, key) in &self.keys {
                let partners = equal.iter().filter_map(|(left, right)| match (left == key, right == key) {
                    (true, _) => Some(right),
                    (_, true) => Some(left),
                    _ => None,
                });
                let below = std::iter::once(key).chain(partners).find_map(|key| origin.exact(key));
                keys.extend(below.map(|key| (*place, key)));
            }
            let mut conditions = origin.implied(&self.conditions, input);
            let mut new: Vec<Novelty> = self.new.iter().filter_map(|new| new.below(&origin)).collect();
            let mut paces: Vec<Pace> = self.paces.iter().filter_map(|pace| pace.below(&origin)).collect();
            let mut screens: Vec<Screen> =
                self.screens.iter().filter_map(|screen| screen.below(self.node, &origin)).collect();
            match self.node {
                LogicalPlan::Filter(filter) => {
                    conditions.extend(origin.implied(std::slice::from_ref(&filter.predicate), input));
                }
                LogicalPlan::Window(window) => {
                    new.extend(Novelty::asked(window, &self.conditions));
                    paces.extend(Pace::asked(window, &self.conditions));
                }
                LogicalPlan::Aggregate(aggregate) => {
                    screens.extend(Screen::asked(self.node, aggregate, &self.conditions));
                }
                _ => {}
            }
            if !keys.is_empty() && conditions.iter().any(|condition| asks_for_fresh(input, condition)) {
                return Some(Place { node: input, conditions, keys, new, paces, screens });
            }
        }
        None
    }
}
