-- Go on reading the pieces of an attempt, and extend its lease meanwhile.
-- ARGV: job, task, attempt, lease in ms, position to go on from
-- Returns nil when the attempt has lost its task, else {{piece, ...}, position to go on from or 0}.
local job, task, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not holds(job, task, attempt) then return nil end
redis.call('ZADD', LEASES, now_ms() + ARGV[4], lease(job, task, attempt))
local found, position = read_inputs(job, task, tonumber(ARGV[5]))
return { found, position }
