-- title: Changes to guardrails
-- about: Calls that create, weaken, publish or delete guardrails and the rules that enforce them.
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT time, recipientAccountId AS account_id, awsRegion AS region, principal(userIdentity.arn) AS principal, sourceIPAddress AS source_ip,
       eventName, coalesce(json_get_str(requestParameters, 'guardrailIdentifier'), json_get_str(responseElements, 'guardrailId')) AS guardrail,
       coalesce(errorCode, 'ok') AS outcome, requestParameters AS parameters, eventID AS event_id, _object, _record
FROM cloudtrail
WHERE eventSource = 'bedrock.amazonaws.com' AND readOnly IS NOT TRUE AND eventName LIKE '%Guardrail%' AND eventName <> 'ApplyGuardrail'
  AND time >= $since AND time < $until
ORDER BY time, event_id
