#!lua
-- A take from a sliding log, or a give to it: what rules/limit/sliding_log.c does, charging the same,
-- on the server's clock.
--
--   KEYS[1]  'l' and pairs of numbers; see below
--   ARGV[1]  units wanted, at most the limit's; or given back
--   ARGV[2]  the limit's units
--   ARGV[3]  the window
--   ARGV[4]  a give: when the units were taken; else absent or empty
--   ARGV[5]  tests: the time
--
-- Units are numbered as they are granted. For each time at which any were, there is a pair: the time,
-- and the number of the last unit granted then. Before these runs comes a pair of the key's clock and
-- of the number of the unit before them all. So the run of a time and that of a unit are found by
-- halving. Besides that, a take costs copying the value, and a give writing anew the runs after those
-- that it takes units from.
--
-- A take answers { now, granted, latest, live, leaving, newest }: the key's clock before it, how many
-- units count then, and of these the time of the one that must go before `wanted` fit, and that of
-- the newest; 0 where there is none. Where nothing is granted, nothing is changed.

local HEAD, PAIR, TAG = '>BI7I7', '>I7I7', 108
local HEAD_SIZE, PAIR_SIZE = 15, 14
local TIME, LAST = 2, 9 -- where in the value these are of the pair before the runs
local UNITS_MAX = 10000 -- LIMIT_LOG_UNITS_MAX
local TIME_END = 4503599627370496 -- 2^52: in the year 2112
local LATE_MAX = 60000000 -- LIMIT_LATE_MAX
local SLACK = 1000 -- milliseconds: REDIS_LIMIT_SLACK

local wanted, units, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local taken_at, now = tonumber(ARGV[4]), tonumber(ARGV[5])
local call, pack, unpack = redis.call, struct.pack, struct.unpack

local value = call('GETRANGE', KEYS[1], '0', '140015') -- UNITS_MAX runs, and a byte too many
if value == '' then
  value = pack(HEAD, TAG, 0, 0)
end
local runs = (#value - HEAD_SIZE) / PAIR_SIZE
local tag, latest, first, newest, last
if runs >= 0 and runs <= UNITS_MAX and runs % 1 == 0 then
  tag, latest, first = unpack(HEAD, value)
  newest, last = unpack(PAIR, value, TIME + runs * PAIR_SIZE)
end
if tag ~= TAG or latest >= TIME_END or last < first or last - first > UNITS_MAX then
  return redis.error_reply('ERR sluice: the value of the key is not a sliding log')
end
if not now then
  local clock = call('TIME')
  now = clock[1] * 1000000 + clock[2]
end

-- TIME or LAST of a run; run 0 is what comes before them.
local function at(field, run)
  return (unpack('>I7', value, field + run * PAIR_SIZE))
end

-- How many runs have a TIME or LAST of at most this.
local function count(field, most)
  local low, high = 0, runs
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if at(field, middle) <= most then
      low = middle
    else
      high = middle - 1
    end
  end
  return low
end

-- As of `time`: how many runs no longer count, and the number of the last unit of these.
local time, expired, gone = now, runs, last
if latest - now <= math.max(window, LATE_MAX) then
  if latest > now then
    time = latest
  end
  if newest > time - window then
    expired = count(TIME, time - window)
    gone = at(LAST, expired)
  end
end

if taken_at then
  local stop = count(TIME, taken_at)
  if taken_at > time or stop <= expired then
    return 0
  end
  local removed = math.min(wanted, at(LAST, stop) - gone)
  local left = at(LAST, stop) - removed
  local whole = count(LAST, left)
  local parts = { string.sub(value, 1, HEAD_SIZE + whole * PAIR_SIZE) }
  if left > at(LAST, whole) then
    parts[2] = pack(PAIR, at(TIME, whole + 1), left)
  end
  for run = stop + 1, runs do
    parts[#parts + 1] = pack(PAIR, at(TIME, run), at(LAST, run) - removed)
  end
  call('SET', KEYS[1], table.concat(parts), 'KEEPTTL')
  return 1
end

local live = last - gone
local granted = math.min(wanted, math.max(units - live, 0))
local leaving = 0
if granted < wanted then
  leaving = at(TIME, count(LAST, last - (units - wanted) - 1) + 1)
end

if granted > 0 then
  local head, kept = '', ''
  if live == 0 then
    head, last = pack(HEAD, TAG, time, 0), 0
  else
    local stop = newest == time and runs - 1 or runs
    head = pack(HEAD, TAG, time, gone)
    kept = string.sub(value, HEAD_SIZE + expired * PAIR_SIZE + 1, HEAD_SIZE + stop * PAIR_SIZE)
  end
  call('SET', KEYS[1], head .. kept .. pack(PAIR, time, last + granted),
       'PX', string.format('%d', (time - now + window) / 1000 + 1 + SLACK))
end
return { now, granted, latest, live, leaving, live > 0 and newest or 0 }
