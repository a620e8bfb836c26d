-- title: What came from, or went to, an address
-- about: Every event of an address or range in all logs: calls from it, and traffic with it in either direction.
-- param: address text required IPv4 or IPv6 address, or a range such as 198.51.100.0/24
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT time, 'cloudtrail' AS log, recipientAccountId AS account_id, principal(userIdentity.arn) AS principal, sourceIPAddress AS source,
       NULL AS destination, split_part(eventSource, '.', 1) || ':' || eventName AS action, coalesce(errorCode, 'ok') AS outcome,
       NULL AS bytes, _object, _record
FROM cloudtrail
WHERE ip_in(sourceIPAddress, $address) AND time >= $since AND time < $until
UNION ALL
SELECT time, 'vpcflow', account_id, interface_id, coalesce(pkt_srcaddr, srcaddr), coalesce(pkt_dstaddr, dstaddr),
       'network:' || protocol || ':' || dstport, disposition, bytes, _object, _record
FROM (SELECT *, action AS disposition FROM vpcflow)
WHERE (ip_in(srcaddr, $address) OR ip_in(dstaddr, $address) OR ip_in(pkt_srcaddr, $address) OR ip_in(pkt_dstaddr, $address))
  AND time >= $since AND time < $until
ORDER BY time
