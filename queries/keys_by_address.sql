-- title: Access keys used from several addresses
-- about: Access keys by number of different public addresses; a key of one server that appears elsewhere has travelled.
-- param: minimum number 2 fewest addresses to show
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT userIdentity.accessKeyId AS access_key_id, principal(userIdentity.arn) AS principal, count(DISTINCT sourceIPAddress) AS addresses,
       count(*) AS calls, min(time) AS first_seen, max(time) AS last_seen, sample(sourceIPAddress) AS source_ips,
       sample(client(userAgent)) AS clients
FROM cloudtrail
WHERE userIdentity.accessKeyId <> '' AND ip_is_public(sourceIPAddress) AND time >= $since AND time < $until
GROUP BY userIdentity.accessKeyId, principal(userIdentity.arn)
HAVING count(DISTINCT sourceIPAddress) >= $minimum
ORDER BY addresses DESC, calls DESC, access_key_id
