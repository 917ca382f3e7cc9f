-- Make an attempt's outcome the task's, and move the job on.
-- ARGV: job, task, attempt, outcome as JSON, rows of the result or of the answer so far as JSON or
--       '', cuts of the piece, bytes of the piece when there is no blob, failed items as JSON ...
-- Returns ACCEPTED, REPEATED or FENCED.
local job, task, attempt, outcome = ARGV[1], ARGV[2], tonumber(ARGV[3]), cjson.decode(ARGV[4])
local key, tkey = job_key(job), task_key(job, task)
local done = redis.call('HMGET', tkey, 'state', 'attempt')
if done[1] == 'SUCCEEDED' then return done[2] == tostring(attempt) and REPEATED or FENCED end
if not holds(job, task, attempt) then return FENCED end

local coverage = redis.call('HGET', tkey, 'coverage')
local kind, index = let_go(job, task, attempt)
if kind == 'partial' then
  if ARGV[5] ~= '' then
    redis.call('SET', key .. ':result', ARGV[5])
    redis.call('HSET', key, 'coverage', coverage)
    changed(job)
  else
    redis.call('HDEL', key, 'partial_every_ms') -- too large to be shown, and it will hardly shrink
  end
  return ACCEPTED
end
if get(job, 'state') == 'CANCELLING' then
  redis.call('HSET', tkey, 'state', 'PENDING')
  settle_cancellation(job)
  changed(job)
  return FENCED
end

local started, now = redis.call('HGET', tkey, 'started'), now_ms()
redis.call('HSET', tkey, 'state', 'SUCCEEDED', 'attempt', attempt, 'finished', now,
  'items', outcome.items, 'log', outcome.log)
redis.call('HDEL', tkey, 'error')
note_duration(job, kind, now - started)
add(job, kind .. '_succeeded', 1)
add(job, 'items_succeeded', outcome.items)
add(job, 'bytes_read', outcome.bytes_read)
if outcome.failed > 0 then
  add(job, 'items_failed', outcome.failed)
  redis.call('SADD', key .. ':flawed', index)
  redis.call('HSET', tkey, 'failed_items', outcome.failed, 'bytes', outcome.bytes_read,
    'counters', cjson.encode(outcome.counters))
  list_failures(job, ARGV, 8)
end
if outcome.piece then
  if kind == 'map' then add(job, 'shuffle_bytes', outcome.piece_bytes) end
  local cuts, bytes = kind == 'map' and ARGV[6] or '', outcome.has_data and ARGV[7] or nil
  keep_piece(job, kind, index, outcome.piece, cuts, bytes)
  if bytes then
    add(job, 'kept_bytes', #bytes)
    redis.call('INCRBY', KEPT, #bytes)
  end
end
for _, counter in ipairs(outcome.counters) do
  redis.call('HINCRBYFLOAT', key .. ':counters', counter[1], counter[2])
end
if outcome.failed > 0 and not is_tolerated(job) then
  end_intolerable(job, task, cjson.decode(ARGV[8]).error.message)
  changed(job)
  return ACCEPTED
end
if kind == 'plan' then
  if outcome.batches < get_number(job, 'map_known') then
    return planned_otherwise(job)
  end
  redis.call('HSET', key, 'batches', outcome.batches, 'reducers', outcome.reducers,
    'bytes_total', outcome.bytes_total)
  if get(job, 'items_listed') and get_number(job, 'items_listed') > 0 then
    redis.call('HSET', key, 'items_total', get_number(job, 'items_listed'))
  end
elseif kind == 'finish' then
  redis.call('HSET', key, 'result_rows', outcome.result.rows, 'result_bytes', outcome.result.bytes,
    'manifest', outcome.result.manifest)
  if ARGV[5] ~= '' then
    redis.call('SET', key .. ':result', ARGV[5])
  else
    redis.call('DEL', key .. ':result') -- of the answer so far
  end
end
top_up(job, kind)
advance(job)
if kind == 'map' then start_partial(job) end
changed(job)
return ACCEPTED
