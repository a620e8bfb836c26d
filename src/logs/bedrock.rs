//! Amazon Bedrock model invocation logs: one record per call, whatever the API, provider or stream, in one normal form.

use super::LogType;
use crate::table::{Column, Kind, Leaf, Scalar, Table, column, searched};

/// Amazon Bedrock model invocation log, <https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html>.
pub static BEDROCK: LogType = LogType { name: "bedrock", table: &TABLE };

static TABLE: Table = Table {
    name: "bedrock",
    about: "A model invocation recorded by Amazon Bedrock.",
    time_name: Some("timestamp"),
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
    column("turns", Kind::Int, "messages in the request"),
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
    column("prompt", Kind::Text, "last user turn"),
    column("completion", Kind::Text, "text of the answer"),
    column("reasoning", Kind::Text, "reasoning text of the answer"),
    column("messages", Kind::List(&MESSAGE), "all turns of request and answer in order"),
    column("extra", Kind::Json, "top-level fields that have no column: name -> value"),
];
