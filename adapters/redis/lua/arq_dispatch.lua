-- How arq is told of a task, as ArqRedis.enqueue_job does it: the payload under arq:job:<id>, the id
-- in the queue's sorted set. Beside that a token in a list wakes a worker that blocks on it. The
-- payload holds three names and no data. The attempt is part of arq's id, so what arq remembers of a
-- dead attempt blocks nothing.
--
-- Scores below DUE are turns, from there on times in ms. Turns are those of start-time fair queueing
-- (Goyal, Vin and Cheng 1996), from 1 on, since arq takes 0 for no score: a job's next task comes as many turns after its last one as its share
-- costs, yet not before the turn that is being served, so whoever comes with little waits for few.
--
--   fanfold:queue:<lane>:turn         string: the turn that is being served
--   fanfold:queue:<lane>:turns        hash: job -> turn of its next task

local QUEUE = 'fanfold:queue:'
local MAX_TOKENS = 1024
local AT_ONCE = 500
local DUE = 1000000000000
local FIRST_OF_ALL = -1

local function arq_id(job, task, attempt) return job .. ':' .. task .. ':' .. attempt end

local function turn_served(queue) return tonumber(redis.call('GET', queue .. ':turn') or 1) end

local function take_turn(job, queue, cost)
  local own = tonumber(redis.call('HGET', queue .. ':turns', job) or 0)
  local turn = math.max(own, turn_served(queue))
  redis.call('HSET', queue .. ':turns', job, string.format('%.0f', turn + cost))
  return turn
end

local function payload(job, task, attempt, now)
  return string.format(
    '{"t":null,"f":"run_task","a":["%s","%s",%d],"k":{},"et":%.0f}', job, task, attempt, now)
end

local function enqueue(job, task, attempt, lane, score)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local id, queue = arq_id(job, task, attempt), QUEUE .. lane
  redis.call('SET', 'arq:job:' .. id, payload(job, task, attempt, now))
  redis.call('ZADD', queue, string.format('%.0f', score), id)
  if score < DUE and redis.call('LLEN', queue .. ':wake') < MAX_TOKENS then
    redis.call('LPUSH', queue .. ':wake', '1')
  end
end

-- Put a task in its job's turn.
local function dispatch(job, task, attempt, lane, cost)
  enqueue(job, task, attempt, lane, take_turn(job, QUEUE .. lane, cost or 1))
end

-- Put tasks of a kind that were never dispatched in their job's turn, from an index on.
local function dispatch_new(job, kind, first, count, lane, cost, now)
  if count <= 0 then return end
  local queue = QUEUE .. lane
  local turn = take_turn(job, queue, cost * count)
  for from = 0, count - 1, AT_ONCE do
    local payloads, scored = {}, {}
    for i = from, math.min(from + AT_ONCE, count) - 1 do
      local task = kind .. '-' .. first + i
      local id = arq_id(job, task, 1)
      payloads[#payloads + 1] = 'arq:job:' .. id
      payloads[#payloads + 1] = payload(job, task, 1, now)
      scored[#scored + 1] = string.format('%.0f', turn + i * cost)
      scored[#scored + 1] = id
    end
    redis.call('MSET', unpack(payloads))
    redis.call('ZADD', queue, unpack(scored))
  end
  local tokens = {}
  for i = 1, math.min(count, MAX_TOKENS - redis.call('LLEN', queue .. ':wake')) do tokens[i] = '1' end
  if #tokens > 0 then redis.call('LPUSH', queue .. ':wake', unpack(tokens)) end
end

-- Put a task that had its turn before others, at once or after a while.
local function dispatch_again(job, task, attempt, lane, delay_ms)
  local time = redis.call('TIME')
  local due = time[1] * 1000 + math.floor(time[2] / 1000) + delay_ms
  enqueue(job, task, attempt, lane, delay_ms > 0 and due or turn_served(QUEUE .. lane))
end

-- The ledger has taken over responsibility for the task: arq may forget it.
local function acknowledge(job, task, attempt, lane)
  local id = arq_id(job, task, attempt)
  redis.call('ZREM', QUEUE .. lane, id)
  redis.call('DEL', 'arq:job:' .. id)
end

local function forget_turns(job)
  redis.call('HDEL', QUEUE .. 'process:turns', job)
  redis.call('HDEL', QUEUE .. 'loop:turns', job)
end
