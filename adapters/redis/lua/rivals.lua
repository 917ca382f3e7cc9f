-- Have stragglers run once more beside themselves: the last tasks of a phase that take several times
-- as long as others did. Whichever attempt is committed first counts; the other is told to stop.
-- ARGV: how many leases to look at, a straggler takes at least ms, and so many medians
-- Returns how many rivals were dispatched.
local now, found = now_ms(), 0

-- Return from which duration on a task of this kind is a straggler; nil while that is not known.
local function patience_ms(job, kind)
  local waiting = get_number(job, kind .. '_total') - ended_tasks(job, kind) - get_number(job, kind .. '_running')
  if get(job, 'state') ~= 'RUNNING' or waiting > 0 then return nil end
  local known = redis.call('LRANGE', durations_key(job, kind), 0, -1)
  if #known < 3 then return nil end
  for i = 1, #known do known[i] = tonumber(known[i]) end
  table.sort(known)
  return math.max(tonumber(ARGV[2]), tonumber(ARGV[3]) * known[math.ceil(#known / 2)])
end

local patience = {}
for _, member in ipairs(redis.call('ZRANGE', LEASES, 0, ARGV[1] - 1)) do
  local job, task, attempt = string.match(member, '^(%S+) (%S+) (%d+)$')
  local kind = parse_task(task)
  if kind == 'map' or kind == 'reduce' then
    local phase = job .. ' ' .. kind
    if patience[phase] == nil then patience[phase] = patience_ms(job, kind) or false end
    local held = redis.call('HMGET', task_key(job, task), 'state', 'attempt', 'started', 'rival')
    if patience[phase] and held[1] == 'RUNNING' and held[2] == attempt and not held[4]
      and now - held[3] > patience[phase] then
      redis.call('HSET', task_key(job, task), 'rival', attempt + 1)
      add(job, kind .. '_retried', 1)
      enqueue(job, task, attempt + 1, lane_of(job, kind), turn_served(QUEUE .. lane_of(job, kind)))
      changed(job)
      found = found + 1
    end
  end
end
return found
