-- Note that it has been written how far an ended run came, after which what a cancelled job left may go.
-- ARGV: job, run, manifest
local job = ARGV[1]
if get(job, 'run') == ARGV[2] and not is_live(get(job, 'state')) then
  redis.call('HSET', job_key(job), 'report', ARGV[3])
  redis.call('SREM', UNREPORTED, job)
  if get(job, 'state') == 'CANCELLED' then redis.call('SADD', ENDED, job) end
end
