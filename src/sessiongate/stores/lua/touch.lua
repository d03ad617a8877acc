-- ARGV: prefix, now, sid, generation, rotation, and the five times of the policy.

local sid, generation, rotation = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local row = live(sid)
if not row then return answer(nil) end
local policy = {
  timeout = tonumber(ARGV[6]),
  rotate_after = tonumber(ARGV[7]),
  grace = tonumber(ARGV[8]),
  touch_every = tonumber(ARGV[9]),
  quantum = tonumber(ARGV[10]),
}
local verdict = present(row, generation, policy, rotation)
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
