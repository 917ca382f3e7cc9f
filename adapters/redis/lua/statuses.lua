-- Where jobs stand, many in one call: for each of ARGV the fields in NAMES, the first of which every
-- job has, and its rows, if they are kept. `adapters/redis/statuses.py` puts NAMES before.

local found = {}
for i = 1, #ARGV do
  local key = 'fanfold:job:' .. ARGV[i]
  local fields = redis.call('HMGET', key, unpack(NAMES))
  if fields[1] then fields[#NAMES + 1] = redis.call('GET', key .. ':result') end
  found[i] = fields
end
return found
