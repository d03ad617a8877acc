-- The table of rotation.py, for Touch and Close. Its text says why; this one must say the same.

-- The answer to a presented generation, and what it is to the row, which is live.
local function classify(presented, now, generation, previous_until, oldest_accepted, revoked_below,
    shared)
  if presented == generation then return 'accept', 'current' end
  if presented > generation then return 'refuse', 'unissued' end
  if presented < revoked_below then return 'refuse', 'retired' end
  if shared == 1 or (presented >= oldest_accepted and now < previous_until) then
    return 'accept', 'previous'
  end
  return 'end', 'stale'
end
