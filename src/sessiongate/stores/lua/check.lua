-- The first part of Touch, which is all of it unless something is to be changed.
-- ARGV: now, generation, rotation, the five times of the policy; prefix.

local NEVER, WHEN_DUE, NOW = 0, 1, 2

local now, presented, rotation, timeout, rotate_after, grace, touch_every, time_resolution =
  struct.unpack('>i8i8i8i8i8i8i8i8', ARGV[1])

local text = redis.pcall('GET', KEYS[1])
if not text then return nil end
local format, _, last_accessed, expires_at, _, generation, rotated_at, previous_until,
  oldest_accepted, revoked_below, shared = numbers(text)

local verdict
if format == FORMAT and now < expires_at then
  local answer, meaning = classify(
    presented, now, generation, previous_until, oldest_accepted, revoked_below, shared
  )
  local unseen = now - last_accessed
  if answer == 'refuse' then
    return nil
  elseif answer == 'end' then
    verdict = 'end'
  elseif rotation == NOW then
    verdict = 'refresh'
  elseif meaning == 'current' and rotation == WHEN_DUE and shared == 0
      and now - rotated_at >= rotate_after then
    verdict = 'rotate'
  elseif meaning == 'current' and previous_until == FOREVER then
    verdict = 'see'
  elseif unseen > 0 and unseen >= touch_every then
    verdict = 'touch'
  else
    return text
  end
end
