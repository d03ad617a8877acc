-- ARGV: now; prefix, username, sid to keep or ''. Ends unreadable rows as well.

local username, keep = ARGV[3], ARGV[4]

local ended = {}
for _, sid in ipairs(sids_of(username)) do
  if sid ~= keep then
    local counts = is_listed(sid, username)
    if remove(sid, username) and counts then
      table.insert(ended, sid)
      table.insert(ended, username)
    end
  end
end
return {'all ended', ended}
