//! Which JSON objects are records of this log.

use trailhound::logs::bedrock::recognise;

#[test]
fn records_are_recognised_by_schema_type_or_by_their_fields() {
    for record in [
        r#"{"schemaType":"ModelInvocationLog"}"#,
        r#" { "a" : [1, {"b": "]"}], "schemaType" : "ModelInvocationLog" } "#,
        r#"{"operation":"Converse","modelId":"m","requestId":"r","input":{}}"#,
        r#"{"modelId":"m","requestId":"r","output":{},"operation":"InvokeModel"}"#,
        r#"{"modelId":"m","requestId":"r","accountId":"111122223333","region":"us-east-1","input":{}}"#,
        r#"{"request_id":"r","model_id":"m","operation":"Converse","input.inputTokenCount":4}"#,
        r#"{"SCHEMATYPE":"ModelInvocationLog"}"#,
    ] {
        assert!(recognise(record), "{record}");
    }
}

#[test]
fn other_objects_are_not_recognised() {
    for record in [
        "",
        "7",
        "[]",
        "{}",
        "{",
        r#"["schemaType","ModelInvocationLog"]"#,
        r#"{"note":"\"schemaType\":\"ModelInvocationLog\""}"#,
        r#"{"detail":{"schemaType":"ModelInvocationLog","operation":"x","modelId":"m","requestId":"r","input":{}}}"#,
        r#"{"schemaType":"ModelInvocationLogs"}"#,
        r#"{"schemaType":{"x":"ModelInvocationLog"}}"#,
        r#"{"modelId":"m","requestId":"r","input":"an application's own log"}"#,
        r#"{"operation":"Converse","modelId":"m","requestId":"r"}"#,
        r#"{"eventVersion":"1.11","eventSource":"bedrock.amazonaws.com","requestParameters":{"modelId":"m"},"requestID":"r"}"#,
    ] {
        assert!(!recognise(record), "{record}");
    }
}

#[test]
fn deep_values_are_stepped_over() {
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    assert!(recognise(&format!(r#"{{"input":{deep},"schemaType":"ModelInvocationLog"}}"#)));
    assert!(!recognise(&format!(r#"{{"input":{}"#, "[".repeat(200_000))));
}
