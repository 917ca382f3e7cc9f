-- Make jobs that are due unknown to everybody.
-- ARGV: how many at most
-- Returns those of which something is still there.
local due = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now_ms(), 'LIMIT', 0, ARGV[1])
for _, job in ipairs(due) do
  if get(job, 'tenant') then hide(job) end
end
return due
