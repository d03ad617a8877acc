-- ARGV: now.
return recount(ARGV[1])
