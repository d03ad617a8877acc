-- What the scripts share. KEYS[1] is the key of the layout; all others follow from it.
--
-- A session is named "sid:username". Three indexes hold these names: the user's and `order` by the
-- order of opening, `expiry` by the time of the end. Redis may have dropped what they name.

local base = string.sub(KEYS[1], 1, -#'layout' - 1)
local EXPIRY, ORDER = base .. 'expiry', base .. 'order'
local LOOK = 32

local function session(name) return base .. 'session:' .. string.match(name, '^[^:]*') end
local function user(name) return base .. 'user:' .. (string.match(name, ':(.*)$') or '') end

-- The data of a session, false if there is none.
local function read(name)
  local data = redis.pcall('GET', session(name))
  return type(data) == 'string' and data
end

local function ends_by(name, now)
  local expires_at = redis.call('ZSCORE', EXPIRY, name)
  return expires_at and tonumber(expires_at) <= tonumber(now)
end

local function remove(name)
  redis.call('DEL', session(name))
  redis.call('ZREM', EXPIRY, name)
  redis.call('ZREM', ORDER, name)
  redis.call('ZREM', user(name), name)
end

local function remove_expired(now, most)
  local names = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, most)
  for _, name in ipairs(names) do remove(name) end
  return #names
end

-- Remove the name of a dropped session, if it is one.
local function forget(name)
  if read(name) then return false end
  remove(name)
  return true
end

local function count(now) return redis.call('ZCOUNT', EXPIRY, '(' .. now, '+inf') end

-- The same, after a look at some names anywhere, and at more while dropped sessions are among them.
local function recount(now)
  for _ = 1, 20 do
    local place = redis.call('TIME')[2] % math.max(redis.call('ZCARD', ORDER), 1)
    local names, keys = redis.call('ZRANGE', ORDER, math.max(place - LOOK, 0), place + LOOK), {}
    for i, name in ipairs(names) do keys[i] = session(name) end
    if #keys == 0 or redis.call('EXISTS', unpack(keys)) == #keys then break end
    for _, name in ipairs(names) do forget(name) end
  end
  return count(now)
end

-- Let keys live as long as a session that they name; twice as long, so as to seldom put it off.
local function keep(keys, ttl)
  for _, key in ipairs(keys) do
    if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, 2 * ttl) end
  end
end
