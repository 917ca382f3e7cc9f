-- Shared by every script of the ledger; put before it. Keys are derived from the job's id, so the
-- scripts run on one Redis server, not on a cluster.
--
--   fanfold:job:<job>                 hash: what was submitted, counts, version
--   fanfold:job:<job>:batches         hash: index -> "<known items>|<batch as JSON>"
--   fanfold:job:<job>:task:<task>     hash: state, attempt, tries, worker, times, error
--   fanfold:job:<job>:pieces:<kind>   hash: index -> place on a shelf, then piece as JSON; committed
--                                     tasks only
--   fanfold:job:<job>:data:<n>        string: a shelf; cuts of pieces, 8 bytes each, big-endian, and
--                                     bytes of those that have no blob
--   fanfold:job:<job>:counters        hash: name -> sum over committed attempts
--   fanfold:job:<job>:result          string: the rows as JSON, when they fit; those of the answer
--                                     so far while the job runs
--   fanfold:leases                    zset: "<job> <task> <attempt>" -> when the lease ends
--   fanfold:deadlines                 zset: job -> when it times out
--   fanfold:expiry                    zset: ended job -> when it is erased; 0 while it is erased
--   fanfold:ended                     set: ended jobs whose temporary data is still there
--   fanfold:kept_bytes                string: length of all pieces that have no blob
--   fanfold:workers                   zset: worker -> when it last told that it is alive
--   fanfold:tenant:<tenant>:jobs      zset: job -> when it was accepted, in µs
--   fanfold:tenant:<tenant>:live      zset: the same for jobs that have not ended
--   fanfold:tenant:<tenant>:key:<key> string: the job of an idempotency key

local PREFIX = 'fanfold:'
local LEASES, DEADLINES, ENDED = PREFIX .. 'leases', PREFIX .. 'deadlines', PREFIX .. 'ended'
local EXPIRY, KEPT, WORKERS = PREFIX .. 'expiry', PREFIX .. 'kept_bytes', PREFIX .. 'workers'
local FENCED, ACCEPTED, REPEATED = 0, 1, 2
local MAX_BACKOFF_MS = 60000

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(job) return PREFIX .. 'job:' .. job end
local function task_key(job, task) return job_key(job) .. ':task:' .. task end
local function lease(job, task, attempt) return job .. ' ' .. task .. ' ' .. attempt end
local function get(job, field) return redis.call('HGET', job_key(job), field) end
local function get_number(job, field) return tonumber(get(job, field) or 0) end
local function add(job, field, n)
  return redis.call('HINCRBY', job_key(job), field, string.format('%.0f', n))
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

-- Dispatch pending tasks of a phase until as many are under way as the job may have.
local function top_up(job, kind)
  local total, next_index = get_number(job, kind .. '_total'), get_number(job, kind .. '_next')
  local ended = get_number(job, kind .. '_succeeded') + get_number(job, kind .. '_failed')
  local window = get_number(job, 'window')
  while next_index < total and next_index - ended < window do
    dispatch(job, kind .. '-' .. next_index, 1, lane_of(job, kind), 0)
    next_index = next_index + 1
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
  if state ~= 'SUCCEEDED' then redis.call('DEL', key .. ':result') end -- of the answer so far
  local partial, retention_ms = get(job, 'partial_task'), get(job, 'retention_ms')
  if partial then redis.call('DEL', task_key(job, partial)) end
  redis.call('HDEL', key, 'partial_task', 'partial_due', 'coverage')
  if retention_ms then
    redis.call('HSET', key, 'expires', now + retention_ms)
    redis.call('ZADD', EXPIRY, now + retention_ms, job)
  end
  redis.call('ZREM', DEADLINES, job)
  redis.call('ZREM', PREFIX .. 'tenant:' .. get(job, 'tenant') .. ':live', job)
  redis.call('SADD', ENDED, job)
end

local function is_complete(job, kind)
  return get_number(job, kind .. '_succeeded') == get_number(job, kind .. '_total')
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
    redis.call('HSETNX', job_key(job), 'items_total', get_number(job, 'items_succeeded'))
    local reducers = get_number(job, 'reducers')
    if reducers > 0 then open_phase(job, 'reduce', reduce_tasks(job, reducers)) else open_phase(job, 'finish', 1) end
    phase = get(job, 'phase')
  end
  if phase == 'REDUCE' and is_complete(job, 'reduce') then open_phase(job, 'finish', 1) end
  if phase == 'FINISH' and is_complete(job, 'finish') then end_job(job, 'SUCCEEDED') end
end

local function known_items(job, kind, index)
  if kind ~= 'map' then return 0 end
  local batch = redis.call('HGET', job_key(job) .. ':batches', index)
  return batch and tonumber(string.match(batch, '^(%d+)|')) or 0
end
