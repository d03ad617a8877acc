-- ARGV: now, limit; prefix.

local _, limit = struct.unpack('>i8i8', ARGV[1])
return expire(limit)
