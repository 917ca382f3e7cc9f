-- Remove what only the tasks of an ended job needed.
-- ARGV: job
if not is_live(get(ARGV[1], 'state')) then drop_temporary(ARGV[1]) end
