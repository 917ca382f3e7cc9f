-- Tell whether a job is still to be tidied up after a run.
-- ARGV: job, run
return is_untidied(ARGV[1], ARGV[2]) and 1 or 0
