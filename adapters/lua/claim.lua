-- Take a task under a lease.
-- ARGV: job, task, attempt, worker, lease in ms
-- Returns nil when the claim is out of date, else
--   {spec, reducers, batch or '', timeout in s or '', summary or '', {piece, ...}}.
-- The same worker may ask again, as it does when the first answer was lost on its way.
local job, task, attempt, worker = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local kind, index = parse_task(task)
local key, tkey, now = job_key(job), task_key(job, task), now_ms()
local state = get(job, 'state')

acknowledge(job, task, attempt, state and lane_of(job, kind) or 'process')
if state ~= 'QUEUED' and state ~= 'RUNNING' then return nil end
local held = redis.call('HMGET', tkey, 'state', 'attempt', 'worker')
local is_repeated = held[1] == 'RUNNING' and held[3] == worker
if (held[2] or '1') ~= tostring(attempt) then return nil end
if not is_repeated and (held[1] or 'PENDING') ~= 'PENDING' then return nil end

redis.call('ZADD', LEASES, now + ARGV[5], lease(job, task, attempt))
if not is_repeated then
  redis.call('HSET', tkey, 'state', 'RUNNING', 'attempt', attempt, 'worker', worker, 'started', now)
  add(job, kind .. '_running', 1)
  add(job, 'items_running', known_items(job, kind, index))
  if state == 'QUEUED' then redis.call('HSET', key, 'state', 'RUNNING', 'started', now) end
  changed(job)
end

local function pieces(of)
  local found = {}
  for i = 0, get_number(job, of .. '_total') - 1 do
    found[#found + 1] = redis.call('HGET', key .. ':pieces:' .. of, i)
  end
  return found
end

local batch, summary, inputs = '', '', {}
if kind == 'map' then
  batch = string.match(redis.call('HGET', key .. ':batches', index), '^%d+|(.*)$')
elseif kind == 'reduce' then
  inputs = pieces('map')
elseif kind == 'finish' then
  inputs = pieces(get_number(job, 'reducers') > 0 and 'reduce' or 'map')
  summary = cjson.encode({
    items = get_number(job, 'items_succeeded'),
    bytesRead = get_number(job, 'bytes_read'),
    createdAtMs = get_number(job, 'created'),
    run = get_number(job, 'run'),
  })
end
local limits = redis.call('HMGET', key, 'task_spec', 'reducers', 'task_timeout_s')
return { limits[1], limits[2] or '0', batch, limits[3] or '', summary, inputs }
