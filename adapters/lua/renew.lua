-- Extend leases.
-- ARGV: lease in ms, then job, task, attempt of each
-- Returns the positions, from 0, of those that are lost and must stop.
local until_ms, lost = now_ms() + ARGV[1], {}
for i = 2, #ARGV, 3 do
  local job, task, attempt = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if holds(job, task, attempt) and get(job, 'state') ~= 'CANCELLING' then
    redis.call('ZADD', LEASES, until_ms, lease(job, task, attempt))
  else
    lost[#lost + 1] = (i - 2) / 3
  end
end
return lost
