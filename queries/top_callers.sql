-- title: Who calls most
-- about: Principals by number of calls, with services, addresses, failures and the time between first and last call.
-- param: source text % event source, with % for anything, such as bedrock%
-- param: limit number 25 rows
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT principal(userIdentity.arn) AS principal, min(userIdentity.type) AS type, count(*) AS calls, count(errorCode) AS failed,
       count(DISTINCT eventSource) AS services, count(DISTINCT eventName) AS operations, count(DISTINCT sourceIPAddress) AS addresses,
       min(time) AS first_seen, max(time) AS last_seen
FROM cloudtrail
WHERE eventSource LIKE $source AND time >= $since AND time < $until
GROUP BY principal(userIdentity.arn)
ORDER BY calls DESC, principal
LIMIT $limit
