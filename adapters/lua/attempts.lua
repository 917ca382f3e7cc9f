-- Shared by the scripts that deal with attempts; put after prelude.lua and partial.lua.

local function parse_task(task)
  local kind, index = string.match(task, '^(%a+)-(%d+)$')
  return kind, tonumber(index)
end

-- Whether an attempt still holds its task.
local function holds(job, task, attempt)
  local held = redis.call('HMGET', task_key(job, task), 'state', 'attempt')
  if held[1] ~= 'RUNNING' or held[2] ~= tostring(attempt) then return false end
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
  add(job, kind .. '_running', -1)
  add(job, 'items_running', 0 - known_items(job, kind, index))
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

-- Put a task that was let go back into its queue under the next attempt number.
local function try_again(job, task, attempt, delay_ms)
  local kind = parse_task(task)
  redis.call('HSET', task_key(job, task), 'state', 'PENDING', 'attempt', attempt + 1)
  redis.call('HDEL', task_key(job, task), 'worker', 'started')
  add(job, kind .. '_retried', 1)
  dispatch(job, task, attempt + 1, lane_of(job, kind), delay_ms)
end

-- End an attempt that failed: the task is tried again, or the job has failed.
local function attempt_failed(job, task, attempt, problem, retryable, jitter)
  local kind = let_go(job, task, attempt)
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
  else
    redis.call('HSET', key, 'state', 'FAILED', 'finished', now_ms())
    add(job, kind .. '_failed', 1)
    end_job(job, 'FAILED', problem)
  end
  changed(job)
end
