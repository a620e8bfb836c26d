//! A part of what was counted: the rows that tell about one account, or about one account in one Region.

use super::coverage::{Counted, Counts, Coverage, Place};

/// Counts of one log that tell about a place together.
///
/// Rows that name no account or no Region tell about every account or Region (version 2 of flow logs names no Region, console
/// exports name no account), and so do places that are no longer told apart: a place is called blind only when nothing that may
/// be about it was seen.
#[derive(Debug, Default)]
pub struct Scope<'a> {
    parts: Vec<&'a Counts>,
}

impl<'a> Scope<'a> {
    /// Rows of a log about an account in all Regions.
    pub fn of_account(coverage: &'a Coverage, log: &str, account: &str) -> Scope<'a> {
        let Some(counted) = coverage.log(log) else { return Scope::default() };
        let first = Place { account: account.to_owned(), region: String::new() };
        let own = counted.places.range(first..).take_while(|(place, _)| place.account == account);
        let mut parts: Vec<&Counts> = own.map(|(_, counts)| counts).collect();
        if !account.is_empty() {
            let nameless = counted.places.iter().take_while(|(place, _)| place.account.is_empty());
            parts.extend(nameless.map(|(_, counts)| counts));
        }
        Scope { parts }.with_others(counted)
    }

    /// Rows of a log about an account in one Region; in all when the Region is empty.
    pub fn of_place(coverage: &'a Coverage, log: &str, place: &Place) -> Scope<'a> {
        if place.region.is_empty() {
            return Scope::of_account(coverage, log, &place.account);
        }
        let Some(counted) = coverage.log(log) else { return Scope::default() };
        let mut parts = Vec::new();
        for account in [place.account.as_str(), ""] {
            for region in [place.region.as_str(), ""] {
                let key = Place { account: account.to_owned(), region: region.to_owned() };
                parts.extend(counted.places.get(&key));
            }
        }
        let known = counted.places.contains_key(place);
        if known { Scope { parts } } else { Scope { parts }.with_others(counted) }
    }

    /// All rows of a log.
    pub fn whole(coverage: &'a Coverage, log: &str) -> Scope<'a> {
        Scope { parts: coverage.log(log).map(|counted| &counted.whole).into_iter().collect() }
    }

    fn with_others(mut self, counted: &'a Counted) -> Scope<'a> {
        if counted.others.rows > 0 {
            self.parts.push(&counted.others);
        }
        self
    }

    /// Whether there are rows.
    pub fn any(&self) -> bool {
        self.parts.iter().any(|counts| counts.rows > 0)
    }

    /// Whether there are events of a category, and of one service when named.
    pub fn has(&self, category: &str, service: Option<&str>) -> bool {
        self.parts.iter().any(|counts| counts.events(category, service) > 0)
    }

    /// Whether there are events of a service in any category.
    pub fn uses(&self, service: &str) -> bool {
        self.parts.iter().any(|counts| counts.traces(service) > 0)
    }

    /// Whether some row has a value in a column.
    pub fn fills(&self, column: &str) -> bool {
        self.parts.iter().any(|counts| counts.filled(column) > 0)
    }

    /// CloudTrail: whether models were called. Invocation log: whether there is text.
    pub fn invokes(&self) -> bool {
        self.parts.iter().any(|counts| counts.invocations > 0)
    }

    /// CloudTrail: whether networks or machines were changed.
    pub fn changes_networks(&self) -> bool {
        self.parts.iter().any(|counts| counts.network_changes > 0)
    }
}
