//! Sigma's log sources and field names as our tables, columns and places in events.

use crate::logs::LOG_TYPES;
use crate::table::{Column, Kind, Scalar};

use super::sql;
use super::yaml::Node;

/// A log that rules can be imported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// AWS CloudTrail.
    CloudTrail,
    /// Amazon Bedrock model invocations.
    Bedrock,
    /// VPC flow logs.
    VpcFlow,
}

impl Log {
    /// The log of a `logsource`; the error says why it is none of ours.
    pub fn read(source: Option<&Node>) -> Result<Log, String> {
        let Some(source) = source else { return Err("it has no logsource".into()) };
        let part = |key: &str| source.get(key).and_then(Node::text).unwrap_or_default().to_ascii_lowercase();
        let (product, service, category) = (part("product"), part("service"), part("category"));
        let letters: String = service.chars().filter(char::is_ascii_alphanumeric).collect();
        let named = match letters.as_str() {
            "cloudtrail" | "awscloudtrail" => Some(Log::CloudTrail),
            "vpcflow" | "vpcflowlog" | "vpcflowlogs" | "flowlogs" | "vpc" | "awsvpcflow" => Some(Log::VpcFlow),
            "bedrock"
            | "bedrockmodelinvocation"
            | "bedrockmodelinvocations"
            | "bedrockinvocation"
            | "bedrockruntime"
            | "modelinvocation" => Some(Log::Bedrock),
            "" if product == "aws" && category.is_empty() => Some(Log::CloudTrail),
            _ => None,
        };
        match named.filter(|_| product == "aws" || product.is_empty()) {
            Some(log) => Ok(log),
            None => {
                let told: Vec<String> = [("product", &product), ("service", &service), ("category", &category)]
                    .iter()
                    .filter(|(_, value)| !value.is_empty())
                    .map(|(key, value)| format!("{key} {value}"))
                    .collect();
                let told = if told.is_empty() { "without product and service".into() } else { told.join(", ") };
                Err(format!("its log source ({told}) is not CloudTrail, VPC flow logs or Bedrock model invocations"))
            }
        }
    }

    /// Name of the table.
    pub fn table(self) -> &'static str {
        match self {
            Log::CloudTrail => "cloudtrail",
            Log::Bedrock => "bedrock",
            Log::VpcFlow => "vpcflow",
        }
    }

    fn columns(self) -> &'static [Column] {
        LOG_TYPES.iter().find(|log| log.name == self.table()).map_or(&[], |log| log.table.columns)
    }
}

/// How a field is read.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// A text column.
    Text,
    /// A boolean column.
    Bool,
    /// A numeric column.
    Number,
    /// The event time.
    Time,
    /// A whole JSON column.
    Json,
    /// A value below a JSON column: the column, and the path.
    Below(&'static str, Vec<String>),
    /// A field of the structs of a list: the column, and the field.
    List(&'static str, &'static str),
    /// Everything in the event that is text.
    Everything(Vec<&'static str>),
}

/// A field of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The log.
    pub log: Log,
    /// Name in the Sigma rule.
    pub name: String,
    /// How it is read.
    pub form: Form,
    /// SQL that reads it; for lists, the column.
    pub sql: String,
    /// Where events have it; empty when a test event cannot be given one.
    pub place: Vec<String>,
    /// What a reader has to know about it.
    pub note: Option<String>,
}

/// Names of Bedrock fields in the log, and the columns that hold them.
const BEDROCK_NAMES: [(&str, &str); 9] = [
    ("input.inputtokencount", "inputTokens"),
    ("output.outputtokencount", "outputTokens"),
    ("input.inputcontenttype", "input.contentType"),
    ("output.outputcontenttype", "output.contentType"),
    ("input.inputbodys3path", "input.bodyS3Path"),
    ("output.outputbodys3path", "output.bodyS3Path"),
    ("useridentity.arn", "identity.arn"),
    ("stop_reason", "stopReason"),
    ("timestamp", "time"),
];

/// Other names of flow log fields.
const FLOW_NAMES: [(&str, &str); 10] = [
    ("srcip", "srcaddr"),
    ("dstip", "dstaddr"),
    ("sourceip", "srcaddr"),
    ("destinationip", "dstaddr"),
    ("sourceaddress", "srcaddr"),
    ("destinationaddress", "dstaddr"),
    ("sourceport", "srcport"),
    ("destinationport", "dstport"),
    ("eniid", "interface_id"),
    ("flowlogstatus", "log_status"),
];

impl Field {
    /// The field that a Sigma rule names; the error says why there is none.
    pub fn find(log: Log, name: &str) -> Result<Field, String> {
        let lower = name.to_ascii_lowercase().replace("{}", "").replace("[]", "").replace("[*]", "");
        if lower.is_empty() || lower.split('.').any(str::is_empty) {
            return Err(format!("'{name}' is not the name of a field"));
        }
        match log {
            Log::CloudTrail => cloudtrail(name, &lower),
            Log::Bedrock => bedrock(name, &lower),
            Log::VpcFlow => flow(name, &lower),
        }
    }

    /// The field that stands for the whole event, for keywords.
    pub fn everything(log: Log) -> Field {
        let columns: Vec<&'static str> =
            log.columns().iter().filter(|c| matches!(c.kind, Kind::Text | Kind::Json)).map(|c| c.name).collect();
        let parts: Vec<String> = columns.iter().map(|name| column_sql(name)).collect();
        let place = match log {
            Log::CloudTrail => "userAgent",
            Log::Bedrock => "modelId",
            Log::VpcFlow => "instance-id",
        };
        Field {
            log,
            name: "keywords".into(),
            sql: format!("concat_ws(' ', {})", parts.join(", ")),
            form: Form::Everything(columns),
            place: vec![place.into()],
            note: Some("keywords are looked for in the text columns and JSON columns, one after the other".into()),
        }
    }

    /// The field as text, whatever it is.
    pub fn text_sql(&self) -> String {
        match self.form {
            Form::Bool | Form::Number => format!("CAST({} AS VARCHAR)", self.sql),
            Form::Time => format!("to_char({}, '%Y-%m-%dT%H:%M:%SZ')", self.sql),
            _ => self.sql.clone(),
        }
    }

    /// The field as a number, null when it is none.
    pub fn number_sql(&self) -> String {
        match self.form {
            Form::Number => self.sql.clone(),
            _ => format!("try_cast({} AS DOUBLE)", self.text_sql()),
        }
    }

    /// True for the two columns that AWS writes in one fixed case and by which events are found fast.
    pub fn is_key(&self) -> bool {
        self.log == Log::CloudTrail && ["eventName", "eventSource"].contains(&self.sql.as_str())
    }
}

/// Words of SQL that are also names of columns.
const WORDS: [&str; 2] = ["start", "end"];

fn column_sql(name: &str) -> String {
    if WORDS.contains(&name) { format!("\"{name}\"") } else { name.to_owned() }
}

fn parts(name: &str) -> Vec<String> {
    name.split('.').map(str::to_owned).collect()
}

fn of_column(log: Log, name: &str, column: &'static Column) -> Result<Field, String> {
    let form = match column.kind {
        Kind::Text => Form::Text,
        Kind::Json => Form::Json,
        Kind::Bool => Form::Bool,
        Kind::Int | Kind::Long | Kind::Double => Form::Number,
        Kind::Time => Form::Time,
        Kind::List(_) | Kind::Texts => {
            return Err(format!("'{name}' is a list; name a field of its items, such as {}", fields_of(column)));
        }
    };
    let place = match log {
        Log::CloudTrail => parts(column.name),
        Log::Bedrock => bedrock_place(column.name),
        Log::VpcFlow => vec![column.name.replace('_', "-")],
    };
    Ok(Field { log, name: name.into(), form, sql: column_sql(column.name), place, note: None })
}

fn fields_of(column: &Column) -> String {
    match column.kind {
        Kind::List(leaves) => {
            leaves.iter().map(|leaf| format!("{}.{}", column.name, leaf.name)).collect::<Vec<_>>().join(", ")
        }
        _ => "none".into(),
    }
}

fn time(log: Log, name: &str, place: &str) -> Field {
    Field { log, name: name.into(), form: Form::Time, sql: "time".into(), place: vec![place.into()], note: None }
}

/// The field of the structs in a list column that `lower` names.
fn of_list(log: Log, name: &str, lower: &str) -> Option<Field> {
    let (column, leaf) = lower.split_once('.')?;
    let column = log.columns().iter().find(|known| known.name.eq_ignore_ascii_case(column))?;
    let Kind::List(leaves) = column.kind else { return None };
    let leaf = leaves.iter().find(|known| known.name == leaf && known.kind == Scalar::Text)?;
    let note = format!("of {} only the first {} items are looked at", column.name, sql::LIST_ITEMS);
    let form = Form::List(column.name, leaf.name);
    let place = if log == Log::CloudTrail { vec![column.name.to_owned(), leaf.name.to_owned()] } else { Vec::new() };
    Some(Field { log, name: name.into(), form, sql: column.name.into(), place, note: Some(note) })
}

fn cloudtrail(name: &str, lower: &str) -> Result<Field, String> {
    let log = Log::CloudTrail;
    if lower == "eventtime" {
        return Ok(time(log, name, "eventTime"));
    }
    let columns = log.columns();
    if let Some(column) = columns.iter().find(|column| column.name.eq_ignore_ascii_case(lower)) {
        return of_column(log, name, column);
    }
    if let Some(field) = of_list(log, name, lower) {
        return Ok(field);
    }
    let written = parts(&name.replace("{}", "").replace("[]", "").replace("[*]", ""));
    let below = |column: &&Column| {
        lower.strip_prefix(&column.name.to_ascii_lowercase()).is_some_and(|rest| rest.starts_with('.'))
    };
    if let Some(column) = columns.iter().filter(below).max_by_key(|column| column.name.len()) {
        let levels = column.name.split('.').count();
        let path: Vec<String> = written.into_iter().skip(levels).collect();
        if column.kind != Kind::Json {
            return Err(format!("'{name}': {} is a plain value, with no fields below it", column.name));
        }
        let place = parts(column.name).into_iter().chain(path.iter().cloned()).collect();
        let sql = format!("json_as_text({}, {})", column.name, sql::path(&path));
        return Ok(Field { log, name: name.into(), form: Form::Below(column.name, path), sql, place, note: None });
    }
    // What has no column of its own is in `extra`: below the path of the closed object that it stands in, if any.
    let closed = (1..written.len()).rev().find(|levels| {
        let prefix =
            format!("{}.", written.iter().take(*levels).cloned().collect::<Vec<_>>().join(".")).to_ascii_lowercase();
        columns.iter().any(|column| column.name.to_ascii_lowercase().starts_with(&prefix))
    });
    let levels = closed.map_or(1, |levels| levels + 1);
    let key: Vec<String> = written.iter().take(levels).cloned().collect();
    let path: Vec<String> = std::iter::once(key.join(".")).chain(written.iter().skip(levels).cloned()).collect();
    let sql = format!("json_as_text(extra, {})", sql::path(&path));
    let note = format!("CloudTrail does not document the field '{name}'; events that have it anyway are matched");
    Ok(Field { log, name: name.into(), form: Form::Below("extra", path), sql, place: written, note: Some(note) })
}

fn bedrock(name: &str, lower: &str) -> Result<Field, String> {
    let log = Log::Bedrock;
    let known = BEDROCK_NAMES.iter().find(|(other, _)| *other == lower).map(|(_, column)| *column);
    let body = [("input.inputbodyjson", "prompt"), ("output.outputbodyjson", "completion")]
        .into_iter()
        .find(|(prefix, _)| lower.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
    let wanted = known.or(body.map(|(_, column)| column)).unwrap_or(lower);
    if wanted == "time" {
        return Ok(time(log, name, "timestamp"));
    }
    let squeezed = wanted.replace('_', "").to_ascii_lowercase();
    let column = log.columns().iter().find(|column| column.name.to_ascii_lowercase() == squeezed);
    let mut field = match column {
        Some(column) => of_column(log, name, column)?,
        None => match of_list(log, name, lower) {
            Some(field) => field,
            None => return Err(format!("Bedrock's model invocation log has no field '{name}'")),
        },
    };
    if let Some((_, column)) = body {
        field.note = Some(format!("'{name}' is looked for in the text of {column}, not in the raw body"));
    }
    Ok(field)
}

/// Where Bedrock's log has what a column holds, for calls of the Converse API.
fn bedrock_place(column: &str) -> Vec<String> {
    parts(match column {
        "inputTokens" => "input.inputTokenCount",
        "outputTokens" => "output.outputTokenCount",
        "input.contentType" => "input.inputContentType",
        "output.contentType" => "output.outputContentType",
        "stopReason" => "output.outputBodyJson.stopReason",
        "latencyMs" => "output.outputBodyJson.metrics.latencyMs",
        "maxTokens" => "input.inputBodyJson.inferenceConfig.maxTokens",
        "temperature" => "input.inputBodyJson.inferenceConfig.temperature",
        "prompt" => "input.inputBodyJson.messages",
        "systemPrompt" => "input.inputBodyJson.system",
        "completion" => "output.outputBodyJson.output.message.content",
        "requestId" | "identity.arn" | "modelId" | "accountId" | "region" | "operation" | "inferenceRegion"
        | "errorCode" | "schemaVersion" => column,
        _ => return Vec::new(),
    })
}

fn flow(name: &str, lower: &str) -> Result<Field, String> {
    let log = Log::VpcFlow;
    let squeeze = |text: &str| text.replace(['_', '-', '.'], "").to_ascii_lowercase();
    let asked = squeeze(lower);
    let wanted = FLOW_NAMES.iter().find(|(other, _)| *other == asked).map_or(asked.as_str(), |(_, column)| column);
    let wanted = squeeze(wanted);
    match log.columns().iter().find(|column| squeeze(column.name) == wanted) {
        Some(column) => of_column(log, name, column),
        None if wanted == "time" => Ok(time(log, name, "start")),
        None => Err(format!("VPC flow logs have no field '{name}'")),
    }
}
