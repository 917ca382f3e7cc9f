-- Store batches found by a plan attempt; nobody sees them before its commit.
-- ARGV: job, task, attempt, index of the first, batches ...
-- Returns ACCEPTED or FENCED.
local job, task, attempt, first = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not holds(job, task, attempt) then return FENCED end
for i = 5, #ARGV do
  redis.call('HSET', job_key(job) .. ':batches', first + i - 5, ARGV[i])
end
return ACCEPTED
