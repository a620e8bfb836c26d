-- title: Who used Amazon Bedrock for the first time
-- about: Principals whose first call to Amazon Bedrock is after an instant, with what they called and from where. Give an instant that leaves some history before it.
-- param: since time 7d first calls after this instant
SELECT principal(userIdentity.arn) AS principal, min(time) AS first_seen, count(*) AS calls, count(errorCode) AS failed,
       sample(eventName) AS operations, sample(sourceIPAddress) AS source_ips, sample(client(userAgent)) AS clients,
       sample(model(json_get_str(requestParameters, 'modelId'))) AS models, sample(eventID) AS event_ids
FROM cloudtrail
WHERE eventSource LIKE 'bedrock%' AND userIdentity.arn IS NOT NULL
GROUP BY principal(userIdentity.arn)
HAVING min(time) >= $since
ORDER BY first_seen, principal
