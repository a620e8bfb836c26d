//! Chains: what rules found one by one, in order and tied together, is one incident.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use crate::engine::arn;
use crate::findings::{Finding, Severity};

/// How much earlier than the step before it a step may stand in the logs: clocks differ, and logs name the moment at which
/// a call began or ended.
const TOLERANCE: Duration = Duration::minutes(5);

/// Steps that together are one incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// In order; at least two, of which the first and the last have to happen.
    pub steps: Vec<Step>,
    /// Longest time from the end of one step to the beginning of the next.
    pub span: Duration,
}

/// A step of a chain: any of the findings that it asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What someone does, in words.
    pub what: String,
    /// Rules, any of which finds it; none for every rule that no other step names.
    pub rules: Vec<String>,
    /// Least severity of the finding.
    pub severity: Severity,
    /// True when the chain holds without it.
    pub optional: bool,
    /// What ties it to the step before it; any of these suffices.
    pub links: Vec<Link>,
}

/// What two findings share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The access key, which is also that of one role session.
    AccessKey,
    /// The user or role, or one from which its credentials came by assuming roles.
    Principal,
    /// The source address.
    Address,
    /// The source address, in one account: people of other accounts may share the way out of a company.
    AddressInAccount,
    /// In one account: what was acted on, or the principal of that name.
    Resource,
    /// The account.
    Account,
}

/// What a chain needs of a finding, whether it was made in this run or is kept in the lake.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "fields are columns of findings")]
pub struct Child {
    pub finding_id: String,
    pub rule_id: String,
    pub title: String,
    pub severity: Severity,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub principal: Option<String>,
    pub access_key_id: Option<String>,
    pub source_ip: Option<String>,
    pub model_id: Option<String>,
    pub resource: Option<String>,
    /// True for an incident, which is no step of another.
    pub is_incident: bool,
    /// True when its last event is inside the window that is judged.
    pub fresh: bool,
    /// Principals and access keys from which the credentials came by assuming roles.
    pub origins: BTreeSet<(Link, String)>,
}

/// A step that was taken: its number, from 0, and the place of its finding among the children.
pub type Taken = (usize, usize);

impl Chain {
    /// Rules that the steps name.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().flat_map(|step| step.rules.iter().map(String::as_str))
    }

    /// True when a finding of this rule and severity is what the step asks for.
    pub fn is_step(&self, step: &Step, rule_id: &str, severity: Severity, is_incident: bool) -> bool {
        let named = match step.rules.is_empty() {
            true => !self.rules().any(|rule| rule == rule_id),
            false => step.rules.iter().any(|rule| rule == rule_id),
        };
        named && severity >= step.severity && !is_incident
    }

    /// Every way through the chain, one for each finding that completes it. Each step follows the latest finding that it can
    /// follow, so the same children give the same ways. `children` are in the order of [`in_order`].
    pub fn ways(&self, children: &[Child]) -> Vec<Vec<Taken>> {
        let ties: Vec<BTreeSet<(Link, String)>> = children.iter().map(Child::ties).collect();
        let mut reached: Vec<Reached> = Vec::with_capacity(self.steps.len());
        for (number, step) in self.steps.iter().enumerate() {
            let mut here = Reached::default();
            for (place, (child, ties)) in children.iter().zip(&ties).enumerate() {
                if !child.is_step(self, step) {
                    continue;
                }
                let mut way = match number {
                    0 => Vec::new(),
                    _ => match self.before(number).filter_map(|n| reached.get(n)).find_map(|earlier| {
                        let tied = ties.iter().filter(|(link, _)| step.links.contains(link));
                        earlier.latest(child, place, tied, self.span)
                    }) {
                        Some(before) => before.to_vec(),
                        None => continue,
                    },
                };
                way.push((number, place));
                here.add(child, ties, way);
            }
            reached.push(here);
        }
        reached.pop().map(|last| last.ways).unwrap_or_default()
    }

    /// Steps that the step `number` may come after, nearest first: the one before it, and those before optional ones.
    fn before(&self, number: usize) -> impl Iterator<Item = usize> {
        let mut open = true;
        (0..number).rev().take_while(move |earlier| {
            let taken = open;
            open = open && self.steps.get(*earlier).is_some_and(|step| step.optional);
            taken
        })
    }
}

/// The order of children: by their first event, then by id.
pub fn in_order(children: &mut [Child]) {
    children.sort_by(|a, b| (a.first_seen, &a.finding_id).cmp(&(b.first_seen, &b.finding_id)));
}

/// Findings with which a step was reached.
#[derive(Debug, Default)]
struct Reached {
    ways: Vec<Vec<Taken>>,
    /// Findings by what ties them, in order.
    tied: HashMap<(Link, String), Vec<Mark>>,
}

/// Where a finding stands among those that share a tie.
#[derive(Debug)]
struct Mark {
    first_seen: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    /// Latest end of this one and all before it.
    latest_end: DateTime<Utc>,
    way: usize,
}

impl Reached {
    fn add(&mut self, child: &Child, ties: &BTreeSet<(Link, String)>, way: Vec<Taken>) {
        for tie in ties {
            let marks = self.tied.entry(tie.clone()).or_default();
            let latest_end = marks.last().map_or(child.last_seen, |mark| mark.latest_end.max(child.last_seen));
            let (first_seen, last_seen) = (child.first_seen, child.last_seen);
            marks.push(Mark { first_seen, last_seen, latest_end, way: self.ways.len() });
        }
        self.ways.push(way);
    }

    /// The way to the latest finding that `child`, at `place`, can follow.
    fn latest<'a>(
        &self,
        child: &Child,
        place: usize,
        ties: impl Iterator<Item = &'a (Link, String)>,
        span: Duration,
    ) -> Option<&[Taken]> {
        let earliest_end = child.first_seen - span;
        let mut best: Option<usize> = None;
        for tie in ties {
            let Some(marks) = self.tied.get(tie) else { continue };
            let end = marks.partition_point(|mark| mark.first_seen <= child.last_seen + TOLERANCE);
            for mark in marks.iter().take(end).rev() {
                if mark.latest_end < earliest_end || best.is_some_and(|best| best >= mark.way) {
                    break;
                }
                let is_new = self.ways.get(mark.way).is_some_and(|way| way.iter().all(|(_, taken)| *taken != place));
                if mark.last_seen >= earliest_end && is_new {
                    best = Some(mark.way);
                    break;
                }
            }
        }
        best.and_then(|way| self.ways.get(way)).map(Vec::as_slice)
    }
}

impl Child {
    /// What a chain needs of a finding of this run.
    pub fn of(finding: &Finding) -> Child {
        Child {
            finding_id: finding.finding_id.clone(),
            rule_id: finding.rule.rule_id.clone(),
            title: finding.rule.title.clone(),
            severity: finding.rule.severity,
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            account_id: finding.account_id.clone(),
            region: finding.region.clone(),
            principal: finding.principal.clone(),
            access_key_id: finding.access_key_id.clone(),
            source_ip: finding.source_ip.clone(),
            model_id: finding.model_id.clone(),
            resource: finding.resource.clone(),
            is_incident: !finding.children.is_empty(),
            fresh: true,
            origins: BTreeSet::new(),
        }
    }

    /// True when it is what the step of the chain asks for.
    pub fn is_step(&self, chain: &Chain, step: &Step) -> bool {
        chain.is_step(step, &self.rule_id, self.severity, self.is_incident)
    }

    /// Everything by which it can be tied to another finding.
    fn ties(&self) -> BTreeSet<(Link, String)> {
        let mut ties = self.origins.clone();
        let account = self.account_id.as_deref().unwrap_or_default();
        let mut tie = |link: Link, value: &str| {
            if !value.is_empty() {
                ties.insert((link, value.to_owned()));
            }
        };
        tie(Link::Account, account);
        tie(Link::AccessKey, self.access_key_id.as_deref().unwrap_or_default());
        // Calls that a service makes carry its name instead of an address.
        if let Some(address) = self.source_ip.as_deref().filter(|ip| ip.parse::<IpAddr>().is_ok()) {
            tie(Link::Address, address);
            tie(Link::AddressInAccount, &format!("{account} {address}"));
        }
        if let Some(principal) = self.principal.as_deref().filter(|principal| !principal.is_empty()) {
            let principal = arn::principal(principal);
            tie(Link::Principal, &principal);
            tie(Link::Resource, &named(account, &principal));
        }
        if let Some(resource) = self.resource.as_deref().filter(|resource| !resource.is_empty()) {
            tie(Link::Resource, &named(account, resource));
        }
        ties
    }
}

/// The name of a thing in its account: rules give some things by ARN and some by name.
fn named(account: &str, thing: &str) -> String {
    let name = arn::Arn::parse(thing).map_or(thing, |arn| arn.name());
    format!("{account} {name}")
}
