#!lua name=signal_gateway_@VERSION@
-- What a gateway asks of Redis, by the rules of docs/bus.md: each function in one step.
-- The keys of a call are those of one topic, and so lie in one slot of a cluster. @VERSION@ becomes a digest of this
-- text: processes of two versions live side by side, each with the functions that it knows.

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- KEYS meta finals final demand
-- ARGV publish wanted, demand_ms, since (empty: no finals), channel ..
-- Epoch, number, next offset, first offset held, entries above `since`, the channels' newest finals (nil: none).
-- The channels are wanted from now on, and their owner hears that somebody reads them.
local function read(keys, args)
    local meta, finals, final, demand = unpack(keys)
    local say, wanted, demand_ms, since = unpack(args, 1, 4)
    local state = redis.call('HMGET', meta, 'epoch', 'number', 'next')
    local next_offset = state[3] or '1'
    local oldest = redis.call('XRANGE', finals, '-', '+', 'COUNT', 1)[1]
    local first_held = oldest and oldest[2][2] or next_offset
    local entries = since == '' and {} or redis.call('XRANGE', finals, '(' .. since .. '-0', '+')
    local newest, channels, ends = {}, {}, now_ms() + demand_ms
    for at = 5, #args do
        newest[at - 4] = redis.call('HGET', final, args[at])
        channels[at - 4] = args[at]
        redis.call('ZADD', demand, ends, args[at])
    end
    if #channels > 0 then
        redis.call(say, wanted, cmsgpack.pack(channels))
    end
    return {state[1] or '', state[2] or '0', next_offset, first_held, entries, newest}
end

-- KEYS demand
-- ARGV publish wanted, demand_ms, soon_ms, channel ..
-- The channels whose demand ends soon are wanted for longer; the owner hears of those that were not wanted.
local function renew(keys, args)
    local say, wanted, demand_ms, soon_ms = unpack(args, 1, 4)
    local now, new = now_ms(), {}
    for at = 5, #args do
        local left = (redis.call('ZSCORE', keys[1], args[at]) or 0) - now
        if left < tonumber(soon_ms) then
            redis.call('ZADD', keys[1], now + demand_ms, args[at])
            if left <= 0 then
                new[#new + 1] = args[at]
            end
        end
    end
    if #new > 0 then
        redis.call(say, wanted, cmsgpack.pack(new))
    end
end

-- KEYS revoked
-- ARGV after (an id; empty: what is there of the last look_back_ms), look_back_ms, count
-- The newest id and how many entries there ever were; the entries behind `after`. A stream that ends before `after` is
-- another one, and is read as for the first time.
local function revoked(keys, args)
    local after, look_back_ms, count = unpack(args)
    local newest, added = '0-0', 0
    local stream = redis.pcall('XINFO', 'STREAM', keys[1])
    for at = 1, #stream, 2 do
        if stream[at] == 'last-generated-id' then
            newest = stream[at + 1]
        elseif stream[at] == 'entries-added' then
            added = stream[at + 1]
        end
    end
    local function is_before(one, other)
        local ms, n = string.match(one, '(%d+)-(%d+)')
        local other_ms, other_n = string.match(other, '(%d+)-(%d+)')
        ms, n, other_ms, other_n = tonumber(ms), tonumber(n), tonumber(other_ms), tonumber(other_n)
        return ms < other_ms or ms == other_ms and n < other_n
    end
    if after == '' or is_before(newest, after) then
        after = string.format('%.0f-0', now_ms() - look_back_ms)
    end
    return {newest, added, redis.call('XRANGE', keys[1], '(' .. after, '+', 'COUNT', count)}
end

local function register(name, callback)
    -- Subscribers still come in when no memory is left: what is wanted is small, and ends by itself.
    redis.register_function({function_name = name .. '_@VERSION@', callback = callback, flags = {'allow-oom'}})
end

register('signal_read', read)
register('signal_renew', renew)
register('signal_revoked', revoked)
