SELECT
    time, -- event time, UTC
    fresh, -- true inside the window that is judged
    account_id, -- account of the call
    region, -- Region of the endpoint
    principal, -- role or user that called the model
    arn, -- caller with its session
    model_id, -- model without ARN and geography
    operation, -- API operation
    request_id, -- request id of the invocation
    guardrail_id, -- guardrail that judged the call
    guardrail_version, -- its version
    guardrail_action, -- what the guardrails did in the end: INTERVENED or NONE
    hit['policy'] AS policy, -- topic, content, word, pii, regex, grounding or reasoning
    hit['name'] AS name, -- what was found, such as PROMPT_ATTACK
    hit['side'] AS side, -- input or output
    hit['confidence'] AS confidence, -- NONE, LOW, MEDIUM or HIGH
    hit['action'] AS action, -- BLOCKED, ANONYMIZED or NONE
    hit['score'] AS score, -- score of a grounding filter
    hit['threshold'] AS threshold, -- threshold of a grounding filter
    _object, -- URI of the object that the row was read from
    _record -- index of the record in that object
FROM (
    SELECT
        time, accountid AS account_id, region, principal("identity".arn) AS principal, "identity".arn AS arn,
        fresh,
        model(modelid) AS model_id, operation, requestid AS request_id, guardrail.id AS guardrail_id,
        guardrail.version AS guardrail_version, guardrail.action AS guardrail_action, unnest(guardrailhits) AS hit, _object, _record
    FROM bedrock
    WHERE guardrailhits IS NOT NULL
)
