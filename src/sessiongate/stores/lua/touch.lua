-- ARGV: prefix, now, sid, generation, rotation, policy as JSON.

local sid, generation, rotation = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local row = live(sid)
if not row then return answer(nil) end
local verdict = present(row, generation, cjson.decode(ARGV[6]), rotation)
if verdict == 'same' then return row.text end
if verdict == 'changed' then return replace(row) end
if verdict == 'refused' then return nil end
if not complete(row) then return {'unreadable', {sid}, false} end
if verdict == 'replayed' then
  remove(sid, row.username)
  return {'replayed', sid, row.username}
end
replace(row)
schedule(row)
return {'rotated', sid, row.text}
