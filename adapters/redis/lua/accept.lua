-- Store a job and dispatch its first tasks.
-- ARGV: job, tenant, idempotency key or '', digest of the input, timeout in ms or 0,
--       number of planned batches or -1, most live jobs, most queued tasks, most submits a minute (0
--       for any number), lane and window of the map tasks, number of words of the job's fields and of
--       its input's, fields of the job ..., fields of its input ..., batches ...
-- Batches that are not there were put beforehand where they belong.
-- Returns {job, 1 when created | 0 when the key's job is returned | -1 when the key is another's},
-- or {quota, -2, after how many ms there may be room}, or {job, -3} when the batches are gone. What was
-- created and waits for its first task is told apart by a third value: when that was.
local job, tenant, idempotency, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local timeout_ms, batches = tonumber(ARGV[5]), tonumber(ARGV[6])
local most_live, most_queued, most_submits = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local lane, window = ARGV[10], tonumber(ARGV[11])
local first_field, BATCHES_AT_ONCE = 14, 500
local first_input = first_field + ARGV[12]
local first_batch = first_input + ARGV[13]
local MINUTE_MS, COUNTED_EVERY_MS, MOST_COUNTED, TRY_AGAIN_MS = 60000, 1000, 5000, 5000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key, of_tenant = job_key(job), PREFIX .. 'tenant:' .. tenant

local function waiting_tasks(live)
  local found = redis.call('HMGET', job_key(live), 'map_total', 'map_known', 'map_succeeded',
    'map_failed', 'map_running', 'reduce_total', 'reduce_succeeded', 'reduce_failed',
    'reduce_running', 'state')
  local n = {}
  for i = 1, 9 do n[i] = tonumber(found[i] or 0) end
  local map = math.max(n[1], n[2]) - n[3] - n[4] - n[5]
  local reduce = n[6] - n[7] - n[8] - n[9]
  return math.max(0, map) + math.max(0, reduce), found[10] == 'QUEUED'
end

-- The tenant's tasks that nobody has begun; looked at once a second, for there may be many jobs.
local function queued_tasks()
  local counted = redis.call('GET', of_tenant .. ':queued')
  if counted then return tonumber(counted) end
  local all = redis.call('ZCARD', of_tenant .. ':live')
  local sum = math.max(0, all - MOST_COUNTED)
  for _, live in ipairs(redis.call('ZRANGE', of_tenant .. ':live', 0, MOST_COUNTED - 1)) do
    local waiting, is_queued = waiting_tasks(live)
    sum = sum + ((waiting == 0 and is_queued) and 1 or waiting)
  end
  redis.call('SET', of_tenant .. ':queued', sum, 'PX', COUNTED_EVERY_MS)
  return sum
end

-- Take one submit from what the tenant may do in a minute; return how long to wait if none is left.
-- The key holds when all that was taken will have come back (generic cell rate algorithm).
local function take_submit()
  local each_ms = MINUTE_MS / most_submits
  local back = math.max(now, tonumber(redis.call('GET', of_tenant .. ':submits') or 0)) + each_ms
  if back - now > MINUTE_MS then return back - now - MINUTE_MS end
  redis.call('SET', of_tenant .. ':submits', string.format('%.3f', back), 'PX', 2 * MINUTE_MS)
end

-- Store the batches; return whether they are there.
local function keep_batches()
  if batches > 0 and #ARGV < first_batch then
    redis.call('PERSIST', key .. ':batches')
    return redis.call('HLEN', key .. ':batches') == batches
  end
  for first = 0, batches - 1, BATCHES_AT_ONCE do
    local stored = {}
    for i = first, math.min(first + BATCHES_AT_ONCE, batches) - 1 do
      stored[#stored + 1] = i
      stored[#stored + 1] = ARGV[first_batch + i]
    end
    redis.call('HSET', key .. ':batches', unpack(stored))
  end
  return true
end

if redis.call('EXISTS', key) == 1 then -- the first answer was lost
  redis.call('PERSIST', key .. ':batches')
  return { job, 1 }
end
redis.call('SETNX', PREFIX .. 'layout', LAYOUT)
local owner = of_tenant .. ':key:' .. idempotency
if idempotency ~= '' then
  local existing = redis.call('GET', owner)
  if existing then
    return { existing, get(existing, 'digest') == digest and 0 or -1 }
  end
end
local live = redis.call('ZCARD', of_tenant .. ':live')
if most_live > 0 and live >= most_live then return { 'live jobs', -2, TRY_AGAIN_MS } end
if most_queued > 0 and queued_tasks() >= most_queued then
  return { 'queued tasks', -2, TRY_AGAIN_MS }
end
local wait_ms = most_submits > 0 and take_submit()
if wait_ms then return { 'submits a minute', -2, math.ceil(wait_ms) } end
if not keep_batches() then return { job, -3 } end
if most_queued > 0 then redis.call('INCRBY', of_tenant .. ':queued', math.max(1, batches)) end

if idempotency ~= '' then
  redis.call('SET', owner, job)
  redis.call('HSET', key, 'idempotency_key', idempotency)
end
if timeout_ms > 0 then
  redis.call('HSET', key, 'timeout_ms', timeout_ms)
  redis.call('ZADD', DEADLINES, now + timeout_ms, job)
end
redis.call('HINCRBY', PREFIX .. 'totals', 'accepted', 1)
redis.call('HSET', input_key(job), unpack(ARGV, first_input, first_batch - 1))
local order = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('ZADD', of_tenant .. ':jobs', order, job)
redis.call('ZADD', of_tenant .. ':live', order, job)

-- In one call, since each costs more than what it does.
local is_planned = batches >= 0
local kind, total = is_planned and 'map' or 'plan', is_planned and batches or 1
local begun = math.min(total, window)
redis.call('HSET', key, 'tenant', tenant, 'digest', digest, 'created', now, 'updated', now,
  'state', 'QUEUED', 'run', 1, 'version', 1, 'phase', string.upper(kind), kind .. '_total', total,
  kind .. '_next', begun, 'batches', math.max(0, batches),
  unpack(ARGV, first_field, first_input - 1))
dispatch_new(job, kind, 0, begun, is_planned and lane or 'process', live + 1, now)
if total == 0 then advance(job) end
-- Its own bell is not rung: nobody knows the job yet.
redis.call('PUBLISH', PREFIX .. 'bell:tenant:' .. tenant, job)
return total > 0 and { job, 1, now } or { job, 1 }
