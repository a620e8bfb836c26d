//! Tuning: what an entry takes out and what it cannot, what a run says of it, and previews and lists of rules.

#[path = "support/finding.rs"]
mod plain;
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use support::{put, query, run, run_json, sample_data};
use trailhound::config::Config;
use trailhound::detect::{Effect, Shelf, Tuned, Tuning};
use trailhound::findings::Finding;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
}

static SHELF: LazyLock<Shelf> = LazyLock::new(|| Shelf::built_in().expect("built-in rules"));

fn read(toml: &str) -> trailhound::error::Result<Tuning> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = put(folder.path(), "trailhound.toml", toml.as_bytes());
    Tuning::read(&Config::load(Some(&path))?, SHELF.rules())
}

/// A finding of `stopped_trail` (family `logging`) with these rows as evidence, on a Saturday at half past two.
fn finding(entities: Value, rows: &[Value], event_count: i64) -> Finding {
    let first = |name: &str| rows.iter().find_map(|row| row[name].as_str().map(str::to_owned));
    Finding {
        first_seen: at("2026-10-03T02:30:00Z"),
        last_seen: at("2026-10-03T02:40:00Z"),
        account_id: first("account_id"),
        region: first("region"),
        principal: first("principal"),
        access_key_id: first("access_key_id"),
        source_ip: first("source_ip"),
        model_id: first("model_id"),
        resource: first("resource"),
        event_count,
        entities: entities.as_object().expect("an object").clone(),
        evidence: rows.iter().map(Value::to_string).collect(),
        ..plain::finding(0)
    }
}

/// One event, with `changes` on top; null takes a column away, as evidence does.
fn event(changes: Value) -> Value {
    let mut row = json!({
        "time": "2026-10-03T02:30:00Z", "_object": "s3://trail/one.json.gz", "_record": 3,
        "account_id": "111122223333", "region": "eu-central-1", "principal": "arn:aws:iam::111122223333:role/redteam",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE", "source_ip": "192.0.2.7", "bucket": "logs-eu",
        "model_id": "arn:aws:bedrock:eu-central-1:111122223333:inference-profile/eu.anthropic.claude-sonnet-4-v1:0",
        "resource": "arn:aws:cloudtrail:eu-central-1:111122223333:trail/main"
    });
    let fields = row.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        fields.insert(name.clone(), value.clone());
    }
    fields.retain(|_, value| !value.is_null());
    row
}

fn single(changes: Value) -> Finding {
    finding(json!({}), &[event(changes)], 1)
}

/// What an `[[allow]]` with these keys leaves of a finding.
fn allowed(keys: &str, finding: Finding) -> bool {
    let tuning = read(&format!("[[allow]]\nreason = 'test'\n{keys}\n")).unwrap_or_else(|e| panic!("{keys}: {e}"));
    let tuned = tuning.apply(vec![finding], at("2026-10-04T00:00:00Z"));
    assert!(tuned.silenced.is_empty());
    tuned.kept.is_empty()
}

#[test]
fn each_matcher_fits_whole_values_and_nothing_else() {
    for (fits, does_not) in [
        ("rules = ['stopped_trail']", "rules = ['weakened_trail']"),
        ("rules = 'logging'", "rules = 'identity'"),
        (
            "principals = ['arn:aws:iam::111122223333:role/redteam']",
            "principals = ['arn:aws:iam::111122223333:role/red']",
        ),
        ("principals = ['arn:aws:iam::*:role/redteam*']", "principals = ['redteam*']"),
        ("addresses = ['198.51.100.0/24', '192.0.2.0/24']", "addresses = ['192.0.3.0/24']"),
        ("addresses = '192.0.2.7'", "addresses = '2001:db8::/32'"),
        ("accounts = ['111122223333']", "accounts = ['444455556666']"),
        ("models = ['anthropic.claude*']", "models = ['claude*']"),
        ("models = ['arn:aws:bedrock:*:inference-profile/eu.*']", "models = ['amazon.*']"),
        ("regions = ['eu-*']", "regions = ['eu']"),
        ("buckets = ['logs-*']", "buckets = ['logs']"),
        ("resources = ['arn:aws:cloudtrail:*:trail/main']", "resources = ['main']"),
        ("keys = ['AKIAIOSFODNN7EXAMPLE']", "keys = ['akiaiosfodnn7example']"),
        ("between = 'Sat 02:00-04:00 UTC'", "between = 'Sun 02:00-04:00 UTC'"),
        ("between = ['Mon 00:00-01:00 UTC', 'Fri 22:00-03:00 UTC']", "between = 'Sat 02:35-04:00 UTC'"),
        ("regions = ['eu-*']\naccounts = ['111122223333']", "regions = ['eu-*']\naccounts = ['444455556666']"),
    ] {
        assert!(allowed(fits, single(json!({}))), "{fits} should fit");
        assert!(!allowed(does_not, single(json!({}))), "{does_not} should not fit");
    }
    let session = json!({"principal": "arn:aws:sts::111122223333:assumed-role/redteam/kim"});
    assert!(allowed("principals = ['arn:aws:iam::111122223333:role/redteam']", single(session)));
}

#[test]
fn a_value_that_is_missing_never_fits() {
    for (keys, column) in [
        ("principals = ['arn*']", "principal"),
        ("addresses = ['0.0.0.0/0']", "source_ip"),
        ("accounts = ['1*']", "account_id"),
        ("models = ['a*']", "model_id"),
        ("regions = ['e*']", "region"),
        ("buckets = ['l*']", "bucket"),
        ("resources = ['a*']", "resource"),
        ("keys = ['A*']", "access_key_id"),
    ] {
        assert!(allowed(keys, single(json!({}))), "{keys}");
        assert!(!allowed(keys, single(json!({ column: null }))), "{keys} without {column}");
    }
}

#[test]
fn log_text_cannot_be_made_to_fit() {
    let kept = |keys: &str, changes: Value| assert!(!allowed(keys, single(changes.clone())), "{keys}: {changes}");
    kept("addresses = ['192.0.2.0/24']", json!({"source_ip": "192.0.2.7.example.com"}));
    kept("addresses = ['0.0.0.0/0']", json!({"source_ip": "cloudtrail.amazonaws.com"}));
    kept(
        "principals = ['arn:aws:iam::111122223333:role/redteam']",
        json!({"principal": "x arn:aws:iam::111122223333:role/redteam"}),
    );
    // Names that an attacker chooses: of a session, of what is acted on, in a token, of a model.
    let session = "arn:aws:sts::444455556666:assumed-role/evil/redteam";
    kept("principals = ['arn:aws:iam::*:role/redteam*']", json!({ "principal": session }));
    let role = "arn:aws:iam::111122223333:role/redteam";
    kept(
        "principals = ['arn:aws:iam::111122223333:role/redteam']",
        json!({"principal": null, "resource": role, "caller": role}),
    );
    let custom = "arn:aws:bedrock:us-east-1:444455556666:custom-model/x/anthropic.claude-sonnet-4-v1:0";
    kept("models = ['anthropic.claude*']", json!({ "model_id": custom }));
    kept("models = ['anthropic.claude*']", json!({ "model_id": custom.replace("custom", "imported") }));
    // From an allowed bucket to another.
    kept("buckets = ['logs-*']", json!({"bucket": "evil", "resource": "arn:aws:s3:::logs-eu/key"}));
    kept("buckets = ['logs-*']", json!({"resource": "arn:aws:s3:::evil/logs-eu"}));
    kept("buckets = ['logs-*']", json!({"bucket": null, "resource": "logs-agent"}));
    assert!(allowed("buckets = ['logs-*']", single(json!({"bucket": null, "resource": "arn:aws:s3:::logs-eu/key"}))));
}

#[test]
fn one_allowed_event_does_not_carry_the_others() {
    let address = "addresses = ['192.0.2.0/24']";
    let (good, bad) = (event(json!({})), event(json!({"_record": 4, "source_ip": "203.0.113.9"})));
    let good_again = event(json!({"_record": 5}));
    let nobody = json!({});
    assert!(allowed(address, finding(nobody.clone(), &[good.clone(), good_again.clone()], 2)));
    assert!(!allowed(address, finding(nobody.clone(), &[good.clone(), bad], 2)), "one of two addresses");
    let bare = event(json!({"_record": 4, "source_ip": null}));
    assert!(!allowed(address, finding(nobody.clone(), &[good.clone(), bare], 2)), "one address is unknown");
    assert!(!allowed(address, finding(nobody.clone(), &[good.clone(), good_again], 3)), "one event is not shown");
    let counted = event(json!({"_object": null, "_record": null, "event_count": 9}));
    assert!(
        !allowed(address, finding(nobody.clone(), std::slice::from_ref(&counted), 9)),
        "a row of many events has one of their addresses"
    );
    assert!(!allowed(address, finding(nobody.clone(), &[event(json!({"_object": null, "_record": null}))], 1)));
    // What the entity names is the same in all events.
    assert!(allowed(address, finding(json!({"source_ip": "192.0.2.7"}), std::slice::from_ref(&counted), 9)));
    assert!(!allowed(address, finding(json!({"source_ip": "203.0.113.9"}), std::slice::from_ref(&counted), 9)));
    assert!(!allowed(address, finding(json!({"source_ip": null}), std::slice::from_ref(&counted), 9)));
    // A span is known when rows say when it began.
    let window = "between = 'Sat 02:00-04:00 UTC'";
    assert!(!allowed(window, finding(nobody.clone(), &[counted], 9)));
    let begun = event(json!({"_object": null, "event_count": 9, "first_seen": "2026-10-03T02:30:00Z"}));
    assert!(allowed(window, finding(nobody.clone(), &[begun], 9)));
    let cut = Finding { evidence: vec!["{".into()], ..single(json!({})) };
    assert!(!allowed(address, cut.clone()) && !allowed(window, cut), "evidence that cannot be read proves nothing");
}

#[test]
fn silences_end_and_allow_lists_come_first() {
    let toml = "
[[silence]]
reason = 'ticket 4711'
expires = 2026-12-01T00:00:00+01:00
regions = 'eu-*'
[[allow]]
reason = 'our red team'
accounts = '111122223333'
addresses = '198.51.100.0/24'
";
    let tuning = read(toml).expect("a tuning");
    let judge = |now: &str| -> Tuned {
        let findings = vec![
            single(json!({})),
            single(json!({"source_ip": "198.51.100.1"})),
            single(json!({"region": "us-east-1"})),
        ];
        tuning.apply(findings, at(now))
    };
    let before = judge("2026-11-30T22:59:59Z");
    assert_eq!((before.kept.len(), before.silenced.len(), before.expired.len()), (1, 1, 0));
    assert_eq!(before.silenced[0].silenced.as_deref(), Some("ticket 4711"));
    let told: Vec<(Effect, &str, usize)> =
        before.applied.iter().map(|a| (a.effect, a.reason.as_str(), a.findings)).collect();
    assert_eq!(told, [(Effect::Allow, "our red team", 1), (Effect::Silence, "ticket 4711", 1)]);
    assert_eq!(before.applied[0].rules, BTreeSet::from(["stopped_trail".to_owned()]));
    assert_eq!((before.withheld["stopped_trail"].allowed, before.withheld["stopped_trail"].silenced), (1, 1));
    let after = judge("2026-11-30T23:00:00Z");
    assert_eq!((after.kept.len(), after.silenced.len()), (2, 0));
    assert!(after.kept.iter().all(|finding| finding.silenced.is_none()));
    assert_eq!(after.expired.len(), 1);
    assert!(after.expired[0].place.ends_with("trailhound.toml:2"), "{}", after.expired[0].place);
}

#[test]
fn entries_that_cannot_be_meant_are_refused_with_file_and_line() {
    let silence = |keys: &str| format!("lake = 'x'\n\n[[silence]]\nreason = 'r'\nexpires = 2026-12-01\n{keys}\n");
    let allow = |keys: &str| format!("lake = 'x'\n\n[[allow]]\nreason = 'r'\n{keys}\n");
    for (toml, remedy) in [
        (allow(""), "would take out every finding"),
        (silence(""), "would take out every finding"),
        (allow("principals = []"), "principals is empty"),
        (allow("rules = []"), "rules is empty"),
        (allow("principals = ['*']"), "fits everything"),
        (allow("keys = ['']"), "is empty"),
        (allow("accounts = ['11112222333']"), "12 digits"),
        (allow("addresses = ['192.0.2.0/33']"), "no address range"),
        (allow("between = 'Sat 02:00-04:00'"), "UTC"),
        (allow("rules = ['stoped_trail']"), "did you mean 'stopped_trail'?"),
        (allow("principals = ['a']").replace("'r'", "' '"), "reason is empty"),
        (silence("regions = 'a'").replace("expires = 2026-12-01\n", ""), "needs an end"),
        (silence("regions = 'a'").replace("2026-12-01", "2026-12-01T00:00:00"), "is no instant"),
    ] {
        let mistake = read(&toml).expect_err(&toml).to_string();
        assert!(mistake.contains("trailhound.toml:3: ") && mistake.contains(remedy), "{toml}\n{mistake}");
    }
    for (toml, remedy) in [
        (allow("principal = ['a']"), "principals"),
        (allow("regions = 'a'").replace("reason = 'r'\n", ""), "reason"),
        (allow("accounts = 111122223333"), "a text or a list of texts"),
        ("disabled = ['stoped_trail']".into(), "did you mean 'stopped_trail'?"),
    ] {
        let mistake = read(&toml).expect_err(&toml).to_string();
        assert!(mistake.contains(remedy), "{toml}\n{mistake}");
    }
}

/// Files below a folder with their sizes.
fn files(folder: &Path, found: &mut BTreeSet<(PathBuf, u64)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => drop(found.insert((path.clone(), path.metadata().unwrap().len()))),
        }
    }
}

fn ids(rows: &Value) -> BTreeSet<String> {
    rows.as_array().unwrap().iter().map(|row| row["rule_id"].as_str().unwrap().to_owned()).collect()
}

const CONFIG: &str = "
disabled = ['enabled_models', 'llmjacking']
[[allow]]
reason = 'our deployment'
rules = ['deleted_invocation_logging', 'weakened_invocation_logging']
principals = ['*:user/ci-deploy']
[[silence]]
reason = 'ticket 4711'
expires = 2999-01-01
addresses = '203.0.113.99'
[[silence]]
reason = 'long ago'
expires = 2020-01-01
rules = 'prompts'
";

#[test]
fn a_hunt_withholds_what_is_tuned_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let config = put(folder.path(), "own.toml", CONFIG.as_bytes());
    let arguments = ["hunt", &sample_data(), "--config", config.to_str().unwrap(), "--lake", lake.to_str().unwrap()];
    let mut some = vec!["--format", "json"];
    for rule in ["logging", "llmjacking", "enabled_models", "bypassed_vpc_endpoint", "resold_access"] {
        some.extend(["--rule", rule]);
    }
    let hunt = run_json(&[&arguments[..], &some].concat());
    let shown = ids(&hunt["findings"]);
    for id in [
        "deleted_invocation_logging",
        "weakened_invocation_logging",
        "bypassed_vpc_endpoint",
        "enabled_models",
        "resold_access",
    ] {
        assert_eq!(shown.contains(id), id == "resold_access", "{id}");
    }
    let outcome = |id: &str| {
        let verdict = hunt["verdicts"].as_array().unwrap().iter().find(|v| v["rule_id"] == id).unwrap();
        (verdict["outcome"].as_str().unwrap().to_owned(), verdict["findings"].as_u64().unwrap())
    };
    assert_eq!(outcome("deleted_invocation_logging"), ("withheld".into(), 0));
    assert_eq!(outcome("enabled_models"), ("off".into(), 0));
    assert_eq!(outcome("listed_models_then_invoked"), ("off".into(), 0));
    assert_eq!(outcome("resold_access"), ("fired".into(), 1));
    let tuning = &hunt["tuning"];
    assert_eq!(tuning["allowed"][0]["reason"], "our deployment");
    assert_eq!(
        (&tuning["allowed"][0]["findings"], tuning["allowed"][0]["rules"].as_array().unwrap().len()),
        (&2.into(), 2)
    );
    let silenced = tuning["silenced"][0]["findings"].as_i64().unwrap();
    assert!(silenced == 1 && tuning["expired"][0]["reason"] == "long ago", "{tuning}");

    let stored = query(&lake, "SELECT rule_id, silenced FROM findings ORDER BY rule_id");
    let marked: Vec<&Value> = stored.iter().filter(|row| row["silenced"] == "ticket 4711").collect();
    assert_eq!(marked.len() as i64, silenced);
    assert!(marked.iter().any(|row| row["rule_id"] == "bypassed_vpc_endpoint"), "{marked:?}");
    assert!(stored.iter().all(|row| row["rule_id"] != "deleted_invocation_logging"), "what is allowed is no finding");

    let again = run(&[&arguments[..], &["--rule", "bypassed_vpc_endpoint", "--fail-on", "low"]].concat());
    let talk = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(0), "a silenced finding fails no run: {talk}");
    assert!(talk.contains("silenced by 'ticket 4711' until 2999-01-01T00:00:00Z: 1 finding of 1 rule"), "{talk}");
    assert!(talk.contains("1 allowed or silenced") && talk.contains("own.toml:11) ended 2020-01-01"), "{talk}");
    let off = run(&[&arguments[..], &["--rule", "enabled_models"]].concat());
    let talk = String::from_utf8_lossy(&off.stderr);
    assert!(talk.contains("1 off") && talk.contains("switched off: enabled_models"), "{talk}");
}

const BLINDED: &str = "blinded_then_acted";

/// Outcome of the chain, and the rules of its incidents' steps.
fn incident(hunt: &Value) -> (String, BTreeSet<String>) {
    let verdict = hunt["verdicts"].as_array().unwrap().iter().find(|verdict| verdict["rule_id"] == BLINDED).unwrap();
    let mut rules = BTreeSet::new();
    for finding in hunt["findings"].as_array().unwrap().iter().filter(|finding| finding["rule_id"] == BLINDED) {
        let steps: Vec<Value> = serde_json::from_str(finding["evidence"].as_str().unwrap()).unwrap();
        rules.extend(steps.iter().map(|step| step["rule_id"].as_str().unwrap().to_owned()));
    }
    (verdict["outcome"].as_str().unwrap().to_owned(), rules)
}

#[test]
fn what_is_taken_out_is_no_step_of_an_incident() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake").to_str().unwrap().to_owned();
    let plain = put(folder.path(), "plain.toml", b"");
    let blinding = "reason = 'the log moves'\nrules = 'logging'\n";
    let silence =
        put(folder.path(), "silence.toml", format!("[[silence]]\n{blinding}expires = 2999-01-01\n").as_bytes());
    let allow = put(folder.path(), "allow.toml", format!("[[allow]]\n{blinding}").as_bytes());
    let whole = format!("[[silence]]\nreason = 'known'\nexpires = 2999-01-01\nrules = '{BLINDED}'\n");
    let whole = put(folder.path(), "whole.toml", whole.as_bytes());
    let logs = sample_data();
    // What follows the blinding; all rules would take long.
    let rules = ["--rule", BLINDED, "--rule", "attacked_after_guardrail_change"];
    let hunt = |logs: Option<&str>, config: &Path| {
        let mut arguments = vec!["hunt", "--lake", &lake, "--format", "json", "--config", config.to_str().unwrap()];
        arguments.extend(logs);
        arguments.extend(rules);
        incident(&run_json(&arguments))
    };
    let (outcome, steps) = hunt(Some(&logs), &plain);
    assert!(outcome == "fired" && steps.contains("attacked_after_guardrail_change"), "{outcome} {steps:?}");
    for tuned in [&silence, &allow] {
        // The lake still has what the hunts before it found.
        let (outcome, steps) = hunt(None, tuned);
        assert!(outcome == "quiet" && steps.is_empty(), "{outcome} {steps:?}");
    }
    let stored = query(
        lake.as_ref(),
        "SELECT count(*) AS n FROM findings WHERE rule_id = 'deleted_invocation_logging' AND silenced IS NOT NULL",
    );
    assert_eq!(stored[0]["n"], 1);
    assert_eq!(hunt(None, &whole).0, "withheld");
    let (outcome, again) = hunt(None, &plain);
    assert_eq!((outcome.as_str(), again), ("fired", steps), "the silence is gone, and with it what it did");
}

#[test]
fn a_preview_counts_and_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let config = put(folder.path(), "own.toml", CONFIG.as_bytes());
    let (place, config) = (lake.to_str().unwrap(), config.to_str().unwrap());
    assert!(run(&["ingest", &sample_data(), "--lake", place]).status.success());
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    files(&lake, &mut before);
    let families = ["rules", "preview", "enablement", "logging", "network", "prompts"];
    let whole = run_json(&[&families[..], &["--lake", place, "--config", config, "--format", "json"]].concat());
    let table =
        run(&["rules", "preview", "enabled_models", "logging", "sagemaker", "--lake", place, "--config", config]);
    files(&lake, &mut after);
    assert_eq!(before, after);

    let rules = whole["rules"].as_array().unwrap();
    let of = |id: &str| rules.iter().find(|rule| rule["rule_id"] == id).unwrap_or_else(|| panic!("{id}"));
    assert_eq!(rules.len(), SHELF.rules().iter().filter(|rule| families.contains(&rule.family.as_str())).count());
    let enabled = of("enabled_models");
    assert_eq!(
        (&enabled["off"], &enabled["outcome"], &enabled["findings"]),
        (&true.into(), &"fired".into(), &1.into())
    );
    assert_eq!(
        enabled["principals"],
        json!([{"principal": "arn:aws:iam::111122223333:user/ci-deploy", "findings": 1}])
    );
    assert_eq!(enabled["first_seen"], "2026-10-01T12:10:11Z");
    let days = enabled["days"].as_f64().unwrap();
    assert!(days >= 1.0 && enabled["per_day"].as_f64() == Some(1.0 / days), "{enabled}");
    let allowed = of("deleted_invocation_logging");
    assert_eq!((&allowed["findings"], &allowed["allowed"], &allowed["shown"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(of("bypassed_vpc_endpoint")["silenced"], 1);
    let shown: Vec<u64> = rules.iter().map(|rule| rule["shown"].as_u64().unwrap()).collect();
    assert!(shown.is_sorted_by(|one, next| one >= next) && shown[0] > 1, "{shown:?}");

    let page = String::from_utf8_lossy(&table.stdout);
    assert!(page.contains("enabled_models (off)") && page.contains("user/ci-deploy"), "{page}");
    assert!(page.contains("not evaluated, because") && page.contains("allowed by 'our deployment'"), "{page}");
    let early = run_json(&[
        "rules",
        "preview",
        "enabled_models",
        "--until",
        "2026-10-01T12:00:00Z",
        "--lake",
        place,
        "--format",
        "json",
    ]);
    assert_eq!((&early["rules"][0]["findings"], &early["rules"][0]["outcome"]), (&0.into(), &"quiet".into()));

    let own = include_str!("../detections/enablement/enabled_models.toml");
    let file = put(folder.path(), "mine/own_rule.toml", own.as_bytes());
    let one = run_json(&["rules", "preview", file.to_str().unwrap(), "--lake", place, "--format", "json"]);
    assert_eq!((&one["rules"][0]["rule_id"], &one["rules"][0]["findings"]), (&"own_rule".into(), &1.into()));
    assert_eq!(one["rules"].as_array().unwrap().len(), 1);
}

fn listed(filters: &[&str]) -> Vec<Value> {
    run_json(&[&["rules", "list", "--format", "json"], filters].concat()).as_array().unwrap().clone()
}

#[test]
fn filters_of_a_list_work_together() {
    let all = listed(&[]);
    let expect = |filters: &[&str], keeps: &dyn Fn(&Value) -> bool| {
        let wanted: Vec<&Value> = all.iter().filter(|rule| keeps(rule)).collect();
        assert!(!wanted.is_empty() && wanted.len() < all.len(), "{filters:?} is no test");
        assert_eq!(listed(filters).iter().collect::<Vec<_>>(), wanted, "{filters:?}");
    };
    let has = |rule: &Value, scheme: &str, ids: &[&str]| {
        rule[scheme].as_array().unwrap().iter().any(|id| ids.contains(&id.as_str().unwrap()))
    };
    expect(&["--layer", "identity"], &|rule| rule["layer"] == "identity");
    expect(&["--phase", "production"], &|rule| rule["phase"] == "production");
    expect(&["--tag", "t1562.008"], &|rule| has(rule, "attack", &["T1562.008"]));
    let parts = ["T1562", "T1562.001", "T1562.007", "T1562.008"];
    expect(&["--tag", "T1562"], &|rule| has(rule, "attack", &parts));
    expect(&["--tag", "llm01"], &|rule| has(rule, "owasp", &["LLM01:2025"]));
    expect(&["--tag", "LLM01:2025", "--tag", "T1562.001"], &|rule| {
        has(rule, "owasp", &["LLM01:2025"]) && has(rule, "attack", &["T1562.001"])
    });
    let atlas = all.iter().find_map(|rule| rule["atlas"][0].as_str()).expect("an ATLAS id");
    expect(&["--tag", &atlas.to_lowercase()], &|rule| {
        rule["atlas"].as_array().unwrap().iter().any(|id| id.as_str().unwrap().starts_with(atlas))
    });
    expect(
        &["--family", "logging", "--severity", "high", "--log", "cloudtrail", "--layer", "infrastructure"],
        &|rule| {
            rule["family"] == "logging"
                && ["high", "critical"].contains(&rule["severity"].as_str().unwrap())
                && has(rule, "logs", &["cloudtrail"])
                && rule["layer"] == "infrastructure"
        },
    );
    assert!(listed(&["--tag", "T156"]).is_empty(), "half an id is no id");
    assert_eq!(run(&["rules", "list", "--layer", "cellar"]).status.code(), Some(2));
}

#[test]
fn layers_for_navigators_score_techniques_by_rules() {
    let all = listed(&["--family", "logging"]);
    for (format, domain, version, scheme) in
        [("navigator", "enterprise-attack", "4.5", "attack"), ("navigator-atlas", "atlas-atlas", "4.3", "atlas")]
    {
        let layer = run_json(&["rules", "list", "--family", "logging", "--format", format]);
        assert_eq!((&layer["domain"], &layer["versions"]["layer"]), (&domain.into(), &version.into()));
        assert!(layer["name"].is_string() && layer["versions"]["navigator"].is_string());
        let techniques = layer["techniques"].as_array().unwrap();
        let scored: Vec<&Value> = techniques.iter().filter(|technique| technique.get("score").is_some()).collect();
        let known: BTreeSet<&str> =
            all.iter().flat_map(|rule| rule[scheme].as_array().unwrap()).map(|id| id.as_str().unwrap()).collect();
        let listed: Vec<&str> = scored.iter().map(|technique| technique["techniqueID"].as_str().unwrap()).collect();
        assert_eq!(listed, known.into_iter().collect::<Vec<_>>());
        for technique in &scored {
            let id = &technique["techniqueID"];
            let rules: Vec<&str> = all
                .iter()
                .filter(|rule| rule[scheme].as_array().unwrap().contains(id))
                .map(|rule| rule["id"].as_str().unwrap())
                .collect();
            assert_eq!(technique["score"], rules.len(), "{id}");
            let comment: BTreeSet<&str> = technique["comment"].as_str().unwrap().split(", ").collect();
            assert_eq!(comment, rules.into_iter().collect(), "{id}");
            assert_eq!(technique["enabled"], true);
        }
        let bounds = (layer["gradient"]["minValue"].as_u64().unwrap(), layer["gradient"]["maxValue"].as_u64().unwrap());
        assert!(bounds.0 < bounds.1 && layer["gradient"]["colors"].as_array().unwrap().len() == 2);
        assert!(scored.iter().all(|technique| technique["score"].as_u64().unwrap() <= bounds.1));
        assert_eq!(layer["legendItems"].as_array().unwrap().len(), 2);
    }
    let empty = run_json(&["rules", "list", "--tag", "T9999", "--format", "navigator"]);
    assert_eq!(empty["techniques"], json!([]));
}
