-- Count a worker no longer.
-- ARGV: worker
redis.call('ZREM', WORKERS, ARGV[1])
