-- title: What model calls cost: tokens and dollars per key, principal, model, Region and hour
-- about: The bill of a stolen key, dearest first. Each call counts once, whichever log has it; tokens come from the invocation log, or
-- about: else from CloudTrail. Dollars are a range by the list in the table prices; they are null where the model has no price or
-- about: no call has token counts, and leave out the calls that unpriced_calls and uncounted_calls say. Failed calls cost nothing.
-- param: key list "" access keys; with none and no principal: all calls
-- param: principal list "" ARNs or names of principals, ARNs of sessions
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
WITH seen AS (
    SELECT coalesce(nullif(requestId, ''), _object || '#' || _record) AS request, time, true AS in_log, accountId AS account_id, region,
           CAST(NULL AS varchar) AS access_key_id, CAST(NULL AS boolean) AS bearer, "identity".arn AS arn, model(modelId) AS model_id, errorCode AS error,
           inputTokens AS input_tokens, outputTokens AS output_tokens, cacheReadTokens AS cache_read_tokens,
           cacheWriteTokens AS cache_write_tokens
    FROM bedrock
    WHERE time >= $since AND time < $until
    UNION ALL
    -- A stream ends with a second event, which has the counts and names the request of the first.
    SELECT coalesce(json_get_str(serviceEventDetails, 'parentRequestId'), nullif(requestID, ''), _object || '#' || _record), time, false,
           recipientAccountId, awsRegion, userIdentity.accessKeyId,
           coalesce(flag(additionalEventData, 'callWithBearerToken'), flag(requestParameters, 'callWithBearerToken')),
           userIdentity.arn,
           model(coalesce(json_get_str(requestParameters, 'modelId'), json_get_str(requestParameters, 'model'),
                          CASE 'AWS::Bedrock::Model' WHEN resources[1]['type'] THEN resources[1]['arn']
                                                     WHEN resources[2]['type'] THEN resources[2]['arn'] END)),
           errorCode,
           coalesce(json_get_int(serviceEventDetails, 'AdditionalEventData', 'additionalEntries', 'inputTokens'),
                    json_get_int(additionalEventData, 'inputTokens')),
           coalesce(json_get_int(serviceEventDetails, 'AdditionalEventData', 'additionalEntries', 'outputTokens'),
                    json_get_int(additionalEventData, 'outputTokens')),
           NULL, NULL
    FROM cloudtrail
    WHERE eventSource IN ('bedrock.amazonaws.com', 'bedrock-mantle.amazonaws.com')
      AND eventName IN ('InvokeModel', 'InvokeModelWithResponseStream', 'Converse', 'ConverseStream',
                        'InvokeModelWithBidirectionalStream', 'StartAsyncInvoke', 'CreateInference')
      AND eventType IN ('AwsApiCall', 'AwsServiceEvent')
      AND time >= $since AND time < $until
),
-- Logs can lie: a count below 0 or above what any model reads is no count.
believed AS (
    SELECT request, time, in_log, account_id, region, access_key_id, bearer, arn, model_id, error,
           CASE WHEN input_tokens BETWEEN 0 AND 100000000 THEN input_tokens END AS input_tokens,
           CASE WHEN output_tokens BETWEEN 0 AND 100000000 THEN output_tokens END AS output_tokens,
           CASE WHEN cache_read_tokens BETWEEN 0 AND 100000000 THEN cache_read_tokens END AS cache_read_tokens,
           CASE WHEN cache_write_tokens BETWEEN 0 AND 100000000 THEN cache_write_tokens END AS cache_write_tokens
    FROM seen
),
merged AS (
    SELECT min(time) AS time, max(account_id) AS account_id, max(region) AS region, max(access_key_id) AS access_key_id,
           bool_or(bearer) AS bearer, max(arn) AS arn,
           coalesce(max(model_id) FILTER (WHERE model_id LIKE '%.%'), max(model_id)) AS model_id, max(error) AS error,
           coalesce(max(input_tokens) FILTER (WHERE in_log), max(input_tokens)) AS input_tokens,
           coalesce(max(output_tokens) FILTER (WHERE in_log), max(output_tokens)) AS output_tokens,
           max(cache_read_tokens) AS cache_read_tokens, max(cache_write_tokens) AS cache_write_tokens,
           bool_or(input_tokens IS NOT NULL OR output_tokens IS NOT NULL) AS counted,
           bool_or(in_log AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)) AS counted_in_log
    FROM believed
    GROUP BY request
),
calls AS (
    SELECT date_trunc('hour', time) AS hour, account_id, region, access_key_id, bearer, arn, principal(arn) AS principal, model_id, error,
           input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, counted, counted_in_log
    FROM merged
),
sums AS (
    SELECT hour, account_id, region, access_key_id, bearer, principal, model_id, count(*) AS calls, count(error) AS failed,
           count(*) FILTER (WHERE error LIKE '%AccessDenied%' OR error LIKE '%Unauthorized%') AS denied,
           count(*) FILTER (WHERE error IS NULL) AS answered,
           count(*) FILTER (WHERE error IS NULL AND counted) AS counted,
           sum(input_tokens) FILTER (WHERE error IS NULL) AS input_tokens,
           sum(output_tokens) FILTER (WHERE error IS NULL) AS output_tokens,
           sum(cache_read_tokens) FILTER (WHERE error IS NULL) AS cache_read_tokens,
           sum(cache_write_tokens) FILTER (WHERE error IS NULL) AS cache_write_tokens,
           bool_or(counted_in_log) FILTER (WHERE error IS NULL) AS from_log,
           bool_or(counted AND NOT counted_in_log) FILTER (WHERE error IS NULL) AS from_trail
    FROM calls
    WHERE (coalesce(array_length($key), 0) = 0 AND coalesce(array_length($principal), 0) = 0)
       OR access_key_id IN ($key) OR arn IN ($principal) OR principal IN ($principal) OR arn_part(principal, 'name') IN ($principal)
    GROUP BY hour, account_id, region, access_key_id, bearer, principal, model_id
),
priced AS (
    SELECT s.*, p.model AS price_of, p.call_low IS NOT NULL AS by_call,
           coalesce(p.call_low, 0) * answered + (coalesce(p.input_low, 0) * coalesce(input_tokens, 0)
             + coalesce(p.output_low, 0) * coalesce(output_tokens, 0) + coalesce(p.cache_read_low, 0) * coalesce(cache_read_tokens, 0)
             + coalesce(p.cache_write_low, 0) * coalesce(cache_write_tokens, 0)) / 1000000 AS low,
           coalesce(p.call_high, 0) * answered + (coalesce(p.input_high, 0) * coalesce(input_tokens, 0)
             + coalesce(p.output_high, 0) * coalesce(output_tokens, 0) + coalesce(p.cache_read_high, 0) * coalesce(cache_read_tokens, 0)
             + coalesce(p.cache_write_high, 0) * coalesce(cache_write_tokens, 0)) / 1000000 AS high
    FROM sums AS s
    LEFT JOIN prices AS p
      ON (s.model_id = p.model OR (p.family AND starts_with(s.model_id, p.model)))
     AND (p.since IS NULL OR s.hour >= p.since) AND (p.until IS NULL OR s.hour < p.until)
)
SELECT hour, account_id, region, access_key_id, bearer, principal, model_id, calls, failed, denied, input_tokens, output_tokens,
       cache_read_tokens, cache_write_tokens,
       CASE WHEN from_log AND from_trail THEN 'both' WHEN from_log THEN 'invocation log' WHEN from_trail THEN 'CloudTrail' END AS counts_from,
       CASE WHEN by_call THEN 0 ELSE answered - counted END AS uncounted_calls,
       round(CASE WHEN by_call THEN 0.0 ELSE CAST(answered - counted AS double) / nullif(answered, 0) END, 3) AS uncounted_share,
       CASE WHEN price_of IS NULL THEN answered ELSE 0 END AS unpriced_calls,
       CASE WHEN answered = 0 THEN 0.0 WHEN price_of IS NOT NULL AND (by_call OR counted > 0) THEN round(low, 9) END AS dollars_low,
       CASE WHEN answered = 0 THEN 0.0 WHEN price_of IS NOT NULL AND (by_call OR counted > 0) THEN round(high, 9) END AS dollars_high
FROM priced
ORDER BY dollars_high DESC NULLS LAST, calls DESC, hour, access_key_id, principal, model_id, region, account_id
