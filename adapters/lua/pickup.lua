-- Take due entries of one of arq's queues. They stay in it, hidden for a while: if this worker dies
-- before the ledger has taken over, they are due again.
-- KEYS: queue.  ARGV: how many at most, hidden for how many ms
-- Returns {id, payload} pairs.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local payload = redis.call('GET', 'arq:job:' .. id)
  if payload then
    redis.call('ZADD', KEYS[1], now + ARGV[2], id)
    found[#found + 1] = { id, payload }
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return found
