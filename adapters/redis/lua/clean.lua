-- Remove what only the tasks of an ended run needed.
-- ARGV: job, run
local job = ARGV[1]
if is_untidied(job, ARGV[2]) then drop_temporary(job) end
