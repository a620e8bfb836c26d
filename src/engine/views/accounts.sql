SELECT
    recipientaccountid AS account, -- account that received events
    min("time") AS log_began -- its first event: of the lake, or in a rule of what the rule may look at
FROM cloudtrail
GROUP BY recipientaccountid
