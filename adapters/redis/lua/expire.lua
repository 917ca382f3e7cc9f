-- Make jobs that are due unknown to everybody.
-- ARGV: how many at most
-- Returns those of which something is still there, and those that were erased a while ago.
local due = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now_ms(), 'LIMIT', 0, ARGV[1])
for _, job in ipairs(due) do
  if get(job, 'tenant') then hide(job) end
end
for _, job in ipairs(redis.call('ZRANGEBYSCORE', LATE, '-inf', now_ms(), 'LIMIT', 0, ARGV[1])) do
  due[#due + 1] = job
end
return due
