//! Places of the columns in the table, looked up by name when the program is compiled.

use super::COLUMNS;

pub(super) const REQUEST_ID: usize = place("requestId");
pub(super) const ARN: usize = place("identity.arn");
pub(super) const MODEL_ID: usize = place("modelId");
pub(super) const ACCOUNT_ID: usize = place("accountId");
pub(super) const REGION: usize = place("region");
pub(super) const OPERATION: usize = place("operation");
pub(super) const INFERENCE_REGION: usize = place("inferenceRegion");
pub(super) const ERROR_CODE: usize = place("errorCode");
pub(super) const STOP_REASON: usize = place("stopReason");
pub(super) const INPUT_TOKENS: usize = place("inputTokens");
pub(super) const OUTPUT_TOKENS: usize = place("outputTokens");
pub(super) const CACHE_READ_TOKENS: usize = place("cacheReadTokens");
pub(super) const CACHE_WRITE_TOKENS: usize = place("cacheWriteTokens");
pub(super) const GUARDRAIL_ID: usize = place("guardrail.id");
pub(super) const GUARDRAIL_VERSION: usize = place("guardrail.version");
pub(super) const GUARDRAIL_ACTION: usize = place("guardrail.action");
pub(super) const LATENCY: usize = place("latencyMs");
pub(super) const MAX_TOKENS: usize = place("maxTokens");
pub(super) const TEMPERATURE: usize = place("temperature");
pub(super) const TURNS: usize = place("turns");
pub(super) const MEDIA: usize = place("media");
pub(super) const PROMPT_SHA256: usize = place("promptSha256");
pub(super) const SYSTEM_SHA256: usize = place("systemSha256");
pub(super) const SCHEMA_VERSION: usize = place("schemaVersion");
pub(super) const INPUT_TYPE: usize = place("input.contentType");
pub(super) const INPUT_PATH: usize = place("input.bodyS3Path");
pub(super) const OUTPUT_TYPE: usize = place("output.contentType");
pub(super) const OUTPUT_PATH: usize = place("output.bodyS3Path");
pub(super) const BODIES: usize = place("bodies");
pub(super) const TOOLS: usize = place("tools");
pub(super) const METADATA: usize = place("requestMetadata");
pub(super) const GUARDRAIL_HITS: usize = place("guardrailHits");
pub(super) const TOOL_CALLS: usize = place("toolCalls");
pub(super) const SYSTEM_PROMPT: usize = place("systemPrompt");
pub(super) const PROMPT: usize = place("prompt");
pub(super) const COMPLETION: usize = place("completion");
pub(super) const REASONING: usize = place("reasoning");
pub(super) const MESSAGES: usize = place("messages");
pub(super) const EXTRA: usize = place("extra");

/// Place of a column. Evaluated by the compiler alone, so a name that is not in the list does not compile.
const fn place(name: &str) -> usize {
    let mut index = 0;
    while !same(COLUMNS[index].name.as_bytes(), name.as_bytes()) {
        index += 1;
    }
    index
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}
