-- Remove some of the data of a job that nobody knows any more. When nothing is left, it is due once
-- more: attempts that were under way may still leave blobs.
-- ARGV: job, how many tasks at most
-- Returns 1 when nothing is left, 0 to be called again.
local job, left = ARGV[1], tonumber(ARGV[2])
local key = job_key(job)
if get(job, 'tenant') then return 1 end
for _, kind in ipairs({ 'plan', 'map', 'reduce', 'finish' }) do
  local total = math.max(get_number(job, kind .. '_total'), get_number(job, kind .. '_most'))
  if kind == 'map' then total = math.max(total, get_number(job, 'map_known')) end
  local erased = get_number(job, kind .. '_erased')
  while erased < total and left > 0 do
    redis.call('UNLINK', task_key(job, kind .. '-' .. erased))
    erased, left = erased + 1, left - 1
  end
  -- Also of a kind that is done: else it would use up the next call's share again, for ever.
  if total > 0 then redis.call('HSET', key, kind .. '_erased', erased) end
  if erased < total then return 0 end
end
drop_temporary(job)
redis.call('UNLINK', key .. ':counters', key .. ':failures', key .. ':result', input_key(job), key)
local now = now_ms()
if redis.call('ZREM', EXPIRY, job) == 1 then
  redis.call('ZADD', LATE, now + LATE_MS, job)
else
  local due = redis.call('ZSCORE', LATE, job)
  if due and tonumber(due) <= now then redis.call('ZREM', LATE, job) end
end
return 1
