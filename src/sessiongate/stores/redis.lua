-- The verbs of the store that take more than a plain read. KEYS[1] is the key of the layout; all
-- other keys follow from it. ARGV names a function of `verbs`, then come its arguments.
--
-- A session is named "sid:username". Three indexes hold these names: the user's and `order` by the
-- order of opening, `expiry` by the time of the end. Redis may have dropped what they name.

local base = string.sub(KEYS[1], 1, -#'layout' - 1)
local EXPIRY, ORDER = base .. 'expiry', base .. 'order'
local verbs = {}

local function session(name) return base .. 'session:' .. string.match(name, '^[^:]*') end
local function user(name) return base .. 'user:' .. (string.match(name, ':(.*)$') or '') end

-- The data of a session, false if there is none.
local function read(name)
  local data = redis.pcall('GET', session(name))
  return type(data) == 'string' and data
end

local function remove(name)
  redis.call('DEL', session(name))
  for _, index in ipairs({EXPIRY, ORDER, user(name)}) do redis.call('ZREM', index, name) end
end

-- Let keys live as long as a session that they name; twice as long, so as to seldom put it off.
local function keep(name, ttl)
  for _, key in ipairs({EXPIRY, ORDER, user(name), KEYS[1]}) do
    if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, 2 * ttl) end
  end
end

local function count(now) return redis.call('ZCOUNT', EXPIRY, '(' .. now, '+inf') end

-- Looks at some names anywhere, and at more while it finds sessions that Redis has dropped.
function verbs.count(now)
  for _ = 1, 20 do
    local dropped = false
    for _, name in ipairs(redis.call('ZRANDMEMBER', ORDER, 64)) do
      if redis.call('EXISTS', session(name)) == 0 then
        remove(name)
        dropped = true
      end
    end
    if not dropped then break end
  end
  return count(now)
end

function verbs.sweep(now, most)
  local names = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, most)
  for _, name in ipairs(names) do remove(name) end
  return #names
end

-- Returns the place to go on, then name, end and data of each session that an index names.
function verbs.look(index, after, most)
  local key = base .. index
  local found = redis.call(
    'ZRANGE', key, '(' .. after, '+inf', 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
  local answer = {#found == 2 * most and found[#found]}
  for i = 1, #found, 2 do
    local name, data = found[i], read(found[i])
    if data then
      table.insert(answer, {name, redis.call('ZSCORE', EXPIRY, name), data})
    else
      remove(name)
      redis.call('ZREM', key, name)
    end
  end
  return answer
end

-- `new` is '' to remove; `expires_at` is '' if it stays the same; `ttl` is in milliseconds.
function verbs.swap(name, old, new, expires_at, ttl)
  local found = read(name)
  if found ~= old then return found end
  if new == '' then
    remove(name)
  elseif expires_at == '' then
    redis.call('SET', session(name), new, 'KEEPTTL')
  else
    redis.call('ZADD', EXPIRY, expires_at, name)
    redis.call('SET', session(name), new, 'PX', ttl)
    keep(name, ttl)
  end
  return 1
end

-- `seen` is 'any', or the names of the user's sessions; `least` and `most` say how many may be live
-- before this change, '' for any number; `new` is '' or a name. From ARGV[11] on: name and data of
-- each session to remove.
--
-- Redis takes nothing back when a script fails. So everything is looked at before the first write,
-- and the indexes name a session before it is there.
function verbs.commit(now, username, seen, least, most, new, data, expires_at, ttl)
  local mine = user(':' .. username)
  if seen ~= 'any' and seen ~= table.concat(redis.call('ZRANGE', mine, 0, -1), '\n') then return 0 end
  if new ~= '' and redis.call('EXISTS', session(new)) == 1 then return 0 end
  for i = 11, #ARGV, 2 do
    if read(ARGV[i]) ~= ARGV[i + 1] then return 0 end
  end
  if most ~= '' then
    local live = count(now)
    if tonumber(least) > 0 or live > tonumber(most) then live = verbs.count(now) end
    if live < tonumber(least) or live > tonumber(most) then return 0 end
  end
  -- Only places that this script could have written.
  local newest = redis.call('ZREVRANGEBYSCORE', ORDER, 2^52, 0, 'WITHSCORES', 'LIMIT', 0, 1)[2] or 0
  newest = math.ceil(math.max(newest, redis.call('HGET', KEYS[1], 'newest') or 0))

  for i = 11, #ARGV, 2 do remove(ARGV[i]) end
  if new == '' then return 1 end
  verbs.sweep(now, 16)
  local place = string.format('%.0f', newest + 1)
  redis.call('ZADD', EXPIRY, expires_at, new)
  redis.call('ZADD', ORDER, place, new)
  redis.call('ZADD', user(new), place, new)
  redis.call('HSET', KEYS[1], 'layout', 2, 'newest', place)
  redis.call('SET', session(new), data, 'PX', ttl)
  keep(new, ttl)
  return 1
end

return verbs[ARGV[1]](unpack(ARGV, 2, 10))
