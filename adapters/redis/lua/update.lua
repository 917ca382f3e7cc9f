-- Change a live job. What runs goes on; no more starts than may.
-- ARGV: tenant, job, the spec as it was read or '', the new one, number of fields, fields ...
-- Returns nil when the tenant has no such job, its state when it is not live, 0 when the spec has
-- changed meanwhile, else 1.
local tenant, job = ARGV[1], ARGV[2]
if get(job, 'tenant') ~= tenant then return nil end
local state = get(job, 'state')
if state ~= 'QUEUED' and state ~= 'RUNNING' then return state end
if redis.call('HGET', input_key(job), 'spec') ~= ARGV[3] then return 0 end
redis.call('HSET', input_key(job), 'spec', ARGV[4])
set_given(job, ARGV, 6, 5 + 2 * tonumber(ARGV[5]))
if is_tolerated(job) then
  local phase = string.lower(get(job, 'phase'))
  top_up(job, phase == 'plan' and 'map' or phase)
else
  end_intolerable(job, false, 'fewer are tolerated now')
end
changed(job)
return 1
