-- Where committed pieces rest; put after attempts.lua. What is read in parts, cuts and bytes, lies
-- on shelves: strings whose length is settled when they are made, because one that grows takes up
-- to twice its room. So a claim copies its own part of a piece and nothing else. What a piece's
-- hash field begins with tells where its part of a shelf is: number of the shelf, first byte,
-- length of the cuts, and length of the bytes plus one, or 0 when they are in a blob.

local PLACE, CUT = '>I4I4I4I4', 8
local SHELF_BYTES = 1048000 -- with its header just within one of the allocator's sizes
local PIECES_AT_ONCE, PIECES_PER_PAGE, BYTES_PER_PAGE = 100, 1000, 1048576

local function shelf_key(job, shelf) return job_key(job) .. ':data:' .. shelf end

-- Put bytes on a shelf, making one when there is none with room; so many alike may follow.
local function shelve(job, bytes, to_come)
  if bytes == '' then return 0, 0 end
  local shelf, used = get_number(job, 'shelves') - 1, get_number(job, 'shelf_used')
  if shelf < 0 or used + #bytes > redis.call('STRLEN', shelf_key(job, shelf)) then
    shelf, used = shelf + 1, 0
    local places = math.max(1, math.min(1 + to_come, math.floor(SHELF_BYTES / #bytes)))
    redis.call('SETRANGE', shelf_key(job, shelf), places * #bytes - 1, '\0')
  end
  redis.call('SETRANGE', shelf_key(job, shelf), used, bytes)
  redis.call('HSET', job_key(job), 'shelves', shelf + 1, 'shelf_used', used + #bytes)
  return shelf, used
end

local function on_shelf(job, shelf, first, length)
  if length == 0 then return '' end
  return redis.call('GETRANGE', shelf_key(job, shelf), first, first + length - 1)
end

-- Keep a task's piece; of its bytes nothing, when they are in a blob.
local function keep_piece(job, kind, index, piece, cuts, bytes)
  local to_come = get_number(job, kind .. '_total') - get_number(job, kind .. '_succeeded')
  local shelf, first = shelve(job, cuts .. (bytes or ''), to_come)
  local place = struct.pack(PLACE, shelf, first, #cuts, bytes and #bytes + 1 or 0)
  redis.call('HSET', job_key(job) .. ':pieces:' .. kind, index, place .. piece)
end

-- A piece with all that is kept of it, with or without its cuts.
local function whole_piece(job, stored, with_cuts)
  local shelf, first, cuts, bytes = struct.unpack(PLACE, stored)
  return { stored, with_cuts and on_shelf(job, shelf, first, cuts) or '',
    bytes > 0 and on_shelf(job, shelf, first + cuts, bytes - 1) or nil }
end

-- A piece with the two cuts around some partitions and the bytes between; nil when these are none.
local function part_of_piece(job, stored, partition, end_partition)
  local shelf, first, cuts, bytes = struct.unpack(PLACE, stored)
  local own = on_shelf(job, shelf, first + partition * CUT, (end_partition - partition + 1) * CUT)
  if #own > 2 * CUT then own = string.sub(own, 1, CUT) .. string.sub(own, -CUT) end
  local from, to = struct.unpack('>I8I8', own)
  if from >= to then return nil end
  return { stored, own, bytes > 0 and on_shelf(job, shelf, first + cuts + from, to - from) or nil }
end

-- How a task wants its pieces, and whose they are.
local function wants_of(job, task)
  local kind, index = parse_task(task)
  local partitions = get_number(job, 'reducers')
  if kind == 'finish' then
    return partitions > 0 and 'reduce' or 'map', function(stored)
      return whole_piece(job, stored, false)
    end
  elseif kind == 'partial' then
    return 'map', function(stored) return whole_piece(job, stored, true) end
  end
  local tasks = get_number(job, 'reduce_total')
  local partition = math.floor(index * partitions / tasks)
  local end_partition = math.floor((index + 1) * partitions / tasks)
  return 'map', function(stored) return part_of_piece(job, stored, partition, end_partition) end
end

-- Read a task's pieces from a position on: a page of them, which holds up nobody for long.
-- Returns {{piece, cuts, bytes}, ...}, the last only where there is no blob; and the position to go
-- on from, 0 when that was all.
local function read_inputs(job, task, position)
  local of, read = wants_of(job, task)
  local total, key = get_number(job, of .. '_total'), job_key(job) .. ':pieces:' .. of
  local end_position, found, length = math.min(total, position + PIECES_PER_PAGE), {}, 0
  while position < end_position do
    local fields = {}
    for i = position, math.min(position + PIECES_AT_ONCE, end_position) - 1 do
      fields[#fields + 1] = i
    end
    for _, stored in ipairs(redis.call('HMGET', key, unpack(fields))) do
      local piece = stored and read(stored)
      if piece then
        found[#found + 1] = piece
        length = length + #piece[1] + #piece[2] + #(piece[3] or '')
      end
      position = position + 1
      if length > BYTES_PER_PAGE then return found, position < total and position or 0 end
    end
  end
  return found, position < total and position or 0
end
