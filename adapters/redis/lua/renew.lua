-- Note that a worker is alive, and extend its leases.
-- ARGV: worker, a worker is forgotten after ms, lease in ms, then job, task, attempt of each
-- Returns the positions, from 0, of those that are lost and must stop.
local now, lost = now_ms(), {}
redis.call('ZADD', WORKERS, now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now - ARGV[2])
for i = 4, #ARGV, 3 do
  local job, task, attempt = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if holds(job, task, attempt) and get(job, 'state') ~= 'CANCELLING' then
    redis.call('ZADD', LEASES, now + ARGV[3], lease(job, task, attempt))
  else
    lost[#lost + 1] = (i - 4) / 3
  end
end
return lost
