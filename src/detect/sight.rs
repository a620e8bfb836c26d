//! Where a rule could be judged, where there was nothing to see, and where the logs are blind for it.
//!
//! What a need means differs, and so does where its absence matters:
//!
//! - **Management events** (and any CloudTrail row): per account. A trail of all Regions is what AWS sets up, global services
//!   (IAM, STS, CloudFront) write to `us-east-1` alone, and most Regions of most accounts are empty: asking for Management
//!   events in every Region would call almost everything blind. A Region is blind only when another log contradicts the trail:
//!   the invocation log has model calls there, and CloudTrail has nothing at all.
//! - **Data, network activity or Insight events of any service**: per account, because event selectors belong to a trail.
//! - **Data events of one service**: per account and Region. Where the service left no trace in any category, nobody uses it
//!   and there is nothing to see. Where it did, silence is blindness: a service that is set up or listed is used as well.
//! - **The invocation log**: per account and Region, because its configuration is. CloudTrail records the same calls, so it
//!   decides: model calls there and no log is blind; no model calls is nothing to see.
//! - **A column of the invocation log**: a log without texts (metadata only) is blind; one with texts in which the column is
//!   never filled (no tools, no guardrail) has nothing to show.
//! - **Flow logs**: an account without any is blind. Flow logs are set up per VPC, so of an account that has some, a Region
//!   without is blind only where machines or networks were changed; otherwise it has nothing to see.
//! - **A column of flow logs**: blind where flow logs are and the column is not: their format leaves it out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Rule;
use super::coverage::{Coverage, Place};
use super::need::Need;
use super::scope::Scope;

/// Blind places that a verdict names; the rest is counted.
const MOST_BLIND: usize = 50;

/// A place in which a rule could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blind {
    /// Why, without the place: `no Data events of s3.amazonaws.com`.
    pub because: Arc<str>,
    /// Account.
    pub account_id: String,
    /// Region; none when the reason holds for the whole account.
    pub region: Option<String>,
}

/// How far a rule could be judged. Places are pairs of account and Region.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// Places with all the evidence that the rule needs.
    pub judged: usize,
    /// Places in which nothing happened that the rule is about.
    pub nothing_to_see: usize,
    /// Places in which the evidence is missing.
    pub blind_places: usize,
    /// These places by reason, 50 at most; a reason that holds for an account stands once for all its Regions.
    pub blind: Vec<Blind>,
}

/// What one need finds in one place.
#[derive(Debug, Clone, PartialEq)]
enum Found {
    Evidence,
    Nothing,
    /// Why the evidence is missing, and whether in the whole account.
    Missing(Arc<str>, bool),
}

/// What every need of every rule finds in every place.
#[derive(Debug)]
pub struct Sights<'a> {
    places: Vec<&'a Place>,
    found: BTreeMap<&'a Need, Vec<Found>>,
}

impl<'a> Sights<'a> {
    /// Looks for the needs of `rules` in all places that were counted.
    pub fn over(coverage: &'a Coverage, rules: &'a [Rule]) -> Sights<'a> {
        let places = coverage.places();
        let needs: BTreeSet<&Need> = rules.iter().flat_map(|rule| &rule.needs).collect();
        let look = |need| places.iter().map(|place| find(coverage, need, place)).collect();
        let found = needs.into_iter().map(|need| (need, look(need))).collect();
        Sights { places, found }
    }

    /// Number of accounts that were counted.
    pub fn accounts(&self) -> usize {
        self.places.iter().map(|place| &place.account).collect::<BTreeSet<_>>().len()
    }

    /// How far `rule` can be judged.
    pub fn of(&self, rule: &Rule) -> Sight {
        let mut sight = Sight::default();
        let mut blind = BTreeSet::new();
        for (index, place) in self.places.iter().enumerate() {
            let found: Vec<&Found> = rule.needs.iter().filter_map(|need| self.found.get(need)?.get(index)).collect();
            let missing = found.iter().find_map(|found| match found {
                Found::Missing(because, everywhere) => Some((because.clone(), *everywhere)),
                _ => None,
            });
            match missing {
                Some((because, everywhere)) => {
                    sight.blind_places += 1;
                    let region = Some(place.region.clone()).filter(|region| !everywhere && !region.is_empty());
                    blind.insert(Blind { because, account_id: place.account.clone(), region });
                }
                None if found.contains(&&Found::Nothing) => sight.nothing_to_see += 1,
                None => sight.judged += 1,
            }
        }
        sight.blind = blind.into_iter().take(MOST_BLIND).collect();
        sight
    }
}

/// Looks for the evidence of a need in a place.
fn find(coverage: &Coverage, need: &Need, place: &Place) -> Found {
    let here = |log| Scope::of_place(coverage, log, place);
    let account = |log| Scope::of_account(coverage, log, &place.account);
    let trail = account("cloudtrail");
    match need {
        Need::Log(log) if log == "cloudtrail" => {
            if trail.any() {
                covered(coverage, place)
            } else {
                missing("no CloudTrail events".into(), true)
            }
        }
        Need::Category(category, None) => match trail.has(category, None) {
            true if category == "Management" => covered(coverage, place),
            true => Found::Evidence,
            false => missing(format!("no {category} events"), true),
        },
        Need::Category(category, Some(service)) => {
            let events = here("cloudtrail");
            if events.has(category, Some(service)) {
                Found::Evidence
            } else if !trail.any() {
                missing("no CloudTrail events".into(), true)
            } else if events.uses(service) {
                missing(format!("no {category} events of {service}"), false)
            } else {
                Found::Nothing
            }
        }
        Need::Log(log) if log == "bedrock" => invocation_log(coverage, place),
        Need::Log(_) => flow_log(coverage, place),
        Need::Column(log, column) => {
            let of_log = find(coverage, &Need::Log(log.clone()), place);
            let rows = here(log);
            match of_log {
                Found::Evidence if rows.fills(column) => Found::Evidence,
                Found::Evidence if log == "bedrock" && rows.invokes() => Found::Nothing,
                Found::Evidence => missing(format!("no row has a value in {log}.{column}"), false),
                other => other,
            }
        }
    }
}

/// A Region of an account that has a trail: blind only if models were called there that CloudTrail does not know of.
fn covered(coverage: &Coverage, place: &Place) -> Found {
    let called = coverage.log("bedrock").is_some_and(|log| log.places.contains_key(place));
    if called && !Scope::of_place(coverage, "cloudtrail", place).any() {
        return missing("no CloudTrail events, though models were called".into(), false);
    }
    Found::Evidence
}

fn invocation_log(coverage: &Coverage, place: &Place) -> Found {
    if Scope::of_place(coverage, "bedrock", place).any() {
        return Found::Evidence;
    }
    if Scope::of_place(coverage, "cloudtrail", place).invokes() {
        return missing("no invocation log, though models were called".into(), false);
    }
    if Scope::of_account(coverage, "cloudtrail", &place.account).any() {
        return Found::Nothing;
    }
    missing("neither an invocation log nor CloudTrail events that would say whether models were called".into(), true)
}

fn flow_log(coverage: &Coverage, place: &Place) -> Found {
    if Scope::of_place(coverage, "vpcflow", place).any() {
        return Found::Evidence;
    }
    if !Scope::of_account(coverage, "vpcflow", &place.account).any() {
        return missing("no flow logs".into(), true);
    }
    if Scope::of_place(coverage, "cloudtrail", place).changes_networks() {
        return missing("no flow logs, though machines or networks were changed".into(), false);
    }
    Found::Nothing
}

fn missing(because: String, everywhere: bool) -> Found {
    Found::Missing(because.into(), everywhere)
}
