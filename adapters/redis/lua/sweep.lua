-- Repair what dead workers left behind and end jobs that ran out of time.
-- ARGV: how many at most, the error of a lost attempt as JSON, that of a job out of time
-- Returns how many tasks were tried again or given up, and how many jobs were ended.
local now, limit, swept, ended = now_ms(), tonumber(ARGV[1]), 0, 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, limit)) do
  local job, task, attempt = string.match(member, '^(%S+) (%S+) (%d+)$')
  if holds(job, task, tonumber(attempt)) then
    local lost = cjson.decode(ARGV[2])
    lost.task = task
    attempt_failed(job, task, tonumber(attempt), cjson.encode(lost), true, 0, task)
    swept = swept + 1
  else
    redis.call('ZREM', LEASES, member)
  end
end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'LIMIT', 0, limit)) do
  if is_live(get(job, 'state')) then
    end_job(job, 'TIMED_OUT', ARGV[3])
    changed(job)
    ended = ended + 1
  end
  redis.call('ZREM', DEADLINES, job)
end
return { swept, ended }
