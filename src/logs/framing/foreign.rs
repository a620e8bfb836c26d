//! What JSON may be that is none of our logs, told by its keys.

use crate::logs::cloudtrail::Record;
use crate::logs::json::Value;

/// A kind of JSON.
#[derive(Debug)]
pub(super) struct Kind {
    /// Keys that such an object has.
    keys: &'static [&'static str],
    /// Its name in a few words.
    pub name: &'static str,
    /// True when our records may be inside.
    pub wraps: bool,
}

const fn other(keys: &'static [&'static str], name: &'static str) -> Kind {
    Kind { keys, name, wraps: false }
}

const fn wrapper(keys: &'static [&'static str], name: &'static str) -> Kind {
    Kind { keys, name, wraps: true }
}

static KINDS: [Kind; 23] = [
    other(&["digestS3Object", "logFiles"], "CloudTrail digest"),
    other(&["digestStartTime", "digestEndTime"], "CloudTrail digest"),
    other(&["insightDetails"], "CloudTrail Insights event"),
    other(&["hashSignature", "files"], "signature of CloudTrail Lake query results"),
    other(&["class_uid"], "OCSF event"),
    other(&["category_uid"], "OCSF event"),
    other(&["query_name", "query_timestamp"], "Route 53 Resolver query log"),
    other(&["webaclId"], "AWS WAF log"),
    other(&["schemaVersion", "service", "severity"], "GuardDuty finding"),
    other(&["SchemaVersion", "ProductArn"], "Security Hub finding"),
    other(&["configurationItem"], "AWS Config item"),
    other(&["invokingEvent"], "AWS Config rule invocation"),
    other(&["Version", "Statement"], "IAM policy"),
    other(&["captureData"], "SageMaker data capture"),
    other(&["s3"], "S3 event notification"),
    other(&["Event", "Bucket"], "S3 event notification"),
    other(&["kinesis"], "Kinesis record of a Lambda event"),
    other(&["awslogs"], "CloudWatch data of a Lambda event"),
    wrapper(&["detail-type"], "EventBridge event of another kind"),
    wrapper(&["receiptHandle"], "SQS message"),
    wrapper(&["Sns"], "SNS message"),
    wrapper(&["logEvents"], "CloudWatch messages of another kind"),
    wrapper(&["timestamp", "message"], "CloudWatch messages of another kind"),
];

static CONTROL_MESSAGE: Kind = other(&["messageType"], "CloudWatch control message");

/// The kind of an object, when it is a known one.
pub(super) fn kind(record: &Record<'_>) -> Option<&'static Kind> {
    if record.other("messageType") == Some(Value::Text("CONTROL_MESSAGE")) {
        return Some(&CONTROL_MESSAGE);
    }
    KINDS.iter().find(|kind| kind.keys.iter().all(|key| record.other(key).is_some()))
}
