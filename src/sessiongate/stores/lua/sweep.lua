-- ARGV: now, how many; or also an index, and names in it that may be of dropped sessions.
local removed = remove_expired(ARGV[1], ARGV[2])
for i = 4, #ARGV do
  if forget(ARGV[i]) then redis.call('ZREM', base .. ARGV[3], ARGV[i]) end
end
return removed
