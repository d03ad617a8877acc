-- ARGV: now, username, the names seen or 'any', least and most that may be live or ''; of the new
-- one name, data, end and milliseconds to keep, or ''; name and data of each that goes.
--
-- Redis takes nothing back when a script fails: so all is looked at before the first write, and a
-- session is named by the indexes before it is there.
local now, username, seen, least, most, new, data, expires_at, ttl = unpack(ARGV, 1, 9)
local SWEPT = 16  -- expired ones, along with each new one

if seen ~= 'any' then
  local there = redis.call('ZRANGE', user(':' .. username), 0, -1)
  if table.concat(there, '\n') ~= seen then return 0 end
end
if new ~= '' and redis.call('EXISTS', session(new)) == 1 then return 0 end
local change = new ~= '' and tonumber(expires_at) > tonumber(now) and 1 or 0
for i = 10, #ARGV, 2 do
  if read(ARGV[i]) ~= ARGV[i + 1] then return 0 end
  if not ends_by(ARGV[i], now) then change = change - 1 end
end
if most ~= '' then
  least, most = tonumber(least) - change, tonumber(most) - change
  local live = count(now)
  if least > 0 or live > most then live = recount(now) end
  if live < least or live > most then return 0 end
end
local newest = redis.call('ZREVRANGE', ORDER, 0, 0, 'WITHSCORES')[2] or 0
newest = math.max(newest, redis.call('HGET', KEYS[1], 'newest') or 0)

for i = 10, #ARGV, 2 do remove(ARGV[i]) end
if new == '' then return 1 end
remove_expired(now, SWEPT)
local place = string.format('%.0f', newest + 1)
redis.call('ZADD', EXPIRY, expires_at, new)
redis.call('ZADD', ORDER, place, new)
redis.call('ZADD', user(new), place, new)
redis.call('HSET', KEYS[1], 'layout', 2, 'newest', place)
redis.call('SET', session(new), data, 'PX', ttl)
keep({EXPIRY, ORDER, user(new), KEYS[1]}, ttl)
return 1
