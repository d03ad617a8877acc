-- The table of rotation.py, for Touch and Close. Its text says why; this one must say the same.

-- The answer to a presented generation, and what it is to the row, which is live.
local function classify(presented, now, generation, previous_until, honoured_from, retired_below,
    shared)
  if presented == generation then return 'accept', 'current' end
  if presented > generation then return 'refuse', 'unissued' end
  if presented < retired_below then return 'refuse', 'retired' end
  if shared == 1 or (presented >= honoured_from and now < previous_until) then
    return 'accept', 'previous'
  end
  return 'end', 'stale'
end
