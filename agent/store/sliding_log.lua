#!lua
-- A take from a sliding log, or a give to it: what rules/limit/sliding_log.c does, charging the same,
-- on the server's clock.
--
--   KEYS[1]  the log: HEAD, and a PAIR for each run
--   ARGV[1]  units wanted, at most the limit's; or given back
--   ARGV[2]  the limit's units
--   ARGV[3]  the window
--   ARGV[4]  a give: when the units were taken; else absent or empty
--   ARGV[5]  tests: the time
--
-- Units are numbered as they are granted. A run is of those granted at one time: that time, and the
-- number of the last one. HEAD ends with a pair as of a run 0: the key's clock, and the number of the
-- unit before the first. So the run of a time and that of a unit are found by halving.
--
-- A log of at most CHUNK bytes is read and written whole, which is two commands. Of a longer one only
-- what is needed is, for Lua looks at every byte of every string that it makes. Its first `dead` runs
-- no longer count; they are removed when they are more than half. A give numbers anew the runs after
-- those that it takes units from, a BATCH at a time.
--
-- A take answers { now, granted, latest, live, leaving, newest, next }: the key's clock before it, how
-- many units count then, and of these the time of the one that must go before `wanted` fit, and that
-- of the newest; then, of all that count after it, the time of the one that must go before one more
-- fits; 0 where there is none. Where nothing is granted, nothing is changed.

local HEAD, HEAD_SIZE, TAG = '>BI4I4I7I7', 23, 108 -- tag, dead, runs, clock, number
local PAIR, PAIR_SIZE = '>I7I7', 14                -- time, number
local TIME, LAST = 10, 17                          -- where they are of run 0
local CHUNK = 1024
local BATCH = 64                                   -- pairs
local UNITS_MAX = 10000                            -- LIMIT_LOG_UNITS_MAX
local LATE_MAX = 60000000                          -- LIMIT_LATE_MAX
local TIME_END = 4503599627370496                  -- 2^52: in the year 2112
local SLACK = 1000                                 -- milliseconds: REDIS_LIMIT_SLACK

local wanted, units, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local taken_at, now = tonumber(ARGV[4]), tonumber(ARGV[5])
local call, key = redis.call, KEYS[1]
local pack, unpack, unpack_table = struct.pack, struct.unpack, unpack

local value, offset = call('GETRANGE', key, '0', '1023'), 0
if value == '' then
  value = pack(HEAD, TAG, 0, 0, 0, 0)
end
local tag, dead, runs, latest, first
if #value >= HEAD_SIZE then
  tag, dead, runs, latest, first = unpack(HEAD, value)
end
if tag ~= TAG or dead > runs or runs > 2 * UNITS_MAX or latest >= TIME_END then
  return redis.error_reply('ERR sluice: the value of the key is not a sliding log')
end
local size = HEAD_SIZE + runs * PAIR_SIZE

-- TIME or LAST of a run. What is beyond the value's end is an error, which ends the script.
local function at(field, run)
  local position = field + run * PAIR_SIZE - offset
  if size > CHUNK and (position < 1 or position + 6 > #value) then
    offset = TIME - 1 + run * PAIR_SIZE
    value = call('GETRANGE', key, offset, offset + CHUNK - 1)
    position = field - TIME + 1
  end
  return (unpack('>I7', value, position))
end

-- The last run, of those not dead, with a TIME or LAST of at most this; `dead` if there is none. It
-- is looked for from the oldest on, in strides that double.
local function find(field, most)
  local low, stride = dead, 1
  while low + stride <= runs and at(field, low + stride) <= most do
    low, stride = low + stride, 2 * stride
  end
  local high = math.min(low + stride - 1, runs)
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

local newest, last = at(TIME, runs), at(LAST, runs)
local held = last - at(LAST, dead)
if held < 0 or held > UNITS_MAX then
  return redis.error_reply('ERR sluice: the value of the key is not a sliding log')
end
if not now then
  local clock = call('TIME')
  now = clock[1] * 1000000 + clock[2]
end

-- As of `time`: the last run that no longer counts, and the number of its last unit.
local time, expired, gone = now, runs, last
if latest - now <= math.max(window, LATE_MAX) then
  time = math.max(now, latest)
  if newest > time - window then
    expired = find(TIME, time - window)
    gone = at(LAST, expired)
  end
end

if taken_at then
  local stop = find(TIME, taken_at)
  if taken_at > time or stop <= expired then
    return 0
  end
  local removed = math.min(wanted, at(LAST, stop) - gone)
  local left = at(LAST, stop) - removed
  local whole = find(LAST, left)
  local parts = {}
  if left > at(LAST, whole) then
    parts[1] = pack(PAIR, at(TIME, whole + 1), left)
  end
  local kept = whole + #parts + runs - stop
  -- The runs after it have fewer before them.
  for run = stop + 1, runs, BATCH do
    local count = math.min(BATCH, runs - run + 1)
    local begin, format = HEAD_SIZE + (run - 1) * PAIR_SIZE, '>' .. string.rep('I7I7', count)
    local numbers = { unpack(format, call('GETRANGE', key, begin, begin + count * PAIR_SIZE - 1)) }
    for i = 2, 2 * count, 2 do
      numbers[i] = numbers[i] - removed
    end
    parts[#parts + 1] = pack(format, unpack_table(numbers, 1, 2 * count))
  end
  call('SETRANGE', key, HEAD_SIZE + whole * PAIR_SIZE, table.concat(parts))
  call('SETRANGE', key, 0, pack(HEAD, TAG, dead, kept, latest, first))
  return 1
end

local live = last - gone
local granted = math.min(wanted, math.max(units - live, 0))
local leaving = 0
if granted < wanted then
  leaving = at(TIME, find(LAST, last - (units - wanted) - 1) + 1)
end
local excess, next_one = live + granted - units, 0
if excess >= 0 then
  next_one = live == 0 and time or at(TIME, find(LAST, gone + excess) + 1)
end

if granted > 0 then
  local stop = newest == time and runs - 1 or runs -- the last run to be kept as it is
  local ttl = string.format('%d', (time - now + window) / 1000 + 1 + SLACK)
  if live == 0 then
    call('SET', key, pack(HEAD, TAG, 0, 1, time, 0) .. pack(PAIR, time, granted), 'PX', ttl)
  elseif size <= CHUNK or 2 * expired > runs then
    local from, to = HEAD_SIZE + expired * PAIR_SIZE, HEAD_SIZE + stop * PAIR_SIZE
    local kept = ''
    if size <= CHUNK then
      kept = string.sub(value, from + 1, to)
    elseif stop > expired then
      kept = call('GETRANGE', key, from, to - 1)
    end
    call('SET', key, pack(HEAD, TAG, 0, stop - expired + 1, time, gone) .. kept ..
                     pack(PAIR, time, last + granted), 'PX', ttl)
  else
    call('SETRANGE', key, HEAD_SIZE + stop * PAIR_SIZE, pack(PAIR, time, last + granted))
    call('SETRANGE', key, 0, pack(HEAD, TAG, expired, stop + 1, time, first))
    call('PEXPIRE', key, ttl)
  end
end
return { now, granted, latest, live, leaving, live > 0 and newest or 0, next_one }
