-- End an attempt that failed.
-- ARGV: job, task, attempt, error as JSON, retryable as 0 or 1, share of the backoff to wait,
--       what the program logged, as JSON, where the task's batch is
-- Returns ACCEPTED or FENCED.
local job, task, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not holds(job, task, attempt) then return FENCED end
redis.call('HSET', task_key(job, task), 'log', ARGV[7])
attempt_failed(job, task, attempt, ARGV[4], ARGV[5] == '1', tonumber(ARGV[6]), ARGV[8])
return ACCEPTED
