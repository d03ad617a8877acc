-- ARGV: now; prefix, username; without one, all rows. Python leaves out what is not live.

local username = ARGV[3]

local rows = {}
local function add(sid)
  local text = fetch(sid)
  if text then
    table.insert(rows, sid)
    table.insert(rows, text)
  end
end

if username then
  for _, sid in ipairs(sids_of(username)) do add(sid) end
else
  for _, name in ipairs(redis.call('ZRANGE', ORDER, 0, -1)) do add((parts(name))) end
end
return answer({'rows', rows})
