//! An SNS topic: a message per finding, ten in a request.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde::Deserialize;
use serde_json::Value;

use super::courier::{Answer, Receiver};
use super::outbox::Limits;
use crate::error;

/// The most that a request holds, messages and attributes together (SNS API reference, `PublishBatch`).
const LARGEST: usize = 256 << 10;
/// What attributes and names take of it, at most, per message.
const ATTRIBUTES: usize = 512;
const LIMITS: Limits = Limits { findings: 10, bytes: LARGEST - 10 * ATTRIBUTES };
/// The one group of messages in a first-in-first-out topic.
const GROUP: &str = "trailhound";
/// Codes of requests that no second attempt makes good.
const HOPELESS: [&str; 8] = [
    "BatchRequestTooLong",
    "EmptyBatchRequest",
    "InvalidBatchEntryId",
    "InvalidParameter",
    "InvalidParameterValue",
    "ParameterValueInvalid",
    "TooManyEntriesInBatchRequest",
    "ValidationException",
];

/// A topic. Its messages are findings as NDJSON shows them, with the attributes `severity` and `rule_id` for filters.
/// A finding too large for SNS goes without its evidence, with the attribute `evidence` = `cut`.
pub(super) struct Topic {
    client: Client,
    arn: String,
}

/// What of a finding the attributes say.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Head {
    finding_id: String,
    rule_id: String,
    severity: String,
}

impl Topic {
    /// A topic, with this AWS configuration or that of the environment: profiles, SSO, roles, `AWS_ENDPOINT_URL`.
    pub async fn open(arn: String, region: String, config: Option<SdkConfig>, timeout: Duration) -> Topic {
        let config = match config {
            Some(config) => config,
            None => aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.clone())).load().await,
        };
        // The courier tries again, for longer than the SDK would, and counts what failed.
        let settings = aws_sdk_sns::config::Builder::from(&config)
            .region(Region::new(region))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(timeout).build());
        Topic { client: Client::from_conf(settings.build()), arn }
    }

    fn entry(&self, index: usize, line: &str) -> Result<PublishBatchRequestEntry, BuildError> {
        let head: Head = serde_json::from_str(line).unwrap_or_default();
        let (message, cut) = message(line);
        let mut entry = PublishBatchRequestEntry::builder().id(index.to_string()).message(message);
        let cut = if cut { "cut" } else { "" };
        for (name, value) in [("severity", &*head.severity), ("rule_id", &*head.rule_id), ("evidence", cut)] {
            if !value.is_empty() {
                let value = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
                entry = entry.message_attributes(name, value);
            }
        }
        if self.arn.ends_with(".fifo") {
            entry = entry.message_group_id(GROUP).message_deduplication_id(head.finding_id);
        }
        entry.build()
    }
}

#[async_trait]
impl Receiver for Topic {
    fn limits(&self) -> Limits {
        LIMITS
    }

    async fn send(&self, _batch: &str, lines: Vec<String>) -> Answer {
        let entries = lines.iter().enumerate().map(|(index, line)| self.entry(index, line)).collect();
        let entries: Vec<PublishBatchRequestEntry> = match entries {
            Ok(entries) => entries,
            Err(error) => return Answer::never(lines, &error::chain(&error)),
        };
        let sent = self.client.publish_batch().topic_arn(&self.arn).set_publish_batch_request_entries(Some(entries));
        let answer = match sent.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let hopeless = error.code().is_some_and(|code| HOPELESS.contains(&code));
                let reason = format!("SNS did not take findings: {}", error::chain(&error));
                return if hopeless { Answer::never(lines, &reason) } else { Answer::later(lines, reason, None) };
            }
        };
        let mut result = Answer::default();
        for (index, line) in lines.into_iter().enumerate() {
            let id = index.to_string();
            if answer.successful().iter().any(|entry| entry.id() == Some(&id)) {
                continue;
            }
            let failed = answer.failed().iter().find(|entry| entry.id() == id);
            let reason = failed.map_or("SNS did not say what became of a finding".to_owned(), |entry| {
                format!("SNS did not take a finding: {} {}", entry.code(), entry.message().unwrap_or_default())
            });
            if failed.is_some_and(|entry| entry.sender_fault()) {
                result.refused.push((line, reason));
            } else {
                result.again.push(line);
                result.trouble = Some(reason);
            }
        }
        result
    }
}

/// The message of a finding, and whether its evidence was cut.
///
/// Two characters that JSON allows and SNS does not are escaped: in a log that an attacker wrote they would otherwise
/// make SNS refuse the whole request, and nine other findings with it.
fn message(line: &str) -> (String, bool) {
    let escape = |text: &str| text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    let whole = escape(line);
    if whole.len() + ATTRIBUTES <= LARGEST {
        return (whole, false);
    }
    match serde_json::from_str(line) {
        Ok(Value::Object(mut finding)) => {
            finding.insert("evidence".to_owned(), Value::from("[]"));
            (escape(&Value::Object(finding).to_string()), true)
        }
        _ => (whole, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_too_large_for_a_message_goes_without_its_evidence() {
        let line = serde_json::json!({"finding_id": "1", "evidence": "x".repeat(LARGEST)}).to_string();
        let (text, cut) = message(&line);
        assert!(cut);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            serde_json::json!({"evidence": "[]", "finding_id": "1"})
        );
        assert!(!message("{}").1);
    }

    #[test]
    fn characters_that_sns_refuses_are_escaped() {
        let (text, _) = message("{\"a\":\"\u{ffff}\u{fffe}\"}");
        assert_eq!(text, "{\"a\":\"\\uffff\\ufffe\"}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), serde_json::json!({"a": "\u{ffff}\u{fffe}"}));
    }
}
