-- The second part of Touch: a row that is to be changed, or ended, or reported.

local sid = sid_of(KEYS[1])
local row = understood(sid, text)
if not row then return answer(nil) end
if verdict == 'end' then
  remove(sid, row.username)
  return {'replayed', sid, row.username}
end
CHANGES[verdict](row, {timeout = timeout, grace = grace, time_resolution = time_resolution})
replace(row)
if verdict == 'touch' or verdict == 'see' then return row.text end
schedule(row)
return {'rotated', sid, row.text}
