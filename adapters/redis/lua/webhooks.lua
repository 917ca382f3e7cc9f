-- The deliveries of webhooks: claimed with a lease, put back, ended. end_job notes each.
-- ARGV: 'claim', how many at most, lease in ms, name of the key to sign with, how many of a tenant at
--         most, JSON of how many of each the caller has, how many to look at, pause in ms
--       'back', job, run, pause in ms, 1 when it counts as a try, status that was answered or ''
--       'end', job, run, state of the webhook from now on or '', status that was answered or ''
-- A claim returns how many are to be signed with another key, and are left for a lease's time, then
-- {job, run, tenant, url, tries, when the run ended} for each. What a tenant has beyond its share is
-- passed over; it rests for the pause where others may be behind all that was looked at.
local what, now = ARGV[1], now_ms()

local function forget(member)
  redis.call('ZREM', WEBHOOKS, member)
  redis.call('HDEL', WEBHOOKS .. ':tries', member)
end

-- Note with the job what became of a try, unless it has begun its next run since, or was erased.
local function note(job, run, status, field, value)
  local key = job_key(job)
  if get(job, 'run') ~= run or not get(job, 'finished') then return end
  redis.call('HDEL', key, 'webhook_status', 'webhook_next')
  redis.call('HSET', key, 'webhook_tried', now, field, value,
    'webhook_tries', redis.call('HGET', WEBHOOKS .. ':tries', job .. ' ' .. run))
  if status ~= '' then redis.call('HSET', key, 'webhook_status', status) end
end

if what == 'end' or what == 'back' then
  local job, run = ARGV[2], ARGV[3]
  local member = job .. ' ' .. run
  if not redis.call('ZSCORE', WEBHOOKS, member) then return {} end
  if what == 'end' then
    if ARGV[4] ~= '' then note(job, run, ARGV[5], 'webhook_state', ARGV[4]) end
    forget(member)
    return {}
  end
  redis.call('ZADD', WEBHOOKS, now + ARGV[4], member)
  if ARGV[5] == '1' then
    note(job, run, ARGV[6], 'webhook_next', now + ARGV[4])
  else
    redis.call('HINCRBY', WEBHOOKS .. ':tries', member, -1)
  end
  return {}
end

local limit, share, held = tonumber(ARGV[2]), tonumber(ARGV[5]), cjson.decode(ARGV[6])
local due = redis.call('ZRANGEBYSCORE', WEBHOOKS, '-inf', now, 'LIMIT', 0, ARGV[7])
local found, passed = { 0 }, {}
for _, member in ipairs(due) do
  if #found > limit then return found end
  local job, run = string.match(member, '^(%S+) (%d+)$')
  local known = redis.call('HMGET', job_key(job), 'tenant', 'webhook', 'run', 'finished',
    'webhook_key')
  if not known[1] or not known[2] or known[3] ~= run or not known[4] then
    forget(member) -- erased, or begun again
  elseif known[5] ~= ARGV[4] then
    redis.call('ZADD', WEBHOOKS, now + ARGV[3], member)
    found[1] = found[1] + 1
  elseif (held[known[1]] or 0) >= share then
    passed[#passed + 1] = member
  else
    held[known[1]] = (held[known[1]] or 0) + 1
    redis.call('ZADD', WEBHOOKS, now + ARGV[3], member)
    local tries = redis.call('HINCRBY', WEBHOOKS .. ':tries', member, 1)
    found[#found + 1] = { job, tonumber(run), known[1], known[2], tries, tonumber(known[4]) }
  end
end
if #due == tonumber(ARGV[7]) then
  for _, member in ipairs(passed) do redis.call('ZADD', WEBHOOKS, now + ARGV[8], member) end
end
return found
