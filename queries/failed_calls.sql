-- title: Calls that failed
-- about: Failed calls by principal, operation and error: denied reconnaissance, broken pipelines, throttled floods.
-- param: error text % error code, with % for anything, such as %AccessDenied%
-- param: minimum number 1 fewest failures to show
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT principal(userIdentity.arn) AS principal, eventSource, eventName, errorCode, count(*) AS failures, min(time) AS first_seen,
       max(time) AS last_seen, sample(sourceIPAddress) AS source_ips, sample(eventID) AS event_ids
FROM cloudtrail
WHERE errorCode LIKE $error AND time >= $since AND time < $until
GROUP BY principal(userIdentity.arn), eventSource, eventName, errorCode
HAVING count(*) >= $minimum
ORDER BY failures DESC, principal, eventName, errorCode
