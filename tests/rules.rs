//! Rules: every built-in one is sound, mistakes are named, and findings do not depend on how rows arrive.

#[path = "support/mistakes.rs"]
mod mistakes;

use std::path::Path;

use chrono::{DateTime, Duration, TimeZone, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use mistakes::{changed, mistake};
use proptest::prelude::*;
use trailhound::detect::lint::Linter;
use trailhound::detect::{self, Outcome, Rule, Scans, Shelf, Tuning, selftest};
use trailhound::engine::{Engine, Settings, Value, Window};
use trailhound::findings::{self, Finding};
use trailhound::logs::cloudtrail::CLOUDTRAIL;
use trailhound::logs::rows::Rows;

/// Counts denied calls: one row per principal and ten minutes.
const COUNTING: &str = r#"
title = "Many calls were denied"
severity = "medium"
confidence = "low"
kind = "threat"
logs = ["cloudtrail"]
needs = ["cloudtrail/Management"]
layer = "identity"
phase = "prototype"
why = "Someone tries what they may not."
gaps = "none known"
false_positives = ["a broken deployment"]
triage = ["Look at the calls of the principal in the hour before."]
params = { minimum = 2 }
entity = ["principal"]
lookback = "1h"
quiet = "1h"
sql = '''
SELECT max(time) AS time, min(time) AS first_seen, bool_or(fresh) AS fresh, userIdentity.arn AS principal,
       count(*) AS event_count, array_agg(eventID ORDER BY eventID) AS event_ids,
       sample(_object || '#' || _record) AS records
FROM cloudtrail WHERE errorCode IS NOT NULL
GROUP BY userIdentity.arn, date_bin(INTERVAL '10 minutes', time)
HAVING count(*) >= $minimum
'''
[[test]]
name = "three denied calls"
fires = true
events = [{ log = "cloudtrail", errorCode = "AccessDenied", repeat = 3 }]
[[test]]
name = "the calls are history"
fires = false
fresh_from = "+10m"
events = [{ log = "cloudtrail", errorCode = "AccessDenied", repeat = 3 }, { log = "cloudtrail", at = "+11m" }]
"#;

/// Finds each denied call.
const SINGLE: &str = r#"
title = "A call was denied"
severity = "low"
confidence = "low"
kind = "hunt"
logs = ["cloudtrail"]
needs = ["cloudtrail"]
layer = "identity"
phase = "prototype"
why = "Someone tries what they may not."
gaps = "none known"
false_positives = ["everyone"]
triage = ["Look at the calls of the principal in the hour before."]
entity = ["principal", "account_id"]
lookback = "0s"
quiet = "15m"
sql = '''
SELECT time, fresh, userIdentity.arn AS principal, recipientAccountId AS account_id, sourceIPAddress AS source_ip,
       eventID AS event_id, eventName AS event_name, _object, _record
FROM cloudtrail WHERE errorCode IS NOT NULL AND eventName IN ('GetObject', 'PutObject')
'''
[[test]]
name = "a denied read"
fires = true
events = [{ log = "cloudtrail", eventName = "GetObject", errorCode = "AccessDenied" }]
[[test]]
name = "an ordinary read"
fires = false
events = [{ log = "cloudtrail", eventName = "GetObject" }]
"#;

fn rule(id: &str, text: &str) -> Rule {
    Rule::read(&format!("own/{id}.toml"), text, true).expect("the rule is sound")
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 10, 1, 12, 0, 0).single().expect("a time")
}

/// A denied call, as it lies in the lake.
#[derive(Debug, Clone)]
struct Denied {
    second: i64,
    who: u8,
    number: u64,
    object: &'static str,
}

/// One batch per event, so that tests can arrange them.
fn batch(event: &Denied) -> RecordBatch {
    let table = CLOUDTRAIL.table;
    let mut rows = Rows::new(table);
    let mut text = |name: &str, value: &str| rows.text(table.position(name).expect("a column"), value);
    text("eventName", "GetObject");
    text("eventSource", "s3.amazonaws.com");
    text("eventID", &format!("event-{:03}", event.number));
    text("errorCode", "AccessDenied");
    text("recipientAccountId", "111122223333");
    text("sourceIPAddress", &format!("192.0.2.{}", event.number));
    text("userIdentity.arn", &format!("arn:aws:iam::111122223333:user/user{}", event.who));
    rows.finish(noon().timestamp_micros() + event.second * 1_000_000, event.number, event.number.into());
    rows.take(event.object).into_iter().next().expect("a row").stored()
}

async fn judge(rules: &[Rule], batches: Vec<RecordBatch>, window: &Window) -> detect::Report {
    let settings = Settings { threads: 2, ..Settings::default() };
    let engine = Engine::in_memory(settings, vec![(CLOUDTRAIL.table, batches)]).await.expect("an engine");
    detect::run(&engine, rules, &Tuning::default(), window, 2, Scans::Shared, "run")
        .await
        .expect("the tables can be read")
}

/// Findings without what differs from run to run.
fn lasting(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.iter_mut().for_each(|finding| finding.created_at = noon());
    findings
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(future)
}

#[test]
fn built_in_rules_are_sound_and_filed() {
    let shelf = Shelf::built_in().expect("every built-in rule can be read");
    for rule in shelf.rules() {
        assert!(
            FAMILIES.contains(&rule.family.as_str()),
            "{}: is '{}' a new family? Add it to the list here",
            rule.source,
            rule.family
        );
        assert!(!rule.title.ends_with('.'), "{}: a title has no full stop", rule.source);
    }
}

/// Folders of `detections/`.
const FAMILIES: &[&str] = &[
    "agents",
    "api_keys",
    "chains",
    "enablement",
    "guardrails",
    "identity",
    "knowledge_bases",
    "leakage",
    "llmjacking",
    "logging",
    "network",
    "prompts",
    "sagemaker",
    "tools",
    "training",
    "usage",
];

#[tokio::test(flavor = "multi_thread")]
async fn built_in_rules_pass_lint() {
    let linter = Linter::new().await.expect("a linter");
    let mut problems = Vec::new();
    for rule in Shelf::built_in().expect("every built-in rule can be read").rules() {
        problems.extend(linter.check(rule).await.errors.into_iter().map(|error| format!("{}: {error}", rule.source)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_rules_pass_their_tests() {
    let shelf = Shelf::built_in().expect("every built-in rule can be read");
    let outcomes = selftest::run(shelf.rules(), 2).await.expect("tests can run");
    let failed: Vec<String> = outcomes.iter().filter(|o| o.problem.is_some()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{} of {} tests failed\n{}", failed.len(), outcomes.len(), failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_names_the_path_and_what_is_missing() {
    let linter = Linter::new().await.expect("a linter");
    let notes = linter.check(&rule("denied_call", SINGLE)).await;
    assert_eq!(notes.errors, Vec::<String>::new());
    let path = notes.path.expect("it plans").to_string();
    assert_eq!(path, "shared scan of cloudtrail, eventname: GetObject PutObject");
    let notes = linter.check(&rule("many_denied_calls", COUNTING)).await;
    assert_eq!(notes.errors, Vec::<String>::new());
    assert_eq!(notes.path.expect("it plans").to_string(), "shared scan of cloudtrail");

    for (from, to, expected) in [
        (", _object, _record", "", "returns `_object`"),
        ("SELECT time,", "SELECT eventTime,", "return `time`"),
        ("fresh, ", "", "return `fresh`"),
        ("eventID AS event_id", "eventID", "returns `event_id`"),
        ("AS principal", "AS who", "entity column `principal`"),
        ("FROM cloudtrail", "FROM bedrock", "no column"),
        ("needs = [\"cloudtrail\"]", "needs = [\"cloudtrail.prompt\"]", "no column prompt"),
        ("IS NOT NULL", "IS NOT NULL AND time > now() - INTERVAL '1 day'", "now()"),
        ("IS NOT NULL", "IS NOT NULL AND requestID IN (SELECT requestid FROM bedrock)", "add \"bedrock\" to logs"),
    ] {
        let notes = linter.check(&rule("denied_call", &changed(SINGLE, from, to))).await;
        assert!(notes.errors.iter().any(|error| error.contains(expected)), "{expected}: {:?}", notes.errors);
    }
}

#[test]
fn mistakes_in_a_rule_name_file_line_and_remedy() {
    for (from, to, place, remedy) in [
        ("severity =", "severty =", "own/denied_call.toml:3:", "did you mean 'severity'?"),
        (
            "\"low\"",
            "\"hgh\"",
            "own/denied_call.toml:3:",
            "informational, low, medium, high, critical; did you mean 'high'?",
        ),
        ("why = \"Someone tries what they may not.\"", "", "own/denied_call.toml:", "'why' is missing"),
        ("none known", " ", ":11:", "gaps is empty"),
        ("\"0s\"", "\"soon\"", ":15:", "write 0s, 15m, 24h or 30d"),
        ("\"15m\"", "\"0s\"", ":16:", "at least 1s"),
        ("needs = [\"cloudtrail\"]", "needs = [\"cloudtrial\"]", ":7:", "did you mean 'cloudtrail'?"),
        ("needs = [\"cloudtrail\"]", "needs = [\"bedrock\"]", ":7:", "add \"bedrock\" to logs"),
        ("phase =", "atlas = [\"T0040\"]\nphase =", ":9:", "AML.T####"),
        ("phase =", "params = { minimum = 3 }\nphase =", ":9:", "does not use $minimum"),
        ("IN ('GetObject'", "IN ($names, 'GetObject'", ":17:", "does not declare"),
        ("fires = false", "fires = true", ":17:", "fires = false"),
        (
            "eventName = \"GetObject\", errorCode",
            "eventname = \"GetObject\", errorCode",
            ":25:",
            "did you mean 'eventName'?",
        ),
    ] {
        let mistake = mistake("own/denied_call.toml", SINGLE, from, to);
        assert!(mistake.contains(place) && mistake.contains(remedy), "{mistake}\nshould name {place} and {remedy}");
    }
    assert!(
        Rule::read("own/DeniedCall.toml", SINGLE, true)
            .is_err_and(|mistake| mistake.to_string().contains("snake_case"))
    );
}

#[test]
fn a_folder_of_rules_wins_over_built_in_ones_and_takes_parameters() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    write("own/many_denied_calls.toml", COUNTING);
    let first = Shelf::built_in().expect("built-in rules").rules().first().cloned();
    if let Some(known) = &first {
        write(&format!("own/{}.toml", known.id), SINGLE);
    }
    let overrides = toml::from_str("many_denied_calls = { minimum = 5 }").expect("TOML");
    let shelf = Shelf::load(Some(folder.path()), &overrides).expect("a shelf");
    let own = shelf.get("many_denied_calls").expect("the added rule");
    assert!(own.added && own.values().get("minimum") == Some(&Value::Whole(5)));
    assert_ne!(own.version(), rule("many_denied_calls", COUNTING).version());
    assert_eq!(shelf.notes().len(), usize::from(first.is_some()));
    assert_eq!(shelf.select(&["own".into()]).expect("a family").len(), 1 + usize::from(first.is_some()));

    for (written, remedy) in [
        ("many_denied_cals = { minimum = 5 }", "did you mean 'many_denied_calls'?"),
        ("many_denied_calls = { minimun = 5 }", "did you mean 'minimum'?"),
        ("many_denied_calls = { minimum = \"5\" }", "a whole number, not text"),
        ("many_denied_calls = { minimum = [1] }", "no number, text"),
    ] {
        let mistake = Shelf::load(Some(folder.path()), &toml::from_str(written).expect("TOML")).expect_err("a mistake");
        assert!(mistake.to_string().contains(remedy), "{mistake}");
    }
    write("other/many_denied_calls.toml", COUNTING);
    assert!(Shelf::load(Some(folder.path()), &Default::default()).is_err_and(|e| e.to_string().contains("taken")));
    assert!(Shelf::load(Some(Path::new("/no/such/folder")), &Default::default()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_does_not_hold_says_what_happened() {
    let wrong = COUNTING.replace("fires = true", "fires = maybe").replace("fires = false", "fires = true");
    let wrong = wrong.replace("fires = maybe", "fires = false");
    let outcomes = selftest::run(&[rule("many_denied_calls", &wrong)], 2).await.expect("tests can run");
    let told: Vec<String> = outcomes.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("three denied calls") && told[0].contains("should stay quiet, but fired"), "{told:?}");
    assert!(told[0].contains("assumed-role/analytics/alice"), "{told:?}");
    assert!(told[1].contains("should fire, but found nothing fresh in 4 cloudtrail rows"), "{told:?}");
    let right = selftest::run(&[rule("many_denied_calls", COUNTING)], 2).await.expect("tests can run");
    assert!(right.iter().all(|outcome| outcome.problem.is_none()), "{right:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_tell_quiet_from_blind_and_from_broken() {
    let event = Denied { second: 0, who: 1, number: 1, object: "a" };
    let blind = SINGLE.replace("needs = [\"cloudtrail\"]", "needs = [\"cloudtrail/Data/s3.amazonaws.com\"]");
    let unfilled = SINGLE.replace("needs = [\"cloudtrail\"]", "needs = [\"cloudtrail.tlsDetails.tlsVersion\"]");
    let absent = SINGLE.replace("cloudtrail\"", "bedrock\"").replace("FROM cloudtrail", "FROM bedrock");
    let broken = SINGLE.replace("time, fresh", "arrow_cast(eventName, 'Int64') AS number, time, fresh");
    let rules = [
        rule("denied_call", SINGLE),
        rule("many_denied_calls", COUNTING),
        rule("blind", &blind),
        rule("unfilled", &unfilled),
        rule("absent", &absent),
        rule("broken", &broken),
    ];
    let report = judge(&rules, vec![batch(&event)], &Window::default()).await;
    let outcomes: Vec<&Outcome> = report.verdicts.iter().map(|verdict| &verdict.outcome).collect();
    assert_eq!(outcomes[0], &Outcome::Fired(1));
    assert_eq!(outcomes[1], &Outcome::Quiet);
    let reason = |index: usize| outcomes[index].reason().unwrap_or_default();
    assert!(reason(2).contains("no Data events of s3.amazonaws.com in this lake"), "{}", reason(2));
    assert!(reason(3).contains("cloudtrail.tlsdetails.tlsversion"), "{}", reason(3));
    assert_eq!(reason(4), "no bedrock rows in this lake");
    assert!(matches!(outcomes[5], Outcome::Failed(_)) && reason(5).contains("GetObject"), "{}", reason(5));
    assert_eq!(report.exit_code(), 2);

    let later = Window { start: Some(noon() + Duration::hours(1)), end: None, lookback: Duration::zero() };
    let report = judge(&rules[..1], vec![batch(&event)], &later).await;
    assert!(
        report.verdicts[0].outcome.reason().is_some_and(|why| why.contains("no cloudtrail rows in this lake since"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn history_counts_but_does_not_fire_by_itself() {
    let events = [-600, -500, 10].map(|second| Denied { second, who: 1, number: (second + 600) as u64, object: "a" });
    let window = Window { start: Some(noon()), end: None, lookback: Duration::zero() };
    let sql = COUNTING.replace(", date_bin(INTERVAL '10 minutes', time)", "").replace("minimum = 2", "minimum = 3");
    let rules = [rule("many_denied_calls", &sql)];
    let report = judge(&rules, events.iter().map(batch).collect(), &window).await;
    assert_eq!(report.findings.iter().map(|finding| finding.event_count).collect::<Vec<_>>(), [3]);
    let short = [rule("many_denied_calls", &sql.replace("lookback = \"1h\"", "lookback = \"9m\""))];
    let report = judge(&short, events.iter().map(batch).collect(), &window).await;
    assert_eq!(report.verdicts[0].outcome, Outcome::Quiet);
}

#[test]
fn the_same_event_in_two_objects_is_the_same_finding() {
    let ids = |object: &'static str| {
        let event = Denied { second: 5, who: 1, number: 7, object };
        let report = block_on(judge(&[rule("denied_call", SINGLE)], vec![batch(&event)], &Window::default()));
        report.findings.into_iter().map(|finding| finding.finding_id).collect::<Vec<_>>()
    };
    let first = ids("s3://trail/one.json.gz");
    assert_eq!(first.len(), 1);
    assert_eq!(first, ids("s3://archive/two.json.gz"));
}

#[test]
fn findings_carry_what_a_responder_needs_and_no_more_than_fits() {
    let events: Vec<Denied> = (0..200)
        .map(|number| Denied { second: number as i64, who: 1, number, object: "s3://trail/one.json.gz" })
        .collect();
    let report =
        block_on(judge(&[rule("denied_call", SINGLE)], events.iter().map(batch).collect(), &Window::default()));
    let [finding] = report.findings.as_slice() else { panic!("one finding: {:?}", report.verdicts) };
    assert_eq!(finding.principal.as_deref(), Some("arn:aws:iam::111122223333:user/user1"));
    assert_eq!(finding.source_ip.as_deref(), Some("192.0.2.0"));
    assert_eq!((finding.event_count, finding.event_ids.len(), finding.evidence.len()), (200, 50, 20));
    assert_eq!((finding.first_seen, finding.last_seen), (noon(), noon() + Duration::seconds(199)));
    assert_eq!(finding.provenance(), Some(("s3://trail/one.json.gz".to_owned(), 0)));
    let fourth: serde_json::Value = serde_json::from_str(&finding.evidence[3]).expect("JSON");
    assert_eq!((&fourth["_record"], &fourth["event_name"]), (&3.into(), &"GetObject".into()));
    let counted =
        block_on(judge(&[rule("many_denied_calls", COUNTING)], events.iter().map(batch).collect(), &Window::default()));
    let [counted] = counted.findings.as_slice() else { panic!("one finding: {:?}", counted.verdicts) };
    assert_eq!(counted.provenance(), Some(("s3://trail/one.json.gz".to_owned(), 0)));
    assert_eq!((counted.event_count, counted.event_ids.len()), (200, 50));
    let rows = findings::to_batch(&report.findings).expect("they fit their table");
    assert_eq!((rows.num_rows(), rows.schema()), (1, findings::FINDINGS.schema()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn findings_do_not_depend_on_order_or_batches(
        events in prop::collection::vec((0i64..7_200, 0u8..3), 1..40),
        order in any::<prop::sample::Index>(),
        sizes in prop::collection::vec(1usize..7, 40),
    ) {
        let events: Vec<Denied> = events
            .iter()
            .enumerate()
            .map(|(number, (second, who))| Denied { second: *second, who: *who, number: number as u64, object: "a" })
            .collect();
        let straight: Vec<RecordBatch> = events.iter().map(batch).collect();
        let mut shuffled = straight.clone();
        shuffled.rotate_left(order.index(straight.len()));
        shuffled.chunks_mut(3).for_each(<[RecordBatch]>::reverse);
        let mut split = Vec::new();
        let mut rest = shuffled.as_slice();
        for size in sizes {
            let (now, later) = rest.split_at(size.min(rest.len()));
            if let Some(first) = now.first() {
                split.push(concat_batches(&first.schema(), now).expect("equal schemas"));
            }
            rest = later;
        }
        let rules = [rule("denied_call", SINGLE), rule("many_denied_calls", COUNTING)];
        let one = block_on(judge(&rules, straight, &Window::default()));
        let other = block_on(judge(&rules, split, &Window::default()));
        prop_assert!(!one.findings.is_empty());
        prop_assert_eq!(lasting(one.findings), lasting(other.findings));
    }
}
