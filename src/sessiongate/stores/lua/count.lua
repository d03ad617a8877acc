-- ARGV: now; prefix.

return count()
