-- title: Whom guardrails caught
-- about: Detections of guardrails by principal, policy and what was found: probing shows as many hits of one kind.
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT principal, policy, name, action, count(*) AS hits, count(DISTINCT request_id) AS requests, min(time) AS first_seen,
       max(time) AS last_seen, sample(request_id) AS request_ids
FROM guardrail_hits
WHERE time >= $since AND time < $until
GROUP BY principal, policy, name, action
ORDER BY hits DESC, principal, policy, name
