-- ARGV: prefix, now, limit.

return expire(ARGV[3])
