-- ARGV: now; prefix.

local row = live(sid_of(KEYS[1]))
return answer(row and row.text)
