-- Read what became of some map tasks of a job.
-- ARGV: job, first index, tasks at most, bytes at most, bytes of items of a batch that succeeded
-- Returns {next index or 0, {{state, items, failed items, attempt, started, finished, error,
-- known items, batch}, ...}}, nil where there is nothing.
local job, key = ARGV[1], job_key(ARGV[1])
local index, total = tonumber(ARGV[2]), get_number(job, 'map_total')
if total == 0 then total = get_number(job, 'map_known') end -- its plan did not come to an end
local most, most_bytes, included = index + tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local found, bytes = {}, 0
while index < math.min(total, most) and bytes < most_bytes do
  local task = redis.call('HMGET', task_key(job, 'map-' .. index), 'state', 'items', 'failed_items',
    'attempt', 'started', 'finished', 'error')
  local stored = redis.call('HGET', key .. ':batches', index) or '0|'
  local bar = string.find(stored, '|', 1, true)
  task[8] = string.sub(stored, 1, bar - 1)
  local is_kept = #stored <= included or task[1] ~= 'SUCCEEDED'
    or string.sub(stored, bar + 1, bar + 9) == '{"slices"'
  task[9] = is_kept and string.sub(stored, bar + 1) or ''
  bytes = bytes + #task[9]
  found[#found + 1] = task
  index = index + 1
end
return { index < total and index or 0, found }
