-- ARGV: which index, the place after which to begin, how many.
-- Names and places in turn, the end of each, the data of each.
local found = redis.call(
  'ZRANGE', base .. ARGV[1], '(' .. ARGV[2], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[3], 'WITHSCORES')
if #found == 0 then return {{}, {}, {}} end
local names, keys = {}, {}
for i = 1, #found, 2 do
  table.insert(names, found[i])
  table.insert(keys, session(found[i]))
end
return {found, redis.call('ZMSCORE', EXPIRY, unpack(names)), redis.call('MGET', unpack(keys))}
