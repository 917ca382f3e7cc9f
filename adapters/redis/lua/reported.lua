-- Make what has been written of how far an ended run came its job's report, after which what a
-- cancelled job left may go.
-- ARGV: job, run, manifest
-- Returns 1 when that is the job's report, 0 when somebody else was faster, the next run has begun, or
-- the job is known no more.
local job, manifest = ARGV[1], ARGV[3]
if not get(job, 'tenant') or get(job, 'run') ~= ARGV[2] or is_live(get(job, 'state')) then return 0 end
if redis.call('SREM', UNREPORTED, job) == 0 then return get(job, 'report') == manifest and 1 or 0 end
redis.call('HSET', job_key(job), 'report', manifest)
if get(job, 'state') == 'CANCELLED' then redis.call('SADD', ENDED, job) end
return 1
