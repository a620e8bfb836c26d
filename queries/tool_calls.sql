-- title: Tools that models asked for
-- about: Each tool call in the invocation log with its arguments, and whether the caller had offered that tool at all.
-- param: tool text % name of the tool, with % for anything
-- param: since time 1970-01-01 first instant
-- param: until time 2200-01-01 first instant after
SELECT time, principal, model_id, tool, offered, arguments, result, request_id, _object, _record
FROM toolcalls
WHERE tool LIKE $tool AND time >= $since AND time < $until
ORDER BY time, request_id, tool
