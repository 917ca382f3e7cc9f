-- Take a task under a lease.
-- ARGV: job, task, attempt, worker, lease in ms, a worker is forgotten after ms,
--       bytes of pieces that may be kept here for one job, for all jobs
-- Returns nil when the claim is out of date, else
--   {spec, reducers, batch or '', timeout in s, summary or '', {piece, ...}, sql, source,
--    workers, 1 when small pieces may be kept here, coverage or '', position from which inputs.lua
--    goes on or 0, 1 when bad items are to be set aside}, nil where there is none.
-- A piece is {place and JSON, cuts, bytes}, the last only where there is no blob: the cuts and the
-- bytes around its own partitions for a reduce task; all of both for a partial task; no cuts for
-- finish.
-- The same worker may ask again, as it does when the first answer was lost on its way.
local job, task, attempt, worker = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local kind, index = parse_task(task)
local key, tkey, now = job_key(job), task_key(job, task), now_ms()
local state = get(job, 'state')

acknowledge(job, task, attempt, state and lane_of(job, kind) or 'process')
if state ~= 'QUEUED' and state ~= 'RUNNING' then return nil end
if kind == 'partial' and not allows_partial(job, task) then return nil end
local held = redis.call('HMGET', tkey, 'state', 'attempt', 'worker', 'tries', 'rival', 'rival_worker')
local is_rival = held[1] == 'RUNNING' and held[5] == tostring(attempt)
local is_repeated = held[1] == 'RUNNING' and (is_rival and held[6] or held[3]) == worker
if is_rival then
  if held[6] and not is_repeated then return nil end
else
  if (held[2] or '1') ~= tostring(attempt) then return nil end
  if not is_repeated and (held[1] or 'PENDING') ~= 'PENDING' then return nil end
end

if kind ~= 'partial' and not is_repeated and not is_rival
  and get_number(job, kind .. '_running') >= get_number(job, 'window') then
  local parked = task .. ' ' .. attempt -- the window has become smaller
  if not redis.call('LPOS', key .. ':parked', parked) then
    redis.call('RPUSH', key .. ':parked', parked)
  end
  return nil
end

local batch, summary, inputs, position, workers, may_keep, coverage = '', '', {}, 0, 1, 0, ''
local known_items = 0
if kind == 'map' then
  known_items, batch = string.match(redis.call('HGET', key .. ':batches', index), '^(%d+)|(.*)$')
end

redis.call('ZADD', LEASES, now + ARGV[5], lease(job, task, attempt))
if is_rival then
  redis.call('HSET', tkey, 'rival_worker', worker, 'rival_started', now)
elseif not is_repeated then
  redis.call('HSET', tkey, 'state', 'RUNNING', 'attempt', attempt, 'worker', worker, 'started', now,
    'known_items', known_items)
  if kind ~= 'partial' then
    add(job, kind .. '_running', 1)
    add(job, 'items_running', known_items)
    if state == 'QUEUED' then redis.call('HSET', key, 'state', 'RUNNING', 'started', now) end
    changed(job)
  end
end

if kind == 'plan' then
  workers = redis.call('ZCOUNT', WORKERS, now - ARGV[6], '+inf')
elseif kind == 'reduce' then
  inputs, position = read_inputs(job, task, 0)
elseif kind == 'partial' then
  coverage = string.format('%.17g', coverage_of(job))
  redis.call('HSET', tkey, 'coverage', coverage)
  inputs, position = read_inputs(job, task, 0)
elseif kind == 'finish' then
  inputs, position = read_inputs(job, task, 0)
  summary = cjson.encode({
    items = get_number(job, 'items_succeeded'),
    failedItems = get_number(job, 'items_failed'),
    bytesRead = get_number(job, 'bytes_read'),
    tenant = get(job, 'tenant'),
    submittedBy = get(job, 'by'),
    createdAtMs = get_number(job, 'created'),
    startedAtMs = get_number(job, 'started'),
    finishedAtMs = tonumber(redis.call('HGET', tkey, 'started')),
    run = get_number(job, 'run'),
  })
end
if (kind == 'map' or kind == 'reduce') and get_number(job, 'kept_bytes') < tonumber(ARGV[7])
  and tonumber(redis.call('GET', KEPT) or 0) < tonumber(ARGV[8]) then
  may_keep = 1
end
local input = redis.call('HMGET', input_key(job), 'task_spec', 'sql', 'resolved_source')
local limits = redis.call('HMGET', key, 'reducers', 'task_timeout_s')
return { input[1], limits[1] or '0', batch, limits[2], summary, inputs, input[2], input[3], workers,
  may_keep, coverage, position, isolates(job, kind, tonumber(held[4] or 0)) and 1 or 0 }
