-- ARGV: prefix, now, row, existing, replaces or '', whether the user's other rows matter,
-- limit or '', user's limit or '', whether to evict.

local BITE = 16  -- expired rows removed along with each login

local row = decode(ARGV[3])
complete(row)
local command = {
  row = row,
  existing = ARGV[4],
  replaces = ARGV[5],
  looks_at_user = ARGV[6] == '1',
  limit = tonumber(ARGV[7]),
  user_limit = tonumber(ARGV[8]),
  evict = ARGV[9] == '1',
}

expire(BITE)
local decision, found = admit(command)
if decision == 'existing' then
  share(found)
  return answer({'existing', found.sid, replace(found)})
end
if decision == 'limit' then return answer({'limit', found}) end
local ended = {}
for _, old in ipairs(found) do
  if remove(old.sid, old.username) then
    table.insert(ended, old.sid)
    table.insert(ended, old.username)
  end
end
insert(row)
return answer({'opened', ended})
