-- The table of rotation.py, for Touch and Close. Its text says why; this one must say the same.

local NEVER, WHEN_DUE, NOW = 0, 1, 2

local TABLE = {
  unissued = 'refuse',
  current = 'accept',
  previous = 'accept',
  retired = 'refuse',
  stale = 'end',
}

local function classify(row, generation)
  if generation == row.generation then return 'current' end
  if generation > row.generation then return 'unissued' end
  if generation < row.retired_below then return 'retired' end
  if row.shared == 1 or (generation >= row.honoured_from and now < row.previous_until) then
    return 'previous'
  end
  return 'stale'
end

-- Make a row its own successor. fmod, because Lua's % is inexact for numbers of this size.
local function succeed(row, policy)
  row.generation = row.generation + 1
  row.rotated_at = now - math.fmod(now, policy.quantum)
  row.last_accessed = math.max(now, row.last_accessed)
  row.expires_at = math.min(row.rotated_at + policy.timeout, row.lifetime_ends_at)
end

local function rotate(row, policy)
  local overlap = now < row.previous_until
  row.honoured_from =
    overlap and math.max(row.honoured_from, row.generation - 1) or row.generation
  row.previous_until = FOREVER
  succeed(row, policy)
end

local function refresh(row, policy)
  succeed(row, policy)
  row.previous_until = 0
  row.honoured_from = row.generation
  row.retired_below = row.generation
  row.shared = 0
end

local function share(row)
  if row.shared == 1 then return end
  if now >= row.previous_until then row.honoured_from = row.generation end
  row.retired_below = row.honoured_from
  row.shared = 1
end

-- Apply the table to a live row, in place: 'refused', 'replayed', 'rotated', 'changed' or 'same'.
local function present(row, generation, policy, rotation)
  local presented = classify(row, generation)
  local verdict = TABLE[presented]
  if verdict == 'refuse' then return 'refused' end
  if verdict == 'end' then return 'replayed' end
  if rotation == NOW then
    refresh(row, policy)
    return 'rotated'
  end
  if presented == 'current' then
    if rotation == WHEN_DUE and row.shared == 0
        and now - row.rotated_at >= policy.rotate_after then
      rotate(row, policy)
      return 'rotated'
    end
    if row.previous_until == FOREVER then
      row.previous_until = now + policy.grace
      row.last_accessed = math.max(now, row.last_accessed)
      return 'changed'
    end
  end
  if now > row.last_accessed and now - row.last_accessed >= policy.touch_every then
    row.last_accessed = now
    return 'changed'
  end
  return 'same'
end
