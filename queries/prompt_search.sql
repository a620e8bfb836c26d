-- title: Prompts and answers that hold a text
-- about: Model invocations whose system prompt, prompt or answer holds a text, in any case.
-- param: text text required text to look for
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT time, principal("identity".arn) AS principal, model(modelId) AS model, prompt, completion, requestId AS request_id, _object, _record
FROM bedrock
WHERE (strpos(lower(prompt), lower($text)) > 0 OR strpos(lower(completion), lower($text)) > 0 OR strpos(lower(systemPrompt), lower($text)) > 0)
  AND time >= $since AND time < $until
ORDER BY time, request_id
