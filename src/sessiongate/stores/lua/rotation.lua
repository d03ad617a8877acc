-- How rotation.py changes rows, for Touch and Open. Its text says why; this one must say the same.

local function touch(row) row.last_accessed = math.max(now, row.last_accessed) end

local function see(row, policy)
  touch(row)
  row.previous_until = now + policy.grace
end

-- Make a row its own successor. fmod, because Lua's % is inexact for numbers of this size.
local function succeed(row, policy)
  touch(row)
  row.generation = row.generation + 1
  row.rotated_at = now - math.fmod(now, policy.time_resolution)
  row.expires_at = math.min(row.rotated_at + policy.timeout, row.lifetime_ends_at)
end

local function rotate(row, policy)
  local overlap = now < row.previous_until
  row.oldest_accepted =
    overlap and math.max(row.oldest_accepted, row.generation - 1) or row.generation
  row.previous_until = FOREVER
  succeed(row, policy)
end

local function refresh(row, policy)
  succeed(row, policy)
  row.previous_until = 0
  row.oldest_accepted = row.generation
  row.revoked_below = row.generation
  row.shared = 0
end

local function share(row)
  if row.shared == 1 then return end
  if now >= row.previous_until then row.oldest_accepted = row.generation end
  row.revoked_below = row.oldest_accepted
  row.shared = 1
end

local CHANGES = {touch = touch, see = see, rotate = rotate, refresh = refresh}
