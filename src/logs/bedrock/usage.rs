//! Token counts and latency, under the names of every vendor.

use super::json::Json;

/// What the bodies say about cost. Input tokens do not include those read from the prompt cache.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) input: Option<i64>,
    pub(super) output: Option<i64>,
    pub(super) cache_read: Option<i64>,
    pub(super) cache_write: Option<i64>,
    pub(super) latency: Option<i64>,
}

const INPUT: [&str; 6] =
    ["inputTokens", "input_tokens", "prompt_token_count", "inputTextTokenCount", "inputTokenCount", "inputTokensCount"];
const OUTPUT: [&str; 7] = [
    "outputTokens",
    "output_tokens",
    "completion_tokens",
    "generation_token_count",
    "totalOutputTextTokenCount",
    "outputTokenCount",
    "outputTokensCount",
];
const CACHE_READ: [&str; 4] =
    ["cacheReadInputTokens", "cache_read_input_tokens", "cacheReadInputTokenCount", "cacheReadInputTokensCount"];
const CACHE_WRITE: [&str; 4] =
    ["cacheWriteInputTokens", "cache_creation_input_tokens", "cacheWriteInputTokenCount", "cacheWriteInputTokensCount"];

/// Where vendors that count cached tokens among the others say how many these are.
const DETAILS: [&str; 2] = ["prompt_tokens_details", "input_tokens_details"];
/// Their count of all of them.
const PROMPT: [&str; 2] = ["prompt_tokens", "input_tokens"];

/// Length of the shortest of these names. The keys of a stream's elements are shorter, and a stream has many elements.
const SHORTEST: usize = "inputTokens".len();

impl Usage {
    /// Reads the counts that an answer, or an element of a stream, carries. Later counts replace earlier ones, because
    /// streams begin with an estimate.
    pub(super) fn read(&mut self, answer: &Json) {
        self.counts(answer);
        for path in [["usage", "tokens"], ["meta", "billed_units"], ["meta", "tokens"]] {
            if let Some(counts) = answer.at(&path) {
                self.counts(counts);
            }
        }
        if let Some(usage) = answer.get("usage") {
            self.counts(usage);
        }
        if let Some(metrics) = answer.get("amazon-bedrock-invocationMetrics") {
            self.counts(metrics);
            set(&mut self.latency, metrics.get("invocationLatency"));
        }
        set(&mut self.latency, answer.at(&["metrics", "latencyMs"]));
    }

    fn counts(&mut self, counts: &Json) {
        if counts.fields().iter().all(|(key, _)| key.len() < SHORTEST) {
            return;
        }
        set(&mut self.input, counts.any(&INPUT));
        set(&mut self.output, counts.any(&OUTPUT));
        set(&mut self.cache_read, counts.any(&CACHE_READ));
        set(&mut self.cache_write, counts.any(&CACHE_WRITE));
        let details = counts.any(&DETAILS);
        let cached = details.and_then(|details| details.get("cached_tokens")).and_then(Json::long);
        let prompt = counts.any(&PROMPT).and_then(Json::long);
        if cached.is_some() {
            self.cache_read = cached;
        }
        if let Some(prompt) = prompt {
            self.input = Some(prompt.saturating_sub(cached.unwrap_or(0)));
        }
    }
}

fn set(count: &mut Option<i64>, value: Option<&Json>) {
    if let Some(value) = value.and_then(Json::long) {
        *count = Some(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_count_is_shorter_than_the_shortest() {
        let names = [&INPUT[..], &OUTPUT, &CACHE_READ, &CACHE_WRITE, &DETAILS, &PROMPT].concat();
        assert_eq!(names.iter().map(|name| name.len()).min(), Some(SHORTEST));
    }
}
