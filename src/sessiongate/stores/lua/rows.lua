-- The indexes that rows are found by, and all that changes rows.
--
-- A member of the two indexes over all rows names the user as well, so that a row that Redis has
-- dropped can be cleaned up after.
--
-- For a Redis Cluster all keys of a user would have to share a hash tag, which the sid could
-- carry, and the limit over all users would have to go.

-- Redis' own expiry only collects what no command has removed. It runs on another clock than
-- the commands do, so it comes late, by an hour.
local SLACK_MS = 3600000

local now, prefix = struct.unpack('>i8', ARGV[1]), ARGV[2]
local EXPIRY = prefix .. 'expiry'  -- all rows, by the time of their end
local ORDER = prefix .. 'order'    -- all rows, in the order of opening

local unreadable = {}  -- sids of corrupt rows, and of rows of a newer version

local function session_key(sid) return prefix .. 'session:' .. sid end
local function sid_of(key) return string.sub(key, #session_key('') + 1) end
local function user_key(username) return prefix .. 'user:' .. username end
local function member(sid, username) return sid .. ':' .. username end
local function parts(name) return string.match(name, '^([^:]*):(.*)$') end
local function integer(number) return string.format('%.0f', number) end

-- The numbers of a row by name, nil if it is corrupt or of a newer version.
local function decode(text)
  local format, created_at, last_accessed, expires_at, lifetime_ends_at, generation, rotated_at,
    previous_until, oldest_accepted, revoked_below, shared = numbers(text)
  if format ~= FORMAT then return nil end
  return {
    created_at = created_at,
    last_accessed = last_accessed,
    expires_at = expires_at,
    lifetime_ends_at = lifetime_ends_at,
    generation = generation,
    rotated_at = rotated_at,
    previous_until = previous_until,
    oldest_accepted = oldest_accepted,
    revoked_below = revoked_below,
    shared = shared,
    text = text,
  }
end

local function encode(row)
  return struct.pack(
    PACKED, FORMAT,
    row.created_at, row.last_accessed, row.expires_at, row.lifetime_ends_at, row.generation,
    row.rotated_at, row.previous_until, row.oldest_accepted, row.revoked_below, row.shared
  ) .. string.sub(row.text, SIZE + 1)
end

-- Add the texts to a row: whether all of it is sound, and it is the one of this sid, if given.
local function complete(row, sid)
  local parsed, texts = pcall(cjson.decode, string.sub(row.text, SIZE + 1))
  if not parsed or type(texts) ~= 'table' or #texts ~= 4 then return false end
  for _, text in ipairs(texts) do
    if type(text) ~= 'string' then return false end
  end
  for _, number in pairs(row) do
    if type(number) == 'number' and not (number >= 0 and number <= FOREVER) then return false end
  end
  row.sid, row.username, row.scopes_and_claims = texts[1], texts[2], texts[3]
  return row.sid == (sid or row.sid) and row.shared <= 1
    and row.revoked_below <= row.oldest_accepted and row.oldest_accepted <= row.generation
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

-- The row of a text if it is sound and live; an expired one is removed on sight.
local function understood(sid, text)
  local row = decode(text)
  if not row or not complete(row, sid) then
    table.insert(unreadable, sid)
    return nil
  end
  if now < row.expires_at then return row end
  remove(sid, row.username)
  return nil
end

-- The same, of what is stored.
local function live(sid)
  local text = fetch(sid)
  return text and understood(sid, text) or nil
end

-- Whether the indexes say that a row is live; they are exact, and cheaper than the row.
local function is_listed(sid, username)
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
