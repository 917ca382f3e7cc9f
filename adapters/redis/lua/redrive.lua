-- Begin the next run of a job that has ended: only what did not succeed runs again.
-- ARGV: tenant, job, idempotency key or '', spec, spec for tasks, most live jobs (0 for any number),
--       1 when batches follow, batches ...
-- Returns nil when the tenant has no such job, its state when it may not be redriven, 0 when its
-- batches are needed, -1 when it is being tidied up, -2 when too many jobs of the tenant are live,
-- -3 when only its result is known, else 1.
local tenant, job, key = ARGV[1], ARGV[2], job_key(ARGV[2])
local most_live, first_batch = tonumber(ARGV[6]), 8
local live_jobs = PREFIX .. 'tenant:' .. tenant .. ':live'
if get(job, 'tenant') ~= tenant then return nil end
if ARGV[3] ~= '' and get(job, 'redrive_key') == ARGV[3] then return 1 end
local state = get(job, 'state')
if is_live(state) or state == 'SUCCEEDED' then return state end
if get(job, 'restored') then return -3 end
if most_live > 0 and redis.call('ZCARD', live_jobs) >= most_live then return -2 end
if redis.call('SISMEMBER', ENDED, job) == 1 then return -1 end

-- Let a task of which something is known be tried again, as if for the first time.
local function renew_task(kind, index)
  local tkey = task_key(job, kind .. '-' .. index)
  local held = redis.call('HMGET', tkey, 'attempt', 'rival')
  if not held[1] then return 1 end
  local attempt = math.max(held[1], held[2] or 0) + 1
  redis.call('HSET', tkey, 'state', 'PENDING', 'attempt', attempt, 'tries', 0)
  redis.call('HDEL', tkey, 'worker', 'started', 'finished', 'error', 'items', 'failed_items', 'log',
    'rival', 'rival_worker', 'rival_started')
  return attempt
end

local function renew_kind(kind)
  local total = get_number(job, kind .. '_total')
  if kind == 'map' then total = math.max(total, get_number(job, 'map_known')) end
  for index = 0, total - 1 do renew_task(kind, index) end
  redis.call('HSET', key, kind .. '_most', math.max(total, get_number(job, kind .. '_most')))
  redis.call('HDEL', key, kind .. '_total', kind .. '_next', kind .. '_succeeded', kind .. '_failed',
    kind .. '_retried')
end

-- Undo what a map task added that is now to run again, and return its next attempt.
local function renew_map(index, pieces)
  local found = redis.call('HMGET', task_key(job, 'map-' .. index), 'items', 'bytes', 'counters')
  if redis.call('HDEL', pieces, index) == 1 then
    add(job, 'items_succeeded', 0 - (found[1] or 0))
    add(job, 'bytes_read', 0 - (found[2] or 0))
    for _, counter in ipairs(cjson.decode(found[3] or '[]')) do
      redis.call('HINCRBYFLOAT', key .. ':counters', counter[1], -counter[2])
    end
  end
  return renew_task('map', index)
end

local is_planned = get_number(job, 'plan_total') == get_number(job, 'plan_succeeded')
local batches, total = get_number(job, 'batches'), get_number(job, 'map_total')
local has_none = batches == 0 and get_number(job, 'map_known') == 0
local is_kept = has_none or redis.call('EXISTS', key .. ':batches') == 1
if not is_kept and get_number(job, 'plan_total') == 0 and ARGV[7] ~= '1' then return 0 end

local now = now_ms()
redis.call('HSET', key, 'state', 'QUEUED', 'run', get_number(job, 'run') + 1,
  'redrive_key', ARGV[3], 'items_failed', 0)
redis.call('HSET', input_key(job), 'spec', ARGV[4], 'task_spec', ARGV[5])
redis.call('HDEL', key, 'finished', 'error', 'message', 'expires', 'manifest', 'report',
  'result_rows', 'result_bytes', 'webhook_state', 'webhook_tries', 'webhook_tried', 'webhook_status',
  'webhook_next')
redis.call('SREM', UNREPORTED, job)
redis.call('UNLINK', key .. ':result', key .. ':failures', key .. ':parked')
redis.call('ZREM', EXPIRY, job)
local order = redis.call('ZSCORE', PREFIX .. 'tenant:' .. tenant .. ':jobs', job)
redis.call('ZADD', live_jobs, order, job)
local timeout_ms = get_number(job, 'timeout_ms')
if timeout_ms > 0 then redis.call('ZADD', DEADLINES, now + timeout_ms, job) end
redis.call('UNLINK', key .. ':pieces:reduce')
renew_kind('reduce')
renew_kind('finish')

if not is_kept then
  renew_kind('map')
  redis.call('UNLINK', key .. ':counters', key .. ':flawed')
  redis.call('HDEL', key, 'items_succeeded', 'bytes_read', 'shuffle_bytes', 'map_known')
  if get_number(job, 'plan_total') > 0 then
    renew_kind('plan')
    open_phase(job, 'plan', 1)
  else
    for i = first_batch, #ARGV do
      redis.call('HSET', key .. ':batches', i - first_batch, ARGV[i])
    end
    open_phase(job, 'map', batches)
    advance(job)
  end
else
  -- Of a plan that did not come to its end, the map tasks that had begun.
  local begun = is_planned and total or get_number(job, 'map_next')
  local pieces, known, again = key .. ':pieces:map', {}, 0
  for _, index in ipairs(redis.call('HKEYS', pieces)) do known[tonumber(index)] = true end
  for _, index in ipairs(redis.call('SMEMBERS', key .. ':flawed')) do known[tonumber(index)] = nil end
  for index = 0, begun - 1 do
    if not known[index] then
      local attempt = renew_map(index, pieces)
      redis.call('RPUSH', key .. ':parked', 'map-' .. index .. ' ' .. attempt)
      again = again + 1
    end
  end
  redis.call('UNLINK', key .. ':flawed')
  redis.call('HSET', key, 'map_next', begun, 'map_succeeded', begun - again, 'map_failed', 0)
  if is_planned then
    redis.call('HSET', key, 'phase', 'MAP')
    top_up(job, 'map')
    advance(job)
  else
    renew_kind('plan')
    open_phase(job, 'plan', 1)
    top_up(job, 'map')
  end
end
changed(job)
return 1
