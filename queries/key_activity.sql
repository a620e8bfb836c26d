-- title: What one access key did
-- about: Every event of an access key, in order. Start here when a key has leaked.
-- param: key text required access key id
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT time, region, source_ip, client(user_agent) AS client, action, resource, outcome, detail, event_id, _object, _record
FROM timeline
WHERE access_key_id = $key AND time >= $since AND time < $until
ORDER BY time, event_id
