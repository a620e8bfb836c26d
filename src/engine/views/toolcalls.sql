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
    call['id'] AS call_id, -- id that ties call and result together
    call['name'] AS tool, -- name of the tool that the model asked for
    call['arguments'] AS arguments, -- arguments as JSON
    call['result'] AS result, -- result that the caller sent back, when the log shows it
    array_has(tools, call['name']) AS offered, -- false when the caller had not offered this tool
    tools, -- names of the tools offered to the model
    _object, -- URI of the object that the row was read from
    _record -- index of the record in that object
FROM (
    SELECT
        time, accountid AS account_id, region, principal("identity".arn) AS principal, "identity".arn AS arn,
        fresh,
        model(modelid) AS model_id, operation, requestid AS request_id, unnest(toolcalls) AS call, tools, _object, _record
    FROM bedrock
    WHERE toolcalls IS NOT NULL
)
