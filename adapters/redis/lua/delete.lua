-- Make a job that has ended unknown to everybody.
-- ARGV: tenant, job
-- Returns nil when the tenant has no such job, its state when it has not ended, else an empty string.
local tenant, job = ARGV[1], ARGV[2]
if get(job, 'tenant') ~= tenant then return nil end
local state = get(job, 'state')
if is_live(state) then return state end
hide(job)
return ''
