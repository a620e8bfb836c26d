-- title: Where the network talks to
-- about: Public addresses that inside addresses reached, newest first contact first, without those of AWS services as the logs name them.
-- param: known list 192.0.2.0/32 ranges to leave out, separated by commas
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT coalesce(pkt_dstaddr, dstaddr) AS destination, dstport, min(time) AS first_seen, max(time) AS last_seen, sum(bytes) AS bytes,
       count(DISTINCT interface_id) AS interfaces, sample(coalesce(pkt_srcaddr, srcaddr)) AS sources
FROM vpcflow
WHERE action = 'ACCEPT' AND ip_is_private(coalesce(pkt_srcaddr, srcaddr)) AND ip_is_public(coalesce(pkt_dstaddr, dstaddr))
  AND pkt_dst_aws_service IS NULL AND NOT ip_in(coalesce(pkt_dstaddr, dstaddr), $known) AND dstport < 32768
  AND time >= $since AND time < $until
GROUP BY coalesce(pkt_dstaddr, dstaddr), dstport
ORDER BY first_seen DESC, destination, dstport
