#!lua name=signal_user_limits_@VERSION@
-- How many connections a user has over all gateways, and how often it connects: each function in one step.
-- The keys of a call are those of one user, and so lie in one slot of a cluster. Times are those of this server.

local function now_us()
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
end

-- KEYS connections connects
-- ARGV life_ms, connection, limit (-1: none), interval_us (0: no rate), burst
-- 'connections' or 'connects', of which there are too many, and nothing has changed; or 'ok', and this one counts.
-- `connects` holds when the bucket is full again (GCRA).
local function admit(keys, args)
    local connections, connects = unpack(keys)
    local life_ms, connection, limit, interval_us, burst = unpack(args)
    local now = now_us()
    local now_ms = math.floor(now / 1000)
    redis.call('ZREMRANGEBYSCORE', connections, '-inf', now_ms)
    if tonumber(limit) >= 0 and redis.call('ZCARD', connections) >= tonumber(limit) then
        return 'connections'
    end
    if tonumber(interval_us) > 0 then
        local full = math.max(tonumber(redis.call('GET', connects) or 0), now) + interval_us
        if full - now > interval_us * burst then
            return 'connects'
        end
        redis.call('SET', connects, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
    end
    redis.call('ZADD', connections, now_ms + life_ms, connection)
    redis.call('PEXPIRE', connections, life_ms)
    return 'ok'
end

-- KEYS connections
-- ARGV life_ms, connection ..
-- These connections are still there, also where nobody knows of them any more.
local function renew(keys, args)
    local ends = math.floor(now_us() / 1000) + args[1]
    for at = 2, #args do
        redis.call('ZADD', keys[1], ends, args[at])
    end
    redis.call('PEXPIRE', keys[1], args[1])
end

local function register(name, callback)
    -- Users still come in when no memory is left: what they take is small, and ends by itself.
    redis.register_function({function_name = name .. '_@VERSION@', callback = callback, flags = {'allow-oom'}})
end

register('signal_admit_user', admit)
register('signal_renew_user', renew)
