-- Store batches found by a plan attempt. Where the number of partitions is known, map tasks begin at
-- once; elsewhere nobody sees the batches before the plan's commit.
-- ARGV: job, task, attempt, index of the first, batches ...
-- Returns ACCEPTED or FENCED.
local job, task, attempt, first = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not holds(job, task, attempt) then return FENCED end
local key, known = job_key(job) .. ':batches', get_number(job, 'map_known')
if first == 0 then redis.call('HSET', job_key(job), 'items_listed', 0) end
local stored, items = {}, 0
for i = 5, #ARGV do
  local index = first + i - 5
  if index < known then
    -- A map task may have it already, from an earlier attempt at the plan.
    if redis.call('HGET', key, index) ~= ARGV[i] then return planned_otherwise(job) end
  else
    stored[#stored + 1] = index
    stored[#stored + 1] = ARGV[i]
  end
  items = items + tonumber(string.match(ARGV[i], '^(%d+)|'))
end
for i = 1, #stored, 1000 do
  redis.call('HSET', key, unpack(stored, i, math.min(i + 999, #stored)))
end
add(job, 'items_listed', items)
if get(job, 'is_early') and first + #ARGV - 4 > known then
  redis.call('HSET', job_key(job), 'map_known', first + #ARGV - 4)
  top_up(job, 'map')
end
return ACCEPTED
