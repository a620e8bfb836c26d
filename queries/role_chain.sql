-- title: Where one access key led
-- about: Roles assumed with an access key, roles assumed from those sessions, and so on, ten steps at most.
-- param: key text required access key id to start from
WITH RECURSIVE chain AS (
    SELECT 1 AS step, time, access_key_id, principal, role, session_name, new_access_key_id, source_ip, coalesce(errorcode, 'ok') AS outcome, event_id
    FROM assumed
    WHERE access_key_id = $key
    UNION ALL
    SELECT c.step + 1, a.time, a.access_key_id, a.principal, a.role, a.session_name, a.new_access_key_id, a.source_ip,
           coalesce(a.errorcode, 'ok'), a.event_id
    FROM chain c JOIN assumed a ON a.access_key_id = c.new_access_key_id
    WHERE c.step < 10
)
SELECT step, time, access_key_id, principal, role, session_name, new_access_key_id, source_ip, outcome, event_id
FROM chain
ORDER BY step, time, event_id
