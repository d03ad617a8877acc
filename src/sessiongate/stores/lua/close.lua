-- ARGV: prefix, now, sid, generation or '', and the username if it matters.

local sid, generation, owner = ARGV[3], tonumber(ARGV[4]), ARGV[5]

local row = live_complete(sid)
if not row then return answer(nil) end
if owner and owner ~= row.username then return nil end
local kind = 'ended'
if generation then
  local verdict = TABLE[classify(row, generation)]
  if verdict == 'refuse' then return nil end
  if verdict == 'end' then kind = 'replayed' end
end
remove(sid, row.username)
return {kind, sid, row.username}
