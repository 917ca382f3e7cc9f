-- Take entries of one of arq's queues, in turn. They stay in it, hidden for a while: if this worker
-- dies before the ledger has taken over, they are due again.
-- KEYS: queue.  ARGV: how many at most, hidden for how many ms
-- Returns {id, payload} pairs.
local DUE = 1000000000000 -- as in arq_dispatch.lua
local queue, time = KEYS[1], redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local turn = tonumber(redis.call('GET', queue .. ':turn') or 1)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, DUE, now, 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', queue, turn, id) -- it has waited for its time
end
local due = redis.call('ZRANGEBYSCORE', queue, '-inf', '(' .. DUE, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local found = {}
for i = 1, #due, 2 do
  local id, payload = due[i], redis.call('GET', 'arq:job:' .. due[i])
  if payload then
    redis.call('ZADD', queue, now + ARGV[2], id)
    found[#found + 1] = { id, payload }
    turn = math.max(turn, tonumber(due[i + 1]))
  else
    redis.call('ZREM', queue, id)
  end
end
if #found > 0 then redis.call('SET', queue .. ':turn', string.format('%.0f', turn)) end
return found
