-- title: Large transfers to the internet
-- about: Pairs of an inside address and a public one by bytes sent in an hour.
-- param: minimum number 100000000 fewest bytes in an hour
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT date_trunc('hour', time) AS hour, account_id, interface_id, coalesce(pkt_srcaddr, srcaddr) AS source,
       coalesce(pkt_dstaddr, dstaddr) AS destination, dstport, sum(bytes) AS bytes, sum(packets) AS packets, count(*) AS records,
       sample(_object) AS objects
FROM vpcflow
WHERE action = 'ACCEPT' AND ip_is_private(coalesce(pkt_srcaddr, srcaddr)) AND ip_is_public(coalesce(pkt_dstaddr, dstaddr))
  AND time >= $since AND time < $until
GROUP BY date_trunc('hour', time), account_id, interface_id, coalesce(pkt_srcaddr, srcaddr), coalesce(pkt_dstaddr, dstaddr), dstport
HAVING sum(bytes) >= $minimum
ORDER BY bytes DESC, hour, source, destination
