-- How arq is told of a task, as ArqRedis.enqueue_job does it: the payload under arq:job:<id>, the id
-- in the queue's sorted set with the time it is due. Beside that a token in a list wakes a worker
-- that blocks on it. The payload holds three names and no data. The attempt is part of arq's id, so
-- what arq remembers of a dead attempt blocks nothing. A negative delay puts a task before others.

local QUEUE = 'fanfold:queue:'
local MAX_TOKENS = 1024

local function arq_id(job, task, attempt) return job .. ':' .. task .. ':' .. attempt end

local function dispatch(job, task, attempt, lane, delay_ms)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local id, queue = arq_id(job, task, attempt), QUEUE .. lane
  redis.call('SET', 'arq:job:' .. id, string.format(
    '{"t":null,"f":"run_task","a":["%s","%s",%d],"k":{},"et":%.0f}', job, task, attempt, now))
  redis.call('ZADD', queue, now + delay_ms, id)
  if delay_ms <= 0 and redis.call('LLEN', queue .. ':wake') < MAX_TOKENS then
    redis.call('LPUSH', queue .. ':wake', '1')
  end
end

-- The ledger has taken over responsibility for the task: arq may forget it.
local function acknowledge(job, task, attempt, lane)
  local id = arq_id(job, task, attempt)
  redis.call('ZREM', QUEUE .. lane, id)
  redis.call('DEL', 'arq:job:' .. id)
end
