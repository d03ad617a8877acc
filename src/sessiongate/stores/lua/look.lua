-- ARGV: which index, the place after which to begin, how many. Name, place, end and data of each.
local names = redis.call(
  'ZRANGE', base .. ARGV[1], '(' .. ARGV[2], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[3], 'WITHSCORES')
local found = {}
for i = 1, #names, 2 do
  local name = names[i]
  table.insert(found, {name, names[i + 1], redis.call('ZSCORE', EXPIRY, name), read(name)})
end
return found
