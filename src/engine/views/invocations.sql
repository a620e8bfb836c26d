SELECT
    c.time, -- event time, UTC
    c.fresh, -- true inside the window that is judged
    c.recipientaccountid AS account_id, -- account of the call
    c.awsregion AS region, -- Region of the endpoint
    principal(c.useridentity.arn) AS principal, -- role or user that called
    c.useridentity.arn AS arn, -- caller with its session
    session_name(c.useridentity.arn) AS session_name, -- name of the caller's session
    c.useridentity.type AS user_type, -- IAMUser, AssumedRole, ...
    c.useridentity.sessioncontext.sessionissuer.arn AS issuer, -- role behind the session, with its path
    c.useridentity.accesskeyid AS access_key_id, -- access key of the caller
    c.useridentity.invokedby AS invoked_by, -- service that called on behalf of the caller
    c.sourceipaddress AS source_ip, -- address or service name that the call came from
    c.useragent AS user_agent, -- client software, as the caller states it
    c.vpcendpointid AS vpc_endpoint_id, -- VPC endpoint that the call came through
    c.tlsdetails.clientprovidedhostheader AS host, -- host name that the client asked for
    coalesce(flag(c.additionaleventdata, 'callWithBearerToken'), flag(c.requestparameters, 'callWithBearerToken')) AS bearer, -- true when a Bedrock API key was used
    c.eventname AS eventname, -- API operation
    c.eventname AS operation, -- API operation, as the invocation log calls it
    model(coalesce(json_get_str(c.requestparameters, 'modelId'), b.modelid)) AS model_id, -- model without ARN and geography
    coalesce(json_get_str(c.requestparameters, 'modelId'), b.modelid) AS modelid, -- model, profile or ARN as called
    coalesce(b.inferenceregion, json_get_str(c.additionaleventdata, 'inferenceRegion')) AS inference_region, -- Region in which inference ran
    c.requestid AS request_id, -- request id that joins the two logs
    c.eventid AS event_id, -- id of the CloudTrail event
    coalesce(c.errorcode, b.errorcode) AS errorcode, -- error code; null when the call succeeded
    c.errormessage AS errormessage, -- error message
    b.requestid IS NOT NULL AS logged, -- true when the invocation log has the call
    coalesce(b.inputtokens, json_get_int(c.additionaleventdata, 'inputTokens')) AS input_tokens, -- input tokens without cache reads
    coalesce(b.outputtokens, json_get_int(c.additionaleventdata, 'outputTokens')) AS output_tokens, -- output tokens
    b.cachereadtokens AS cache_read_tokens, -- input tokens read from the prompt cache
    b.cachewritetokens AS cache_write_tokens, -- input tokens written to the prompt cache
    b.stopreason AS stopreason, -- why generation ended
    b.maxtokens AS maxtokens, -- limit on output tokens that the caller asked for
    b.temperature AS temperature, -- temperature that the caller asked for
    b.turns AS turns, -- messages in the request
    b.media AS media, -- images, documents, video and audio in the request
    b.latencyms AS latencyms, -- latency in milliseconds
    b.guardrail.id AS guardrail_id, -- guardrail that judged the call
    b.guardrail.version AS guardrail_version, -- its version
    b.guardrail.action AS guardrail_action, -- INTERVENED or NONE
    b.guardrailhits AS guardrailhits, -- what guardrails detected
    b.tools AS tools, -- names of the tools offered to the model
    b.toolcalls AS toolcalls, -- tools that the model asked for
    b.requestmetadata AS requestmetadata, -- metadata that the caller supplied
    b.bodies AS bodies, -- where request and answer came from
    b.promptsha256 AS promptsha256, -- SHA-256 of the prompt, hex
    b.systemsha256 AS systemsha256, -- SHA-256 of the system prompt, hex
    b.systemprompt AS systemprompt, -- system prompt
    b.prompt AS prompt, -- last user turn
    b.completion AS completion, -- text of the answer
    b.reasoning AS reasoning, -- reasoning text of the answer
    b.messages AS messages, -- all turns in order
    c._object, -- URI of the CloudTrail object
    c._record, -- index of the event in that object
    b._object AS bedrock_object, -- URI of the invocation log object
    b._record AS bedrock_record -- index of the record in that object
FROM cloudtrail AS c
LEFT JOIN bedrock AS b ON c.requestid = b.requestid
WHERE c.eventsource = 'bedrock.amazonaws.com'
  AND c.eventname IN ('InvokeModel', 'InvokeModelWithResponseStream', 'Converse', 'ConverseStream', 'InvokeModelWithBidirectionalStream')
  AND c.eventtype = 'AwsApiCall'
