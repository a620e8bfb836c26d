//! What every log type promises: recognised in every envelope, damage kept to the damaged record, nothing lost uncounted.

use std::collections::HashSet;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use proptest::prelude::*;
use trailhound::logs::cloudtrail::CLOUDTRAIL;
use trailhound::logs::rows::Batch;
use trailhound::logs::sink::{Decoded, Sink};
use trailhound::logs::{LOG_TYPES, NoBodies, framing};

const OBJECT: &str = "s3://logs/AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/01/object.json.gz";

fn event(number: usize) -> String {
    format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROAEXAMPLEID:run","arn":"arn:aws:sts::111122223333:assumed-role/agent/run","accountId":"111122223333","accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionContext":{{"sessionIssuer":{{"type":"Role","arn":"arn:aws:iam::111122223333:role/agent","userName":"agent"}},"attributes":{{"creationDate":"2026-10-01T11:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"2026-10-01T12:00:{:02}Z","eventSource":"bedrock.amazonaws.com","eventName":"Converse","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.7","userAgent":"Boto3/1.35","requestParameters":{{"modelId":"m"}},"responseElements":null,"requestID":"request-{number}","eventID":"00000000-0000-4000-8000-{number:012}","readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management"}}"#,
        number % 60
    )
}

fn invocation(number: usize) -> String {
    format!(
        r#"{{"schemaType":"ModelInvocationLog","schemaVersion":"1.0","timestamp":"2026-10-01T12:00:{:02}Z","accountId":"111122223333","region":"us-east-1","requestId":"request-{number}","operation":"Converse","modelId":"m","input":{{"inputContentType":"application/json","inputBodyJson":{{"messages":[{{"role":"user","content":[{{"text":"hello"}}]}}]}},"inputTokenCount":3}},"output":{{"outputContentType":"application/json","outputBodyJson":{{"output":{{"message":{{"role":"assistant","content":[{{"text":"hi"}}]}}}}}},"outputTokenCount":1}}}}"#,
        number % 60
    )
}

fn flow(number: usize) -> String {
    let start = 1_790_856_000 + number;
    format!(
        "2 111122223333 eni-0123456789abcdef0 10.0.0.5 203.0.113.7 {} 443 6 10 840 {start} {} ACCEPT OK",
        40_000 + number,
        start + 60
    )
}

/// The plainest object of each log type with three records.
fn plain(log: &str) -> String {
    match log {
        "cloudtrail" => format!(r#"{{"Records":[{},{},{}]}}"#, event(1), event(2), event(3)),
        "bedrock" => format!("{}\n{}\n{}\n", invocation(1), invocation(2), invocation(3)),
        "vpcflow" => format!(
            "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n{}\n{}\n{}\n",
            flow(1),
            flow(2),
            flow(3)
        ),
        other => panic!("no sample for {other}: add one"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text becomes JSON")
}

fn pretty(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).expect("a sample is JSON");
    serde_json::to_string_pretty(&value).expect("JSON becomes text")
}

/// Envelopes around three events, with the name that a failure shows.
fn envelopes() -> Vec<(&'static str, String)> {
    let [a, b, c] = [event(1), event(2), event(3)];
    let log_event = |message: &str| format!(r#"{{"id":"1","timestamp":1790856000000,"message":{}}}"#, quoted(message));
    let bridge = |detail: &str| {
        format!(
            r#"{{"version":"0","id":"x","detail-type":"AWS API Call via CloudTrail","source":"aws.bedrock","account":"111122223333","time":"2026-10-01T12:00:00Z","region":"us-east-1","resources":[],"detail":{detail}}}"#
        )
    };
    let looked_up = |event: &str| {
        format!(
            r#"{{"EventId":"x","EventName":"Converse","EventTime":1790856000.0,"Resources":[],"CloudTrailEvent":{}}}"#,
            quoted(event)
        )
    };
    vec![
        ("Records", plain("cloudtrail")),
        ("Records, pretty", pretty(&plain("cloudtrail"))),
        ("Records after other keys", format!(r#"{{"note":"x","Records":[{a},{b},{c}],"more":1}}"#)),
        ("two objects of Records", format!(r#"{{"Records":[{a},{b}]}}{{"Records":[{c}]}}"#)),
        ("a byte order mark", format!("\u{feff}{}", plain("cloudtrail"))),
        ("byte order marks in between", format!("\u{feff}{a}\n\u{feff}{b}\n\u{feff}{c}\n")),
        ("an array", format!("[{a},{b},{c}]")),
        ("an array, pretty", pretty(&format!("[{a},{b},{c}]"))),
        ("lines", format!("{a}\n{b}\r\n\n{c}")),
        ("nothing between", format!("{a}{b}{c}")),
        ("pretty objects", format!("{}\n{}\n{}\n", pretty(&a), pretty(&b), pretty(&c))),
        ("EventBridge", format!("{}\n{}\n{}\n", bridge(&a), bridge(&b), bridge(&c))),
        (
            "CloudWatch subscription",
            format!(
                r#"{{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[{},{},{}]}}"#,
                log_event(&a),
                log_event(&b),
                log_event(&c)
            ),
        ),
        (
            "CloudWatch export",
            format!("2026-10-01T12:00:00.000Z {a}\n2026-10-01T12:00:01.000Z {b}\n2026-10-01T12:00:02.000Z {c}\n"),
        ),
        (
            "LookupEvents",
            format!(r#"{{"Events":[{},{},{}],"NextToken":"t"}}"#, looked_up(&a), looked_up(&b), looked_up(&c)),
        ),
        ("message", format!("{{\"message\":{}}}\n{{\"message\":{}}}\n{{\"message\":{c}}}", quoted(&a), quoted(&b))),
        ("strings", format!("[{},{},{}]", quoted(&a), quoted(&b), quoted(&pretty(&c)))),
        ("strings on lines", format!("{}\n{}\n{}\n", quoted(&a), quoted(&b), quoted(&c))),
        (
            "keys of transports",
            format!(r#"[{{"_raw":{}}},{{"body":{}}},{{"Event":{}}}]"#, quoted(&a), quoted(&b), quoted(&c)),
        ),
        (
            "a wrapper",
            format!(
                r#"{{"source":"lab","event":{a},"index":0}} {{"case":{{"event":{b}}}}} {{"cases":[{{"event":{c}}}]}}"#
            ),
        ),
        ("named records", format!(r#"{{"first":{a},"second":{b},"third":{c}}}"#)),
        ("Records in a message", format!(r#"{{"Type":"Notification","Message":{}}}"#, quoted(&plain("cloudtrail")))),
    ]
}

fn decode(text: &[u8]) -> Decoded {
    let decoded = framing::decode(OBJECT, text, &NoBodies, 0);
    let mut quarantined = decoded.found.unrecognised.quarantined;
    for (log, counts) in LOG_TYPES.iter().zip(&decoded.found.counts) {
        let rows: usize =
            decoded.batches.iter().filter(|b| b.table.name == log.table.name).map(|b| b.rows.num_rows()).sum();
        assert_eq!(counts.read, rows as u64 + counts.quarantined, "{}", log.name);
        quarantined += counts.quarantined;
    }
    assert_eq!(decoded.found.quarantine.as_ref().map_or(0, |b| b.rows.num_rows()) as u64, quarantined);
    for batch in decoded.batches.iter().chain(&decoded.found.quarantine) {
        assert_eq!(batch.rows.num_rows(), batch.ids.len());
        let (schema, stored) = (batch.rows.schema(), batch.table.schema());
        assert_eq!(schema.fields().len(), stored.fields().len());
        for (field, stored) in schema.fields().iter().zip(stored.fields()) {
            match stored.name().as_str() {
                // The rows of an object share its name.
                "_object" => assert_eq!((field.name().as_str(), field.data_type()), ("_object", &DataType::Utf8View)),
                _ => assert_eq!(field, stored),
            }
        }
    }
    decoded
}

/// Rows and quarantined records of a log type.
fn counts(decoded: &Decoded, log: &str) -> (u64, u64) {
    let place = LOG_TYPES.iter().position(|known| known.name == log).expect("a known log type");
    let counts = decoded.found.counts[place];
    (counts.read - counts.quarantined, counts.quarantined)
}

fn text(decoded: &Decoded, column: &str, row: usize) -> Option<String> {
    let batch = decoded.batches.first().expect("a batch");
    let rows = batch.stored();
    let column = rows.column_by_name(column).expect("a column").as_string::<i32>();
    column.is_valid(row).then(|| column.value(row).to_owned())
}

fn reasons(decoded: &Decoded) -> Vec<String> {
    let Some(batch) = &decoded.found.quarantine else { return Vec::new() };
    let reasons = batch.rows.column_by_name("reason").expect("a column").as_string::<i32>();
    reasons.iter().flatten().map(str::to_owned).collect()
}

#[test]
fn every_log_is_recognised_and_taken_for_no_other() {
    for log in LOG_TYPES {
        let decoded = decode(plain(log.name).as_bytes());
        for other in LOG_TYPES {
            let expected = if other.name == log.name { (3, 0) } else { (0, 0) };
            assert_eq!(counts(&decoded, other.name), expected, "{} in an object of {}", other.name, log.name);
        }
        assert_eq!(decoded.found.foreign, 0, "{}", log.name);
        let batch = &decoded.batches[0];
        let records: Vec<i64> =
            batch.rows.column_by_name("_record").expect("a column").as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(records, [0, 1, 2], "{}", log.name);
        assert_eq!(batch.ids.iter().collect::<HashSet<_>>().len(), 3, "{}", log.name);
        assert_eq!(text(&decoded, "_object", 2).as_deref(), Some(OBJECT));
    }
}

#[test]
fn decoding_twice_gives_the_same() {
    for log in LOG_TYPES {
        let (once, again) = (decode(plain(log.name).as_bytes()), decode(plain(log.name).as_bytes()));
        assert_eq!(once.batches[0].rows, again.batches[0].rows, "{}", log.name);
        assert_eq!(once.batches[0].ids, again.batches[0].ids, "{}", log.name);
    }
}

#[test]
fn events_are_found_in_every_envelope() {
    let expected = decode(plain("cloudtrail").as_bytes()).batches.remove(0).ids;
    for (name, envelope) in envelopes() {
        let decoded = decode(envelope.as_bytes());
        assert_eq!(
            (counts(&decoded, "cloudtrail"), decoded.found.foreign),
            ((3, 0), 0),
            "{name}: {:?}",
            reasons(&decoded)
        );
        assert_eq!(decoded.batches[0].ids, expected, "{name}: an event is the same event in any envelope");
        assert_eq!(text(&decoded, "requestid", 2).as_deref(), Some("request-3"), "{name}");
        assert_eq!(
            text(&decoded, "useridentity_sessioncontext_sessionissuer_username", 0).as_deref(),
            Some("agent"),
            "{name}"
        );
    }
}

#[test]
fn other_logs_are_found_in_envelopes_too() {
    let message = |text: &str| {
        format!(
            r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"id":"1","timestamp":1,"message":{}}}]}}"#,
            quoted(text)
        )
    };
    assert_eq!(counts(&decode(message(&invocation(1)).as_bytes()), "bedrock"), (1, 0));
    assert_eq!(counts(&decode(message(&flow(1)).as_bytes()), "vpcflow"), (1, 0));
    let export = format!("2026-10-01T12:00:00.000Z {}\n2026-10-01T12:00:00.000Z {}\n", flow(1), flow(2));
    assert_eq!(counts(&decode(export.as_bytes()), "vpcflow"), (2, 0));
    let fields = r#"{"version":2,"account_id":"111122223333","interface_id":"eni-0123456789abcdef0","srcaddr":"10.0.0.5","dstaddr":"203.0.113.7","srcport":40000,"dstport":443,"protocol":6,"packets":10,"bytes":840,"start":1790856000,"end":1790856060,"action":"ACCEPT","log_status":"OK"}"#;
    let decoded = decode(fields.as_bytes());
    assert_eq!(counts(&decoded, "vpcflow"), (1, 0));
    assert_eq!(text(&decoded, "dstaddr", 0).as_deref(), Some("203.0.113.7"));
    let mixed = format!("{}\n{}\n{{\"message\":{}}}\n", event(1), invocation(1), quoted(&flow(1)));
    let decoded = decode(mixed.as_bytes());
    assert!(LOG_TYPES.iter().all(|log| counts(&decoded, log.name) == (1, 0)));
}

#[test]
fn damage_costs_the_damaged_record_only() {
    let [a, b, c] = [event(1), event(2), event(3)];
    let half = &b[..b.len() / 2];
    let cases = [
        ("a list that ends in a record", format!(r#"{{"Records":[{a},{half}"#), (1, 1)),
        ("a list that ends between records", format!(r#"{{"Records":[{a},{b},"#), (2, 1)),
        ("a list without its last brace", format!(r#"{{"Records":[{a},{b}]"#), (2, 1)),
        ("half a record in a list", format!(r#"{{"Records":[{a},{half}{c}]}}"#), (2, 1)),
        ("half a record and a comma in a list", format!(r#"[{a},{half},{c}]"#), (2, 1)),
        ("a missing colon in a list", format!("[{a},{},{c}]", b.replacen("\":", "\" ", 9)), (2, 1)),
        ("half a record on a line", format!("{a}\n{half}\n{c}\n"), (2, 1)),
        ("a line of garbage", format!("{a}\n\u{1}\u{2}{{]\n{c}\n"), (2, 1)),
        ("the end of a record on the first line", format!("{}\n{a}\n{c}\n", &b[b.len() / 2..]), (2, 1)),
        ("half a record, then another, on one line", format!("{a}{half}{c}"), (2, 1)),
        (
            "damage in a subscription",
            format!(
                r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"message":{}}},{{"message":{}}},{{"mess"#,
                quoted(&a),
                quoted(half)
            ),
            (1, 2),
        ),
        ("no time", format!("[{a},{}]", b.replace("eventTime", "eventTimes")), (1, 1)),
        ("a time that is none", format!("[{a},{}]", b.replace("2026-10-01T12", "soon")), (1, 1)),
        ("nested too deep", format!("[{a},{},{c}]", b.replace("{\"modelId\":\"m\"}", &"[".repeat(100_000))), (2, 1)),
        (
            "nested too deep, but closed",
            format!(
                "[{a},{},{c}]",
                b.replace("{\"modelId\":\"m\"}", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)))
            ),
            (2, 1),
        ),
        ("only half a record", half.to_owned(), (0, 1)),
    ];
    for (name, damaged, expected) in cases {
        let decoded = decode(damaged.as_bytes());
        assert_eq!(
            (counts(&decoded, "cloudtrail"), decoded.found.foreign),
            (expected, 0),
            "{name}: {:?}",
            reasons(&decoded)
        );
    }
}

#[test]
fn a_list_that_is_cut_anywhere_keeps_its_whole_records() {
    let whole = plain("cloudtrail");
    let ends: Vec<usize> =
        (1..=3).filter_map(|number| Some(whole.find(&event(number))? + event(number).len())).collect();
    for cut in r#"{"Records""#.len()..whole.len() {
        let complete = ends.iter().filter(|end| **end <= cut).count() as u64;
        assert_eq!(counts(&decode(&whole.as_bytes()[..cut]), "cloudtrail"), (complete, 1), "cut at {cut}");
    }
}

#[test]
fn bytes_that_are_not_utf8_cost_their_record() {
    let mut bytes = format!("{}\n{}\n{}\n", event(1), event(2).replace("Boto3", "Boto~"), event(3)).into_bytes();
    for byte in bytes.iter_mut().filter(|byte| **byte == b'~') {
        *byte = 0xff;
    }
    let decoded = decode(&bytes);
    assert_eq!(counts(&decoded, "cloudtrail"), (2, 1));
    assert!(reasons(&decoded)[0].contains("not UTF-8"), "{:?}", reasons(&decoded));
}

#[test]
fn utf16_is_read() {
    let bytes: Vec<u8> = plain("cloudtrail").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(counts(&decode(&[b"\xff\xfe", &bytes[..]].concat()), "cloudtrail"), (3, 0));
}

#[test]
fn packed_data_is_quarantined() {
    let decoded = decode(b"\x1f\x8b\x08\x00\x00half of it");
    assert_eq!(decoded.found.unrecognised.quarantined, 1);
}

#[test]
fn what_is_not_ours_is_named() {
    let cases = [
        ("", "empty"),
        (" \n", "empty"),
        ("{\"Records\":[]}", "no records"),
        ("12345", "not a log that Trailhound reads"),
        ("Permissions are correctly set for Amazon Bedrock logs.", "not a log that Trailhound reads"),
        (
            "[2026-10-01 12:00:00] INFO started\n[2026-10-01 12:00:01] INFO {\"a\":1}\n",
            "not a log that Trailhound reads",
        ),
        ("{\"a\":{\"b\":[1,2,{\"c\":null}]}}", "JSON of another kind"),
        (
            r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE"}]}"#,
            "CloudWatch control message",
        ),
        (r#"{"awsAccountId":"111122223333","digestS3Object":"x","logFiles":[]}"#, "CloudTrail digest"),
        (
            r#"{"Records":[{"eventVersion":"1.08","eventTime":"2026-10-01T12:00:00Z","awsRegion":"us-east-1","eventID":"x","eventType":"AwsCloudTrailInsight","insightDetails":{"eventName":"x"},"eventCategory":"Insight"}]}"#,
            "CloudTrail Insights event",
        ),
        (
            r#"{"Records":[{"eventVersion":"1.0","accountId":"111122223333","eventCategory":"Aggregated","eventType":"AwsAggregatedEvent","awsRegion":"us-east-1","eventSource":"s3.amazonaws.com"}]}"#,
            "aggregated CloudTrail events",
        ),
        (
            r#"{"version":"0","detail-type":"GuardDuty Finding","detail":{"schemaVersion":"2.0","service":{},"severity":8,"type":"x"}}"#,
            "GuardDuty finding",
        ),
        (
            r#"{"version":"0","detail-type":"EC2 Instance State-change Notification","detail":{"state":"pending"}}"#,
            "EventBridge event of another kind",
        ),
        (
            r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-10-01T12:00:00Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"x"},"s3":{}}]}"#,
            "S3 event notification",
        ),
        (r#"{"class_uid":6003,"api":{"operation":"x"},"raw_data":"{}"}"#, "OCSF event"),
        (
            r#"{"query_name":"example.com.","query_timestamp":"2026-10-01T12:00:00Z","srcaddr":"10.0.0.5"}"#,
            "Route 53 Resolver query log",
        ),
        (r#"[{"data":{"eventName":{"value":"EndRequest"},"eventTimestamp":"#, "not a log that Trailhound reads"),
    ];
    for (text, kind) in cases {
        let decoded = decode(text.as_bytes());
        assert!(decoded.batches.is_empty() && decoded.found.quarantine.is_none(), "{text}: {:?}", reasons(&decoded));
        assert!(decoded.found.foreign > 0, "{text}");
        assert_eq!(decoded.found.foreign_kind, Some(kind), "{text}");
    }
    let notice = format!("{}\nPermissions are correctly set for Amazon Bedrock logs.\n", invocation(1));
    let decoded = decode(notice.as_bytes());
    assert_eq!((counts(&decoded, "bedrock"), decoded.found.foreign), ((1, 0), 1));
}

#[test]
fn bodies_are_left_to_their_records() {
    let object =
        "s3://logs/AWSLogs/111122223333/BedrockModelInvocationLogs/us-east-1/2026/10/01/12/data/x_input.json.gz";
    let decoded = framing::decode(object, plain("cloudtrail").as_bytes(), &NoBodies, 0);
    assert!(decoded.batches.is_empty());
    assert_eq!(decoded.found.foreign_kind, Some("body of a model invocation, read with its record"));
}

#[test]
fn strings_that_anyone_can_write_are_not_looked_into() {
    let forged = event(1).replace(r#"{"modelId":"m"}"#, &format!(r#"{{"prompt":{}}}"#, quoted(&event(2))));
    assert_eq!(counts(&decode(forged.as_bytes()), "cloudtrail"), (1, 0));
    let elsewhere = format!(r#"{{"level":"info","user_input":{}}}"#, quoted(&event(2)));
    assert_eq!(counts(&decode(elsewhere.as_bytes()), "cloudtrail"), (0, 0));
}

#[test]
fn values_go_where_they_belong() {
    let odd = r#"{"eventTime":"2026-10-01T12:00:00.5Z","eventName":"Caf\u00e9","event\u0053ource":"s3.amazonaws.com","eventID":"id-1","apiVersion":20060301,"sessionCredentialFromConsole":true,"readOnly":"true","managementEvent":"perhaps","errorCode":null,"userAgent":{"odd":1},"userIdentity":{"type":"Root","invokedByDelegate":{"accountId":"444455556666"},"sessionContext":{"attributes":null,"novel":[1]}},"tlsDetails":"none","requestParameters":{"a" : "\u0041"},"responseElements":"{\"b\":1}","additionalEventData":"text","resources":[{"ARN":"arn:aws:s3:::b","accountId":"111122223333","type":"AWS::S3::Bucket","tag":"x"},{"ARNPrefix":"arn:aws:s3:::b/p"}],"eventName":"Twice","novelKey":{"c":2}}"#;
    let decoded = decode(odd.as_bytes());
    assert_eq!(counts(&decoded, "cloudtrail"), (1, 0), "{:?}", reasons(&decoded));
    let cell = |column: &str| text(&decoded, column, 0);
    assert_eq!(cell("eventname").as_deref(), Some("Café"));
    assert_eq!(cell("eventsource").as_deref(), Some("s3.amazonaws.com"));
    assert_eq!(cell("apiversion").as_deref(), Some("20060301"));
    assert_eq!(cell("sessioncredentialfromconsole").as_deref(), Some("true"));
    assert_eq!(cell("useridentity_invokedbydelegate_accountid").as_deref(), Some("444455556666"));
    assert_eq!(cell("requestparameters").as_deref(), Some(r#"{"a" : "\u0041"}"#), "JSON stays as it was written");
    assert_eq!(cell("responseelements").as_deref(), Some(r#"{"b":1}"#), "JSON in a string is JSON");
    assert_eq!(cell("additionaleventdata").as_deref(), Some(r#""text""#));
    assert!(["errorcode", "useragent", "tlsdetails_tlsversion"].iter().all(|column| cell(column).is_none()));
    let extra: serde_json::Value = serde_json::from_str(&cell("extra").expect("extra")).expect("extra is JSON");
    assert_eq!(
        extra,
        serde_json::json!({
            "managementEvent": "perhaps", "userAgent": {"odd": 1}, "userIdentity.sessionContext.novel": [1],
            "tlsDetails": "none", "resources[0].tag": "x", "eventName": "Twice", "novelKey": {"c": 2}
        })
    );
    let batch = &decoded.batches[0].rows;
    assert!(batch.column_by_name("readonly").expect("a column").as_boolean().value(0));
    assert!(batch.column_by_name("managementevent").expect("a column").is_null(0));
    let resources = batch.column_by_name("resources").expect("a column").as_list::<i32>().value(0);
    let arns = resources.as_struct().column_by_name("arn").expect("a field").as_string::<i32>();
    assert_eq!(arns.iter().collect::<Vec<_>>(), [Some("arn:aws:s3:::b"), None]);
}

#[test]
fn identity_is_the_event_id_when_it_is_one() {
    let ids = |events: &[String]| decode(events.join("\n").as_bytes()).batches.remove(0).ids;
    let twice = ids(&[event(1), event(1).replace("us-east-1", "eu-west-1")]);
    assert_eq!(twice[0], twice[1], "an event delivered twice is one event");
    let made_up =
        |name: &str| event(1).replace("00000000-0000-4000-8000-000000000001", "EXAMPLE").replace("Converse", name);
    let different = ids(&[made_up("A"), made_up("B"), made_up("A")]);
    assert_ne!(different[0], different[1], "made-up ids do not make different events one");
    assert_eq!(different[0], different[2]);
}

#[test]
fn the_schema_of_the_table_is_filled() {
    let batch = decode(plain("cloudtrail").as_bytes()).batches.remove(0);
    assert_eq!(batch.rows.num_columns(), CLOUDTRAIL.table.columns.len() + 3);
    assert_eq!(batch.rows.column_by_name("time").expect("a column").null_count(), 0);
}

/// JSON made of the words that decide what an object is.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1e999".to_owned()),
        Just(r#""2026-10-01T12:00:00Z""#.to_owned()),
        Just(r#""\ud800""#.to_owned()),
        Just(quoted(&event(1))),
        Just(quoted(&flow(1))),
        any::<String>().prop_map(|text| quoted(&text)),
    ];
    let key = prop::sample::select(vec![
        "Records",
        "Events",
        "logEvents",
        "message",
        "detail",
        "detail-type",
        "event",
        "eventTime",
        "eventName",
        "eventSource",
        "eventID",
        "eventVersion",
        "userIdentity",
        "sessionContext",
        "resources",
        "requestParameters",
        "readOnly",
        "schemaType",
        "modelId",
        "requestId",
        "timestamp",
        "input",
        "srcaddr",
        "start",
        "end",
        "CloudTrailEvent",
    ]);
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// Objects of all kinds: whole, damaged, of several logs, large, and none of ours.
fn objects() -> Vec<String> {
    let many = |count: usize| (0..count).map(|number| event(number) + "\n").collect::<String>();
    let broken = invocation(4).replace("2026-10-01T12", "yesterday");
    vec![
        plain("cloudtrail"),
        plain("bedrock"),
        plain("vpcflow"),
        many(200),
        format!("{}\n{broken}\n{}\n{}\n", invocation(3), event(3), invocation(5)),
        format!("{}x\n2 111122223333 eni-0 -\n", plain("vpcflow")),
        plain("bedrock")[..700].to_owned(),
        format!("{}\n{}", event(7), event(7)),
        "just words\n".to_owned(),
        String::new(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn objects_in_one_sink_hold_what_each_holds_alone(chosen in prop::collection::vec((0..10usize, any::<bool>()), 1..12)) {
        let objects = objects();
        let mut sink = Sink::new(0);
        let mut alone: Vec<Vec<Batch>> = Vec::new();
        for (number, (object, is_cut)) in chosen.iter().enumerate() {
            let (name, bytes) = (format!("s3://logs/{number}"), objects[*object].as_bytes());
            let fault = is_cut.then_some("ends early");
            let found = framing::decode_into(&mut sink, &name, bytes, fault, &NoBodies);
            let mut single = Sink::new(0);
            let expected = framing::decode_into(&mut single, &name, bytes, fault, &NoBodies);
            prop_assert_eq!(&found.counts, &expected.counts);
            prop_assert_eq!((found.unrecognised, found.foreign), (expected.unrecognised, expected.foreign));
            prop_assert_eq!(found.foreign_kind, expected.foreign_kind);
            let quarantined = |batch: &Option<Batch>| batch.as_ref().map(|batch| batch.rows.clone());
            prop_assert_eq!(quarantined(&found.quarantine), quarantined(&expected.quarantine));
            alone.push(single.take().into_iter().map(|(batch, _)| batch).collect());
        }
        for (batch, shares) in sink.take() {
            prop_assert_eq!(shares.iter().map(|share| share.rows.len()).sum::<usize>(), batch.ids.len());
            for share in shares {
                let expected = alone[share.object].remove(0);
                prop_assert_eq!(&batch.ids[share.rows.clone()], &expected.ids[..]);
                prop_assert_eq!(batch.rows.slice(share.rows.start, share.rows.len()), expected.rows);
            }
        }
        prop_assert!(alone.iter().all(Vec::is_empty));
    }

    #[test]
    fn any_bytes_are_counted(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decode(&bytes);
    }

    #[test]
    fn any_json_is_counted(text in prop::collection::vec(json(), 0..4)) {
        decode(text.join("\n").as_bytes());
    }

    #[test]
    fn any_damage_is_counted(
        place in 0usize..25,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..4, 1usize..400), 1..4),
    ) {
        let mut samples: Vec<String> = envelopes().into_iter().map(|(_, envelope)| envelope).collect();
        samples.extend(LOG_TYPES.iter().map(|log| plain(log.name)));
        let mut bytes = samples[place % samples.len()].clone().into_bytes();
        for (index, byte, edit, length) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            let end = (at + length).min(bytes.len());
            match edit {
                0 => bytes.truncate(at),
                1 => bytes[at] = byte,
                2 => drop(bytes.drain(at..end)),
                _ => bytes = [&bytes[..end], &bytes[at..]].concat(),
            }
        }
        decode(&bytes);
    }
}
