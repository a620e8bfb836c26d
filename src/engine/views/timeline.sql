SELECT
    time, -- event time, UTC
    fresh, -- true inside the window that is judged
    'cloudtrail' AS log, -- cloudtrail, bedrock or vpcflow
    recipientaccountid AS account_id, -- account
    awsregion AS region, -- Region
    principal(useridentity.arn) AS principal, -- role or user; null for services and network traffic
    useridentity.arn AS arn, -- caller with its session
    useridentity.accesskeyid AS access_key_id, -- access key
    sourceipaddress AS source_ip, -- address or service name that the call or traffic came from
    useragent AS user_agent, -- client software, as the caller states it
    split_part(eventsource, '.', 1) || ':' || eventname AS action, -- service:operation, or network:protocol number
    coalesce(resources[1]['arn'], json_get_str(requestparameters, 'modelId'), json_get_str(requestparameters, 'roleArn'), json_get_str(requestparameters, 'bucketName')) AS resource, -- what was acted on, or destination address and port
    coalesce(errorcode, 'ok') AS outcome, -- ok, an error code, INTERVENED, or REJECT
    coalesce(errormessage, requestparameters) AS detail, -- parameters, prompt, or bytes and packets
    requestid AS request_id, -- request id
    eventid AS event_id, -- id of the CloudTrail event
    _object, -- URI of the object that the row was read from
    _record -- index of the record in that object
FROM cloudtrail
UNION ALL
SELECT
    time,
    fresh,
    'bedrock',
    accountid,
    region,
    principal("identity".arn),
    "identity".arn,
    NULL,
    NULL,
    NULL,
    'bedrock:' || operation,
    model(modelid),
    coalesce(errorcode, CASE WHEN guardrail.action = 'INTERVENED' THEN 'INTERVENED' ELSE 'ok' END),
    left(prompt, 500),
    requestid,
    NULL,
    _object,
    _record
FROM bedrock
UNION ALL
SELECT
    time,
    fresh,
    'vpcflow',
    account_id,
    region,
    NULL,
    NULL,
    NULL,
    coalesce(pkt_srcaddr, srcaddr),
    NULL,
    'network:' || protocol,
    coalesce(pkt_dstaddr, dstaddr) || ':' || dstport,
    CASE WHEN "action" = 'ACCEPT' THEN 'ok' ELSE "action" END,
    interface_id || ' ' || coalesce(flow_direction, '') || ' ' || bytes || ' bytes ' || packets || ' packets',
    NULL,
    NULL,
    _object,
    _record
FROM vpcflow
