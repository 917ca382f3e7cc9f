-- Store a job and dispatch its first tasks.
-- ARGV: job, tenant, idempotency key or '', digest of the input, timeout in ms or 0,
--       number of planned batches or -1, number of fields, fields of the job ..., batches ...
-- Returns {job, 1 when created | 0 when the key's job is returned | -1 when the key is another's}.
local job, tenant, idempotency, digest = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local timeout_ms, batches, fields = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local first_field, BATCHES_AT_ONCE = 8, 500
local key, now = job_key(job), now_ms()

if redis.call('EXISTS', key) == 1 then return { job, 1 } end -- the first answer was lost
redis.call('SETNX', PREFIX .. 'layout', LAYOUT)
if idempotency ~= '' then
  local owner = PREFIX .. 'tenant:' .. tenant .. ':key:' .. idempotency
  local existing = redis.call('GET', owner)
  if existing then
    return { existing, get(existing, 'digest') == digest and 0 or -1 }
  end
  redis.call('SET', owner, job)
  redis.call('HSET', key, 'idempotency_key', idempotency)
end

for i = first_field, first_field + fields * 2 - 1, 2 do
  redis.call('HSET', key, ARGV[i], ARGV[i + 1])
end
redis.call('HSET', key, 'tenant', tenant, 'digest', digest, 'created', now, 'state', 'QUEUED',
  'run', 1, 'version', 0)
local time = redis.call('TIME')
local order = string.format('%.0f', time[1] * 1000000 + time[2])
redis.call('ZADD', PREFIX .. 'tenant:' .. tenant .. ':jobs', order, job)
redis.call('ZADD', PREFIX .. 'tenant:' .. tenant .. ':live', order, job)
if timeout_ms > 0 then
  redis.call('HSET', key, 'timeout_ms', timeout_ms)
  redis.call('ZADD', DEADLINES, now + timeout_ms, job)
end

if batches < 0 then
  open_phase(job, 'plan', 1)
else
  for first = 0, batches - 1, BATCHES_AT_ONCE do
    local stored = {}
    for i = first, math.min(first + BATCHES_AT_ONCE, batches) - 1 do
      stored[#stored + 1] = i
      stored[#stored + 1] = ARGV[first_field + fields * 2 + i]
    end
    redis.call('HSET', key .. ':batches', unpack(stored))
  end
  redis.call('HSET', key, 'batches', batches)
  open_phase(job, 'map', batches)
  advance(job)
end
changed(job)
return { job, 1 }
