SELECT
    time, -- event time, UTC
    fresh, -- true inside the window that is judged
    recipientaccountid AS account_id, -- account that received the event
    awsregion AS region, -- Region of the call
    eventname AS operation, -- AssumeRole, AssumeRoleWithSAML, AssumeRoleWithWebIdentity, AssumeRoot, GetSessionToken, GetFederationToken
    principal(useridentity.arn) AS principal, -- role or user that asked
    useridentity.arn AS arn, -- caller with its session
    useridentity.type AS user_type, -- type of the caller
    useridentity.accountid AS caller_account_id, -- account of the caller
    useridentity.accesskeyid AS access_key_id, -- access key of the caller
    useridentity.invokedby AS invoked_by, -- service that asked on behalf of the caller
    useridentity.identityprovider AS identity_provider, -- SAML or OIDC provider
    useridentity.username AS user_name, -- name of the federated user
    sourceipaddress AS source_ip, -- address or service name that the call came from
    useragent AS user_agent, -- client software, as the caller states it
    json_get_str(requestparameters, 'roleArn') AS role, -- role that was asked for
    coalesce(json_get_str(requestparameters, 'roleSessionName'), json_get_str(requestparameters, 'name')) AS session_name, -- name chosen for the session
    json_get_str(requestparameters, 'sourceIdentity') AS source_identity, -- source identity set by the caller
    json_get_int(requestparameters, 'durationSeconds') AS duration, -- lifetime asked for, in seconds
    json_contains(requestparameters, 'externalId') AS with_external_id, -- true when an external id was sent
    json_get_str(responseelements, 'credentials', 'accessKeyId') AS new_access_key_id, -- access key of the new session
    json_get_str(responseelements, 'credentials', 'expiration') AS expiration, -- when it ends, as the log wrote it
    coalesce(json_get_str(responseelements, 'assumedRoleUser', 'arn'), json_get_str(responseelements, 'federatedUser', 'arn')) AS new_arn, -- ARN of the new session
    errorcode, -- error code; null when credentials were given
    requestid AS request_id, -- request id
    eventid AS event_id, -- id of the event
    sharedeventid AS shared_event_id, -- same call delivered to several accounts
    _object, -- URI of the object that the row was read from
    _record -- index of the record in that object
FROM cloudtrail
WHERE eventsource = 'sts.amazonaws.com'
  AND eventname IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity', 'AssumeRoot', 'GetSessionToken', 'GetFederationToken')
