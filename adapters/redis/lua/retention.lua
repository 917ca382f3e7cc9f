-- How jobs go; put after shelves.lua. Ended ones lose what only their tasks needed, expired and
-- deleted ones everything.

-- Remove what only tasks need, whatever its size, without holding up others.
local function drop_temporary(job)
  local key = job_key(job)
  redis.call('UNLINK', key .. ':batches', key .. ':pieces:map', key .. ':pieces:reduce',
    key .. ':flawed', key .. ':parked')
  for shelf = 0, get_number(job, 'shelves') - 1 do redis.call('UNLINK', shelf_key(job, shelf)) end
  redis.call('DECRBY', KEPT, get(job, 'kept_bytes') or 0)
  redis.call('HDEL', key, 'kept_bytes', 'shelves', 'shelf_used')
  redis.call('SREM', ENDED, job)
end

-- Whether an ended run is still to be tidied up; as long as it is, no next one begins.
local function is_untidied(job, run)
  return redis.call('SISMEMBER', ENDED, job) == 1 and get(job, 'run') == run
end

-- That a job was erased is remembered for a while, so that its result can be told to be gone.
local REMEMBERED, REMEMBERED_MS = 10000, 604800000

-- Make an ended job unknown to everybody. It stays due for erasing until all of it is gone.
local function hide(job)
  local key = job_key(job)
  local found = redis.call('HMGET', key, 'tenant', 'idempotency_key')
  local of_tenant = PREFIX .. 'tenant:' .. found[1]
  redis.call('ZREM', of_tenant .. ':jobs', job)
  redis.call('ZREM', of_tenant .. ':live', job)
  if found[2] and redis.call('GET', of_tenant .. ':key:' .. found[2]) == job then
    redis.call('DEL', of_tenant .. ':key:' .. found[2])
  end
  ring(job)
  redis.call('ZADD', of_tenant .. ':erased', now_ms(), redis.sha1hex(job))
  redis.call('ZREMRANGEBYSCORE', of_tenant .. ':erased', '-inf', now_ms() - REMEMBERED_MS)
  redis.call('ZREMRANGEBYRANK', of_tenant .. ':erased', 0, -REMEMBERED - 1)
  redis.call('PEXPIRE', of_tenant .. ':erased', REMEMBERED_MS)
  redis.call('HDEL', key, 'tenant')
  redis.call('SREM', ENDED, job)
  redis.call('SREM', UNREPORTED, job)
  redis.call('ZADD', EXPIRY, 0, job)
end
