-- Applies one message of Kafka to Redis atomically, together with its offset.
--
-- KEYS  1 offsets, 2 generations; then by kind
--       alert: 3 hash, 4 stream, 5 active set, 6 set of units    bed: 3 hash, 4 set of beds, 5 set of units
--       vitals: 3 hash, 4 trend stream    strip: 3 string
-- ARGV  1 kind  2 <topic>/<partition>  3 offset  4 generation (-1: the message carries none)
--       5 the offset that the caller applied last on this partition (-1: none yet)
--       6 '' to publish; to rebuild, the offset that was applied when the rebuild began; then by kind
--
-- Returns applied, or the reason why nothing changed: version, generation, offset; or 'rolled-back <offset>' when Redis
-- holds a lower offset than the caller applied before: the caller goes back to that offset.
local kind, place, offset, generation = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local publishing = ARGV[6] == ''
local applied = redis.call('HGET', KEYS[1], place) or '-1'

if publishing then
  if tonumber(applied) < tonumber(ARGV[5]) then return 'rolled-back ' .. applied end
  if offset <= tonumber(applied) then return 'offset' end
  redis.call('HSET', KEYS[1], place, ARGV[3])
  local known = tonumber(redis.call('HGET', KEYS[2], place) or -1)
  if generation >= 0 and generation < known then return 'generation' end
  if generation > known then redis.call('HSET', KEYS[2], place, ARGV[4]) end
end

-- While a rebuild runs the publisher goes on: what it wrote meanwhile is newer than what the rebuild holds.
local function overtaken(field)
  return not publishing and applied ~= ARGV[6] and redis.call('HEXISTS', KEYS[3], field) == 1
end

if kind == 'alert' then
  -- 7 id 8 version 9 phase 10 state 11 code 12 priority 13 bed_stream 14 bed 15 sounding 16 doc
  -- 17 onset ms 18 expiry if off, ms 19 kept in the stream, ms 20 channel 21 live message 22 unit
  local stored, version = tonumber(redis.call('HGET', KEYS[3], 'version') or 0), tonumber(ARGV[8])
  if version < stored or (publishing and version == stored) then return 'version' end
  local names = {'id', 'version', 'phase', 'state', 'code', 'priority', 'bed_stream', 'bed', 'sounding', 'doc'}
  local fields = {}
  for i, name in ipairs(names) do
    fields[#fields + 1] = name
    fields[#fields + 1] = ARGV[6 + i]
  end
  redis.call('HSET', KEYS[3], unpack(fields))
  redis.call('SADD', KEYS[6], ARGV[22])
  if ARGV[10] == 'off' then
    redis.call('ZREM', KEYS[5], ARGV[7])
    redis.call('PEXPIREAT', KEYS[3], ARGV[18])
  else
    redis.call('ZADD', KEYS[5], ARGV[17], ARGV[7])
    redis.call('PERSIST', KEYS[3])
  end
  if publishing then
    local oldest = math.max(0, tonumber(redis.call('TIME')[1]) * 1000 - tonumber(ARGV[19]))
    redis.call('XADD', KEYS[4], 'MINID', '~', string.format('%.0f', oldest), '*', unpack(fields))
    redis.call('PUBLISH', ARGV[20], ARGV[21])
  end
elseif kind == 'bed' then
  -- 7 bed_stream 8 unit 9 doc 10 since 11 channel 12 live message 13 prefix of the sets of beds
  if overtaken('doc') then return 'offset' end
  local before = redis.call('HGET', KEYS[3], 'doc')
  if before then
    local unit = cjson.decode(before)['unit']
    if unit ~= ARGV[8] then redis.call('SREM', ARGV[13] .. unit, ARGV[7]) end
  end
  redis.call('HSET', KEYS[3], 'doc', ARGV[9])
  redis.call('HSETNX', KEYS[3], 'last_seen', ARGV[10])
  redis.call('SADD', KEYS[4], ARGV[7])
  redis.call('SADD', KEYS[5], ARGV[8])
  if publishing then redis.call('PUBLISH', ARGV[11], ARGV[12]) end
elseif kind == 'vitals' then
  -- 7 doc 8 at 9 prefix of the live channels 10 live message
  -- 11 period of trend points, ms 12 kept, ms 13 at, ms 14 hr 15 PVCs a minute 16 ST as JSON 17 rhythm ('': not known)
  if overtaken('vitals') then return 'offset' end
  redis.call('HSET', KEYS[3], 'vitals', ARGV[7], 'last_seen', ARGV[8])
  local bed = redis.call('HGET', KEYS[3], 'doc')  -- vitals name no unit: the bed document does
  if publishing and bed then redis.call('PUBLISH', ARGV[9] .. cjson.decode(bed)['unit'], ARGV[10]) end
  if publishing then
    -- One trend point a period: the values at its end, and the lowest and highest heart rate in it.
    local period, at_ms, hr = tonumber(ARGV[11]), tonumber(ARGV[13]), tonumber(ARGV[14])
    local slot = string.format('%.0f', math.floor(at_ms / period))
    local held = redis.call('HGET', KEYS[3], 'trend') or ''
    local held_slot, low, high = string.match(held, '^(%d+) (%S+) (%S+)$')
    low, high = tonumber(low), tonumber(high)  -- nil where no heart rate was known
    if held_slot and held_slot ~= slot then
      local oldest = math.max(0, tonumber(redis.call('TIME')[1]) * 1000 - tonumber(ARGV[12]))
      redis.call('XADD', KEYS[4], 'MINID', '~', string.format('%.0f', oldest), '*', 'at', ARGV[13], 'hr', ARGV[14],
        'hr_min', tostring(low or ''), 'hr_max', tostring(high or ''), 'pvc', ARGV[15], 'st', ARGV[16], 'rhythm', ARGV[17])
      redis.call('PEXPIRE', KEYS[4], ARGV[12])
      low, high = nil, nil
    end
    if hr then low, high = math.min(low or hr, hr), math.max(high or hr, hr) end
    redis.call('HSET', KEYS[3], 'trend', slot .. ' ' .. tostring(low or '-') .. ' ' .. tostring(high or '-'))
  end
elseif kind == 'strip' then
  -- 7 value 8 expiry, ms
  redis.call('SET', KEYS[3], ARGV[7], 'PXAT', ARGV[8])
else
  return redis.error_reply('publish.lua: unknown kind ' .. kind)
end
return 'applied'
