-- Hand a task back untried: no try is charged, but the attempt number moves on and fences.
-- ARGV: job, task, attempt
local job, task, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3])
if not holds(job, task, attempt) then return FENCED end
if leave_to_rival(job, task, attempt) then return ACCEPTED end
attempt = math.max(attempt, tonumber(redis.call('HGET', task_key(job, task), 'rival') or 0))
if let_go(job, task, tonumber(ARGV[3])) == 'partial' then return ACCEPTED end
if get(job, 'state') == 'CANCELLING' then
  redis.call('HSET', task_key(job, task), 'state', 'PENDING')
  settle_cancellation(job)
else
  try_again(job, task, attempt, 0)
end
changed(job)
return ACCEPTED
