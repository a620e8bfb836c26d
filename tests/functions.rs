//! SQL functions: their documented examples run, and they read every encoding of text.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, DictionaryArray, LargeStringArray, RecordBatch, StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::{Field, Int32Type, Schema};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use trailhound::engine::{Engine, Settings, functions};

async fn engine() -> Engine {
    Engine::in_memory(Settings { threads: 2, memory: 64 << 20 }, vec![]).await.expect("an engine without tables")
}

/// All values of the first column, null as empty text.
async fn values(engine: &Engine, sql: &str) -> Vec<String> {
    let batches = match engine.sql(sql).await {
        Ok(frame) => frame.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}")),
        Err(error) => panic!("{sql}: {error}"),
    };
    let mut texts = Vec::new();
    for batch in &batches {
        let formatter = ArrayFormatter::try_new(batch.column(0), &FormatOptions::new()).expect("a formatter");
        texts.extend((0..batch.num_rows()).map(|row| formatter.value(row).to_string()));
    }
    texts
}

async fn one(engine: &Engine, sql: &str) -> String {
    values(engine, sql).await.pop().expect("one row")
}

async fn error(engine: &Engine, sql: &str) -> String {
    match engine.sql(sql).await {
        Ok(frame) => frame.collect().await.expect_err("an error").to_string(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn documented_examples_give_what_they_say() {
    let engine = engine().await;
    for doc in functions::list() {
        let shown = one(&engine, doc.example).await;
        let bare = doc.result.replace('"', "").replace(',', ", ");
        assert_eq!(shown.replace('"', ""), bare, "{}", doc.example);
    }
}

#[test]
fn functions_are_documented_once_and_in_order() {
    let list = functions::list();
    let names: Vec<&str> = list.iter().map(|doc| doc.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    for doc in &list {
        assert!(doc.syntax.starts_with(doc.name) && doc.example.contains(doc.name), "{}", doc.name);
        assert!(doc.about.ends_with('.') && !doc.about.contains("  "), "{}", doc.name);
    }
}

/// The same three values in every encoding that a column of text can have.
fn encodings(values: [Option<&str>; 3]) -> Vec<ArrayRef> {
    let plain = StringArray::from(values.to_vec());
    vec![
        Arc::new(plain.clone()),
        Arc::new(LargeStringArray::from(values.to_vec())),
        Arc::new(StringViewArray::from(values.to_vec())),
        Arc::new(values.into_iter().collect::<DictionaryArray<Int32Type>>()),
    ]
}

async fn over(column: ArrayRef, expression: &str) -> Vec<String> {
    let engine = engine().await;
    let schema = Schema::new(vec![Field::new("x", column.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column]).expect("a batch");
    engine.context().register_batch("t", batch).expect("a table");
    values(&engine, &format!("SELECT {expression} FROM t")).await
}

/// Three values of a column, an expression over them, and its three results.
type Case<'a> = ([Option<&'a str>; 3], &'a str, [&'a str; 3]);

#[tokio::test]
async fn every_encoding_of_text_gives_the_same_answer() {
    let session = "arn:aws:sts::111122223333:assumed-role/App/i-0abc";
    let cases: [Case<'_>; 11] = [
        ([Some("10.0.0.1"), None, Some("198.51.100.7")], "ip_in(x, '10.0.0.0/8')", ["true", "", "false"]),
        ([Some("10.0.0.1"), None, Some("AWS Internal")], "ip_in(x, make_array('10.0.0.1', '::/0'))", ["true", "", ""]),
        ([Some("10.0.0.1"), None, Some("x")], "ip_is_private(x)", ["true", "", ""]),
        ([Some("192.0.2.1"), None, Some("x")], "ip_is_public(x)", ["true", "", "false"]),
        ([Some(session), None, Some("x")], "principal(x)", ["arn:aws:iam::111122223333:role/App", "", "x"]),
        ([Some(session), None, Some("x")], "session_name(x)", ["i-0abc", "", ""]),
        ([Some(session), None, Some("x")], "arn_part(x, 'account')", ["111122223333", "", ""]),
        ([Some("eu.amazon.nova-pro-v1:0"), None, Some("")], "model(x)", ["amazon.nova-pro-v1:0", "", ""]),
        ([Some("AKIAIOSFODNN7EXAMPLE"), None, Some("ASIAIOSFODNN7EXAMPLE")], "is_long_term(x)", ["true", "", "false"]),
        ([Some(r#"{"a":{"b":true}}"#), None, Some(r#"{"a":{"b":null}}"#)], "flag(x, 'a', 'b')", ["true", "", ""]),
        ([Some(r#"{"a":{"b":[1,7]}}"#), None, Some("no json")], "json_extract_scalar(x, '$.a.b[1]')", ["7", "", ""]),
    ];
    for (values, expression, expected) in cases {
        for column in encodings(values) {
            let kind = column.data_type().clone();
            assert_eq!(over(column, expression).await, expected, "{expression} over {kind}");
        }
    }
}

#[tokio::test]
async fn samples_do_not_depend_on_order_and_stop_at_fifty() {
    let engine = engine().await;
    let sql = |order: &str| {
        format!(
            "SELECT array_length(s) || ' ' || s[1] || ' ' || s[50] FROM (SELECT sample(v) AS s FROM \
             (SELECT lpad(arrow_cast(value % 400, 'Utf8'), 3, '0') AS v FROM generate_series(1, 5000) ORDER BY value {order}))"
        )
    };
    assert_eq!(one(&engine, &sql("ASC")).await, "50 000 049");
    assert_eq!(one(&engine, &sql("DESC")).await, "50 000 049");
    let grouped = "SELECT sample(v) FROM (VALUES (1, 10), (1, 9), (2, NULL)) AS t(g, v) GROUP BY g ORDER BY g";
    assert_eq!(values(&engine, grouped).await, ["[10, 9]", ""]);
}

#[tokio::test]
async fn distinct_texts_are_counted_with_little_memory_for_each_group() {
    let engine = engine().await;
    // 100,000 groups: with a table for each, they would take gigabytes, and the session has 64 MiB.
    let sql = "SELECT count(*) || ' ' || sum(n) || ' ' || max(n) || ' ' || min(same) || ' ' || sum(some) FROM \
               (SELECT value % 100000 AS g, count(DISTINCT 'request ' || (value % 300000)) AS n, count(DISTINCT arrow_cast(g, 'Utf8')) AS same, \
                       count(DISTINCT arrow_cast(value, 'Utf8')) FILTER (WHERE value <= 10) AS some \
                FROM (SELECT value, value % 100000 AS g FROM generate_series(1, 400000)) GROUP BY value % 100000)";
    assert_eq!(one(&engine, sql).await, "100000 300000 3 1 10");
    // What the library counts stays as it is.
    let others = "SELECT count(*) || ' ' || count(v) || ' ' || count(DISTINCT v) || ' ' || count(DISTINCT w) FROM (VALUES (1, 'a'), (1, 'b'), (NULL, 'b')) AS t(v, w)";
    assert_eq!(one(&engine, others).await, "3 2 1 2");
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let engine = engine().await;
    assert!(
        error(&engine, "SELECT ip_in('10.0.0.1', '10.0.0/8')").await.contains("\"10.0.0/8\" is not an address range")
    );
    assert!(
        error(&engine, "SELECT arn_part('arn:aws:iam::1:root', 'acount')").await.contains("partition, service, region")
    );
    assert!(error(&engine, "SELECT principal(7)").await.contains("principal takes text"));
    assert!(error(&engine, "SELECT flag('{}')").await.contains("path"));
    assert!(error(&engine, "SELECT json_extract_scalar('{}', 'a')").await.contains("$.key"));
}

#[tokio::test]
async fn nulls_and_rows_of_their_own_ranges() {
    let engine = engine().await;
    assert_eq!(one(&engine, "SELECT ip_in(NULL, '10.0.0.0/8')").await, "");
    assert_eq!(one(&engine, "SELECT ip_in('10.0.0.1', NULL)").await, "");
    assert_eq!(one(&engine, "SELECT principal(NULL)").await, "");
    assert_eq!(one(&engine, "SELECT ip_in('10.0.0.1', [])").await, "false");
    let own = "SELECT ip_in(ip, r) FROM (VALUES ('10.0.0.1', '10.0.0.0/8'), ('10.0.0.1', '192.0.2.0/24'), ('10.0.0.1', 'x')) \
               AS t(ip, r)";
    assert_eq!(values(&engine, own).await, ["true", "false", ""]);
    let lists = "SELECT ip_in(ip, [r, '10.0.0.1']) FROM (VALUES ('10.0.0.1', '192.0.2.0/24'), ('192.0.2.9', '192.0.2.0/24'), \
                 ('203.0.113.1', '192.0.2.0/24')) AS t(ip, r)";
    assert_eq!(values(&engine, lists).await, ["true", "true", "false"]);
}

#[tokio::test]
async fn clients_are_told_apart() {
    let engine = engine().await;
    let cases = [
        ("aws-cli/2.15.0 Python/3.11.6 Linux/6.1 botocore/2.4", "cli"),
        ("APN/1.0 HashiCorp/1.0 Terraform/1.7 aws-sdk-go-v2/1.24", "terraform"),
        ("aws-sdk-java/2.25.1 Linux", "sdk-java"),
        ("curl/8.4.0", "curl"),
        ("python-requests/2.31.0", "python-requests"),
        ("cloudformation.amazonaws.com", "aws-service"),
        ("signin.amazonaws.com", "console"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "browser"),
        ("something-new/1", "other"),
    ];
    for (agent, family) in cases {
        assert_eq!(one(&engine, &format!("SELECT client('{agent}')")).await, family, "{agent}");
    }
}
