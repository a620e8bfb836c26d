-- title: Tokens per principal, model and day
-- about: Calls and tokens from the invocation log, by day: what a bill is made of, and where a theft of model time shows.
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT date_trunc('day', time) AS day, accountId AS account_id, principal("identity".arn) AS principal, model(modelId) AS model,
       count(*) AS calls, count(errorCode) AS failed, sum(inputTokens) AS input_tokens, sum(outputTokens) AS output_tokens,
       sum(cacheReadTokens) AS cache_read_tokens, sum(cacheWriteTokens) AS cache_write_tokens
FROM bedrock
WHERE time >= $since AND time < $until
GROUP BY date_trunc('day', time), accountId, principal("identity".arn), model(modelId)
ORDER BY day, output_tokens DESC NULLS LAST, principal, model
