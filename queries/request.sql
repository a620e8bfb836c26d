-- title: Everything about one request
-- about: All rows of one request id: the CloudTrail event, its copies and completion events, and the model invocation with prompt and answer.
-- param: id text required request id
SELECT time, 'cloudtrail' AS log, principal(userIdentity.arn) AS principal, eventType AS kind, eventName AS operation,
       json_get_str(requestParameters, 'modelId') AS model, coalesce(errorCode, 'ok') AS outcome, NULL AS prompt, NULL AS completion,
       sourceIPAddress AS source_ip, userIdentity.accessKeyId AS access_key_id, eventID AS event_id, _object, _record
FROM cloudtrail
WHERE requestID = $id OR json_get_str(serviceEventDetails, 'parentRequestId') = $id
UNION ALL
SELECT time, 'bedrock', principal("identity".arn), 'ModelInvocation', operation, modelId, coalesce(errorCode, stopReason, 'ok'),
       prompt, completion, NULL, NULL, NULL, _object, _record
FROM bedrock
WHERE requestId = $id
ORDER BY time, log
