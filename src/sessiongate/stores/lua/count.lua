-- ARGV: prefix, now.

return count()
