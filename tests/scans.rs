//! Shared scans: rules find, row for row, what each of them finds alone, and memory stays within its limit.

use chrono::{DateTime, Duration, TimeZone, Utc};
use datafusion::arrow::array::RecordBatch;
use indicatif::ProgressBar;
use proptest::prelude::*;
use proptest::sample::select;
use trailhound::detect::{self, Outcome, Report, Rule, Scans, Shelf, Tuning};
use trailhound::engine::{Engine, Settings, Window};
use trailhound::findings::Finding;
use trailhound::intake::{Intake, Options};
use trailhound::logs::cloudtrail::CLOUDTRAIL;
use trailhound::logs::rows::Rows;
use trailhound::logs::vpcflow::VPCFLOW;
use trailhound::pipeline::{self, Ingest};

/// What rules have beside their SQL.
const FRAME: &str = r#"
title = "Something happened"
severity = "low"
confidence = "low"
kind = "hunt"
layer = "identity"
phase = "prototype"
why = "Somebody wants to know."
gaps = "none known"
false_positives = ["everyone"]
triage = ["Look at the hour before."]
entity = ["principal", "name"]
quiet = "15m"
"#;

/// How far rules look back, so that some want days that others do not.
const LOOKBACKS: [&str; 3] = ["2h", "30h", "4d"];

const NAMES: [&str; 6] = ["InvokeModel", "Converse", "ListBuckets", "GetObject", "DeleteTrail", "ünïcode"];
const SOURCES: [&str; 3] = ["bedrock.amazonaws.com", "s3.amazonaws.com", "cloudtrail.amazonaws.com"];
const ERRORS: [&str; 2] = ["AccessDenied", "ThrottlingException"];

/// A CloudTrail event with what the random rules look at.
#[derive(Debug, Clone)]
struct Event {
    minute: i64,
    name: Option<&'static str>,
    source: Option<&'static str>,
    error: Option<&'static str>,
    who: u8,
    parameters: Option<String>,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let maybe = |values: &'static [&'static str]| prop_oneof![4 => select(values).prop_map(Some), 1 => Just(None)];
    let parameters = prop_oneof![
        Just(None),
        "[a-c]{0,3}".prop_map(|text| Some(format!(r#"{{"modelId":"{text}"}}"#))),
        Just(Some("not JSON".to_owned())),
    ];
    let minute = prop_oneof![3 => -180i64..60, 1 => -6 * 1_440i64..60];
    let event = (minute, maybe(&NAMES), maybe(&SOURCES), maybe(&ERRORS), 0u8..4, parameters);
    let event = event.prop_map(|(minute, name, source, error, who, parameters)| Event {
        minute,
        name,
        source,
        error,
        who,
        parameters,
    });
    prop::collection::vec(event, 1..60)
}

/// A condition on the columns that events have: with and without keys, nested, negated, null.
fn conditions() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        select(&NAMES).prop_map(|name| format!("eventName = '{name}'")),
        prop::collection::vec(select(&NAMES), 1..5)
            .prop_map(|names| format!("eventName IN ('{}')", names.join("', '"))),
        select(&NAMES).prop_map(|name| format!("eventName <> '{name}'")),
        select(&SOURCES).prop_map(|source| format!("eventSource = '{source}'")),
        prop::collection::vec(select(&SOURCES), 1..3)
            .prop_map(|all| format!("eventSource IN ('{}')", all.join("', '"))),
        select(&NAMES).prop_map(|name| format!("eventName LIKE '{}%'", name.chars().take(3).collect::<String>())),
        Just("errorCode IS NULL".to_owned()),
        Just("errorCode IS NOT NULL".to_owned()),
        select(&ERRORS).prop_map(|error| format!("errorCode = '{error}'")),
        Just("requestParameters LIKE '%a%'".to_owned()),
        Just("json_get_str(requestParameters, 'modelId') = 'ab'".to_owned()),
        (0u8..4).prop_map(|who| format!("userIdentity.arn = 'arn:aws:iam::111122223333:user/user{who}'")),
        Just("coalesce(eventName, 'none') = 'none'".to_owned()),
    ];
    plain.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            1 => inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

/// Questions of every kind: single events, thresholds, first-seen, sequences, and joins of two logs.
fn questions() -> impl Strategy<Value = String> {
    let row = "time, fresh, userIdentity.arn AS principal, eventName AS name";
    let keep = "eventID AS event_id, requestParameters AS parameters, _object, _record";
    prop_oneof![
        4 => conditions().prop_map(move |a| format!("SELECT {row}, {keep} FROM cloudtrail WHERE {a}")),
        2 => (conditions(), 1u8..4).prop_map(|(a, least)| format!(
            "SELECT max(time) AS time, bool_or(fresh) AS fresh, userIdentity.arn AS principal, min(eventName) AS name, \
             count(*) AS event_count, sample(eventID) AS event_ids FROM cloudtrail WHERE {a} \
             GROUP BY userIdentity.arn, date_bin(INTERVAL '10 minutes', time) HAVING count(*) >= {least}")),
        1 => conditions().prop_map(move |a| format!(
            "SELECT * FROM (SELECT {row}, {keep}, row_number() OVER (PARTITION BY userIdentity.arn, errorCode \
             ORDER BY time, eventID) AS place FROM cloudtrail WHERE {a}) WHERE place = 1 AND principal LIKE '%user%'")),
        1 => (conditions(), 0u8..40).prop_map(move |(a, minutes)| format!(
            "WITH seen AS (SELECT {row}, {keep}, errorCode AS error, min(time) OVER (PARTITION BY userIdentity.arn, errorCode) AS first, \
             min(time) OVER (PARTITION BY userIdentity.arn) AS began FROM cloudtrail WHERE {a}) \
             SELECT max(time) AS time, bool_or(fresh) AS fresh, principal, min(name) AS name, count(*) AS event_count, \
             sample(event_id) AS event_ids FROM seen WHERE time < first + INTERVAL '{minutes} minutes' AND first >= began + INTERVAL '5 minutes' \
             GROUP BY principal, error")),
        1 => (conditions(), 1u8..3).prop_map(move |(a, least)| format!(
            "WITH seen AS (SELECT {row}, {keep}, errorCode AS error, min(time) OVER (PARTITION BY userIdentity.arn, errorCode) AS first \
             FROM cloudtrail WHERE {a}) \
             SELECT max(time) AS time, bool_or(fresh) AS fresh, principal, min(name) AS name, count(*) AS event_count, \
             count(CASE WHEN time < first + INTERVAL '10 minutes' THEN 1 END) AS new, sample(event_id) AS event_ids FROM seen \
             GROUP BY principal, date_bin(INTERVAL '10 minutes', time) HAVING count(*) >= {least}")),
        1 => (conditions(), conditions()).prop_map(move |(a, b)| format!(
            "WITH slots AS (SELECT max(time) AS time, bool_or(fresh) AS fresh, userIdentity.arn AS principal, min(eventName) AS name, \
             date_bin(INTERVAL '10 minutes', time) AS slot, count(*) AS event_count FROM cloudtrail WHERE {a} \
             GROUP BY userIdentity.arn, date_bin(INTERVAL '10 minutes', time)), \
             ranked AS (SELECT *, dense_rank() OVER (PARTITION BY principal ORDER BY slot) AS place FROM slots), \
             failed AS (SELECT userIdentity.arn AS who, count(*) AS failures FROM cloudtrail WHERE {b} GROUP BY userIdentity.arn) \
             SELECT ranked.*, failures FROM ranked LEFT JOIN failed ON who = principal WHERE place > 1 OR failures > 2")),
        1 => conditions().prop_map(move |a| format!(
            "SELECT calls.*, log_began FROM (SELECT {row}, {keep}, recipientAccountId AS account_id FROM cloudtrail WHERE {a}) \
             AS calls JOIN accounts ON accounts.account IS NOT DISTINCT FROM account_id \
             WHERE time >= log_began + INTERVAL '10 minutes'")),
        1 => (conditions(), conditions()).prop_map(move |(a, b)| format!(
            "WITH first AS (SELECT time, userIdentity.arn AS who FROM cloudtrail WHERE {a}), \
             second AS (SELECT {row}, {keep} FROM cloudtrail WHERE {b}) \
             SELECT second.* FROM second WHERE NOT EXISTS (SELECT 1 FROM first \
             WHERE first.who = second.principal AND first.time < second.time)")),
        1 => (conditions(), conditions()).prop_map(move |(a, b)| format!(
            "WITH first AS (SELECT time, userIdentity.arn AS who FROM cloudtrail WHERE {a}), \
             second AS (SELECT {row}, {keep} FROM cloudtrail WHERE {b}) \
             SELECT second.*, first.time AS before FROM second JOIN first ON first.who = second.principal \
             WHERE second.time BETWEEN first.time AND first.time + INTERVAL '30 minutes'")),
        1 => (conditions(), 0i32..4).prop_map(move |(a, port)| format!(
            "SELECT c.time, c.fresh, c.userIdentity.arn AS principal, c.eventName AS name, c.eventID AS event_id, \
             f.bytes AS bytes FROM cloudtrail c JOIN vpcflow f ON f.srcaddr = c.sourceIPAddress \
             WHERE {} AND f.dstport = {port}", qualified(&a))),
    ]
}

/// The condition on a table that is called `c`.
fn qualified(condition: &str) -> String {
    let mut text = condition.to_owned();
    for column in ["eventName", "eventSource", "errorCode", "requestParameters", "userIdentity"] {
        text = text.replace(column, &format!("c.{column}"));
    }
    text
}

fn rule(number: usize, sql: &str) -> Rule {
    let mut logs = vec!["\"cloudtrail\""];
    if sql.contains("vpcflow") {
        logs.push("\"vpcflow\"");
    }
    let tests: String = [("fires", true), ("is quiet", false)]
        .map(|(name, fires)| {
            format!("[[test]]\nname = \"{name}\"\nfires = {fires}\nevents = [{{ log = \"cloudtrail\" }}]\n")
        })
        .concat();
    let lookback = LOOKBACKS[number % LOOKBACKS.len()];
    let text = format!(
        "{FRAME}lookback = \"{lookback}\"\nlogs = [{}]\nneeds = [\"cloudtrail\"]\nsql = '''\n{sql}\n'''\n{tests}",
        logs.join(", ")
    );
    Rule::read(&format!("own/rule_{number}.toml"), &text, true).expect("the rule is sound")
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 10, 1, 12, 0, 0).single().expect("a time")
}

/// The events as rows, in batches of `size`.
fn trail(events: &[Event], size: usize) -> Vec<RecordBatch> {
    let table = CLOUDTRAIL.table;
    let mut batches = Vec::new();
    for (part, chunk) in events.chunks(size.max(1)).enumerate() {
        let mut rows = Rows::new(table);
        for (place, event) in chunk.iter().enumerate() {
            let number = part * size + place;
            let mut text = |name: &str, value: Option<&str>| {
                if let Some(value) = value {
                    rows.text(table.position(name).expect("a column"), value);
                }
            };
            text("eventName", event.name);
            text("eventSource", event.source);
            text("errorCode", event.error);
            text("eventID", Some(&format!("event-{number:03}")));
            text("requestParameters", event.parameters.as_deref());
            text("sourceIPAddress", Some(&format!("192.0.2.{}", event.who)));
            text("userIdentity.arn", Some(&format!("arn:aws:iam::111122223333:user/user{}", event.who)));
            let time = noon() + Duration::minutes(event.minute);
            rows.finish(time.timestamp_micros(), number as u64, number as u128);
        }
        batches.extend(rows.take("s3://trail/one.json.gz").into_iter().map(|found| found.stored()));
    }
    batches
}

fn flows() -> Vec<RecordBatch> {
    let table = VPCFLOW.table;
    let mut rows = Rows::new(table);
    for number in 0..4u64 {
        rows.text(table.position("srcaddr").expect("a column"), &format!("192.0.2.{number}"));
        rows.int(table.position("dstport").expect("a column"), number as i32 % 3);
        rows.long(table.position("bytes").expect("a column"), 1_000);
        rows.finish(noon().timestamp_micros(), number, number.into());
    }
    rows.take("s3://flows/one.log.gz").into_iter().map(|found| found.stored()).collect()
}

async fn judge(rules: &[Rule], trail: Vec<RecordBatch>, window: &Window, memory: usize, scans: Scans) -> Report {
    let tables = vec![(CLOUDTRAIL.table, trail), (VPCFLOW.table, flows())];
    let engine = Engine::in_memory(Settings { threads: 2, memory }, tables).await.expect("an engine");
    let mut report =
        detect::run(&engine, rules, &Tuning::default(), window, 2, scans, "run").await.expect("the tables can be read");
    report.findings.iter_mut().for_each(|finding| finding.created_at = noon());
    report
}

/// Findings, and what each rule answered.
fn told(report: Report) -> (Vec<Finding>, Vec<(String, Outcome, u64)>) {
    let answers = report.verdicts.into_iter().map(|verdict| (verdict.rule_id, verdict.outcome, verdict.rows)).collect();
    (report.findings, answers)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(16 << 20)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

const PLENTY: usize = 256 << 20;

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rules_find_the_same_together_as_alone(
        events in events(),
        questions in prop::collection::vec(questions(), 1..12),
        size in 1usize..40,
        windowed in any::<bool>(),
    ) {
        let rules: Vec<Rule> = questions.iter().enumerate().map(|(number, sql)| rule(number, sql)).collect();
        let window = Window { start: windowed.then(noon), ..Window::default() };
        let together = block_on(judge(&rules, trail(&events, size), &window, PLENTY, Scans::Shared));
        let alone = block_on(judge(&rules, trail(&events, events.len()), &window, PLENTY, Scans::Alone));
        for verdict in &alone.verdicts {
            prop_assert!(!matches!(verdict.outcome, Outcome::Failed(_)), "{:?}", verdict.outcome);
        }
        prop_assert_eq!(told(together), told(alone));
    }
}

fn plain(number: usize) -> Event {
    let parameters = Some(format!(r#"{{"prefix":"{number:01000}"}}"#));
    Event {
        minute: number as i64 % 60,
        name: Some("GetObject"),
        source: Some("s3.amazonaws.com"),
        error: None,
        who: 1,
        parameters,
    }
}

const READS: &str = "SELECT time, fresh, userIdentity.arn AS principal, eventName AS name, requestParameters AS parameters, \
                     eventID AS event_id, _object, _record FROM cloudtrail WHERE eventName = 'GetObject'";

#[test]
fn rows_that_do_not_fit_in_memory_are_read_alone() {
    let events: Vec<Event> = (0..4_000).map(plain).collect();
    let few = READS.replace("'GetObject'", "'GetObject' AND eventID = 'event-007'");
    let rules = [rule(0, READS), rule(1, &few)];
    let run = |memory| block_on(judge(&rules, trail(&events, 500), &Window::default(), memory, Scans::Shared));
    let (ample, tight) = (run(PLENTY), run(4 << 20));
    let ways = |report: &Report| report.verdicts.iter().map(|verdict| verdict.cost.way()).collect::<Vec<_>>();
    assert_eq!(ways(&ample), ["shared", "shared"]);
    assert_eq!(ways(&tight), ["alone", "shared"]);
    assert_eq!(ample.verdicts[0].rows, 4_000);
    assert_eq!(told(ample), told(tight));
}

#[test]
fn a_join_that_does_not_fit_in_memory_goes_to_disk() {
    let events: Vec<Event> = (0..30_000).map(plain).collect();
    let sql = "WITH first AS (SELECT eventID AS id, repeat(requestParameters, 2) AS before FROM cloudtrail WHERE eventName = 'GetObject'), \
               second AS (SELECT time, fresh, userIdentity.arn AS principal, eventName AS name, eventID AS event_id, \
               repeat(requestParameters, 2) AS after, _object, _record FROM cloudtrail WHERE eventName = 'GetObject') \
               SELECT second.*, length(first.before) AS bytes, log_ends FROM second JOIN first ON first.id = second.event_id \
               CROSS JOIN (SELECT max(time) AS log_ends FROM cloudtrail) AS newest";
    let run =
        |memory| block_on(judge(&[rule(0, sql)], trail(&events, 5_000), &Window::default(), memory, Scans::Shared));
    let (ample, tight) = (run(PLENTY), run(40 << 20));
    assert_eq!(tight.verdicts[0].rows, 30_000, "{:?}", tight.verdicts[0].outcome);
    assert_eq!(told(ample), told(tight));
}

#[test]
fn first_rows_of_more_partitions_than_memory_holds_go_to_disk() {
    let events: Vec<Event> = (0..30_000).map(plain).collect();
    let sql = "SELECT time, fresh, principal, name, event_id, length(parameters) AS bytes, _object, _record FROM (\
               SELECT time, fresh, userIdentity.arn AS principal, eventName AS name, eventID AS event_id, \
               requestParameters AS parameters, _object, _record, \
               row_number() OVER (PARTITION BY eventID ORDER BY time) AS place FROM cloudtrail WHERE eventName = 'GetObject') \
               WHERE place = 1";
    let run =
        |memory| block_on(judge(&[rule(0, sql)], trail(&events, 5_000), &Window::default(), memory, Scans::Shared));
    let (ample, tight) = (run(PLENTY), run(40 << 20));
    assert_eq!(tight.verdicts[0].rows, 30_000, "{:?}", tight.verdicts[0].outcome);
    assert_eq!(told(ample), told(tight));
}

#[test]
fn built_in_rules_find_the_same_together_as_alone_in_a_lake() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |scans, window: Window| {
        let place = folder.path().join("lake").to_string_lossy().into_owned();
        block_on(async move {
            let lake = pipeline::open_lake(&place).await.expect("a lake");
            let logs = [concat!(env!("CARGO_MANIFEST_DIR"), "/sample-data").to_owned()];
            let how =
                Ingest { threads: 2, memory: 64 << 20, limit: 64 << 20, publish_rows: 1_000, run_id: "run".into() };
            let bar = ProgressBar::hidden();
            pipeline::ingest(&lake, &Intake::new(Options::default()), &logs, &how, &bar).await.expect("an ingest");
            let providers = lake.providers().await.expect("tables");
            let engine = Engine::new(Settings { threads: 2, memory: PLENTY }, providers).await.expect("an engine");
            let rules = Shelf::built_in().expect("rules").rules().to_vec();
            detect::run(&engine, &rules, &Tuning::default(), &window, 2, scans, "run")
                .await
                .expect("the tables can be read")
        })
    };
    // Its story begins in the middle of the day.
    for (start, least) in [(None, 50), (Some(noon()), 20)] {
        let window = Window { start, ..Window::default() };
        let (mut together, mut alone) = (run(Scans::Shared, window.clone()), run(Scans::Alone, window));
        for report in [&mut together, &mut alone] {
            report.findings.iter_mut().for_each(|finding| finding.created_at = noon());
        }
        assert!(alone.findings.len() > least, "the sample data tells a story");
        assert_eq!(told(together), told(alone));
    }
}

#[test]
fn the_cost_says_how_many_rows_were_looked_at() {
    let mut events: Vec<Event> = (0..100).map(plain).collect();
    for event in events.iter_mut().take(10) {
        event.name = Some("DeleteTrail");
    }
    let rules = [
        rule(0, &READS.replace("'GetObject'", "'DeleteTrail' AND errorCode IS NOT NULL")),
        rule(1, READS),
        rule(2, &READS.replace("eventName = 'GetObject'", "errorCode IS NOT NULL")),
    ];
    let report = block_on(judge(&rules, trail(&events, 100), &Window::default(), PLENTY, Scans::Shared));
    let costs: Vec<(u64, u64)> = report.verdicts.iter().map(|v| (v.cost.examined, v.cost.matched)).collect();
    assert_eq!(costs, [(10, 0), (90, 90), (0, 0)]);
}

#[test]
fn history_is_read_where_something_is_fresh() {
    let mut events: Vec<Event> = (0..100).map(|number| Event { minute: -90, ..plain(number) }).collect();
    events.push(Event { name: Some("DeleteTrail"), ..plain(7) });
    let counted = |name: &str| {
        format!(
            "SELECT max(time) AS time, bool_or(fresh) AS fresh, userIdentity.arn AS principal, min(eventName) AS name, \
             count(*) AS event_count FROM cloudtrail WHERE eventName IN ('{name}', 'ListBuckets') GROUP BY userIdentity.arn"
        )
    };
    let both = counted("GetObject").replace("'ListBuckets'", "'DeleteTrail'");
    let rules = [rule(0, &counted("GetObject")), rule(1, &both)];
    let window = Window { start: Some(noon()), ..Window::default() };
    let report = block_on(judge(&rules, trail(&events, 100), &window, PLENTY, Scans::Shared));
    let answers: Vec<(u64, u64)> = report.verdicts.iter().map(|v| (v.cost.matched, v.rows)).collect();
    assert_eq!(answers, [(0, 0), (101, 1)]);
}

#[test]
fn of_a_history_groups_with_a_fresh_row_are_read() {
    let mut events: Vec<Event> =
        (0..100).map(|number| Event { minute: -90, who: number as u8 % 4, ..plain(number) }).collect();
    events.push(Event { who: 3, ..plain(7) });
    let sql = "SELECT max(time) AS time, bool_or(fresh) AS fresh, userIdentity.arn AS principal, min(eventName) AS name, \
               count(*) AS event_count FROM cloudtrail WHERE eventName = 'GetObject' GROUP BY userIdentity.arn";
    let window = Window { start: Some(noon()), ..Window::default() };
    let report = block_on(judge(&[rule(0, sql)], trail(&events, 100), &window, PLENTY, Scans::Shared));
    let answers: Vec<(u64, u64)> = report.verdicts.iter().map(|v| (v.cost.matched, v.rows)).collect();
    assert_eq!(answers, [(26, 1)]);
    assert_eq!(report.findings[0].event_count, 26);
}

#[test]
fn where_most_groups_are_fresh_the_history_is_read_as_it_is() {
    let named = |number: u32| Event { parameters: Some(number.to_string()), ..plain(7) };
    let mut events: Vec<Event> = (0..100_001).map(named).collect();
    // One of a fresh group, and nine of others.
    events.extend((100_000..100_010).map(|number| Event { minute: -90, ..named(number) }));
    let sql = "SELECT max(time) AS time, bool_or(fresh) AS fresh, requestParameters AS principal, min(eventName) AS name, \
               count(*) AS event_count FROM cloudtrail WHERE eventName = 'GetObject' \
               GROUP BY requestParameters HAVING count(*) > 1";
    let window = Window { start: Some(noon()), ..Window::default() };
    let report = block_on(judge(&[rule(0, sql)], trail(&events, 10_000), &window, PLENTY, Scans::Shared));
    let answers: Vec<(u64, u64)> = report.verdicts.iter().map(|v| (v.cost.matched, v.rows)).collect();
    assert_eq!(answers, [(100_011, 1)]);
}

#[test]
fn a_condition_that_fails_fails_its_rule_alone() {
    let events: Vec<Event> = (0..10).map(plain).collect();
    let fails = "1 / (length(eventID) - 9) = 1";
    let broken = READS.replace("'GetObject'", &format!("'GetObject' AND {fails}"));
    // Also where nothing tells which events it wants, by itself and beside another.
    let of_any = READS.replace("eventName = 'GetObject'", fails);
    let of_time = READS.replace("eventName =", "1 / (date_part('year', time) - 2026) = 1 AND eventName =");
    let any = READS.replace("eventName =", "eventID <>");
    for (broken, other) in [(&broken, READS), (&of_any, READS), (&of_any, &any), (&of_time, READS), (&of_time, &any)] {
        let rules = [rule(0, broken), rule(1, other)];
        let report = block_on(judge(&rules, trail(&events, 10), &Window::default(), PLENTY, Scans::Shared));
        assert!(
            matches!(&report.verdicts[0].outcome, Outcome::Failed(reason) if reason.contains("zero")),
            "{:?}",
            report.verdicts[0]
        );
        assert_eq!(report.verdicts[1].outcome, Outcome::Fired(1), "{broken} {other}");
    }
}

#[test]
fn a_rule_that_cannot_be_planned_fails_also_where_nothing_happened() {
    let mut events: Vec<Event> = (0..10).map(|number| Event { minute: -90, ..plain(number) }).collect();
    events.push(Event { name: Some("DeleteTrail"), ..plain(10) });
    let window = Window { start: Some(noon()), ..Window::default() };
    // No engine of today turns a comparison with every row before into a join.
    let unplannable = READS.replace(
        "'GetObject'",
        "'GetObject' AND (SELECT count(*) FROM cloudtrail AS before WHERE before.time < cloudtrail.time) > 1",
    );
    for scans in [Scans::Shared, Scans::Alone] {
        let rules = [rule(0, &unplannable), rule(1, READS)];
        let report = block_on(judge(&rules, trail(&events, 11), &window, PLENTY, scans));
        let outcomes: Vec<&str> = report.verdicts.iter().map(|verdict| verdict.outcome.as_str()).collect();
        assert_eq!(outcomes, ["failed", "quiet"], "{:?}", report.verdicts[0].outcome);
    }
}

#[test]
fn what_did_not_happen_is_found_where_nothing_happened() {
    let mut events: Vec<Event> = (0..10).map(|number| Event { minute: -90, ..plain(number) }).collect();
    events.push(Event { name: Some("DeleteTrail"), ..plain(10) });
    let window = Window { start: Some(noon()), ..Window::default() };
    let found = |from: &str| {
        format!(
            "SELECT TIMESTAMP '2026-10-01T12:00:00Z' AS time, true AS fresh, 'nobody' AS principal, 'none' AS name, \
             'arn' AS event_id, {from}"
        )
    };
    let rules = [
        rule(0, &found("count(*) AS event_count FROM cloudtrail WHERE eventName = 'Converse' HAVING count(*) = 0")),
        rule(1, &found("1 AS event_count FROM accounts")),
    ];
    for scans in [Scans::Alone, Scans::Shared] {
        let report = block_on(judge(&rules, trail(&events, 11), &window, PLENTY, scans));
        let outcomes: Vec<&str> = report.verdicts.iter().map(|verdict| verdict.outcome.as_str()).collect();
        assert_eq!(outcomes, ["fired", "fired"], "{scans:?}: {:?}", report.verdicts[0].outcome);
    }
}
