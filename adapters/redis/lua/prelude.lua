-- Shared by every script of the ledger; put before it. Keys are derived from the job's id, so the
-- scripts run on one Redis server, not on a cluster.
--
--   fanfold:job:<job>                 hash: where it stands, counts, version
--   fanfold:job:<job>:input           hash: what was submitted: spec, task_spec, sql,
--                                     resolved_source
--   fanfold:job:<job>:batches         hash: index -> "<known items>|<batch as JSON>"
--   fanfold:job:<job>:task:<task>     hash: state, attempt, tries, worker, times, error
--   fanfold:job:<job>:pieces:<kind>   hash: index -> place on a shelf, then piece as JSON; committed
--                                     tasks only
--   fanfold:job:<job>:data:<n>        string: a shelf; cuts of pieces, 8 bytes each, big-endian, and
--                                     bytes of those that have no blob
--   fanfold:job:<job>:counters        hash: name -> sum over committed attempts
--   fanfold:job:<job>:failures        list: items that failed for good, the first of them, as JSON
--   fanfold:job:<job>:flawed          set: indices of committed map tasks with failed items
--   fanfold:job:<job>:durations:<kind> list: ms that the last tasks took
--   fanfold:job:<job>:parked          list: "<task> <attempt>" of tasks that wait for the window
--   fanfold:job:<job>:result          string: the rows as JSON, when they fit; those of the answer
--                                     so far while the job runs
--   fanfold:leases                    zset: "<job> <task> <attempt>" -> when the lease ends
--   fanfold:deadlines                 zset: job -> when it times out
--   fanfold:expiry                    zset: ended job -> when it is erased; 0 while it is erased
--   fanfold:late                      zset: erased job -> when what came too late of it is removed
--   fanfold:ended                     set: ended jobs whose temporary data is still there
--   fanfold:unreported                set: jobs that ended without a result, of which nobody has
--                                     written yet how far they came
--   fanfold:kept_bytes                string: length of all pieces that have no blob
--   fanfold:layout                    string: see layout.py
--   fanfold:totals                    hash: "accepted", or the state at the end -> jobs so far
--   fanfold:workers                   zset: worker -> when it last told that it is alive
--   fanfold:webhooks                  zset: "<job> <run>" that has ended -> when to tell its webhook
--   fanfold:webhooks:tries            hash: the same -> how often that was tried
--   fanfold:tenant:<tenant>:jobs      zset: job -> when it was accepted, in µs
--   fanfold:tenant:<tenant>:live      zset: the same for jobs that have not ended
--   fanfold:tenant:<tenant>:erased    zset: SHA-1 of an erased job's id -> when that was
--   fanfold:tenant:<tenant>:key:<key> string: the job of an idempotency key

local PREFIX = 'fanfold:'
local LEASES, DEADLINES, ENDED = PREFIX .. 'leases', PREFIX .. 'deadlines', PREFIX .. 'ended'
local EXPIRY, KEPT, WORKERS = PREFIX .. 'expiry', PREFIX .. 'kept_bytes', PREFIX .. 'workers'
local WEBHOOKS, UNREPORTED = PREFIX .. 'webhooks', PREFIX .. 'unreported'
local LATE, LATE_MS = PREFIX .. 'late', 60000
local FENCED, ACCEPTED, REPEATED = 0, 1, 2
local MAX_BACKOFF_MS, MAX_FAILURES = 60000, 10000
local LAYOUT = 3 -- of all that is below; as in layout.py

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(job) return PREFIX .. 'job:' .. job end
local function task_key(job, task) return job_key(job) .. ':task:' .. task end
local function lease(job, task, attempt) return job .. ' ' .. task .. ' ' .. attempt end
local function input_key(job) return job_key(job) .. ':input' end
local function get(job, field) return redis.call('HGET', job_key(job), field) end
local function get_number(job, field) return tonumber(get(job, field) or 0) end
local function add(job, field, n)
  return redis.call('HINCRBY', job_key(job), field, string.format('%.0f', n))
end

local INPUT = { spec = true, task_spec = true, sql = true, resolved_source = true }

-- Set fields of a job that come from outside, names and values, wherever each is kept.
local function set_given(job, given, first, last)
  for i = first, last, 2 do
    redis.call('HSET', INPUT[given[i]] and input_key(job) or job_key(job), given[i], given[i + 1])
  end
end

local function is_live(state)
  return state == 'QUEUED' or state == 'RUNNING' or state == 'CANCELLING'
end

local function ring(job)
  redis.call('PUBLISH', PREFIX .. 'bell:job:' .. job, job)
  redis.call('PUBLISH', PREFIX .. 'bell:tenant:' .. get(job, 'tenant'), job)
end

-- The one place where a job's version rises.
local function changed(job)
  redis.call('HSET', job_key(job), 'updated', now_ms())
  add(job, 'version', 1)
  ring(job)
end

local function lane_of(job, kind)
  return kind == 'map' and get(job, 'lane') or 'process'
end

-- What a task costs its job in turns: jobs of one tenant share what others have each.
local function cost_of(job)
  return math.max(1, redis.call('ZCARD', PREFIX .. 'tenant:' .. get(job, 'tenant') .. ':live'))
end

local function ended_tasks(job, kind)
  return get_number(job, kind .. '_succeeded') + get_number(job, kind .. '_failed')
end

-- Dispatch pending tasks of a phase until as many are under way as the job may have; those first
-- that had to wait after they were dispatched.
local function top_up(job, kind)
  local parked = job_key(job) .. ':parked'
  local next_index, total = get_number(job, kind .. '_next'), get_number(job, kind .. '_total')
  if kind == 'map' and total == 0 then total = get_number(job, 'map_known') end
  local waiting = redis.call('LLEN', parked)
  local room = get_number(job, 'window') + ended_tasks(job, kind) + waiting - next_index
  if room <= 0 or (waiting == 0 and next_index >= total) then return end
  local lane, cost, is_again = lane_of(job, kind), cost_of(job), get_number(job, 'run') > 1
  while room > 0 and waiting > 0 do
    local task, attempt = string.match(redis.call('LPOP', parked), '^(%S+) (%d+)$')
    dispatch(job, task, tonumber(attempt), lane, cost)
    room, waiting = room - 1, waiting - 1
  end
  while room > 0 and next_index < total do
    local task = kind .. '-' .. next_index
    local attempt = is_again and redis.call('HGET', task_key(job, task), 'attempt')
    dispatch(job, task, tonumber(attempt or 1), lane, cost)
    room, next_index = room - 1, next_index + 1
  end
  redis.call('HSET', job_key(job), kind .. '_next', next_index)
end

local function open_phase(job, kind, total)
  redis.call('HSET', job_key(job), 'phase', string.upper(kind), kind .. '_total', total)
  top_up(job, kind)
end

-- End the run. Attempts still under way lose their leases at their next heartbeat.
local function end_job(job, state, problem)
  local key, now = job_key(job), now_ms()
  redis.call('HSET', key, 'state', state, 'phase', 'DONE', 'finished', now,
    'plan_running', 0, 'map_running', 0, 'reduce_running', 0, 'finish_running', 0,
    'items_running', 0)
  if problem then redis.call('HSET', key, 'error', problem) end
  local has_result = state == 'SUCCEEDED' or state == 'PARTIALLY_SUCCEEDED'
  if not has_result then redis.call('DEL', key .. ':result') end -- of the answer so far
  local partial, retention_ms = get(job, 'partial_task'), get(job, 'retention_ms')
  if partial then redis.call('DEL', task_key(job, partial)) end
  redis.call('HDEL', key, 'partial_task', 'partial_due', 'coverage')
  if retention_ms then
    redis.call('HSET', key, 'expires', now + retention_ms)
    redis.call('ZADD', EXPIRY, now + retention_ms, job)
  end
  if get(job, 'webhook') then
    redis.call('ZADD', WEBHOOKS, now, job .. ' ' .. get(job, 'run'))
  end
  redis.call('ZREM', DEADLINES, job)
  redis.call('ZREM', PREFIX .. 'tenant:' .. get(job, 'tenant') .. ':live', job)
  redis.call('DEL', key .. ':parked', key .. ':durations:map', key .. ':durations:reduce')
  forget_turns(job)
  redis.call('HINCRBY', PREFIX .. 'totals', state, 1)
  -- What a next run would use of another end is kept until the job expires.
  if state == 'SUCCEEDED' then redis.call('SADD', ENDED, job) end
  if not has_result then redis.call('SADD', UNREPORTED, job) end
end

local function is_complete(job, kind)
  return ended_tasks(job, kind) == get_number(job, kind .. '_total')
end

-- Whether no more items have failed than may. A share of a number that is not known yet is looked at
-- when it is.
local function is_tolerated(job)
  local found = redis.call('HMGET', job_key(job), 'items_failed', 'tolerated_count',
    'tolerated_percentage', 'items_total')
  local failed, most, percentage = tonumber(found[1] or 0), tonumber(found[2] or 0), tonumber(found[3] or 0)
  if failed == 0 then return true end
  if most == 0 and percentage == 0 then return false end
  if most > 0 and failed > most then return false end
  return percentage == 0 or not found[4] or failed * 100 <= percentage * tonumber(found[4])
end

-- End a job of which more items failed than may.
local function end_intolerable(job, task, reason)
  local failed = get_number(job, 'items_failed')
  local problem = { code = 'TOLERANCE_EXCEEDED', retryable = false, task = task,
    message = string.format('%.0f %s failed, more than the job tolerates; the last: %s', failed,
      failed == 1 and 'item has' or 'items have', reason) }
  end_job(job, 'FAILED', cjson.encode(problem))
end

-- List failed items, as JSON, from a position on, as long as there are few.
local function list_failures(job, failures, first)
  local key = job_key(job) .. ':failures'
  local room = MAX_FAILURES - redis.call('LLEN', key)
  for i = first, math.min(#failures, first + room - 1) do redis.call('RPUSH', key, failures[i]) end
end

-- A reduce task takes several partitions when each would hold next to nothing.
local function reduce_tasks(job, partitions)
  local bytes_each = get_number(job, 'reduce_bytes')
  if bytes_each == 0 then return partitions end
  local wanted = math.ceil(get_number(job, 'shuffle_bytes') / bytes_each)
  return math.max(1, math.min(partitions, wanted))
end

-- Open the next phase while the present one is complete; the barrier is the count of committed
-- tasks, each of which counts once because its own state guards it.
local function advance(job)
  local phase = get(job, 'phase')
  if phase == 'PLAN' and is_complete(job, 'plan') then
    open_phase(job, 'map', get_number(job, 'batches'))
    phase = 'MAP'
  end
  if phase == 'MAP' and is_complete(job, 'map') then
    redis.call('HSETNX', job_key(job), 'items_total',
      get_number(job, 'items_succeeded') + get_number(job, 'items_failed'))
    if not is_tolerated(job) then
      local last = redis.call('LINDEX', job_key(job) .. ':failures', -1)
      return end_intolerable(job, false, cjson.decode(last).error.message)
    end
    local reducers = get_number(job, 'reducers')
    if reducers > 0 then open_phase(job, 'reduce', reduce_tasks(job, reducers)) else open_phase(job, 'finish', 1) end
    phase = get(job, 'phase')
  end
  if phase == 'REDUCE' and is_complete(job, 'reduce') then open_phase(job, 'finish', 1) end
  if phase == 'FINISH' and is_complete(job, 'finish') then
    end_job(job, get_number(job, 'items_failed') > 0 and 'PARTIALLY_SUCCEEDED' or 'SUCCEEDED')
  end
end

local function durations_key(job, kind) return job_key(job) .. ':durations:' .. kind end

-- Keep how long the last tasks of a kind took, for telling stragglers.
local function note_duration(job, kind, duration_ms)
  if get_number(job, kind .. '_total') < 4 then return end
  redis.call('LPUSH', durations_key(job, kind), duration_ms)
  redis.call('LTRIM', durations_key(job, kind), 0, 100)
end
