-- The verbs of the store that take more than a plain read. All keys follow from KEYS[1]. ARGV names
-- a function of `verbs`, then come its arguments. In a cluster KEYS has every key that is touched:
-- then a slot that is on its way to another node refuses the whole script, not half of it.
-- A session is named "sid:username". Three indexes hold these names: the user's and `order` by the
-- order of opening, `expiry` by the time of the end. Redis may have dropped what they name.
local call, verbs = redis.call, {}
local base = string.match(KEYS[1], '^.*{[%w_-]+}:')
local EXPIRY, ORDER, LAYOUT = base .. 'expiry', base .. 'order', base .. 'layout'
local IN_CLUSTER = string.sub(base, -4) ~= '{0}:'

local function session(name) return base .. 'session:' .. string.match(name, '^[^:]*') end
local function user(name) return base .. 'user:' .. (string.match(name, ':(.*)$') or '') end
-- News goes out before the first write, as Redis takes nothing back; only while somebody listens.
local function tell(name, generation)
  if not IN_CLUSTER and call('EXISTS', base .. 'listening') == 1 then
    call('PUBLISH', base .. 'news', string.match(name, '^[^:]*') .. ' ' .. generation)
  end
end
local function count(now) return call('ZCOUNT', EXPIRY, '(' .. now, '+inf') end

local function read(name)  -- false if there is none
  local data = redis.pcall('GET', session(name))
  return type(data) == 'string' and data
end
local function remove(name, index)
  call('DEL', session(name))
  for _, key in ipairs({EXPIRY, ORDER, user(name), index}) do call('ZREM', key, name) end
end
-- Keys live as long as a session that they name; twice as long, so as to seldom put it off.
local function write(name, data, expires_at, ttl)
  call('ZADD', EXPIRY, expires_at, name)
  call('SET', session(name), data, 'PX', ttl)
  for _, key in ipairs({EXPIRY, ORDER, user(name), LAYOUT}) do
    if call('PTTL', key) < tonumber(ttl) then call('PEXPIRE', key, 2 * ttl) end
  end
end

-- The proof of a feed: its channel `mine` hears of it after all that was told before. Another `term`
-- than last time says that there was a while in which nothing was told.
function verbs.echo(mine, number, term)
  term = call('GET', base .. 'listening') or term
  call('PUBLISH', mine, number .. ' ' .. term)  -- who may not do that makes nobody else do it
  call('SET', base .. 'listening', term, 'EX', 60)
end
function verbs.count(now)  -- looks at some names, and at more while it finds some that were dropped
  for _ = 1, 20 do
    local before = call('ZCARD', ORDER)
    for _, name in ipairs(call('ZRANDMEMBER', ORDER, 64)) do
      if call('EXISTS', session(name)) == 0 then remove(name) end
    end
    if call('ZCARD', ORDER) == before then break end
  end
  return count(now)
end
function verbs.sweep(now, most)
  local names = call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, most)
  for _, name in ipairs(names) do remove(name) end
  return #names
end
-- In a cluster the names are read first, so that all keys are known: then these two follow.
function verbs.forget(now)
  local forgotten = 0
  for i = 3, #ARGV do
    local ends = call('ZSCORE', EXPIRY, ARGV[i])
    if ends and tonumber(ends) <= tonumber(now) then
      remove(ARGV[i])
      forgotten = forgotten + 1
    end
  end
  return forgotten
end
function verbs.fetch()
  local answer = {}
  for i = 2, #ARGV do answer[i - 1] = {call('ZSCORE', EXPIRY, ARGV[i]), read(ARGV[i])} end
  return answer
end
function verbs.look(index, after, most)  -- returns the place to go on; each name, end and data
  local key = base .. index
  local found = call('ZRANGEBYSCORE', key, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  local answer = {#found == 2 * most and found[#found]}
  for i = 1, #found, 2 do
    local name, data = found[i], read(found[i])
    if not data then remove(name, key) end
    answer[#answer + 1] = data and {name, call('ZSCORE', EXPIRY, name), data} or nil
  end
  return answer
end
-- Without `new` it removes. `news` is 'ended', or the newer generation, '' for the same.
function verbs.swap(name, news, old, new, expires_at, ttl)
  local found = read(name)
  if found ~= old then return found end
  if news ~= '' then tell(name, news) end
  if not new then remove(name)
  elseif expires_at then write(name, new, expires_at, ttl)
  else call('SET', session(name), new, 'KEEPTTL') end
  return 1
end
-- `seen` is 'any', or the names of the user's sessions; `least` and `most`: how many may be live
-- before; '' is neither. From ARGV[11] on: name and data of each session to remove. Redis takes
-- nothing back, so all is looked at before the first write, and indexes name what is there later.
function verbs.commit(now, username, seen, least, most, new, data, expires_at, ttl)
  local mine = user(':' .. username)
  if seen ~= 'any' and seen ~= table.concat(call('ZRANGE', mine, 0, -1), '\n') then return 0 end
  if new ~= '' and call('EXISTS', session(new)) == 1 then return 0 end
  for i = 11, #ARGV, 2 do
    if read(ARGV[i]) ~= ARGV[i + 1] then return 0 end
  end
  if most ~= '' then
    local live = count(now)
    if tonumber(least) > 0 or live > tonumber(most) then live = verbs.count(now) end
    if live < tonumber(least) or live > tonumber(most) then return 0 end
  end
  -- Only places that this script could have written.
  local last = call('ZREVRANGEBYSCORE', ORDER, 2^52, 0, 'WITHSCORES', 'LIMIT', 0, 1)[2] or 0
  last = math.ceil(math.max(last, call('HGET', LAYOUT, 'newest') or 0))
  if IN_CLUSTER then  -- the order of opening is that of the clocks of the nodes
    local time = call('TIME')
    last = math.max(last, time[1] * 1000000 + time[2])
  end

  for i = 11, #ARGV, 2 do tell(ARGV[i], 'ended') end
  for i = 11, #ARGV, 2 do remove(ARGV[i]) end
  if new == '' then return 1 end
  if not IN_CLUSTER then verbs.sweep(now, 16) end
  local place = string.format('%.0f', last + 1)
  call('ZADD', ORDER, place, new)
  call('ZADD', user(new), place, new)
  call('HSET', LAYOUT, 'layout', 2, 'newest', place)
  write(new, data, expires_at, ttl)
  return 1
end

return verbs[ARGV[1]](unpack(ARGV, 2, 10))
