-- title: Which findings together are one incident
-- about: Every incident with the findings that it is made of, in order of time.
SELECT i.title AS incident, i.severity, i.finding_id AS incident_id, c.first_seen, c.rule_id, c.title, c.principal, c.access_key_id,
       c.source_ip, c.finding_id
FROM (SELECT title, severity, finding_id, unnest(children) AS child FROM findings WHERE cardinality(children) > 0) i
JOIN findings c ON c.finding_id = i.child
ORDER BY i.title, i.finding_id, c.first_seen, c.finding_id
