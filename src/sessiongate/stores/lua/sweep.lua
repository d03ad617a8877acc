-- ARGV: now, how many, and names that may be of dropped sessions.
local removed = remove_expired(ARGV[1], ARGV[2])
forget({unpack(ARGV, 3)})
return removed
