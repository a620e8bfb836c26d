-- title: Changes to logging and monitoring
-- about: Calls that switch off, narrow or redirect trails, model invocation logging, flow logs, Config, GuardDuty and log groups, whether they succeeded or not.
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT time, recipientAccountId AS account_id, awsRegion AS region, principal(userIdentity.arn) AS principal, sourceIPAddress AS source_ip,
       eventSource, eventName, coalesce(errorCode, 'ok') AS outcome, requestParameters AS parameters, eventID AS event_id, _object, _record
FROM cloudtrail
WHERE time >= $since AND time < $until
  AND eventName IN ('StopLogging', 'StartLogging', 'DeleteTrail', 'UpdateTrail', 'CreateTrail', 'PutEventSelectors', 'PutInsightSelectors',
      'DeleteEventDataStore', 'StopEventDataStoreIngestion', 'UpdateEventDataStore',
      'PutModelInvocationLoggingConfiguration', 'DeleteModelInvocationLoggingConfiguration',
      'CreateFlowLogs', 'DeleteFlowLogs', 'StopConfigurationRecorder', 'DeleteConfigurationRecorder', 'DeleteDeliveryChannel',
      'DeleteDetector', 'UpdateDetector', 'DisassociateFromAdministratorAccount', 'CreateFilter', 'DisableSecurityHub',
      'DeleteLogGroup', 'DeleteLogStream', 'PutRetentionPolicy', 'DeleteSubscriptionFilter', 'PutBucketLifecycle',
      'PutBucketLifecycleConfiguration', 'DeleteBucketPolicy', 'DeleteAlarms', 'DisableAlarmActions', 'DeleteRule', 'DisableRule')
  AND eventSource IN ('cloudtrail.amazonaws.com', 'bedrock.amazonaws.com', 'ec2.amazonaws.com', 'config.amazonaws.com',
      'guardduty.amazonaws.com', 'securityhub.amazonaws.com', 'logs.amazonaws.com', 's3.amazonaws.com', 'monitoring.amazonaws.com',
      'events.amazonaws.com')
ORDER BY time, event_id
