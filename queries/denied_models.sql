-- title: Model calls that were refused
-- about: Model calls that failed, by principal, model and error: stolen keys are tried on many models before they work on one.
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT principal, access_key_id, model_id, errorcode, count(*) AS calls, min(time) AS first_seen, max(time) AS last_seen,
       sample(source_ip) AS source_ips, sample(client(user_agent)) AS clients, sample(event_id) AS event_ids
FROM invocations
WHERE errorcode IS NOT NULL AND time >= $since AND time < $until
GROUP BY principal, access_key_id, model_id, errorcode
ORDER BY calls DESC, principal, model_id, errorcode
