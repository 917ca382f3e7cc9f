-- The deliveries of webhooks: claimed with a lease, put back, ended. end_job notes each.
-- ARGV: 'claim', how many at most, lease in ms, name of the key to sign with
--       'back', job, run, pause in ms, 1 when it counts as a try
--       'end', job, run
-- A claim returns how many are to be signed with another key, and are left for a lease's time, then
-- {job, run, tenant, url, tries, when the run ended} for each.
local what, now = ARGV[1], now_ms()

local function forget(member)
  redis.call('ZREM', WEBHOOKS, member)
  redis.call('HDEL', WEBHOOKS .. ':tries', member)
end

if what == 'end' then
  forget(ARGV[2] .. ' ' .. ARGV[3])
  return {}
end

if what == 'back' then
  local member = ARGV[2] .. ' ' .. ARGV[3]
  if redis.call('ZADD', WEBHOOKS, 'XX', 'CH', now + ARGV[4], member) == 1 and ARGV[5] == '0' then
    redis.call('HINCRBY', WEBHOOKS .. ':tries', member, -1)
  end
  return {}
end

local found = { 0 }
for _, member in ipairs(redis.call('ZRANGEBYSCORE', WEBHOOKS, '-inf', now, 'LIMIT', 0, ARGV[2])) do
  local job, run = string.match(member, '^(%S+) (%d+)$')
  local known = redis.call('HMGET', job_key(job), 'tenant', 'webhook', 'run', 'finished',
    'webhook_key')
  if not known[1] or not known[2] or known[3] ~= run or not known[4] then
    forget(member) -- erased, or begun again
  elseif known[5] ~= ARGV[4] then
    redis.call('ZADD', WEBHOOKS, now + ARGV[3], member)
    found[1] = found[1] + 1
  else
    redis.call('ZADD', WEBHOOKS, now + ARGV[3], member)
    local tries = redis.call('HINCRBY', WEBHOOKS .. ':tries', member, 1)
    found[#found + 1] = { job, tonumber(run), known[1], known[2], tries, tonumber(known[4]) }
  end
end
return found
