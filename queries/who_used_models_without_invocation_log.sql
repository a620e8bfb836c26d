-- title: Model calls that the invocation log does not have
-- about: Successful model calls in CloudTrail without a record in the invocation log, by account, Region and day: logging was off, or records are missing.
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT date_trunc('day', time) AS day, account_id, region, principal, model_id, count(*) AS calls, min(time) AS first_seen,
       max(time) AS last_seen, sample(request_id) AS request_ids
FROM invocations
WHERE NOT logged AND errorcode IS NULL AND time >= $since AND time < $until
GROUP BY date_trunc('day', time), account_id, region, principal, model_id
ORDER BY day, calls DESC, principal, model_id
