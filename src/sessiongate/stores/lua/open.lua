-- ARGV: now, whether the user's other rows matter, limit or -1, user's limit or -1, whether to
-- evict; prefix, row, existing, and the sid that it replaces or ''.

local BATCH_SIZE = 16  -- expired rows removed along with each login

local _, looks_at_user, limit, user_limit, evict = struct.unpack('>i8i8i8i8i8', ARGV[1])
local row = decode(ARGV[3])
complete(row)
local command = {
  row = row,
  existing = ARGV[4],
  replaces = ARGV[5],
  looks_at_user = looks_at_user == 1,
  limit = limit >= 0 and limit,
  user_limit = user_limit >= 0 and user_limit,
  evict = evict == 1,
}

expire(BATCH_SIZE)
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
