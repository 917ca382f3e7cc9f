-- Put back a job of which only its result is left.
-- ARGV: job, tenant, finished in ms, time that ended jobs are kept in ms, rows as JSON or '',
--       number of fields, fields of the job ...
-- Returns 1 when it is there again, 0 when its time is over, it was erased, or something of it is
-- still known.
local job, tenant, finished, key = ARGV[1], ARGV[2], tonumber(ARGV[3]), job_key(ARGV[1])
local expires, now = finished + ARGV[4], now_ms()
if redis.call('EXISTS', key) == 1 or expires <= now then return 0 end
if redis.call('ZSCORE', PREFIX .. 'tenant:' .. tenant .. ':erased', redis.sha1hex(job)) then return 0 end
set_given(job, ARGV, 7, 6 + 2 * tonumber(ARGV[6]))
local state = get_number(job, 'items_failed') > 0 and 'PARTIALLY_SUCCEEDED' or 'SUCCEEDED'
redis.call('HSET', key, 'tenant', tenant, 'state', state, 'phase', 'DONE', 'version', 1,
  'finished', finished, 'updated', now, 'retention_ms', ARGV[4], 'expires', expires, 'restored', 1)
if ARGV[5] ~= '' then redis.call('SET', key .. ':result', ARGV[5]) end
redis.call('ZADD', PREFIX .. 'tenant:' .. tenant .. ':jobs', get_number(job, 'created') * 1000, job)
redis.call('ZADD', EXPIRY, expires, job)
return 1
