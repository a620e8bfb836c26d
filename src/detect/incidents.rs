//! The second stage of a run: chains over what the other rules found, in this run and before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::chain::{Chain, Child, Link, Taken, in_order};
use super::cost::Cost;
use super::verdict::{Outcome, Report};
use super::{Rule, Tuning, cells, children, collect};
use crate::engine::{Engine, Window};
use crate::error::Result;
use crate::findings::{Finding, Origin};

/// Child findings that an incident names.
const MOST_CHILDREN: usize = 50;
/// Child findings that an incident has as evidence.
const MOST_EVIDENCE: usize = 20;

/// Gives every chain among `rules` its answer. The other rules have theirs: `report` holds their findings and verdicts.
///
/// Children are the findings of this run and those that the lake keeps of the chain's view (of the order of `rules`). A chain
/// that no finding of this run can be a step of has nothing new to say, and costs nothing. A run of nothing but chains goes by
/// the lake. What `tuning` takes out is no step: somebody has looked at it, and it is not shown.
pub async fn judge(
    engine: &Engine,
    rules: &[Rule],
    views: &[Window],
    tuning: &Tuning,
    created_at: DateTime<Utc>,
    run_id: &Arc<str>,
    report: &mut Report,
) {
    let goes_by_lake = rules.iter().all(|rule| rule.chain.is_some());
    let taken_out = tuning.taken_out(&report.findings, created_at);
    for (index, rule, chain) in rules.iter().enumerate().filter_map(|(i, rule)| Some((i, rule, rule.chain.as_ref()?))) {
        let began = Instant::now();
        let shown = report.findings.iter().filter(|finding| !taken_out.contains(&finding.finding_id));
        let made: Vec<Child> = children::of_run(shown, chain);
        let view = views.get(index).cloned().unwrap_or_default();
        let found = async {
            if made.is_empty() && !goes_by_lake {
                return Ok((0, Vec::new()));
            }
            let mut stored = children::stored(engine, &view, chain).await?;
            stored.retain(|child| !taken_out.contains(&child.finding_id));
            find(engine, &view, rule, children::with_stored(made, stored), created_at, run_id).await
        };
        let (ways, findings) = match found.await {
            Ok(found) => found,
            Err(error) => {
                report.fail(index, error.to_string());
                continue;
            }
        };
        let unjudged = if findings.is_empty() { unjudged(chain, report) } else { None };
        let cost = Cost { answering: began.elapsed(), ..Cost::default() };
        report.answer(index, ways, findings, cost);
        if let (Some(reason), Some(verdict)) = (unjudged, report.verdicts.get_mut(index)) {
            verdict.outcome = Outcome::NotEvaluated(reason);
        }
    }
}

/// The incidents of one chain, and the number of ways through it that are fresh.
pub async fn find(
    engine: &Engine,
    view: &Window,
    rule: &Rule,
    mut found: Vec<Child>,
    created_at: DateTime<Utc>,
    run_id: &Arc<str>,
) -> Result<(u64, Vec<Finding>)> {
    let Some(chain) = &rule.chain else { return Ok((0, Vec::new())) };
    in_order(&mut found);
    let mandatory = || chain.steps.iter().filter(|step| !step.optional);
    if !mandatory().all(|step| found.iter().any(|child| child.is_step(chain, step))) {
        return Ok((0, Vec::new()));
    }
    if chain.steps.iter().any(|step| step.links.contains(&Link::Principal)) {
        children::follow_roles(engine, view, &mut found).await?;
    }
    let fresh = |way: &Vec<Taken>| way.iter().any(|(_, place)| found.get(*place).is_some_and(|child| child.fresh));
    let slot_length = rule.slot();
    let mut incidents: BTreeMap<String, Incident> = BTreeMap::new();
    let mut ways = 0;
    for way in chain.ways(&found).into_iter().filter(fresh) {
        ways += 1;
        let taken: Vec<(usize, &Child)> =
            way.iter().filter_map(|(step, place)| Some((*step, found.get(*place)?))).collect();
        let Some((_, first)) = taken.first() else { continue };
        // The slot is that of the beginnings of findings: events that come later in a child's own slot change its end.
        let last = taken.iter().map(|(_, child)| child.first_seen.timestamp_micros()).max().unwrap_or_default();
        let slot = last.div_euclid(slot_length) * slot_length;
        let entities: Vec<(&str, Value)> =
            rule.entity.iter().map(|name| (name.as_str(), entity(first, name))).collect();
        let incident = incidents.entry(Finding::id(&rule.id, &entities, slot)).or_default();
        incident.entities = entities.into_iter().map(|(name, value)| (name.into(), cells::shortened(value))).collect();
        incident.add(taken);
    }
    let origin = Arc::new(collect::origin(rule));
    let finish = |(id, incident): (String, Incident<'_>)| incident.finish(id, &origin, chain, created_at, run_id);
    Ok((ways, incidents.into_iter().map(finish).collect()))
}

/// The value of an entity column: that of the chain's first step.
fn entity(first: &Child, name: &str) -> Value {
    let value = match name {
        "account_id" => &first.account_id,
        "region" => &first.region,
        "principal" => &first.principal,
        "access_key_id" => &first.access_key_id,
        "source_ip" => &first.source_ip,
        "model_id" => &first.model_id,
        "resource" => &first.resource,
        _ => &None,
    };
    json!(value)
}

/// Columns that can be the entity of a chain.
pub const ENTITIES: [&str; 7] =
    ["account_id", "region", "principal", "access_key_id", "source_ip", "model_id", "resource"];

/// Ways through a chain of one entity in one slot.
#[derive(Debug, Default)]
struct Incident<'a> {
    entities: Map<String, Value>,
    /// By first event and id, with the step that each is.
    children: BTreeMap<(DateTime<Utc>, &'a str), (usize, &'a Child)>,
}

impl<'a> Incident<'a> {
    fn add(&mut self, taken: Vec<(usize, &'a Child)>) {
        for (step, child) in taken {
            if self.children.len() < MOST_CHILDREN {
                self.children.entry((child.first_seen, &child.finding_id)).or_insert((step, child));
            }
        }
    }

    fn finish(
        self,
        finding_id: String,
        origin: &Arc<Origin>,
        chain: &Chain,
        created_at: DateTime<Utc>,
        run_id: &Arc<str>,
    ) -> Finding {
        let children: Vec<(usize, &Child)> = self.children.into_values().collect();
        let first = |get: fn(&Child) -> &Option<String>| children.iter().find_map(|(_, child)| get(child).clone());
        let moments = || children.iter().map(|(_, child)| (child.first_seen, child.last_seen));
        let evidence = |(step, child): &(usize, &Child)| {
            let what = chain.steps.get(*step).map(|step| step.what.as_str());
            json!({
                "step": step + 1, "what": what, "finding_id": child.finding_id, "rule_id": child.rule_id,
                "title": child.title, "severity": child.severity, "principal": child.principal,
                "time": child.first_seen.to_rfc3339_opts(SecondsFormat::AutoSi, true),
            })
            .to_string()
        };
        Finding {
            finding_id,
            rule: origin.clone(),
            first_seen: moments().map(|(first, _)| first).min().unwrap_or_default(),
            last_seen: moments().map(|(_, last)| last).max().unwrap_or_default(),
            account_id: first(|child| &child.account_id),
            region: first(|child| &child.region),
            principal: first(|child| &child.principal),
            access_key_id: first(|child| &child.access_key_id),
            source_ip: first(|child| &child.source_ip),
            user_agent: None,
            model_id: first(|child| &child.model_id),
            resource: first(|child| &child.resource),
            event_count: children.len() as i64,
            created_at,
            run_id: run_id.clone(),
            event_ids: Vec::new(),
            request_ids: Vec::new(),
            children: children.iter().map(|(_, child)| child.finding_id.clone()).collect(),
            lacks: Vec::new(),
            silenced: None,
            entities: self.entities,
            evidence: children.iter().take(MOST_EVIDENCE).map(evidence).collect(),
        }
    }
}

/// Why a chain cannot be judged: a step that has to happen, and no rule for it that has an answer.
fn unjudged(chain: &Chain, report: &Report) -> Option<String> {
    for step in chain.steps.iter().filter(|step| !step.optional && !step.rules.is_empty()) {
        let verdicts = || report.verdicts.iter().filter(|verdict| step.rules.contains(&verdict.rule_id));
        if verdicts().any(|verdict| matches!(verdict.outcome, Outcome::Fired(_) | Outcome::Quiet)) {
            continue;
        }
        let reason = verdicts().find_map(|verdict| verdict.outcome.reason()).unwrap_or("not part of this run");
        return Some(format!("none of {} could be judged: {reason}", step.rules.join(", ")));
    }
    None
}
