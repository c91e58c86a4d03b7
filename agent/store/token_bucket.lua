#!lua
-- A take from a token bucket, or a give to it: what rules/limit/token_bucket.c does, charging the
-- same, on the server's clock.
--
--   KEYS[1]  'b', arrival, fraction, latest, as FORMAT has them: a struct limit_state's bucket
--   ARGV[1]  units wanted, or given back: at most the burst
--   ARGV[2]  the limit's units ...
--   ARGV[3]  ... its window ...
--   ARGV[4]  ... and its burst
--   ARGV[5]  a give: when the units were taken; else absent or empty
--   ARGV[6]  tests: the time
--
-- What a bucket lacks is counted in the time that refills it, in two numbers: whole microseconds, and
-- the rest in 1/units of one. Lua's numbers are exact up to 2^53; in 1/units alone it could be 2^75.
--
-- A take answers { now, granted, arrival, fraction, latest }, the state being that before it. Where
-- nothing is granted, nothing is changed.

local FORMAT, SIZE, TAG = '>BI7I4I7', 19, 98
local TIME_END = 4503599627370496 -- 2^52: in the year 2112
local LATE_MAX = 60000000 -- LIMIT_LATE_MAX
local SLACK = 1000 -- milliseconds: REDIS_LIMIT_SLACK

local wanted, units = tonumber(ARGV[1]), tonumber(ARGV[2])
local window, burst = tonumber(ARGV[3]), tonumber(ARGV[4])
local taken_at, now = tonumber(ARGV[5]), tonumber(ARGV[6])
local call, fmod, floor = redis.call, math.fmod, math.floor

local arrival, rest, latest = 0, 0, 0
local value = call('GETRANGE', KEYS[1], '0', '19') -- SIZE, and a byte too many
if value ~= '' then
  local tag
  if #value == SIZE then
    tag, arrival, rest, latest = struct.unpack(FORMAT, value)
  end
  if tag ~= TAG or arrival >= TIME_END or latest >= TIME_END then
    return redis.error_reply('ERR sluice: the value of the key is not a token bucket')
  end
end
if not now then
  local clock = call('TIME')
  now = clock[1] * 1000000 + clock[2]
end

-- The time that refills n units. n * unit_rest takes up to 60 bits: n is multiplied by 15 at a time.
local unit_rest = fmod(window, units)
local unit = (window - unit_rest) / units
local function time_of(n)
  local high = floor(n / 32768)
  local upper = high * unit_rest
  local upper_rest = fmod(upper, units)
  local lower = upper_rest * 32768 + (n - high * 32768) * unit_rest
  local lower_rest = fmod(lower, units)
  return n * unit + (upper - upper_rest) / units * 32768 + (lower - lower_rest) / units, lower_rest
end

-- What it lacks, as of `time`.
local empty, empty_rest = time_of(burst)
local time, lack, lack_rest = now, 0, 0
if latest - now <= (window > LATE_MAX and window or LATE_MAX) then
  if latest > now then
    time = latest
  end
  if arrival >= latest then
    lack, lack_rest = arrival - latest, rest
    if rest >= units then
      lack, lack_rest = lack + 1, 0
    end
    if lack > empty or (lack == empty and lack_rest > empty_rest) then
      lack, lack_rest = empty, empty_rest
    end
  end
  lack = lack - (time - latest)
  if lack < 0 then
    lack, lack_rest = 0, 0
  end
end

if taken_at then
  local back, back_rest = time_of(wanted)
  back = back - (time - taken_at)
  if taken_at > time or back < 0 or back + back_rest == 0 or lack + lack_rest == 0 then
    return 0
  end
  lack, lack_rest = lack - back, lack_rest - back_rest
  if lack_rest < 0 then
    lack, lack_rest = lack - 1, lack_rest + units
  end
  if lack < 0 then
    lack, lack_rest = 0, 0
  end
  call('SET', KEYS[1], struct.pack(FORMAT, TAG, time + lack, lack_rest, latest), 'KEEPTTL')
  return 1
end

local room, room_rest = empty - lack, empty_rest - lack_rest
if room_rest < 0 then
  room, room_rest = room - 1, room_rest + units
end

-- Whether there is room for n units, and what they take.
local function fits(n)
  local needed, needed_rest = time_of(n)
  return needed < room or (needed == room and needed_rest <= room_rest), needed, needed_rest
end

local granted = wanted
local fit, taken, taken_rest = fits(wanted)
if not fit then
  -- Below 2^30, so rounding puts it off by 1 at most.
  granted = floor((room * units + room_rest) / window)
  if not fits(granted) then
    granted = granted - 1
  elseif fits(granted + 1) then
    granted = granted + 1
  end
  taken, taken_rest = time_of(granted)
end

if granted > 0 then
  lack, lack_rest = lack + taken, lack_rest + taken_rest
  if lack_rest >= units then
    lack, lack_rest = lack + 1, lack_rest - units
  end
  call('SET', KEYS[1], struct.pack(FORMAT, TAG, time + lack, lack_rest, time),
       'PX', string.format('%d', (time - now + lack) / 1000 + 1 + SLACK))
end
return { now, granted, arrival, rest, latest }
