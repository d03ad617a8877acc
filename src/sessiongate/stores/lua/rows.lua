-- Rows and the indexes they are found by; put in front of every script.
--
-- A row is the format number 1, its ten numbers in the order of records.Row, and a JSON array of
-- its texts (sid, username, grants, device), with spaces between. The numbers stand outside the
-- JSON, because cjson writes no more than 14 digits; and the texts are only parsed where needed.
-- A member of the two indexes over all rows names the user as well, so that a row that Redis has
-- dropped can be cleaned up after.
--
-- KEYS[1] is the key that the command is about; the others follow from what is found there.
-- For a Redis Cluster all keys of a user would have to share a hash tag, which the sid could
-- carry, and the limit over all users would have to go.

local FORMAT = '^1 (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+) (%d+)'
  .. ' (%-?%d+) (%-?%d+) (%d+) (%d+) ([01]) (%[.+%])$'
local FOREVER = 9007199254740991

-- Redis' own expiry only collects what no command has removed. It runs on another clock than
-- the commands do, so it comes late, by an hour.
local SLACK_MS = 3600000

local prefix, now = ARGV[1], tonumber(ARGV[2])
local EXPIRY = prefix .. 'expiry'  -- all rows, by the time of their end
local ORDER = prefix .. 'order'    -- all rows, in the order of opening

local unreadable = {}  -- sids of corrupt rows, and of rows of a newer version

local function session_key(sid) return prefix .. 'session:' .. sid end
local function user_key(username) return prefix .. 'user:' .. username end
local function member(sid, username) return sid .. ':' .. username end
local function parts(name) return string.match(name, '^([^:]*):(.*)$') end
local function integer(number) return string.format('%.0f', number) end

local function encode(row)
  return string.format(
    '1 %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f ',
    row.created_at, row.last_accessed, row.expires_at, row.lifetime_ends_at, row.generation,
    row.rotated_at, row.previous_until, row.honoured_from, row.retired_below, row.shared
  ) .. row.texts
end

local function decode(text)
  local created_at, last_accessed, expires_at, lifetime_ends_at, generation, rotated_at,
    previous_until, honoured_from, retired_below, shared, texts = string.match(text, FORMAT)
  if not texts then return nil end
  return {
    created_at = tonumber(created_at),
    last_accessed = tonumber(last_accessed),
    expires_at = tonumber(expires_at),
    lifetime_ends_at = tonumber(lifetime_ends_at),
    generation = tonumber(generation),
    rotated_at = tonumber(rotated_at),
    previous_until = tonumber(previous_until),
    honoured_from = tonumber(honoured_from),
    retired_below = tonumber(retired_below),
    shared = tonumber(shared),
    texts = texts,
    text = text,
  }
end

-- Add the texts to a row, where they matter: whether they can be read.
local function complete(row)
  local parsed, texts = pcall(cjson.decode, row.texts)
  if not parsed or #texts ~= 4 then return false end
  for _, text in ipairs(texts) do
    if type(text) ~= 'string' then return false end
  end
  row.sid = row.sid or texts[1]
  row.username, row.grants = texts[2], texts[3]
  return row.sid == texts[1]
end

local function remove(sid, username)
  local name = member(sid, username)
  redis.call('ZREM', EXPIRY, name)
  redis.call('ZREM', ORDER, name)
  redis.call('ZREM', user_key(username), sid)
  return redis.call('DEL', session_key(sid)) == 1
end

-- The text of a row, false if there is none, nil if it cannot be read.
local function fetch(sid)
  local text = redis.pcall('GET', session_key(sid))
  if type(text) ~= 'table' then return text end
  table.insert(unreadable, sid)
  return nil
end

-- The row if it is live, without its texts; an expired one is removed on sight.
local function live(sid)
  local text = fetch(sid)
  if not text then return nil end
  local row = decode(text)
  if not row then
    table.insert(unreadable, sid)
    return nil
  end
  row.sid = sid
  if now < row.expires_at then return row end
  if complete(row) then remove(sid, row.username) end
  return nil
end

-- The same with its texts.
local function live_complete(sid)
  local row = live(sid)
  if not row or complete(row) then return row end
  table.insert(unreadable, sid)
  return nil
end

-- Whether the indexes say that a row is live; they are exact, and cheaper than the row.
local function is_live(sid, username)
  local expires_at = redis.call('ZSCORE', EXPIRY, member(sid, username))
  return expires_at and now < tonumber(expires_at)
end

local function count() return redis.call('ZCOUNT', EXPIRY, '(' .. integer(now), '+inf') end

local function sids_of(username) return redis.call('ZRANGE', user_key(username), 0, -1) end

-- Remove up to `limit` expired rows: how many there were.
local function expire(limit)
  local names = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', integer(now), 'LIMIT', 0, limit)
  for _, name in ipairs(names) do remove(parts(name)) end
  return #names
end

-- Set down when a row ends, for commands and for Redis' own expiry. An index lives as long as
-- the longest of its rows.
local function schedule(row)
  redis.call('ZADD', EXPIRY, integer(row.expires_at), member(row.sid, row.username))
  local ttl = math.max(row.expires_at - now, 0) / 1000 + SLACK_MS
  redis.call('PEXPIRE', session_key(row.sid), integer(ttl))
  for _, index in ipairs({EXPIRY, ORDER, user_key(row.username)}) do
    if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, integer(ttl)) end
  end
end

local function insert(row)
  local newest = redis.call('ZREVRANGE', ORDER, 0, 0, 'WITHSCORES')[2] or 0
  local order = integer(newest + 1)
  redis.call('SET', session_key(row.sid), row.text)
  redis.call('ZADD', ORDER, order, member(row.sid, row.username))
  redis.call('ZADD', user_key(row.username), order, row.sid)
  schedule(row)
end

local function replace(row)
  row.text = encode(row)
  redis.call('SET', session_key(row.sid), row.text, 'KEEPTTL')
  return row.text
end

-- What a script returns: the answer, beside the rows that could not be read, if any.
local function answer(value)
  if #unreadable == 0 then return value end
  return {'unreadable', unreadable, value or false}
end
