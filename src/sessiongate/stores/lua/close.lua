-- ARGV: now, generation or -1; prefix, and the username if it matters.

local _, generation = struct.unpack('>i8i8', ARGV[1])
local owner = ARGV[3]

local sid = sid_of(KEYS[1])
local row = live(sid)
if not row then return answer(nil) end
if owner and owner ~= row.username then return nil end
local kind = 'ended'
if generation >= 0 then
  local verdict = classify(
    generation, now, row.generation, row.previous_until, row.oldest_accepted, row.revoked_below,
    row.shared
  )
  if verdict == 'refuse' then return nil end
  if verdict == 'end' then kind = 'replayed' end
end
remove(sid, row.username)
return {kind, sid, row.username}
