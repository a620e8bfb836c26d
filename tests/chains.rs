//! Chains: steps in order and tied together are one incident, however the findings arrive.

#[path = "support/mistakes.rs"]
mod mistakes;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, TimeZone, Utc};
use mistakes::{changed, mistake};
use proptest::prelude::*;
use serde_json::Value;
use support::{run_json, sample_data};
use trailhound::detect::Rule;
use trailhound::detect::chain::{Chain, Child, Link, Step, in_order};
use trailhound::detect::lint::Linter;
use trailhound::findings::Severity;

fn at(minutes: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 10, 1, 12, 0, 0).unwrap() + Duration::minutes(minutes)
}

fn step(rule: &str, optional: bool) -> Step {
    let rules = if rule.is_empty() { Vec::new() } else { vec![rule.to_owned()] };
    let severity = if rule.is_empty() { Severity::High } else { Severity::Informational };
    Step { what: rule.to_owned(), rules, severity, optional, links: vec![Link::AccessKey, Link::Address] }
}

/// Probe, perhaps enable, use: an hour from one to the next.
fn chain() -> Chain {
    Chain { steps: vec![step("probe", false), step("enable", true), step("use", false)], span: Duration::hours(1) }
}

/// A finding from `first` to `last`, in minutes.
fn child(rule: &str, first: i64, last: i64, key: &str) -> Child {
    Child {
        finding_id: format!("{rule}-{first}-{key}"),
        rule_id: rule.into(),
        title: String::new(),
        severity: Severity::Medium,
        first_seen: at(first),
        last_seen: at(last),
        account_id: Some("111122223333".into()),
        region: None,
        principal: None,
        access_key_id: Some(key.into()),
        source_ip: None,
        model_id: None,
        resource: None,
        is_incident: false,
        fresh: true,
        origins: BTreeSet::new(),
    }
}

/// Ids of the findings of each way.
fn ways(chain: &Chain, mut children: Vec<Child>) -> Vec<Vec<String>> {
    in_order(&mut children);
    let name =
        |way: Vec<(usize, usize)>| way.into_iter().map(|(_, place)| children[place].finding_id.clone()).collect();
    chain.ways(&children).into_iter().map(name).collect()
}

#[test]
fn steps_follow_each_other_in_order_within_the_span() {
    let found = |children: Vec<Child>| ways(&chain(), children).len();
    let (probe, enable) = (|minute| child("probe", minute, minute, "k"), |minute| child("enable", minute, minute, "k"));
    let used = |first, last| child("use", first, last, "k");
    assert_eq!(ways(&chain(), vec![used(50, 50), enable(20), probe(0)]), [["probe-0-k", "enable-20-k", "use-50-k"]]);
    assert_eq!(ways(&chain(), vec![probe(0), used(50, 50)]), [["probe-0-k", "use-50-k"]], "one step may be missing");
    assert_eq!(ways(&chain(), vec![probe(0), probe(9), used(50, 50)]), [["probe-9-k", "use-50-k"]], "the latest");
    assert_eq!(found(vec![probe(0), enable(10)]), 0, "one step never happened");
    assert_eq!(found(vec![used(0, 0)]), 0, "one finding is no chain");
    assert_eq!(found(vec![probe(0), used(60, 60)]), 1);
    assert_eq!(found(vec![probe(0), used(61, 61)]), 0, "beyond the span");
    assert_eq!(found(vec![probe(0), enable(40), used(90, 90)]), 1, "the span is between steps");
    assert_eq!(found(vec![probe(5), used(0, 0)]), 1, "clocks differ");
    assert_eq!(found(vec![probe(6), used(0, 0)]), 0, "wrong order");
    assert_eq!(found(vec![probe(30), used(0, 40)]), 1, "it went on after the probe");
    assert_eq!(found(vec![child("probe", 0, 55, "k"), used(110, 110)]), 1, "from the end of the probe");
}

#[test]
fn steps_are_tied_by_what_the_chain_names() {
    let (probe, used) = (child("probe", 0, 0, "one"), child("use", 10, 10, "other"));
    let found = |probe: &Child, used: &Child| ways(&chain(), vec![probe.clone(), used.clone()]).len();
    assert_eq!(found(&probe, &used), 0, "the account alone is no tie of this chain");
    let from = |child: &Child, address: &str| Child { source_ip: Some(address.into()), ..child.clone() };
    assert_eq!(found(&from(&probe, "203.0.113.7"), &from(&used, "203.0.113.7")), 1);
    assert_eq!(found(&from(&probe, "bedrock.amazonaws.com"), &from(&used, "bedrock.amazonaws.com")), 0, "no address");
    let near = Chain {
        steps: vec![step("probe", false), Step { links: vec![Link::AddressInAccount], ..step("use", false) }],
        span: Duration::hours(1),
    };
    let apart = |account: &str| {
        ways(
            &near,
            vec![from(&probe, "203.0.113.7"), Child { account_id: Some(account.into()), ..from(&used, "203.0.113.7") }],
        )
    };
    assert_eq!((apart("111122223333").len(), apart("444455556666").len()), (1, 0), "one address, two accounts");
    let assumed = Child { origins: BTreeSet::from([(Link::AccessKey, "one".to_owned())]), ..used.clone() };
    assert_eq!(found(&probe, &assumed), 1, "the role was assumed with the key");

    let by_resource = Step { links: vec![Link::Resource], ..step("use", false) };
    let chain = Chain { steps: vec![step("probe", false), by_resource], span: Duration::hours(1) };
    let made = Child { resource: Some("BedrockAPIKey-x".into()), ..probe };
    let user = |account: &str| Child {
        account_id: Some(account.into()),
        principal: Some(format!("arn:aws:iam::{account}:user/BedrockAPIKey-x")),
        ..used.clone()
    };
    assert_eq!(ways(&chain, vec![made.clone(), user("111122223333")]).len(), 1);
    assert_eq!(ways(&chain, vec![made, user("444455556666")]).len(), 0, "the same name in another account");
}

#[test]
fn a_step_of_any_rule_takes_no_incident_and_no_other_step() {
    let chain = Chain { steps: vec![step("blind", false), step("", false)], span: Duration::hours(1) };
    let severe = |rule: &str, minute| Child { severity: Severity::High, ..child(rule, minute, minute, "k") };
    assert_eq!(ways(&chain, vec![severe("blind", 0), severe("theft", 9)]).len(), 1);
    assert_eq!(ways(&chain, vec![severe("blind", 0), severe("blind", 9)]).len(), 0);
    assert_eq!(ways(&chain, vec![severe("blind", 0), child("theft", 9, 9, "k")]).len(), 0, "not severe");
    assert_eq!(ways(&chain, vec![severe("blind", 0), Child { is_incident: true, ..severe("theft", 9) }]).len(), 0);
}

proptest! {
    /// The ways are those that a look at every pair finds, in whatever order findings come.
    #[test]
    fn ways_do_not_depend_on_the_order_of_findings(
        drawn in prop::collection::vec((0..3usize, 0..200i64, 0..90i64, 0..3u8), 0..25),
        swaps in prop::collection::vec((0..25usize, 0..25usize), 0..25),
    ) {
        let rule = |kind: usize| ["probe", "enable", "use"][kind];
        let unique: BTreeMap<(usize, i64, u8), i64> =
            drawn.iter().map(|(kind, first, length, key)| ((*kind, *first, *key), *length)).collect();
        let mut children: Vec<Child> = unique
            .iter()
            .map(|((kind, first, key), length)| child(rule(*kind), *first, first + length, &format!("k{key}")))
            .collect();
        let one = ways(&chain(), children.clone());
        let slack = Duration::minutes(5);
        let follows = |before: &Child, next: &Child| {
            before.access_key_id == next.access_key_id
                && before.first_seen <= next.last_seen + slack
                && next.first_seen <= before.last_seen + Duration::hours(1)
        };
        let probes = || children.iter().filter(|child| child.rule_id == "probe");
        let enabled = |next: &Child| {
            let mut enables = children.iter().filter(|child| child.rule_id == "enable" && follows(child, next));
            enables.any(|enable| probes().any(|probe| follows(probe, enable)))
        };
        let complete = |child: &&Child| {
            child.rule_id == "use" && (enabled(child) || probes().any(|probe| follows(probe, child)))
        };
        let expected: BTreeSet<&str> =
            children.iter().filter(complete).map(|child| child.finding_id.as_str()).collect();
        let ends: BTreeSet<&str> = one.iter().filter_map(|way| way.last()).map(String::as_str).collect();
        prop_assert_eq!(ends, expected);
        for (from, to) in swaps {
            if from < children.len() && to < children.len() {
                children.swap(from, to);
            }
        }
        prop_assert_eq!(ways(&chain(), children), one);
    }
}

/// Ids of incidents, with the rules of their children.
fn incidents(hunt: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for finding in hunt["findings"].as_array().unwrap() {
        let children = finding["children"].as_array().unwrap();
        if children.is_empty() {
            continue;
        }
        let evidence: Vec<Value> = serde_json::from_str(finding["evidence"].as_str().unwrap()).unwrap();
        assert!(evidence.windows(2).all(|pair| pair[0]["time"].as_str() <= pair[1]["time"].as_str()), "{evidence:#?}");
        let named: BTreeSet<&str> = evidence.iter().filter_map(|row| row["finding_id"].as_str()).collect();
        assert!(children.iter().take(20).all(|id| named.contains(id.as_str().unwrap())));
        let rules = evidence.iter().map(|row| row["rule_id"].as_str().unwrap().to_owned()).collect();
        found.insert(finding["finding_id"].as_str().unwrap().to_owned(), rules);
    }
    found
}

#[test]
fn the_story_in_parts_has_the_incidents_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let hunt = |lake: &str, range: &[&str]| {
        let lake = folder.path().join(lake).to_str().unwrap().to_owned();
        let data = sample_data();
        // All chains, and only the rules that they name: the others take most of the time and make no other incident.
        let mut arguments = vec!["hunt", &data, "--rule", "chains", "--format", "json", "--lake", &lake];
        arguments.extend(range);
        incidents(&run_json(&arguments))
    };
    let whole = hunt("whole", &[]);
    assert!(whole.values().any(|rules| rules.contains("deleted_invocation_logging")), "{whole:#?}");
    let parts = ["2026-10-01T12:30:00Z", "2026-10-01T13:28:30Z"];
    let mut found = hunt("parts", &["--until", parts[0]]);
    let known = found.len();
    found.extend(hunt("parts", &["--since", parts[0], "--until", parts[1]]));
    found.extend(hunt("parts", &["--since", parts[1]]));
    assert!(known < whole.len(), "the rest needs findings that an earlier hunt kept");
    assert_eq!(found.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{found:#?}\n{whole:#?}");
}

#[test]
fn a_chain_brings_its_rules_and_says_when_they_cannot_be_judged() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake").to_str().unwrap().to_owned();
    let data = sample_data();
    let hunt = run_json(&["hunt", &data, "--rule", "stole_model", "--format", "json", "--lake", &lake]);
    let fired: Vec<&Value> = hunt["verdicts"].as_array().unwrap().iter().collect();
    assert!(fired.iter().any(|verdict| verdict["rule_id"] == "explored_ai_estate"), "{fired:#?}");
    assert_eq!(incidents(&hunt).len(), 1);

    let lake = folder.path().join("flows").to_str().unwrap().to_owned();
    let flows = support::put(
        folder.path(),
        "flow.log",
        b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n\
          2 111122223333 eni-0a1b2c3d 10.0.1.5 10.0.1.9 40000 443 6 10 8000 1790856000 1790856060 ACCEPT OK\n",
    );
    let hunt =
        run_json(&["hunt", flows.to_str().unwrap(), "--rule", "stole_model", "--format", "json", "--lake", &lake]);
    let verdicts = hunt["verdicts"].as_array().unwrap();
    let verdict = verdicts.iter().find(|verdict| verdict["rule_id"] == "stole_model").unwrap();
    assert_eq!(verdict["outcome"], "not evaluated", "{verdict}");
    let reason = verdict["because"].as_str().unwrap();
    assert!(reason.starts_with("none of explored_ai_estate could be judged: no cloudtrail rows"), "{reason}");
}

const OWN: &str = r#"
title = "A key was tested and used"
severity = "high"
confidence = "low"
kind = "threat"
logs = ["findings"]
layer = "identity"
phase = "prototype"
why = "Together they are a theft."
gaps = "none known"
false_positives = ["nobody"]
triage = ["Look at the day before."]
entity = ["account_id"]
lookback = "1h"
quiet = "1d"
span = "1h"
links = ["account"]
[[step]]
what = "tests a key"
rules = ["pinged_models"]
[[step]]
what = "uses it"
rules = ["burned_tokens"]
[[test]]
name = "one"
fires = true
events = [{ log = "cloudtrail" }]
[[test]]
name = "other"
fires = false
events = [{ log = "cloudtrail" }]
"#;

#[test]
fn mistakes_in_a_chain_are_named() {
    let place = "own/tested_and_used.toml";
    let read = Rule::read(place, OWN, true);
    assert!(read.is_ok(), "{:?}", read.err());
    for (from, to, remedy) in [
        ("span = \"1h\"", "", "longest time from one step to the next"),
        ("lookback = \"1h\"", "lookback = \"5m\"", "lookback has to be at least that"),
        ("links = [\"account\"]", "", "nothing ties step 2"),
        ("links = [\"account\"]", "links = [\"acount\"]", "did you mean 'account'?"),
        ("entity = [\"account_id\"]", "entity = [\"who\"]", "'who' is not one of account_id"),
        ("logs = [\"findings\"]", "logs = [\"cloudtrail\"]", "a chain reads findings"),
        ("rules = [\"burned_tokens\"]", "rules = [\"burned_tokens\"]\noptional = true", "first and last"),
        ("rules = [\"burned_tokens\"]", "rules = [\"tested_and_used\"]", "no step of itself"),
    ] {
        let mistake = mistake(place, OWN, from, to);
        assert!(mistake.contains(remedy), "{mistake}\nshould say {remedy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_knows_the_rules_that_steps_may_name() {
    let linter = Linter::new().await.unwrap();
    let errors = async |text: &str| {
        let rule = Rule::read("own/tested_and_used.toml", text, true).unwrap();
        linter.check(&rule).await.errors.join("\n")
    };
    assert_eq!(errors(OWN).await, "");
    let unknown = errors(&changed(OWN, "burned_tokens", "burned_token")).await;
    assert!(unknown.contains("no rule 'burned_token'; did you mean 'burned_tokens'?"), "{unknown}");
    let nested = errors(&changed(OWN, "burned_tokens", "stole_model")).await;
    assert!(nested.contains("stole_model is a chain"), "{nested}");
    let milder = changed(OWN, "rules = [\"burned_tokens\"]", "rules = [\"burned_tokens\"]\nseverity = \"high\"");
    assert!(errors(&milder).await.contains("the step asks for more"));
}
