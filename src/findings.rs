//! What a finding is: its columns, and the id that makes re-runs harmless.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::table::{Column, Kind, Table, column, searched};

/// The table of findings. `time` is the finding's `last_seen`; `_object` and `_record` are those of its first evidence.
pub static FINDINGS: Table = Table {
    name: "findings",
    about: "What a rule found about one entity in one slot of event time.",
    time_name: None,
    clustered_by: &[],
    columns: &COLUMNS,
};

static COLUMNS: [Column; 38] = [
    searched(
        "finding_id",
        Kind::Text,
        "hash of rule, entity and slot of event time: the same on every machine and in every run",
    ),
    column("rule_id", Kind::Text, "rule that fired"),
    column(
        "rule_version",
        Kind::Text,
        "hash of what decides the rule's findings: SQL or steps, parameters, entity, quiet, lookback",
    ),
    column("title", Kind::Text, "title of the rule"),
    column("severity", Kind::Text, "critical, high, medium, low or informational"),
    column("confidence", Kind::Text, "high, medium or low"),
    column("kind", Kind::Text, "threat, posture or hunt"),
    column("first_seen", Kind::Time, "time of the first event"),
    column("last_seen", Kind::Time, "time of the last event"),
    column("account_id", Kind::Text, "account"),
    column("region", Kind::Text, "Region"),
    searched("principal", Kind::Text, "ARN of the caller, or of the role behind the session"),
    searched("access_key_id", Kind::Text, "access key of the caller"),
    searched("source_ip", Kind::Text, "source address"),
    column("user_agent", Kind::Text, "client software, as the caller states it"),
    column("model_id", Kind::Text, "model"),
    column("resource", Kind::Text, "what was acted on"),
    column("event_count", Kind::Long, "events behind the finding"),
    column("layer", Kind::Text, "layer of the AI security framework"),
    column("phase", Kind::Text, "phase of the AI security framework"),
    column("created_at", Kind::Time, "when the run judged"),
    column("run_id", Kind::Text, "run that wrote the finding"),
    column("event_ids", Kind::Texts, "CloudTrail event ids, 50 at most"),
    column("request_ids", Kind::Texts, "request ids, 50 at most"),
    column(
        "children",
        Kind::Texts,
        "ids of the findings that together are this incident, 50 at most; empty when it is none",
    ),
    column("atlas", Kind::Texts, "MITRE ATLAS technique ids"),
    column("attack", Kind::Texts, "MITRE ATT&CK technique ids"),
    column("owasp", Kind::Texts, "OWASP ids with edition"),
    column("threats", Kind::Texts, "ids of the threat catalogue"),
    column("controls", Kind::Texts, "control ids of the framework"),
    column("triage", Kind::Texts, "what to look at next"),
    column("respond", Kind::Texts, "what to do about it"),
    column("false_positives", Kind::Texts, "who does this legitimately"),
    column(
        "lacks",
        Kind::Texts,
        "evidence that is not there and would have confirmed or refuted it, 5 at most; a follower leaves it to a hunt",
    ),
    column("why", Kind::Text, "what it means and why it matters"),
    column("entities", Kind::Json, "columns that name who or what: name -> value"),
    column("evidence", Kind::Json, "rows that prove it, 20 at most, with `_object` and `_record`: array of objects"),
    column("silenced", Kind::Text, "reason of the silence that covers it; null when it is shown"),
];

/// How bad it is when the finding is true. Later variants are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Informational,
    /// Look when there is time.
    Low,
    /// Look this week.
    Medium,
    /// Look today.
    High,
    /// Look now.
    Critical,
}

/// How likely it is that the finding is true. Later variants are surer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Often something else.
    Low,
    /// Sometimes something else.
    Medium,
    /// Rarely anything else.
    High,
}

/// What a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Someone may be attacking.
    Threat,
    /// Something is set up in a way that invites attack.
    Posture,
    /// A question for an investigator; never an alert.
    Hunt,
}

/// Every severity, worst first.
pub const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Informational];

impl Severity {
    /// The word that rules and outputs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
            Severity::Informational => "informational",
        }
    }
}

impl Confidence {
    /// The word that rules and outputs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
        }
    }
}

impl Purpose {
    /// The word that rules and outputs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Threat => "threat",
            Purpose::Posture => "posture",
            Purpose::Hunt => "hunt",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Severity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Severity> {
        let known = SEVERITIES.iter().find(|severity| severity.as_str() == text);
        known.copied().ok_or_else(|| {
            Error::Usage(format!("unknown severity '{text}'; use critical, high, medium, low or informational"))
        })
    }
}

/// What every finding of a rule repeats of it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is described in the column of the same name above")]
pub struct Origin {
    pub rule_id: String,
    pub rule_version: String,
    pub title: String,
    pub severity: Severity,
    pub confidence: Confidence,
    pub kind: Purpose,
    pub layer: String,
    pub phase: String,
    pub atlas: Vec<String>,
    pub attack: Vec<String>,
    pub owasp: Vec<String>,
    pub threats: Vec<String>,
    pub controls: Vec<String>,
    pub triage: Vec<String>,
    pub respond: Vec<String>,
    pub false_positives: Vec<String>,
    pub why: String,
}

/// One finding. Texts come from logs, which attackers write: escape them for the place they are shown in.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is described in the column of the same name above")]
pub struct Finding {
    pub finding_id: String,
    pub rule: Arc<Origin>,
    pub first_seen: DateTime<Utc>,
    pub last_seen: DateTime<Utc>,
    pub account_id: Option<String>,
    pub region: Option<String>,
    pub principal: Option<String>,
    pub access_key_id: Option<String>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    pub model_id: Option<String>,
    pub resource: Option<String>,
    pub event_count: i64,
    pub created_at: DateTime<Utc>,
    pub run_id: Arc<str>,
    pub event_ids: Vec<String>,
    pub request_ids: Vec<String>,
    pub children: Vec<String>,
    pub entities: serde_json::Map<String, serde_json::Value>,
    pub lacks: Vec<String>,
    /// Rows as JSON text.
    pub evidence: Vec<String>,
    pub silenced: Option<String>,
}

/// What of a row of evidence says where it was read.
#[derive(Deserialize)]
struct Provenance {
    #[serde(rename = "_object", default)]
    object: Option<String>,
    #[serde(rename = "_record", default)]
    record: Option<i64>,
    #[serde(default)]
    records: Vec<String>,
}

impl Finding {
    /// The id of the finding of `rule` about `entities` (names and values, in the rule's order) in the slot of event time
    /// that starts at `slot` (microseconds since 1970 UTC): 32 hex digits.
    ///
    /// SHA-256, because attackers choose some of the values: with a weaker hash they could make a harmful finding share the
    /// id of a harmless one, and the second would be dropped as already stored.
    pub fn id(rule: &str, entities: &[(&str, serde_json::Value)], slot: i64) -> String {
        let text = serde_json::json!([rule, entities, slot]).to_string();
        hex(&Sha256::digest(text.as_bytes())[..16])
    }

    /// The id as a number: the identity under which a lake stores the finding once.
    pub fn identity(&self) -> u128 {
        u128::from_str_radix(&self.finding_id, 16).unwrap_or_default()
    }

    /// Object and record of the first evidence: of a row that is an event, or of the first of a row's `records`
    /// (`object#record`).
    pub fn provenance(&self) -> Option<(String, i64)> {
        let first: Provenance = serde_json::from_str(self.evidence.first()?).ok()?;
        if let (Some(object), Some(record)) = (first.object, first.record) {
            return Some((object, record));
        }
        let (object, record) = first.records.first()?.rsplit_once('#')?;
        Some((object.to_owned(), record.parse().ok()?))
    }

    /// Order of reports: worst first, then by last event, then by id.
    pub fn order(&self, other: &Finding) -> std::cmp::Ordering {
        let worst_first = other.rule.severity.cmp(&self.rule.severity);
        worst_first.then(self.last_seen.cmp(&other.last_seen)).then_with(|| self.finding_id.cmp(&other.finding_id))
    }
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Findings as rows of [`FINDINGS`], in its stored schema.
pub fn to_batch(findings: &[Finding]) -> Result<RecordBatch> {
    let schema = FINDINGS.schema();
    let columns: Result<Vec<ArrayRef>> = schema.fields().iter().map(|field| stored(field.name(), findings)).collect();
    RecordBatch::try_new(schema, columns?)
        .map_err(|error| Error::Output(format!("findings do not fit their table: {error}")))
}

/// One stored column of the findings.
fn stored(name: &str, findings: &[Finding]) -> Result<ArrayRef> {
    let text =
        |get: fn(&Finding) -> Option<&str>| -> ArrayRef { Arc::new(findings.iter().map(get).collect::<StringArray>()) };
    let time = |get: fn(&Finding) -> DateTime<Utc>| -> ArrayRef {
        let micros = TimestampMicrosecondArray::from_iter_values(findings.iter().map(|f| get(f).timestamp_micros()));
        Arc::new(micros.with_timezone("UTC"))
    };
    let texts = |get: fn(&Finding) -> &Vec<String>| -> ArrayRef {
        let mut list = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
        for finding in findings {
            list.append_value(get(finding).iter().map(Some));
        }
        Arc::new(list.finish())
    };
    let json =
        |get: fn(&Finding) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(findings.iter().map(get))) };
    Ok(match name {
        "time" => time(|f| f.last_seen),
        "finding_id" => text(|f| Some(&f.finding_id)),
        "rule_id" => text(|f| Some(&f.rule.rule_id)),
        "rule_version" => text(|f| Some(&f.rule.rule_version)),
        "title" => text(|f| Some(&f.rule.title)),
        "severity" => text(|f| Some(f.rule.severity.as_str())),
        "confidence" => text(|f| Some(f.rule.confidence.as_str())),
        "kind" => text(|f| Some(f.rule.kind.as_str())),
        "first_seen" => time(|f| f.first_seen),
        "last_seen" => time(|f| f.last_seen),
        "account_id" => text(|f| f.account_id.as_deref()),
        "region" => text(|f| f.region.as_deref()),
        "principal" => text(|f| f.principal.as_deref()),
        "access_key_id" => text(|f| f.access_key_id.as_deref()),
        "source_ip" => text(|f| f.source_ip.as_deref()),
        "user_agent" => text(|f| f.user_agent.as_deref()),
        "model_id" => text(|f| f.model_id.as_deref()),
        "resource" => text(|f| f.resource.as_deref()),
        "event_count" => Arc::new(Int64Array::from_iter_values(findings.iter().map(|f| f.event_count))),
        "layer" => text(|f| Some(&f.rule.layer)),
        "phase" => text(|f| Some(&f.rule.phase)),
        "created_at" => time(|f| f.created_at),
        "run_id" => text(|f| Some(&f.run_id)),
        "event_ids" => texts(|f| &f.event_ids),
        "request_ids" => texts(|f| &f.request_ids),
        "children" => texts(|f| &f.children),
        "atlas" => texts(|f| &f.rule.atlas),
        "attack" => texts(|f| &f.rule.attack),
        "owasp" => texts(|f| &f.rule.owasp),
        "threats" => texts(|f| &f.rule.threats),
        "controls" => texts(|f| &f.rule.controls),
        "triage" => texts(|f| &f.rule.triage),
        "respond" => texts(|f| &f.rule.respond),
        "false_positives" => texts(|f| &f.rule.false_positives),
        "lacks" => texts(|f| &f.lacks),
        "why" => text(|f| Some(&f.rule.why)),
        "entities" => json(|f| serde_json::Value::Object(f.entities.clone()).to_string()),
        "evidence" => json(|f| format!("[{}]", f.evidence.join(","))),
        "silenced" => text(|f| f.silenced.as_deref()),
        "_object" => {
            Arc::new(findings.iter().map(|f| f.provenance().map(|(object, _)| object)).collect::<StringArray>())
        }
        "_record" => {
            Arc::new(findings.iter().map(|f| f.provenance().map(|(_, record)| record)).collect::<Int64Array>())
        }
        other => return Err(Error::Output(format!("findings have no value for their column {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_tell_rule_entity_and_slot_apart() {
        let alice = [("principal", json!("alice"))];
        let id = Finding::id("stopped_trail", &alice, 0);
        assert_eq!(id.len(), 32);
        assert_eq!(id, Finding::id("stopped_trail", &alice, 0));
        assert_ne!(id, Finding::id("stopped_trail", &alice, 3_600_000_000));
        assert_ne!(id, Finding::id("other", &alice, 0));
        assert_ne!(id, Finding::id("stopped_trail", &[("source_ip", json!("alice"))], 0));
        assert_ne!(
            Finding::id("r", &[("principal", json!(null))], 0),
            Finding::id("r", &[("principal", json!(""))], 0)
        );
    }

    #[test]
    fn every_column_of_the_table_has_a_value() {
        let batch = to_batch(&[]).expect("an empty batch fits");
        assert_eq!(batch.schema(), FINDINGS.schema());
    }

    #[test]
    fn severities_read_back_what_they_print() {
        for severity in SEVERITIES {
            assert_eq!(severity.as_str().parse::<Severity>().ok(), Some(severity));
        }
        assert!("hgh".parse::<Severity>().is_err());
    }
}
