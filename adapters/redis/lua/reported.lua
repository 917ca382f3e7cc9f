-- Note that it has been written how far an ended run came, after which what a cancelled job left may go.
-- ARGV: job, run, manifest
-- Returns 0 when the job is known no more, else 1.
local job = ARGV[1]
if not get(job, 'tenant') then return 0 end
if get(job, 'run') == ARGV[2] and not is_live(get(job, 'state')) then
  redis.call('HSET', job_key(job), 'report', ARGV[3])
  redis.call('SREM', UNREPORTED, job)
  if get(job, 'state') == 'CANCELLED' then redis.call('SADD', ENDED, job) end
end
return 1
