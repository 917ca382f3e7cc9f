-- Shared by the scripts that deal with attempts; put after prelude.lua and partial.lua.

local function parse_task(task)
  local kind, index = string.match(task, '^(%a+)-(%d+)$')
  return kind, tonumber(index)
end

-- Whether an attempt still holds its task. A straggler has a rival, whose number is higher; both hold
-- the task until one of them is committed.
local function holds(job, task, attempt)
  local held = redis.call('HMGET', task_key(job, task), 'state', 'attempt', 'rival', 'rival_worker')
  if held[1] ~= 'RUNNING' then return false end
  if held[2] ~= tostring(attempt) and not (held[3] == tostring(attempt) and held[4]) then return false end
  if parse_task(task) == 'partial' then return allows_partial(job, task) end
  return is_live(get(job, 'state'))
end

-- Take a running attempt off the books; its task is then nobody's.
local function let_go(job, task, attempt)
  local kind, index = parse_task(task)
  redis.call('ZREM', LEASES, lease(job, task, attempt))
  if kind == 'partial' then
    end_partial(job, task)
    return kind, index
  end
  local held = redis.call('HMGET', task_key(job, task), 'attempt', 'rival', 'known_items')
  if held[2] then
    redis.call('ZREM', LEASES, lease(job, task, held[1]), lease(job, task, held[2]))
    redis.call('HDEL', task_key(job, task), 'rival', 'rival_worker', 'rival_started')
  end
  add(job, kind .. '_running', -1)
  add(job, 'items_running', 0 - (held[3] or 0))
  return kind, index
end

local function running_tasks(job)
  return get_number(job, 'plan_running') + get_number(job, 'map_running')
    + get_number(job, 'reduce_running') + get_number(job, 'finish_running')
end

-- A job that is being cancelled has ended when nothing of it runs any more.
local function settle_cancellation(job)
  if running_tasks(job) == 0 then end_job(job, 'CANCELLED') end
end

-- End a job whose plan, made again, is another one: some of its tasks may have run by the first.
local function planned_otherwise(job)
  end_job(job, 'FAILED', cjson.encode({ code = 'SOURCE_CHANGED', retryable = false, task = 'plan-0',
    message = 'the source has changed while it was listed; submit the job again' }))
  changed(job)
  return FENCED
end

-- Leave a task to the other one of two attempts that hold it; false when there is none.
local function leave_to_rival(job, task, attempt)
  local tkey = task_key(job, task)
  local held = redis.call('HMGET', tkey, 'attempt', 'rival', 'rival_worker', 'rival_started')
  if not held[3] then return false end
  redis.call('ZREM', LEASES, lease(job, task, attempt))
  if held[1] == tostring(attempt) then
    redis.call('HSET', tkey, 'attempt', held[2], 'worker', held[3], 'started', held[4])
  end
  redis.call('HDEL', tkey, 'rival', 'rival_worker', 'rival_started')
  return true
end

-- Put a task that was let go back into its queue under the next attempt number.
local function try_again(job, task, attempt, delay_ms)
  local kind = parse_task(task)
  redis.call('HSET', task_key(job, task), 'state', 'PENDING', 'attempt', attempt + 1)
  redis.call('HDEL', task_key(job, task), 'worker', 'started')
  add(job, kind .. '_retried', 1)
  dispatch_again(job, task, attempt + 1, lane_of(job, kind), delay_ms)
end

-- Whether a task's present try is the last in which items can be told apart from their batch.
local function isolates(job, kind, tries)
  return kind == 'map' and get(job, 'bad_items') == 'SKIP' and tries + 1 >= get_number(job, 'max_attempts')
end

-- Go on without a map task that failed for good, if the job tolerates that.
local function batch_failed(job, task, index, problem, location)
  local error = cjson.decode(problem)
  error.task = task
  local items = math.max(1, redis.call('HGET', task_key(job, task), 'known_items') or 0)
  add(job, 'items_failed', items)
  redis.call('HSET', task_key(job, task), 'failed_items', items)
  list_failures(job, { cjson.encode({ location = location, preview = '', items = items, error = error }) }, 1)
  if get_number(job, 'tolerated_count') == 0 and get_number(job, 'tolerated_percentage') == 0 then
    end_job(job, 'FAILED', problem)
  elseif not is_tolerated(job) then
    end_intolerable(job, task, error.message)
  else
    top_up(job, 'map')
    advance(job)
  end
end

-- End an attempt that failed: the task is tried again, or has failed for good.
local function attempt_failed(job, task, attempt, problem, retryable, jitter, location)
  if leave_to_rival(job, task, attempt) then return end
  -- A rival that nobody has begun has used its number up.
  local last = math.max(attempt, tonumber(redis.call('HGET', task_key(job, task), 'rival') or 0))
  local kind, index = let_go(job, task, attempt)
  attempt = last
  if kind == 'partial' then return end
  local key = task_key(job, task)
  local tries = redis.call('HINCRBY', key, 'tries', 1)
  redis.call('HSET', key, 'error', problem)
  if get(job, 'state') == 'CANCELLING' then
    redis.call('HSET', key, 'state', 'PENDING')
    settle_cancellation(job)
  elseif retryable and tries < get_number(job, 'max_attempts') then
    local backoff = get_number(job, 'backoff_ms') * 2 ^ (tries - 1)
    try_again(job, task, attempt, math.floor(math.min(backoff, MAX_BACKOFF_MS) * jitter))
  elseif kind == 'map' and get(job, 'bad_items') == 'SKIP' and not isolates(job, kind, tries - 1) then
    redis.call('HSET', key, 'tries', get_number(job, 'max_attempts') - 1) -- the next one isolates
    try_again(job, task, attempt, 0)
  else
    redis.call('HSET', key, 'state', 'FAILED', 'finished', now_ms())
    add(job, kind .. '_failed', 1)
    if kind == 'map' then
      batch_failed(job, task, index, problem, location)
    else
      end_job(job, 'FAILED', problem)
    end
  end
  changed(job)
end
