-- What a row is; put in front of every script.
--
-- A row is the format number 1 and its ten numbers in the order of records.Row, packed, and a
-- JSON array of its texts (sid, username, scopes_and_claims, device). The numbers are packed, because that
-- is read in a fifth of the time, and because cjson writes no more than 14 digits; the texts are
-- only parsed where needed.
--
-- KEYS[1] is the key that the command is about; the others follow from what is found there.
-- ARGV[1] has the numbers of the command, packed, the first of which is `now`; ARGV[2] is what
-- all keys begin with; texts follow.
--
-- Each call makes the functions above the point where the script returns, and none below. So
-- what is seldom needed stands last.

local FOREVER = 9007199254740991
local FORMAT, PACKED, SIZE = 1, '>Bi8i8i8i8i8i8i8i8i8B', 74

-- The format and the numbers of a row, nothing if it has none.
local function numbers(text)
  if type(text) == 'string' and #text >= SIZE then return struct.unpack(PACKED, text) end
end
