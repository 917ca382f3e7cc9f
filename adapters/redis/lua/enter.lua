-- Count a worker among those who are alive.
-- ARGV: worker
redis.call('ZADD', WORKERS, now_ms(), ARGV[1])
