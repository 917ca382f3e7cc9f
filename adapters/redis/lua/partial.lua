-- Answers so far, for jobs that asked for them; put after prelude.lua. While a job is in its map
-- phase, the commit of a map task now and then dispatches a task of its own kind, partial-<n>, that
-- folds what has been committed. At most one is under way. It is no part of the job's counts, is
-- tried once, and whatever becomes of it changes nothing else.

local REST_PER_WORK = 10
local MAX_CUTS = 250000

local function allows_partial(job, task)
  local found = redis.call('HMGET', job_key(job), 'state', 'phase', 'partial_task')
  return found[1] == 'RUNNING' and found[2] == 'MAP' and found[3] == task
end

-- Dispatch the next one when it is due; the first is due a pause after the job's start.
local function start_partial(job)
  local found = redis.call('HMGET', job_key(job), 'partial_every_ms', 'partial_task', 'phase',
    'partial_due', 'started', 'reducers', 'map_succeeded')
  if not found[1] or found[2] or found[3] ~= 'MAP' then return end
  if now_ms() < tonumber(found[4] or found[5] + found[1]) then return end
  if found[7] * (tonumber(found[6] or 0) + 1) > MAX_CUTS then return end
  local task = 'partial-' .. add(job, 'partial_count', 1) - 1
  redis.call('HSET', job_key(job), 'partial_task', task)
  -- Before all that waits: it costs a tenth of one slot at most.
  enqueue(job, task, 1, 'process', FIRST_OF_ALL)
end

-- Forget the one under way, however it ended.
local function end_partial(job, task)
  local now, started = now_ms(), redis.call('HGET', task_key(job, task), 'started')
  local rest_ms = math.max(get_number(job, 'partial_every_ms'), REST_PER_WORK * (now - started))
  redis.call('DEL', task_key(job, task))
  redis.call('HDEL', job_key(job), 'partial_task')
  redis.call('HSET', job_key(job), 'partial_due', now + rest_ms)
end

-- Share of the source in committed map tasks.
local function coverage_of(job)
  for _, pair in ipairs({ { 'bytes_read', 'bytes_total' }, { 'items_succeeded', 'items_total' },
    { 'map_succeeded', 'map_total' } }) do
    local total = get_number(job, pair[2])
    if total > 0 then return math.min(1, get_number(job, pair[1]) / total) end
  end
  return 1
end
