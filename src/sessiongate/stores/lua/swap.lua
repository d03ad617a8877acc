-- ARGV: name, old data, new data or '', the new end or '' for the same, milliseconds to keep.
local name, old, new, expires_at, ttl = unpack(ARGV)
local key = session(name)

local found = read(name)
if found ~= old then return found end
if new == '' then
  remove(name)
elseif expires_at == '' then
  redis.call('SET', key, new, 'KEEPTTL')
else
  redis.call('ZADD', EXPIRY, expires_at, name)
  redis.call('SET', key, new, 'PX', ttl)
  keep({EXPIRY, ORDER, user(name), KEYS[1]}, ttl)
end
return 1
