-- The decision of admission.py, for Open. Its text says why; this one must say the same.

-- The user's live rows, oldest first. What Redis has dropped leaves the index.
local function of_user(username)
  local rows = {}
  for _, sid in ipairs(sids_of(username)) do
    local row = live(sid)
    if row then
      table.insert(rows, row)
    elseif redis.call('EXISTS', session_key(sid)) == 0 then
      remove(sid, username)
    end
  end
  return rows
end

-- Call `take` with the sid and user of live rows, oldest first, until it says that it is enough.
local function each_oldest(take)
  local position = 0
  while true do
    local name = redis.call('ZRANGE', ORDER, position, position)[1]
    if not name then return end
    local sid, username = parts(name)
    if not is_listed(sid, username) then
      remove(sid, username)
    elseif take(sid, username) then
      return
    else
      position = position + 1
    end
  end
end

-- 'existing' and the row, 'limit' and its scope, or 'admitted' and what has to go out for it.
local function admit(command)
  local mine = command.looks_at_user and of_user(command.row.username) or {}
  if command.existing == 'reuse' then
    for i = #mine, 1, -1 do
      if mine[i].scopes_and_claims == command.row.scopes_and_claims then return 'existing', mine[i] end
    end
  end

  local out, leaves = {}, {}
  local function put_out(sid, username)
    if leaves[sid] then return false end
    leaves[sid] = true
    table.insert(out, {sid = sid, username = username})
    return true
  end

  local replaced = command.replaces ~= '' and live(command.replaces)
  if replaced then put_out(replaced.sid, replaced.username) end
  if command.existing == 'replace' then
    for _, row in ipairs(mine) do put_out(row.sid, row.username) end
  end

  if command.user_limit then
    local staying = {}
    for _, row in ipairs(mine) do
      if not leaves[row.sid] then table.insert(staying, row) end
    end
    local excess = #staying + 1 - command.user_limit
    if excess > 0 and not command.evict then return 'limit', 'user' end
    for i = 1, math.min(excess, #staying) do put_out(staying[i].sid, staying[i].username) end
  end

  if command.limit then
    local excess = count() - #out + 1 - command.limit
    if excess > 0 and not command.evict then return 'limit', 'total' end
    if excess > 0 then
      each_oldest(function(sid, username)
        if put_out(sid, username) then excess = excess - 1 end
        return excess <= 0
      end)
    end
  end
  return 'admitted', out
end
