//! Amazon Bedrock model invocation logs: one record per call, whatever API, provider or stream, in one normal form.

mod agents;
mod ahead;
mod answer;
mod blocks;
mod body;
mod calls;
mod columns;
mod guardrail;
mod invocation;
mod json;
mod media;
mod parse;
mod record;
mod request;
mod responses;
mod row;
mod stream;
mod template;
mod unknown;
mod usage;

pub use self::ahead::{Ahead, is_key};

use bumpalo::Bump;

use self::body::{Body, Side};
use self::invocation::Invocation;
use self::json::Json;
use self::record::Record;
use super::rows::Rows;
use super::{Bodies, LogType, text};
use crate::table::{Column, Kind, Leaf, Scalar, Table, column, searched};

/// Amazon Bedrock model invocation log, <https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html>.
pub static BEDROCK: LogType = LogType { name: "bedrock", table: &TABLE };

static TABLE: Table = Table {
    name: "bedrock",
    about: "A model invocation recorded by Amazon Bedrock.",
    time_name: Some("timestamp"),
    clustered_by: &[],
    columns: &COLUMNS,
};

const MESSAGE: [Leaf; 3] = [
    Leaf { name: "role", kind: Scalar::Text, doc: "system, user, assistant or tool" },
    Leaf {
        name: "kind",
        kind: Scalar::Text,
        doc: "text, reasoning, tool_call, tool_result, image, document, video, audio, guarded or other",
    },
    Leaf { name: "text", kind: Scalar::Text, doc: "the text, or the name and URI of media" },
];
const CALL: [Leaf; 4] = [
    Leaf { name: "id", kind: Scalar::Text, doc: "id that ties call and result together" },
    Leaf { name: "name", kind: Scalar::Text, doc: "tool name" },
    Leaf { name: "arguments", kind: Scalar::Text, doc: "arguments as JSON" },
    Leaf { name: "result", kind: Scalar::Text, doc: "result that the caller sent back, when the log shows it" },
];
const HIT: [Leaf; 7] = [
    Leaf { name: "policy", kind: Scalar::Text, doc: "topic, content, word, pii, regex, grounding or reasoning" },
    Leaf {
        name: "name",
        kind: Scalar::Text,
        doc: "name or type of what was found, such as PROMPT_ATTACK or EMAIL; never the matched text",
    },
    Leaf { name: "side", kind: Scalar::Text, doc: "input or output" },
    Leaf { name: "confidence", kind: Scalar::Text, doc: "NONE, LOW, MEDIUM or HIGH" },
    Leaf { name: "action", kind: Scalar::Text, doc: "BLOCKED, ANONYMIZED or NONE (detected, not stopped)" },
    Leaf { name: "score", kind: Scalar::Double, doc: "score of a grounding filter" },
    Leaf { name: "threshold", kind: Scalar::Double, doc: "threshold of a grounding filter" },
];

static COLUMNS: [Column; 39] = [
    searched("requestId", Kind::Text, "request id; equals `requestID` in CloudTrail"),
    searched("identity.arn", Kind::Text, "ARN of the caller"),
    column("modelId", Kind::Text, "model, inference profile or ARN, as called"),
    column("accountId", Kind::Text, "account of the call"),
    column("region", Kind::Text, "Region of the endpoint"),
    column("operation", Kind::Text, "InvokeModel, InvokeModelWithResponseStream, Converse, ConverseStream"),
    column("inferenceRegion", Kind::Text, "Region in which inference ran"),
    column("errorCode", Kind::Text, "error code; null when the call succeeded"),
    column(
        "stopReason",
        Kind::Text,
        "why generation ended, lower snake case (end_turn, max_tokens, tool_use, guardrail_intervened, ...)",
    ),
    column("inputTokens", Kind::Long, "input tokens without cache reads"),
    column("outputTokens", Kind::Long, "output tokens"),
    column("cacheReadTokens", Kind::Long, "input tokens read from the prompt cache"),
    column("cacheWriteTokens", Kind::Long, "input tokens written to the prompt cache"),
    column("guardrail.id", Kind::Text, "guardrail that judged the call"),
    column("guardrail.version", Kind::Text, "its version"),
    column("guardrail.action", Kind::Text, "INTERVENED or NONE; null when the log does not show a guardrail"),
    column("latencyMs", Kind::Long, "latency in milliseconds"),
    column("maxTokens", Kind::Long, "limit on output tokens that the caller asked for"),
    column("temperature", Kind::Double, "temperature that the caller asked for"),
    column("turns", Kind::Int, "messages in the request, system messages not counted"),
    column("media", Kind::Int, "images, documents, video and audio in the request"),
    searched("promptSha256", Kind::Text, "SHA-256 of `prompt`, hex"),
    column("systemSha256", Kind::Text, "SHA-256 of `systemPrompt`, hex"),
    column("schemaVersion", Kind::Text, "version of the record format"),
    column("input.contentType", Kind::Text, "content type of the request body"),
    column("input.bodyS3Path", Kind::Text, "where a large request body was stored"),
    column("output.contentType", Kind::Text, "content type of the response body"),
    column("output.bodyS3Path", Kind::Text, "where a large response body was stored"),
    column("bodies", Kind::Text, "`inline`, `s3` (read from S3), `s3 missing`, or `none` (metadata-only record)"),
    column("tools", Kind::Texts, "names of the tools offered to the model"),
    column("requestMetadata", Kind::Json, "metadata that the caller supplied: untrusted"),
    column("guardrailHits", Kind::List(&HIT), "what guardrails detected"),
    column("toolCalls", Kind::List(&CALL), "tools that the model asked for, with the result when the log shows it"),
    column("systemPrompt", Kind::Text, "system prompt"),
    column("prompt", Kind::Text, "text of the last user turn that has any; tool results are not the prompt"),
    column("completion", Kind::Text, "text of the answer"),
    column("reasoning", Kind::Text, "reasoning text of the answer"),
    column("messages", Kind::List(&MESSAGE), "all parts of system prompt, request and answer in order"),
    column(
        "extra",
        Kind::Json,
        "fields that have no column, do not fit it or could not be read: path -> value or reason",
    ),
];

/// True when a JSON object is a record of this log, judged by its top-level keys: `schemaType`, or a model and a request
/// with an input or output and either the operation or the account and Region. Case and punctuation of keys are free.
pub fn recognise(record: &str) -> bool {
    let (mut model, mut request, mut operation, mut account, mut region, mut body) =
        (false, false, false, false, false, false);
    let mut ours = false;
    let is_object = parse::keys(record, |key, value| {
        let key = record::plain(key);
        match key.as_str() {
            "schematype" => ours |= value == Some("ModelInvocationLog"),
            "modelid" => model = true,
            "requestid" => request = true,
            "operation" => operation = true,
            "accountid" => account = true,
            "region" => region = true,
            key => body |= key.starts_with("input") || key.starts_with("output"),
        }
        ours |= model && request && body && (operation || account && region);
        !ours
    });
    is_object && ours
}

/// Decodes one record, given as the text of a JSON object, into exactly one finished row, or says why it cannot.
///
/// Only a timestamp and a request or model id are required. What else does not fit its column is kept in `extra`, and
/// bodies that cannot be read leave their columns null and their reason there. `index` is the place of the record in its
/// object; bodies that were stored apart are asked of `bodies`.
pub fn decode(rows: &mut Rows, index: u64, record: &str, _object: &str, bodies: &dyn Bodies) -> Result<(), String> {
    let arena = Bump::new();
    store(rows, index, record, &parse::parse(record, &arena)?, bodies)
}

/// Fills and finishes the row of a record that was parsed.
fn store(rows: &mut Rows, index: u64, record: &str, json: &Json<'_>, bodies: &dyn Bodies) -> Result<(), String> {
    let mut fields = Record::read(json)?;
    let (input, input_found) = body::find(&mut fields, Side::Input, bodies);
    let (output, output_found) = body::find(&mut fields, Side::Output, bodies);
    let arena = Bump::new();
    let input_apart = input.parse(&mut fields, Side::Input, input_found, &arena);
    let output_apart = output.parse(&mut fields, Side::Output, output_found, &arena);

    let mut invocation = Invocation::new();
    if let Some(body) = tree(&input, input_apart.as_ref()) {
        body::note_skipped(&mut fields, Side::Input, body);
        request::read(body, &mut invocation);
    }
    invocation.answer();
    if let Some(body) = tree(&output, output_apart.as_ref()) {
        body::note_skipped(&mut fields, Side::Output, body);
        answer::read(body, &mut invocation);
    }
    row::fill(rows, &fields, &invocation, input_found.max(output_found));
    rows.finish(fields.time, index, identity(&fields, record));
    Ok(())
}

fn tree<'t>(body: &'t Body<'t>, apart: Option<&'t Json<'t>>) -> Option<&'t Json<'t>> {
    match body {
        Body::Inline(json) => Some(json),
        Body::Apart(_) | Body::Absent => apart,
    }
}

/// The same call logged twice has the same identity, also when a copy writes its keys or body differently.
fn identity(fields: &Record<'_>, record: &str) -> u128 {
    let value = |column| fields.text(column).unwrap_or_default();
    let request = value(columns::REQUEST_ID);
    if request.is_empty() {
        return text::identity(&["bedrock", record]);
    }
    let (account, region) = (value(columns::ACCOUNT_ID), value(columns::REGION));
    text::identity(&["bedrock", account, region, request, value(columns::OPERATION)])
}
