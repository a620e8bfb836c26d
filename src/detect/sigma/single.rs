//! A Sigma rule about single events as a rule of ours.

use serde_json::json;

use super::check::{Check, Test};
use super::event::Event;
use super::fields::{Form, Log};
use super::page::Page;
use super::sql;

/// What a finding shows of an event, by log; the first columns are who or what.
pub fn columns(log: Log) -> &'static str {
    match log {
        Log::CloudTrail => {
            "time, fresh,
       coalesce(principal(userIdentity.arn), userIdentity.userName, userIdentity.invokedBy) AS principal,
       userIdentity.accessKeyId AS access_key_id, recipientAccountId AS account_id, awsRegion AS region,
       sourceIPAddress AS source_ip, userAgent AS user_agent, eventSource AS event_source, eventName AS event_name,
       coalesce(errorCode, 'ok') AS outcome, requestParameters AS request, eventID AS event_id, requestID AS request_id,
       _object, _record"
        }
        Log::Bedrock => {
            "time, fresh, principal(identity.arn) AS principal, accountId AS account_id, region, modelId AS model_id,
       operation, coalesce(errorCode, 'ok') AS outcome, requestId AS request_id, _object, _record"
        }
        Log::VpcFlow => {
            "time, fresh, interface_id, account_id, region, srcaddr AS source_ip, dstaddr AS destination_ip,
       dstport AS destination_port, protocol, action, bytes, packets, _object, _record"
        }
    }
}

/// The page of a rule; the error is the reason why there is none.
pub fn page(log: Log, check: &Check) -> Result<Page, String> {
    let entity: &[&str] = match log {
        Log::VpcFlow => &["interface_id", "source_ip"],
        Log::CloudTrail | Log::Bedrock => &["principal", "account_id"],
    };
    let where_all = sql::conjuncts(check).join("\n  AND ");
    Ok(Page {
        logs: vec![log],
        needs: vec![need(log, check)],
        gaps: gaps(check),
        params: Vec::new(),
        entity: entity.iter().map(|name| (*name).to_owned()).collect(),
        lookback: "0s".into(),
        quiet: "1h".into(),
        sql: format!("SELECT {}\nFROM {}\nWHERE {where_all}\n", columns(log), log.table()),
        tests: [vec![firing(log, check)?.toml(&[])], vec![quiet(log, check)?.toml(&[])]],
    })
}

/// An event that the check holds for.
pub fn firing(log: Log, check: &Check) -> Result<Event, String> {
    let mut plain = Event::plain(log);
    if need(log, check).contains("/Data/") {
        plain.set("eventCategory", json!("Data"));
        plain.set("managementEvent", json!(false));
    }
    let advice = "its conditions contradict each other, or ask for what a test event cannot have";
    plain.solve(check, true).into_iter().next().ok_or_else(|| format!("no event was found that it matches: {advice}"))
}

/// An event that the check does not hold for, the plain one if possible.
pub fn quiet(log: Log, check: &Check) -> Result<Event, String> {
    let plain = Event::plain(log);
    plain.solve(check, false).into_iter().next().ok_or_else(|| "no event was found that it does not match".into())
}

/// What a reader has to know about the fields.
pub fn gaps(check: &Check) -> Vec<String> {
    let mut gaps: Vec<String> = Vec::new();
    let fields = check.fields();
    for note in fields.iter().filter_map(|field| field.note.as_ref()) {
        if !gaps.contains(note) {
            gaps.push(note.clone());
        }
    }
    if fields.iter().any(|field| sql::may_be_in_list(field)) {
        gaps.push("values in lists below JSON are looked for in the text of the list".into());
    }
    if fields.iter().any(|field| field.form == Form::Json) {
        gaps.push("whole JSON columns are searched as text, spelled as the log wrote it".into());
    }
    gaps
}

/// Names of events that CloudTrail delivers only where data events are recorded, and their services.
const DATA: [(&str, &[&str]); 4] = [
    (
        "s3.amazonaws.com",
        &[
            "GetObject",
            "PutObject",
            "DeleteObject",
            "DeleteObjects",
            "CopyObject",
            "HeadObject",
            "ListObjects",
            "ListObjectsV2",
            "GetObjectAcl",
            "PutObjectAcl",
            "RestoreObject",
        ],
    ),
    ("lambda.amazonaws.com", &["Invoke", "InvokeWithResponseStream"]),
    (
        "dynamodb.amazonaws.com",
        &["GetItem", "PutItem", "DeleteItem", "UpdateItem", "BatchGetItem", "BatchWriteItem", "Query", "Scan"],
    ),
    (
        "bedrock.amazonaws.com",
        &["InvokeAgent", "InvokeInlineAgent", "Retrieve", "RetrieveAndGenerate", "InvokeFlow", "ApplyGuardrail"],
    ),
];

/// Evidence that the check needs: data events of a service when it asks for their names only.
pub fn need(log: Log, check: &Check) -> String {
    let names = demanded(check);
    let data =
        DATA.iter().find(|(_, known)| !names.is_empty() && names.iter().all(|name| known.contains(&name.as_str())));
    match data {
        Some((service, _)) if log == Log::CloudTrail => format!("cloudtrail/Data/{service}"),
        _ => log.table().to_owned(),
    }
}

/// The event names of which a matching event has one; empty when it may have any.
fn demanded(check: &Check) -> Vec<String> {
    match check {
        Check::All(checks) => checks.iter().map(demanded).find(|names| !names.is_empty()).unwrap_or_default(),
        Check::Any(checks) => {
            let each: Vec<Vec<String>> = checks.iter().map(demanded).collect();
            if each.iter().any(Vec::is_empty) { Vec::new() } else { each.concat() }
        }
        Check::Leaf(field, Test::Text(pattern, _)) if field.sql == "eventName" => {
            pattern.exact().map(|name| vec![name.to_owned()]).unwrap_or_default()
        }
        Check::Leaf(..) | Check::Not(_) => Vec::new(),
    }
}
