-- ARGV: prefix, now, sid.

local row = live(ARGV[3])
return answer(row and row.text)
