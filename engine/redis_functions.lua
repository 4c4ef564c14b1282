#!lua name=signal_owner_@VERSION@
-- What the owner of a topic asks of Redis, by the rules of docs/bus.md: each function in one step, or not at all.
-- The keys of a call are those of one topic, and so lie in one slot of a cluster. @VERSION@ becomes a digest of this
-- text: processes of two versions live side by side, each with the functions that it knows.

local MANY = 1000 -- arguments of one command: what Lua can unpack is bounded

local function call_with(command, key, args, first, last)
    for from = first, last, MANY do
        redis.call(command, key, unpack(args, from, math.min(from + MANY - 1, last)))
    end
end

-- Owner, epoch, next offset, number of the newest envelope. Numbers stay text: nothing is counted here.
local function standing(meta)
    local found = redis.call('HMGET', meta, 'owner', 'epoch', 'next', 'number')
    return {found[1] or '', found[2] or '', found[3] or '1', found[4] or '0'}
end

local function larger(one, other)
    if tonumber(one) < tonumber(other) then
        return other
    end
    return one
end

-- Channel, row, channel, row .. of a text that has each behind its length: an argument for each would cost the owner
-- three times as much.
local function unpack_rows(rows)
    local fields, at, count = {}, 1, 0
    while at <= #rows do
        fields[count + 1], fields[count + 2], at = struct.unpack('>I2c0I4c0', rows, at)
        count = count + 2
    end
    return fields
end

-- KEYS meta lease finals final
-- ARGV identity epoch fresh known_next known_number lease_ms
-- nil while another owns the topic; else epoch, next, number, all of meta, all newest finals.
local function acquire(keys, args)
    local meta, lease, finals, final = unpack(keys)
    local identity, new_epoch, fresh, known_next, known_number, lease_ms = unpack(args)
    local holder = redis.call('GET', lease)
    if holder and holder ~= identity then
        return false
    end
    local _, epoch, next_offset, number = unpack(standing(meta))
    if epoch == '' then
        redis.call('DEL', finals, final) -- of a life that nobody remembers; its ids may be above ours
    end
    local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
    local behind = tonumber(next_offset) < tonumber(known_next) or tonumber(number) < tonumber(known_number)
    if fresh == '1' or behind or epoch == '' or redis.call('HGET', meta, 'replid') ~= replid then
        epoch = new_epoch
    end
    next_offset, number = larger(next_offset, known_next), larger(number, known_number)
    redis.call('HSET', meta, 'owner', identity, 'epoch', epoch, 'next', next_offset, 'number', number, 'replid', replid)
    redis.call('SET', lease, identity, 'PX', lease_ms)
    return {epoch, next_offset, number, redis.call('HGETALL', meta), redis.call('HGETALL', final)}
end

-- KEYS lease
-- ARGV identity
local function release(keys, args)
    if redis.call('GET', keys[1]) == args[1] then
        redis.call('DEL', keys[1])
    end
end

-- KEYS meta lease finals final
-- ARGV publish live, owner epoch next number, next and number behind it, lease_ms, min_id, rows,
--      how many envelopes, how many dropped channels, and then these:
--      top first finals (empty: none) envelope .., channel .., boundary open_ms ..
-- Owner, epoch, next, number: where the topic stands now.
local function publish(keys, args)
    local meta, lease, finals, final = unpack(keys)
    local say, live, owner, epoch, next_offset, number, next_after, number_after, lease_ms, min_id = unpack(args, 1, 10)
    local rows, envelopes, dropped = args[11], tonumber(args[12]), tonumber(args[13])
    local found = standing(meta)
    if found[1] ~= owner or found[2] ~= epoch or found[3] ~= next_offset or found[4] ~= number then
        return found
    end
    local first_dropped = 14 + 4 * envelopes
    local first_closed = first_dropped + dropped
    for at = 14, first_dropped - 1, 4 do -- before all else: nothing but a foreign entry makes it fail, and only the first
        if args[at + 2] ~= '' then
            redis.call('XADD', finals, args[at] .. '-0', 'first', args[at + 1], 'finals', args[at + 2])
        end
    end
    local fields = unpack_rows(rows)
    call_with('HSET', final, fields, 1, #fields)
    call_with('HDEL', final, args, first_dropped, first_closed - 1)
    for at = 14, first_dropped - 1, 4 do
        redis.call(say, live, args[at + 3])
    end
    redis.call('HSET', meta, 'next', next_after, 'number', number_after)
    call_with('HSET', meta, args, first_closed, #args)
    redis.call('XTRIM', finals, 'MINID', min_id)
    redis.call('SET', lease, owner, 'PX', lease_ms)
    return {owner, epoch, next_after, number_after}
end

-- KEYS demand
-- The channels that are wanted by Redis's clock; those that are not any more are forgotten.
local function demand(keys)
    local time = redis.call('TIME')
    redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', time[1] * 1000 + math.floor(time[2] / 1000))
    return redis.call('ZRANGE', keys[1], 0, -1)
end

-- KEYS instruments
-- ARGV symbol ..
local function announce(keys, args)
    redis.call('DEL', keys[1])
    call_with('SADD', keys[1], args, 1, #args)
end

local function register(name, callback, flags)
    redis.register_function({function_name = name .. '_@VERSION@', callback = callback, flags = flags})
end

-- What frees memory, or needs next to none, goes on when there is none left.
register('signal_acquire', acquire, {})
register('signal_release', release, {'allow-oom'})
register('signal_publish', publish, {})
register('signal_demand', demand, {'allow-oom'})
register('signal_announce', announce, {})
