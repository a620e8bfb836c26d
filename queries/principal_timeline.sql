-- title: What one principal did in all logs
-- about: Every event of a role, user or session in order, from CloudTrail and from the invocation log.
-- param: principal text required ARN of a role, user or session, or the last part of one
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT time, log, region, source_ip, access_key_id, session_name(arn) AS session_name, action, resource, outcome, detail, request_id, _object, _record
FROM timeline
WHERE (principal = $principal OR arn = $principal OR principal LIKE '%/' || $principal OR arn LIKE '%/' || $principal)
  AND time >= $since AND time < $until
ORDER BY time, log, request_id
