//! Queries: AWS spelling, read-only, views, errors that help.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use trailhound::engine::queries::{self, SavedQuery};
use trailhound::engine::views::VIEWS;
use trailhound::engine::{Engine, Settings, Value, Values, Window};
use trailhound::findings::FINDINGS;
use trailhound::logs::rows::{Cell, Rows};
use trailhound::logs::{LOG_TYPES, LogType, bedrock::BEDROCK, cloudtrail::CLOUDTRAIL, vpcflow::VPCFLOW};
use trailhound::table::{Kind, Table};

/// 2026-10-01T12:00:00Z in microseconds.
const NOON: i64 = 1_790_856_000_000_000;
const SECOND: i64 = 1_000_000;
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/App/i-0abc";

/// A row: seconds after noon, and columns by AWS name. Numbers are written as text.
type Row<'a> = (i64, &'a [(&'a str, &'a str)]);

fn batch(log: &'static LogType, rows: &[Row<'_>]) -> Vec<RecordBatch> {
    let mut building = Rows::new(log.table);
    for (index, (seconds, columns)) in rows.iter().enumerate() {
        for (name, value) in *columns {
            let place = log.table.position(name).unwrap_or_else(|| panic!("no column {name}"));
            match log.table.columns[place].kind {
                Kind::Int => building.int(place, value.parse().expect("a number")),
                Kind::Long => building.long(place, value.parse().expect("a number")),
                Kind::Bool => building.bool(place, value.parse().expect("a boolean")),
                Kind::Texts => value.split(',').for_each(|item| building.item(place, &[Cell::Text(item)])),
                Kind::List(_) => {
                    let cells: Vec<Cell<'_>> = value.split(',').map(Cell::Text).collect();
                    building.item(place, &cells);
                }
                _ => building.text(place, value),
            }
        }
        building.finish(NOON + seconds * SECOND, index as u64, index as u128);
    }
    building.take("s3://logs/object.json.gz").map(|batch| batch.stored()).into_iter().collect()
}

fn settings() -> Settings {
    Settings { threads: 2, memory: 64 << 20 }
}

async fn engine() -> Engine {
    let cloudtrail = batch(
        &CLOUDTRAIL,
        &[
            (
                0,
                &[
                    ("eventName", "InvokeModel"),
                    ("eventSource", "bedrock.amazonaws.com"),
                    ("eventType", "AwsApiCall"),
                    ("eventID", "e-1"),
                    ("requestID", "r-1"),
                    ("awsRegion", "us-east-1"),
                    ("recipientAccountId", "111122223333"),
                    ("userIdentity.arn", SESSION),
                    ("userIdentity.accessKeyId", "ASIAIOSFODNN7EXAMPLE"),
                    ("userIdentity.sessionContext.sessionIssuer.arn", "arn:aws:iam::111122223333:role/App"),
                    ("sourceIPAddress", "203.0.113.9"),
                    ("userAgent", "Boto3/1.34"),
                    ("requestParameters", r#"{"modelId":"us.amazon.nova-pro-v1:0","Tags":[{"Key":"a"}]}"#),
                    ("additionalEventData", r#"{"callWithBearerToken":true}"#),
                    ("resources", "arn:aws:s3:::company-data"),
                ],
            ),
            (
                60,
                &[
                    ("eventName", "AssumeRole"),
                    ("eventSource", "sts.amazonaws.com"),
                    ("eventType", "AwsApiCall"),
                    ("eventID", "e-2"),
                    ("userIdentity.arn", "arn:aws:iam::111122223333:user/ana"),
                    ("userIdentity.accessKeyId", "AKIAIOSFODNN7EXAMPLE"),
                    (
                        "requestParameters",
                        r#"{"roleArn":"arn:aws:iam::111122223333:role/App","roleSessionName":"i-0abc"}"#,
                    ),
                    ("responseElements", r#"{"credentials":{"accessKeyId":"ASIAIOSFODNN7EXAMPLE"}}"#),
                ],
            ),
            (
                120,
                &[
                    ("eventName", "StopLogging"),
                    ("eventSource", "cloudtrail.amazonaws.com"),
                    ("errorCode", "AccessDenied"),
                ],
            ),
        ],
    );
    let bedrock = batch(
        &BEDROCK,
        &[(
            1,
            &[
                ("requestId", "r-1"),
                ("operation", "InvokeModel"),
                ("modelId", "us.amazon.nova-pro-v1:0"),
                ("identity.arn", SESSION),
                ("prompt", "hello"),
                ("inputTokens", "12"),
                ("tools", "search,read"),
                ("toolCalls", "c-1,delete_all,{}"),
                ("guardrail.action", "INTERVENED"),
                ("guardrailHits", "content,PROMPT_ATTACK,input,HIGH,BLOCKED"),
            ],
        )],
    );
    let flow = batch(
        &VPCFLOW,
        &[(
            2,
            &[
                ("srcaddr", "10.0.0.5"),
                ("dstaddr", "198.51.100.7"),
                ("dstport", "443"),
                ("protocol", "6"),
                ("action", "ACCEPT"),
                ("bytes", "900"),
                ("packets", "3"),
                ("start", "1790856002"),
                ("end", "1790856060"),
                ("interface_id", "eni-0abc"),
            ],
        )],
    );
    let logs = [(CLOUDTRAIL.table, cloudtrail), (BEDROCK.table, bedrock), (VPCFLOW.table, flow)];
    let tables = logs.into_iter().chain([(&FINDINGS, Vec::new())]).collect();
    Engine::in_memory(settings(), tables).await.expect("an engine")
}

/// Rows as text, cells separated by `|`, null empty.
async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    let frame = engine.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let batches = frame.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut lines = Vec::new();
    for batch in &batches {
        let columns: Vec<ArrayFormatter<'_>> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &FormatOptions::new()).expect("a formatter"))
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

async fn refusal(engine: &Engine, sql: &str) -> String {
    match engine.sql(sql).await {
        Ok(_) => panic!("{sql} was planned"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn aws_spelling_works_in_every_form() {
    let engine = engine().await;
    let one = |sql: &'static str| {
        let engine = &engine;
        async move { rows(engine, sql).await.join("\n") }
    };
    assert_eq!(one("SELECT userIdentity.arn FROM cloudtrail WHERE eventTime < '2026-10-01T12:00:30Z'").await, SESSION);
    assert_eq!(
        one("SELECT userIdentity['sessionContext']['sessionIssuer']['arn'] FROM CloudTrail LIMIT 1").await,
        "arn:aws:iam::111122223333:role/App"
    );
    assert_eq!(one(r#"SELECT "eventName" FROM "cloudtrail" WHERE "eventID" = 'e-2';"#).await, "AssumeRole");
    assert_eq!(
        one(r#"SELECT c."userIdentity"."accessKeyId" FROM cloudtrail c WHERE c."eventID" = 'e-2' -- the user"#).await,
        "AKIAIOSFODNN7EXAMPLE"
    );
    assert_eq!(
        one("SELECT c.userIdentity['accessKeyId'] FROM cloudtrail c WHERE eventID = 'e-2'").await,
        "AKIAIOSFODNN7EXAMPLE"
    );
    assert_eq!(
        one("SELECT resources[1]['ARN'] FROM cloudtrail WHERE eventID = 'e-1'").await,
        "arn:aws:s3:::company-data"
    );
    assert_eq!(
        one("SELECT end - start, \"end\" FROM vpcflow v WHERE v.end > 0 AND CASE WHEN start > 0 THEN true END").await,
        "58|1790856060"
    );
    assert_eq!(
        one("SELECT timestamp < '2026-10-02', input.contentType, identity.arn FROM bedrock").await,
        format!("true||{SESSION}")
    );
    assert_eq!(
        one(r#"SELECT eventName AS "eventName" FROM cloudtrail ORDER BY "eventName" LIMIT 1"#).await,
        "AssumeRole"
    );
}

#[tokio::test]
async fn json_is_read_by_path_operator_and_subscript() {
    let engine = engine().await;
    for path in [
        "requestParameters.modelId",
        "requestParameters['modelId']",
        "cloudtrail.requestParameters.modelId",
        "requestParameters->>'modelId'",
        "json_get_str(requestParameters, 'modelId')",
        "json_extract_scalar(requestParameters, '$.modelId')",
    ] {
        let sql = format!(
            "SELECT {path} FROM cloudtrail WHERE {path} IS NOT NULL AND {path} LIKE '%nova%' AND 'us.amazon.nova-pro-v1:0' = {path}"
        );
        assert_eq!(rows(&engine, &sql).await, ["us.amazon.nova-pro-v1:0"], "{path}");
    }
    assert_eq!(
        rows(&engine, "SELECT requestParameters.Tags[0].Key FROM cloudtrail WHERE eventID = 'e-1'").await,
        ["a"]
    );
    let value = "SELECT requestParameters->'Tags' AS tags, eventID FROM cloudtrail WHERE eventID = 'e-1' ORDER BY requestParameters->>'x'";
    assert_eq!(rows(&engine, value).await, [r#"[{"Key":"a"}]|e-1"#]);
    let compared = "SELECT eventID FROM cloudtrail WHERE requestParameters->'Tags'->0->>'Key' = 'a' \
                    AND NOT requestParameters->>'modelId' IN ('x', 'y') AND additionalEventData->>'callWithBearerToken' = 'true' \
                    AND requestParameters->>'none' IS NULL AND requestParameters->>'modelId' BETWEEN 'a' AND requestParameters->>'modelId'";
    assert_eq!(rows(&engine, compared).await, ["e-1"]);
    let both = "SELECT count(*) FROM cloudtrail a JOIN cloudtrail b ON a.requestParameters->>'roleArn' = b.requestParameters->>'roleArn'";
    assert_eq!(rows(&engine, both).await, ["1"]);
}

#[tokio::test]
async fn columns_of_nested_fields_have_names_that_can_be_used() {
    let engine = engine().await;
    let sql = "SELECT userIdentity.arn, requestParameters.modelId, a.userIdentity.type, count(*) AS n FROM cloudtrail a \
               GROUP BY userIdentity.arn, requestParameters.modelId, a.userIdentity.type";
    let frame = engine.sql(sql).await.expect("a plan");
    let names: Vec<&str> = frame.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["useridentity_arn", "requestparameters_modelid", "useridentity_type", "n"]);
    let calls = "SELECT max(eventTime), count(*), c.eventName FROM cloudtrail c GROUP BY 3 HAVING count(*) > 0 \
                 ORDER BY count(*) DESC, max(eventTime)";
    let frame = engine.sql(calls).await.expect("a plan");
    let names: Vec<&str> = frame.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["max(eventTime)", "count(*)", "eventname"]);
    assert_eq!(
        rows(&engine, "SELECT unnest([1, 2]), row_number() OVER (ORDER BY 1) FROM (SELECT count(*))").await.len(),
        2
    );
    assert_eq!(rows(&engine, r#"SELECT "count(*)" + 1 FROM (SELECT count(*) FROM bedrock)"#).await, ["2"]);
    let inner =
        "SELECT useridentity_arn FROM (SELECT userIdentity.arn FROM cloudtrail) WHERE useridentity_arn LIKE '%App%'";
    assert_eq!(rows(&engine, inner).await, [SESSION]);
    let alias = "SELECT input.prompt FROM bedrock AS input";
    assert_eq!(rows(&engine, alias).await, ["hello"]);
}

#[tokio::test]
async fn a_filter_on_a_nested_field_is_one_on_the_stored_column() {
    let engine = engine().await;
    let plan = engine
        .plan("SELECT eventName FROM cloudtrail WHERE userIdentity.arn = 'x'", &Values::new())
        .await
        .expect("a plan");
    let optimized = engine.context().state().optimize(&plan).expect("an optimized plan").to_string();
    assert!(optimized.contains("useridentity_arn = Utf8(\"x\")"), "{optimized}");
    assert!(!optimized.contains("named_struct") && !optimized.contains("get_field"), "{optimized}");
}

#[tokio::test]
async fn first_rows_are_found_without_sorting_all() {
    let engine = engine().await;
    let numbered = "SELECT eventID, eventName, row_number() OVER (PARTITION BY eventName ORDER BY time, eventID) AS place, \
                    lead(eventID) OVER (PARTITION BY eventName ORDER BY time, eventID) AS next FROM cloudtrail";
    let alone = numbered.replace(", lead(eventID) OVER (PARTITION BY eventName ORDER BY time, eventID) AS next", "");
    let shown = async |inner: &str, condition: &str| {
        let sql = format!("EXPLAIN SELECT * FROM ({inner}) WHERE {condition}");
        rows(&engine, &sql).await.concat().contains("PartitionedTopKExec")
    };
    assert!(shown(&alone, "place = 1 AND eventName LIKE 'A%'").await);
    assert!(shown(&alone, "1 = place").await);
    assert!(!shown(&alone, "place = 2").await, "the second row is not among the first");
    assert!(!shown(&alone, "place = 1 OR eventName LIKE 'A%'").await, "others are wanted too");
    assert!(!shown(numbered, "place = 1").await, "the function beside it looks at other rows");
}

#[tokio::test]
async fn nested_fields_work_wherever_they_stand() {
    let engine = engine().await;
    let ana = "arn:aws:iam::111122223333:user/ana";
    for (sql, expected) in [
        ("SELECT count(*) FROM cloudtrail GROUP BY ROLLUP(userIdentity.arn) ORDER BY 1", vec!["1", "1", "1", "3"]),
        (
            "WITH t AS (SELECT userIdentity, eventName AS \"useridentity.arn\" FROM cloudtrail WHERE eventID = 'e-2') \
             SELECT t.userIdentity['arn'], \"useridentity.arn\" FROM t",
            vec!["arn:aws:iam::111122223333:user/ana|AssumeRole"],
        ),
        (
            "SELECT eventname AS e, eventsource AS s FROM _stored_cloudtrail WHERE eventid = 'e-2'",
            vec!["AssumeRole|sts.amazonaws.com"],
        ),
        (
            "SELECT a.userIdentity.arn FROM cloudtrail a JOIN cloudtrail b ON a.eventID = b.eventID \
             WHERE b.userIdentity.accessKeyId LIKE 'AKIA%' ORDER BY a.userIdentity.arn",
            vec![ana],
        ),
        (
            "SELECT eventName FROM cloudtrail WHERE userIdentity.arn IN \
             (SELECT i.userIdentity.arn FROM cloudtrail i WHERE i.eventName = 'AssumeRole')",
            vec!["AssumeRole"],
        ),
        (
            "SELECT userIdentity.accessKeyId FROM cloudtrail WHERE eventID = 'e-2' \
             UNION ALL SELECT identity.arn FROM bedrock WHERE false",
            vec!["AKIAIOSFODNN7EXAMPLE"],
        ),
        (
            "SELECT max(userIdentity.sessionContext.sessionIssuer.arn) FROM cloudtrail \
             GROUP BY userIdentity.accessKeyId HAVING min(userIdentity.arn) LIKE '%App%'",
            vec!["arn:aws:iam::111122223333:role/App"],
        ),
    ] {
        assert_eq!(rows(&engine, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn queries_only_read() {
    let engine = engine().await;
    for (sql, word) in [
        ("INSERT INTO cloudtrail SELECT * FROM cloudtrail", "INSERT"),
        ("COPY cloudtrail TO 'x.parquet'", "COPY"),
        ("COPY (SELECT 1) TO 'x.csv'", "COPY"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE"),
        ("CREATE VIEW v AS SELECT 1", "CREATE"),
        ("DROP TABLE cloudtrail", "DROP"),
        ("DROP VIEW invocations", "DROP"),
        ("DELETE FROM cloudtrail", "DELETE"),
        ("UPDATE cloudtrail SET eventname = 'x'", "UPDATE"),
        ("SET datafusion.execution.batch_size = 1", "SET"),
        ("RESET datafusion.execution.batch_size", "RESET"),
        ("WITH t AS (INSERT INTO cloudtrail SELECT * FROM cloudtrail RETURNING *) SELECT * FROM t", "INSERT"),
        ("WITH t AS (SELECT 1) INSERT INTO cloudtrail SELECT * FROM t", "INSERT"),
        ("SELECT * INTO other FROM cloudtrail", "SELECT INTO"),
        ("EXPLAIN INSERT INTO cloudtrail SELECT * FROM cloudtrail", "INSERT"),
        ("EXPLAIN ANALYZE COPY cloudtrail TO 'x'", "COPY"),
        ("TRUNCATE TABLE cloudtrail", "TRUNCATE"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("BEGIN", "BEGIN"),
    ] {
        let error = refusal(&engine, sql).await;
        assert!(error.contains(&format!("queries only read: {word} ")), "{sql}: {error}");
    }
    assert!(refusal(&engine, "SELECT 1; SELECT 2").await.contains("one statement at a time"));
    assert!(refusal(&engine, "SELECT 1; DROP TABLE cloudtrail").await.contains("one statement at a time"));
    assert!(refusal(&engine, " -- nothing\n ; ").await.contains("no statement"));
    assert!(refusal(&engine, "SELECT * FROM '/etc/passwd'").await.contains("no table"));
}

#[tokio::test]
async fn queries_that_would_exhaust_the_stack_are_refused() {
    let engine = engine().await;
    let chain = |length: usize| vec!["eventName = 'x'"; length].join(" OR ");
    let count = |conditions: &str| format!("SELECT count(*) FROM cloudtrail WHERE {conditions}");
    assert_eq!(rows(&engine, &count(&chain(100))).await, ["0"]);
    assert!(refusal(&engine, &count(&chain(1000))).await.contains("column IN (...)"));
    assert!(refusal(&engine, &count(&chain(100_000))).await.contains("words"));
    assert!(refusal(&engine, &format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000))).await.contains("Recursion"));
    let list = format!("eventName IN ({})", vec!["'x'"; 15_000].join(", "));
    assert_eq!(rows(&engine, &count(&list)).await, ["0"]);
}

#[tokio::test]
async fn statements_that_read_are_possible() {
    let engine = engine().await;
    for sql in [
        "VALUES (1), (2)",
        "WITH t AS (SELECT 1 AS n) SELECT n FROM t",
        "EXPLAIN SELECT * FROM cloudtrail",
        "EXPLAIN ANALYZE SELECT count(*) FROM invocations",
        "SHOW TABLES",
        "SHOW COLUMNS FROM cloudtrail",
        "DESCRIBE cloudtrail",
        "/* a comment */ SELECT 1 /* another */ ;;",
    ] {
        assert!(!rows(&engine, sql).await.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn lists_show_what_people_may_use() {
    let engine = engine().await;
    let shown = rows(&engine, "SHOW TABLES").await.join("\n");
    assert!(shown.contains("cloudtrail") && shown.contains("invocations") && shown.contains("prices"), "{shown}");
    assert!(!shown.contains("_stored"), "{shown}");
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name LIKE '%stored%'";
    assert_eq!(rows(&engine, columns).await, ["0"]);
    assert!(engine.table_names().iter().all(|name| !name.starts_with('_')));
}

#[tokio::test]
async fn errors_name_what_is_like_it() {
    let engine = engine().await;
    for (sql, expected) in [
        ("SELECT evntName FROM cloudtrail", "there is no column \"evntname\"; did you mean eventname"),
        ("SELECT c.sourceIP FROM cloudtrail c", "did you mean sourceipaddress"),
        ("SELECT userIdentity.arnn FROM cloudtrail", "\"arnn\"; did you mean arn"),
        ("SELECT * FROM clodtrail", "there is no table \"clodtrail\"; did you mean cloudtrail"),
        ("SELECT * FROM cloudtrail WHERE ip_inn(sourceIPAddress, '10.0.0.0/8')", "ip_in"),
        ("SELEC 1", "SQL cannot be read"),
        ("SELECT 'open", "SQL cannot be read"),
    ] {
        let error = refusal(&engine, sql).await;
        assert!(error.contains(expected), "{sql}: {error}");
        assert!(error.len() < 400 && !error.contains("ParserError"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn views_document_every_column() {
    let engine = engine().await;
    for view in VIEWS {
        let frame = engine.sql(&format!("SELECT * FROM {}", view.name)).await.expect("a view");
        let names: Vec<&str> = frame.schema().fields().iter().map(|field| field.name().as_str()).collect();
        let documented: Vec<&str> =
            view.columns().iter().map(|(name, _)| *name).filter(|name| *name != "fresh").collect();
        if !documented.is_empty() {
            assert_eq!(documented, names, "{}", view.name);
        }
        assert!(view.about.ends_with('.'));
        frame.collect().await.unwrap_or_else(|error| panic!("{}: {error}", view.name));
    }
}

#[tokio::test]
async fn views_over_a_window_say_what_is_fresh() {
    let engine = engine().await;
    let start = chrono::DateTime::from_timestamp_micros(NOON + 30 * SECOND);
    let window = Window { start, end: None, lookback: chrono::Duration::hours(1) };
    let windowed = engine.windowed(&window).await.expect("an engine over the window");
    for view in VIEWS.iter().filter(|view| !view.kept) {
        let frame = windowed.sql(&format!("SELECT fresh FROM {}", view.name)).await;
        frame.unwrap_or_else(|error| panic!("{}: {error}", view.name));
    }
    assert_eq!(
        rows(&windowed, "SELECT log, action FROM timeline WHERE fresh ORDER BY time").await,
        ["cloudtrail|sts:AssumeRole", "cloudtrail|cloudtrail:StopLogging"]
    );
    assert_eq!(rows(&windowed, "SELECT fresh FROM invocations").await, ["false"]);
}

#[tokio::test]
async fn views_tell_what_the_logs_say_together() {
    let engine = engine().await;
    assert_eq!(
        rows(&engine, "SELECT principal, access_key_id, source_ip, model_id, bearer, logged, prompt, input_tokens, event_id FROM invocations").await,
        ["arn:aws:iam::111122223333:role/App|ASIAIOSFODNN7EXAMPLE|203.0.113.9|amazon.nova-pro-v1:0|true|true|hello|12|e-1"]
    );
    assert_eq!(
        rows(&engine, "SELECT tool, arguments, offered, request_id FROM toolcalls").await,
        ["delete_all|{}|false|r-1"]
    );
    assert_eq!(
        rows(&engine, "SELECT policy, name, side, confidence, action FROM guardrail_hits").await,
        ["content|PROMPT_ATTACK|input|HIGH|BLOCKED"]
    );
    assert_eq!(
        rows(&engine, "SELECT principal, role, session_name, new_access_key_id FROM assumed").await,
        ["arn:aws:iam::111122223333:user/ana|arn:aws:iam::111122223333:role/App|i-0abc|ASIAIOSFODNN7EXAMPLE"]
    );
    assert_eq!(
        rows(&engine, "SELECT log, action, resource, outcome FROM timeline ORDER BY time").await,
        [
            "cloudtrail|bedrock:InvokeModel|arn:aws:s3:::company-data|ok",
            "bedrock|bedrock:InvokeModel|amazon.nova-pro-v1:0|INTERVENED",
            "vpcflow|network:6|198.51.100.7:443|ok",
            "cloudtrail|sts:AssumeRole|arn:aws:iam::111122223333:role/App|ok",
            "cloudtrail|cloudtrail:StopLogging||AccessDenied",
        ]
    );
    assert_eq!(
        rows(&engine, "SELECT account, log_began FROM accounts ORDER BY account").await,
        ["111122223333|2026-10-01T12:00:00Z", "|2026-10-01T12:01:00Z"]
    );
    assert_eq!(
        rows(&engine, "SELECT access_key_id, long_term, event_count, source_ips FROM sessions ORDER BY 1").await,
        ["AKIAIOSFODNN7EXAMPLE|true|1|", "ASIAIOSFODNN7EXAMPLE|false|1|[203.0.113.9]"]
    );
}

#[tokio::test]
async fn views_need_only_their_own_tables() {
    let empty: Vec<(&'static Table, Vec<RecordBatch>)> = vec![(CLOUDTRAIL.table, vec![])];
    let engine = Engine::in_memory(settings(), empty).await.expect("an engine");
    assert_eq!(engine.table_names(), ["accounts", "assumed", "cloudtrail", "cloudtrail_logs", "prices", "sessions"]);
    assert!(refusal(&engine, "SELECT * FROM invocations").await.contains("no table \"invocations\""));
    assert_eq!(LOG_TYPES.len(), 3);
    let _ = Arc::new(engine);
}

/// A value that fits each required parameter of the saved queries.
fn example(name: &str) -> &'static str {
    match name {
        "key" => "AKIAIOSFODNN7EXAMPLE",
        "principal" => "App",
        "address" => "203.0.113.0/24",
        "id" => "r-1",
        "text" => "HELLO",
        other => panic!("an example for {other} is missing"),
    }
}

async fn answer(engine: &Engine, query: &SavedQuery, given: &[(&str, &str)]) -> Vec<RecordBatch> {
    let mut all: Vec<(String, String)> = Vec::new();
    for param in query.params.iter().filter(|param| param.default.is_none()) {
        all.push((param.name.clone(), example(&param.name).into()));
    }
    all.extend(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let values = query.values(&all).unwrap_or_else(|error| panic!("{}: {error}", query.name));
    let frame = engine.sql_with(&query.sql, &values).await.unwrap_or_else(|error| panic!("{}: {error}", query.name));
    frame.collect().await.unwrap_or_else(|error| panic!("{}: {error}", query.name))
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

#[tokio::test]
async fn every_saved_query_runs_with_and_without_rows() {
    let full = engine().await;
    let logs = LOG_TYPES.iter().map(|log| log.table);
    let tables = logs.chain([&FINDINGS]).map(|table| (table, Vec::new())).collect();
    let empty = Engine::in_memory(settings(), tables).await.expect("an engine");
    let saved = queries::load(None).expect("the built-in queries");
    assert!(saved.len() >= 12);
    for query in saved.values() {
        answer(&full, query, &[]).await;
        assert_eq!(count(&answer(&empty, query, &[]).await), 0, "{}", query.name);
        assert!(query.about.ends_with('.') && !query.title.ends_with('.'), "{}", query.name);
        for param in &query.params {
            assert!(query.sql.contains(&format!("${}", param.name)), "{}: {} is not used", query.name, param.name);
        }
    }
}

#[tokio::test]
async fn saved_queries_find_what_they_are_for() {
    let engine = engine().await;
    let saved = queries::load(None).expect("the built-in queries");
    for (name, given, rows) in [
        ("key_activity", vec![], 1),
        ("key_activity", vec![("key", "ASIAIOSFODNN7EXAMPLE")], 1),
        ("key_activity", vec![("until", "2026-09-01")], 0),
        ("principal_timeline", vec![], 2),
        ("address_activity", vec![], 1),
        ("address_activity", vec![("address", "198.51.100.7")], 1),
        ("request", vec![], 2),
        ("top_callers", vec![("limit", "1")], 1),
        ("failed_calls", vec![("error", "AccessDen%")], 1),
        ("model_usage", vec![], 1),
        ("new_principals_on_bedrock", vec![("since", "2026-09-30")], 1),
        ("new_principals_on_bedrock", vec![("since", "2026-10-02")], 0),
        ("logging_changes", vec![], 1),
        ("guardrail_hits_by_principal", vec![], 1),
        ("tool_calls", vec![], 1),
        ("large_transfers", vec![("minimum", "900")], 1),
        ("external_destinations", vec![], 1),
        ("external_destinations", vec![("known", "192.0.2.0/24, 198.51.100.0/24")], 0),
        ("role_chain", vec![], 1),
        ("who_used_models_without_invocation_log", vec![], 0),
        ("prompt_search", vec![], 1),
        ("keys_by_address", vec![("minimum", "1")], 1),
        ("damage_bill", vec![], 1),
        ("damage_bill", vec![("key", "AKIAIOSFODNN7EXAMPLE")], 0),
    ] {
        let query = saved.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(count(&answer(&engine, query, &given).await), rows, "{name} {given:?}");
    }
}

#[test]
fn parameters_have_types_and_names() {
    let text = "-- title: T\n-- about: A.\n-- param: a text required first\n-- param: n number 5 second\n\
                -- param: s time 2026-10-01 third\n-- param: l list \"x, y\" fourth\nSELECT $a, $n, $s, $l";
    let query = SavedQuery::read("q.sql", text).expect("a query");
    let given = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let values = query.values(&given(&[("a", "it's"), ("n", "-2.5")])).expect("values");
    assert_eq!(values.get("a"), Some(&Value::Text("it's".into())));
    assert_eq!(values.get("n"), Some(&Value::Number(-2.5)));
    assert_eq!(values.get("s"), Some(&Value::Text("2026-10-01T00:00:00+00:00".into())));
    assert_eq!(values.get("l"), Some(&Value::Texts(vec!["x".into(), "y".into()])));
    for (pairs, expected) in [
        (vec![], "q needs a, first: -p a=VALUE"),
        (vec![("a", "1"), ("b", "2")], "no parameter b; it has a, n, s, l"),
        (vec![("a", "1"), ("n", "many")], "n: many is not a number"),
        (vec![("a", "1"), ("s", "soon")], "soon is not a time"),
    ] {
        let error = query.values(&given(&pairs)).expect_err("a refusal").to_string();
        assert!(error.contains(expected), "{error}");
    }
    for wrong in ["SELECT 1", "-- title: T\nSELECT 1", "-- title: T\n-- about: A.\n-- param: a word x y\nSELECT 1"] {
        assert!(SavedQuery::read("q.sql", wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn values_stay_values() {
    let engine = engine().await;
    let hostile = Values::from([
        ("a".to_owned(), Value::Text("' OR 1=1 -- ".into())),
        ("n".to_owned(), Value::Whole(-3)),
        ("l".to_owned(), Value::Texts(vec!["e-1".into(), "'); DROP TABLE cloudtrail; --".into()])),
        ("none".to_owned(), Value::Texts(vec![])),
    ]);
    for (sql, expected) in [
        ("SELECT count(*) FROM cloudtrail WHERE eventName = $a", "0"),
        ("SELECT $a || '|' || (5 - $n)", "' OR 1=1 -- |8"),
        ("SELECT count(*) FROM cloudtrail WHERE eventID IN ($l)", "1"),
        ("SELECT count(*) FROM cloudtrail WHERE eventID IN ($none)", "0"),
        ("SELECT array_length($l)", "2"),
    ] {
        let batches = engine.sql_with(sql, &hostile).await.expect(sql).collect().await.expect(sql);
        let shown = ArrayFormatter::try_new(batches[0].column(0), &FormatOptions::new())
            .expect("a formatter")
            .value(0)
            .to_string();
        assert_eq!(shown, expected, "{sql}");
    }
    assert!(refusal(&engine, "SELECT $b").await.contains("-p b=VALUE"));
}

/// Runs the program with its lake in `folder`: exit code, stdout, stderr.
fn program(folder: &std::path::Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_trailhound"))
        .args(arguments)
        .current_dir(folder)
        .env("TRAILHOUND_LAKE", folder.join("lake"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("input");
    let done = child.wait_with_output().expect("its end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("an exit code"), text(done.stdout), text(done.stderr))
}

#[test]
fn the_command_answers_refuses_and_writes_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str], input: &str| program(folder.path(), arguments, input);
    let (code, _, error) = run(&["query", "SELECT 1"], "");
    assert_eq!((code, error.contains("there is no lake")), (2, true), "{error}");
    std::fs::write(folder.path().join("events.json"), r#"{"Records":[]}"#).expect("a file");
    assert_eq!(run(&["ingest", "events.json", "-q"], "").0, 0);

    let (code, out, error) = run(&["query", "SELECT 1 AS n, 'a,b' AS t", "--format", "csv"], "");
    assert_eq!((code, out.as_str()), (0, "n,t\n1,\"a,b\"\n"), "{error}");
    assert!(error.starts_with("1 row in "), "{error}");
    let (_, out, error) = run(&["query", "--format", "ndjson", "-q"], "SELECT 1 AS n;\n-- more\nSELECT 2 AS n");
    assert_eq!((out.as_str(), error.as_str()), ("{\"n\":1}\n{\"n\":2}\n", ""));
    let (code, out, _) = run(&["query", "SELECT $a || '!' AS t", "-p", "a=it's", "--format", "json", "-q"], "");
    assert_eq!((code, out.as_str()), (0, "[\n{\"t\":\"it's!\"}\n]\n"));
    let (code, out, _) = run(&["query", "top_callers", "-p", "limit=3"], "");
    assert_eq!((code, out.lines().next().map(|line| line.starts_with(" principal"))), (0, Some(true)));
    let (_, out, _) = run(&["query", "EXPLAIN SELECT * FROM cloudtrail"], "");
    assert!(out.lines().count() > 3 && out.starts_with("logical_plan\n"), "{out}");

    assert_eq!(run(&["query", "SELECT 1 AS n", "-o", "n.parquet"], "").0, 0);
    assert!(std::fs::read(folder.path().join("n.parquet")).expect("the file").starts_with(b"PAR1"));
    for (arguments, expected) in [
        (vec!["query", "DROP TABLE cloudtrail"], "queries only read"),
        (vec!["query", "SELECT nothing FROM cloudtrail"], "there is no column \"nothing\""),
        (vec!["query", "top_caller"], "there is top_callers"),
        (vec!["query", "key_activity"], "-p key=VALUE"),
        (vec!["query", "SELECT 1", "-o", "result"], "add --format"),
        (vec!["query", "SELECT 1", "-p", "a"], "write name=value"),
    ] {
        let (code, out, error) = run(&arguments, "");
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let (code, _, error) = run(&["query", "SELECT 1/0 FROM cloudtrail", "-o", "error.csv"], "");
    assert!(code == 0 || !folder.path().join("error.csv").exists(), "{error}");
    assert!(
        std::fs::read_dir(folder.path())
            .expect("a folder")
            .flatten()
            .all(|e| !e.file_name().to_string_lossy().ends_with(".partial"))
    );
}

#[test]
fn saved_queries_are_listed_and_shown_without_a_lake() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("own")).expect("a folder");
    let own = "-- title: Mine\n-- about: Mine.\nSELECT 'mine' AS t";
    std::fs::write(folder.path().join("own/mine.sql"), own).expect("a file");
    std::fs::write(folder.path().join("own/request.sql"), own).expect("a file");
    let run = |arguments: &[&str]| program(folder.path(), arguments, "");
    let (code, out, _) = run(&["query", "--list", "--queries", "own"]);
    assert_eq!(code, 0);
    assert!(
        out.lines().any(|line| line.starts_with("mine "))
            && out.contains("key_activity")
            && !out.contains("Everything about one request")
    );
    let (code, out, _) = run(&["query", "--show", "key_activity"]);
    assert_eq!(code, 0);
    assert!(out.contains("-p key=...") && out.contains("access_key_id = $key") && !out.contains("-- title"), "{out}");
    assert_eq!(run(&["query", "--show", "nope"]).0, 2);
    assert_eq!(run(&["query", "--list", "--queries", "missing"]).0, 2);
}
