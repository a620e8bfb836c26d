SELECT
    min(time) AS time, -- first event, UTC
    bool_or(fresh) AS fresh, -- true when an event of it is inside the window that is judged
    max(time) AS last_seen, -- last event, UTC
    useridentity.accesskeyid AS access_key_id, -- access key
    useridentity.arn AS arn, -- identity with its session
    principal(useridentity.arn) AS principal, -- role or user
    session_name(useridentity.arn) AS session_name, -- name of the session
    is_long_term(useridentity.accesskeyid) AS long_term, -- true for the key of a user
    min(useridentity.type) AS user_type, -- type of the caller
    min(useridentity.sessioncontext.sessionissuer.arn) AS issuer, -- role behind the session, with its path
    min(useridentity.sessioncontext.attributes.creationdate) AS created, -- when the session began, as the log wrote it
    min(useridentity.sessioncontext.attributes.mfaauthenticated) AS mfa, -- `true` when a second factor was used
    min(useridentity.sessioncontext.ec2roledelivery) AS ec2_role_delivery, -- `1.0` IMDSv1 or `2.0` IMDSv2
    min(useridentity.inscopeof.credentialsissuedto) AS issued_to, -- compute resource that holds the credentials
    min(recipientaccountid) AS account_id, -- account that received the events
    count(*) AS event_count, -- events
    count(errorcode) AS failed_count, -- events with an error code
    count(DISTINCT eventname) AS operations, -- different operations
    sample(awsregion) AS regions, -- Regions
    sample(sourceipaddress) AS source_ips, -- addresses and service names
    sample(useragent) AS user_agents, -- client software
    sample(eventid) AS event_ids, -- ids of some events
    sample(_object || '#' || _record) AS records -- objects and indexes of some events
FROM cloudtrail
WHERE useridentity.accesskeyid IS NOT NULL AND useridentity.accesskeyid <> ''
GROUP BY useridentity.accesskeyid, useridentity.arn
