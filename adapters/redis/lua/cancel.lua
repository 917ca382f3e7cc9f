-- Stop a job.
-- ARGV: tenant, job, reason or ''
-- Returns 0 when the tenant has no such job, else 1.
local tenant, job = ARGV[1], ARGV[2]
if get(job, 'tenant') ~= tenant then return 0 end
local state = get(job, 'state')
if state == 'QUEUED' or state == 'RUNNING' then
  redis.call('HSET', job_key(job), 'state', 'CANCELLING')
  if ARGV[3] ~= '' then redis.call('HSET', job_key(job), 'message', ARGV[3]) end
  settle_cancellation(job)
  changed(job)
end
return 1
