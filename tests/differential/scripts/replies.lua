-- What the replies of commands are in Lua, in either protocol, and what becomes of them when they are returned.

--- prelude
local function show(v) if type(v) ~= 'table' then return type(v) .. ' ' .. tostring(v) end local keys = {} for k in pairs(v) do keys[#keys + 1] = k end table.sort(keys, function(a, b) return tostring(a) < tostring(b) end) local parts = {} for _, k in ipairs(keys) do parts[#parts + 1] = tostring(k) .. '=' .. show(v[k]) end return '{' .. table.concat(parts, ', ') .. '}' end

--- a status
return {show(redis.call('SET', 'k', 'v')), show(redis.call('PING')), show(redis.pcall('PING'))}

--- a status is passed on
return redis.call('SET', 'k', 'v')

--- a field of a status
return redis.call('PING').ok .. '!'

--- an integer
return {show(redis.call('INCR', 'k')), show(redis.call('EXISTS', 'none'))}

--- large integers
return {show(redis.call('INCRBY', 'k', '9007199254740993')), redis.call('INCRBY', 'k', '1'), redis.call('GET', 'k')}

--- the largest integer
redis.call('SET', 'k', '9223372036854775806'); local n = redis.call('INCR', 'k'); return {show(n), n == 2^63, redis.call('GET', 'k')}

--- the lowest integer
redis.call('SET', 'k', '-9223372036854775807'); return {show(redis.call('DECR', 'k')), redis.call('GET', 'k')}

--- a bulk text
redis.call('SET', 'k', 'a\0b\r\n'); return {show(redis.call('GET', 'k')), #redis.call('GET', 'k'), redis.call('GET', 'k')}

--- a missing text
return {show(redis.call('GET', 'none')), redis.call('GET', 'none')}

--- a missing text is false
local v = redis.call('GET', 'none'); return {tostring(v == false), tostring(v == nil), tostring(not v)}

--- a missing array
return {show(redis.call('LPOP', 'none', 5)), show(redis.call('BLPOP', 'none', 0.01)), redis.call('BLPOP', 'none', 0)}

--- an empty array
return {show(redis.call('LRANGE', 'none', 0, -1)), redis.call('LRANGE', 'none', 0, -1)}

--- an array
--: run RPUSH list a b c
return {show(redis.call('LRANGE', 'list', 0, -1)), redis.call('LRANGE', 'list', 0, -1)}

--- an array with gaps
--: run MSET a 1 c 3
return {show(redis.call('MGET', 'a', 'b', 'c')), redis.call('MGET', 'a', 'b', 'c'), #redis.call('MGET', 'a', 'b', 'c')}

--- nested arrays
--: run GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
return {show(redis.call('GEOPOS', 'geo', 'Palermo', 'none', 'Catania')), redis.call('GEOPOS', 'geo', 'Palermo', 'none')}

--- a search with all it may have
--: run GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
return show(redis.call('GEOSEARCH', 'geo', 'FROMLONLAT', 15, 37, 'BYRADIUS', 200, 'km', 'ASC', 'WITHCOORD', 'WITHDIST', 'WITHHASH'))

--- a hash
--: run HSET hash a 1 b two
return {show(redis.call('HGETALL', 'hash')), redis.call('HGETALL', 'hash')}

--- a hash in RESP3
--: run HSET hash a 1 b two
redis.setresp(3); return {show(redis.call('HGETALL', 'hash')), redis.call('HGETALL', 'hash')}

--- a missing hash in RESP3
redis.setresp(3); return {show(redis.call('HGETALL', 'none')), redis.call('HGETALL', 'none')}

--- a set
--: run SADD set 3 1 2
return {show(redis.call('SMEMBERS', 'set')), redis.call('SMEMBERS', 'set')}

--- a set in RESP3
--: run SADD set 3 1 2
redis.setresp(3); return {show(redis.call('SMEMBERS', 'set')), redis.call('SMEMBERS', 'set')}

--- operations on sets in RESP3
--: run SADD a 1 2 3
--: run SADD b 3
redis.setresp(3); return {show(redis.call('SINTER', 'a', 'b')), show(redis.call('SUNION', 'a', 'b')), show(redis.call('SDIFF', 'none', 'a')), show(redis.call('SPOP', 'b', 5))}

--- a score
--: run ZADD z 1.5 a 2 b
return {show(redis.call('ZSCORE', 'z', 'a')), redis.call('ZSCORE', 'z', 'b'), show(redis.call('ZSCORE', 'z', 'none'))}

--- a score in RESP3
--: run ZADD z 1.5 a 2 b
redis.setresp(3); return {show(redis.call('ZSCORE', 'z', 'a')), redis.call('ZSCORE', 'z', 'a'), show(redis.call('ZSCORE', 'z', 'none'))}

--- infinite scores in RESP3
--: run ZADD z inf a -inf b
redis.setresp(3); return {show(redis.call('ZSCORE', 'z', 'a')), redis.call('ZSCORE', 'z', 'a'), redis.call('ZSCORE', 'z', 'b')}

--- members with scores
--: run ZADD z 1.5 a 2 b
return {show(redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')), redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')}

--- members with scores in RESP3
--: run ZADD z 1.5 a 2 b
redis.setresp(3); return {show(redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')), redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')}

--- scores of several members in RESP3
--: run ZADD z 1.5 a 2 b
redis.setresp(3); return {show(redis.call('ZMSCORE', 'z', 'a', 'none', 'b')), redis.call('ZMSCORE', 'z', 'a', 'none')}

--- popped members
--: run ZADD z 1.5 a 2 b
return {show(redis.call('ZPOPMIN', 'z')), redis.call('ZPOPMAX', 'z', 2), redis.call('ZPOPMIN', 'z')}

--- popped members in RESP3
--: run ZADD z 1.5 a 2 b
redis.setresp(3); return {show(redis.call('ZPOPMIN', 'z')), redis.call('ZPOPMAX', 'z', 2), show(redis.call('ZPOPMIN', 'z'))}

--- what ZADD INCR says
return {show(redis.call('ZADD', 'z', 'INCR', 1.5, 'a')), show(redis.call('ZADD', 'z', 'XX', 'INCR', 1, 'none'))}

--- what ZADD INCR says in RESP3
redis.setresp(3); return {show(redis.call('ZADD', 'z', 'INCR', 1.5, 'a')), show(redis.call('ZADD', 'z', 'XX', 'INCR', 1, 'none'))}

--- a distance
--: run GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
return {show(redis.call('GEODIST', 'geo', 'Palermo', 'Catania')), show(redis.call('GEODIST', 'geo', 'Palermo', 'none'))}

--- INCRBYFLOAT
return {show(redis.call('INCRBYFLOAT', 'k', '0.1')), show(redis.call('HINCRBYFLOAT', 'h', 'f', '1e2'))}

--- INCRBYFLOAT in RESP3
redis.setresp(3); return {show(redis.call('INCRBYFLOAT', 'k', '0.1')), show(redis.call('HINCRBYFLOAT', 'h', 'f', '1e2'))}

--- nil in RESP3
redis.setresp(3); return {show(redis.call('GET', 'none')), show(redis.call('LPOP', 'none', 5)), show(redis.call('BLPOP', 'none', 0))}

--- nil in RESP3 ends an array
redis.setresp(3); return {1, redis.call('GET', 'none'), 2}

--- nil in RESP3 passed on
redis.setresp(3); return redis.call('GET', 'none')

--- gaps in RESP3
--: run MSET a 1 c 3
redis.setresp(3); return {show(redis.call('MGET', 'a', 'b', 'c')), redis.call('MGET', 'a', 'b', 'c')}

--- a verbatim text in RESP3
redis.setresp(3); local r = redis.call('INFO', 'server'); return {type(r), r.verbatim_string.format, type(r.verbatim_string.string), #r.verbatim_string.string > 50}

--- INFO in RESP2
return type(redis.call('INFO', 'server'))

--- a map with arrays
redis.setresp(3); return {show(redis.call('CONFIG', 'GET', 'hash-max-listpack-value')), redis.call('CONFIG', 'GET', 'hash-max-listpack-value')}

--- an error
return redis.call('INCR', 'k', 'extra')

--- an error is a table
return show(redis.pcall('INCR', 'k', 'extra'))

--- an error is passed on
--: run SET k text
return redis.pcall('INCR', 'k')

--- an error of a wrong type
--: run SET k text
return {show(redis.pcall('LPUSH', 'k', 1)), redis.pcall('LPUSH', 'k', 1)}

--- an error inside an array
--: run SET k text
return {1, redis.pcall('INCR', 'k'), 2}

--- what can be random
--: run SADD set 1 2 3
return {#redis.call('SRANDMEMBER', 'set', 2), type(redis.call('SRANDMEMBER', 'set')), type(redis.call('TIME')[1]), #redis.call('TIME')}

--- the order of members of a set
--: run SADD set b c a
return redis.call('SORT', 'set', 'ALPHA')

--- a stream
--: run XADD s 1-1 a 1 b 2
--: run XADD s 1-2 c 3
return {show(redis.call('XRANGE', 's', '-', '+')), redis.call('XRANGE', 's', '-', '+'), redis.call('XREAD', 'STREAMS', 's', '1-1')}

--- a stream in RESP3
--: run XADD s 1-1 a 1 b 2
redis.setresp(3); return {show(redis.call('XRANGE', 's', '-', '+')), show(redis.call('XREAD', 'STREAMS', 's', '0')), redis.call('XREAD', 'STREAMS', 's', '0')}

--- XINFO in RESP3
--: run XADD s 1-1 a 1
redis.setresp(3); return redis.call('XINFO', 'STREAM', 's').map.length

--- the type of a key
--: run LPUSH l 1
return {show(redis.call('TYPE', 'l')), redis.call('TYPE', 'l').ok, redis.call('TYPE', 'none').ok}

--- SCAN
--: run SET only 1
return show(redis.call('SCAN', 0))

--- HSCAN
--: run HSET h a 1
return {show(redis.call('HSCAN', 'h', 0)), show(redis.call('ZSCAN', 'none', 0))}

--- HRANDFIELD with values
--: run HSET h a 1
return {show(redis.call('HRANDFIELD', 'h', 2, 'WITHVALUES'))}

--- HRANDFIELD with values in RESP3
--: run HSET h a 1
redis.setresp(3); return {show(redis.call('HRANDFIELD', 'h', 2, 'WITHVALUES'))}

--- ZRANDMEMBER with scores in RESP3
--: run ZADD z 1 a
redis.setresp(3); return {show(redis.call('ZRANDMEMBER', 'z', 2, 'WITHSCORES'))}

--- LCS
--: run MSET a ohmytext b mynewtext
return {show(redis.call('LCS', 'a', 'b')), show(redis.call('LCS', 'a', 'b', 'IDX', 'WITHMATCHLEN'))}

--- LCS in RESP3
--: run MSET a ohmytext b mynewtext
redis.setresp(3); return {show(redis.call('LCS', 'a', 'b', 'IDX', 'WITHMATCHLEN')), redis.call('LCS', 'a', 'b', 'IDX')}

--- LMPOP and ZMPOP
--: run RPUSH l a b c
--: run ZADD z 1 x 2 y
return {show(redis.call('LMPOP', 1, 'l', 'LEFT', 'COUNT', 2)), show(redis.call('ZMPOP', 2, 'none', 'z', 'MIN')), show(redis.call('LMPOP', 1, 'none', 'LEFT'))}

--- LMPOP and ZMPOP in RESP3
--: run RPUSH l a b c
--: run ZADD z 1 x 2 y
redis.setresp(3); return {show(redis.call('LMPOP', 1, 'l', 'LEFT', 'COUNT', 2)), show(redis.call('ZMPOP', 2, 'none', 'z', 'MIN')), show(redis.call('LMPOP', 1, 'none', 'LEFT'))}

--- arguments may be numbers
redis.call('SET', 'k', 12); redis.call('RPUSH', 'l', 1.5, 1e20, -0.1, 2^53, 1/3, 100, -1); return {redis.call('GET', 'k'), redis.call('LRANGE', 'l', 0, -1)}

--- odd numbers as arguments
return {redis.call('ECHO', 1/0), redis.call('ECHO', -1/0), redis.call('ECHO', 1e15), redis.call('ECHO', 1e16), redis.call('ECHO', 1e17), redis.call('ECHO', 123456789012345678)}

--- what is no number as an argument
return redis.call('ECHO', 0/0)

--- more numbers as arguments
return {redis.call('ECHO', 3.0), redis.call('ECHO', -0.0), redis.call('ECHO', 1e-5), redis.call('ECHO', 0.1), redis.call('ECHO', 1e100), redis.call('ECHO', 9223372036854775807), redis.call('ECHO', -9223372036854775808)}

--- numbers as keys
redis.call('SET', 1, 'a'); redis.call('SET', 1.0, 'b'); redis.call('SET', 1.5, 'c'); return {redis.call('GET', '1'), redis.call('GET', '1.5'), redis.call('DBSIZE')}

--- the command may be in any case
return {redis.call('sEt', 'k', 'v').ok, redis.call('get', 'k')}

--- the name of the command may be a number
return redis.pcall(12)

--- arguments of other types
return {redis.pcall('SET', 'k', true), redis.pcall('SET', 'k', {}), redis.pcall('SET', 'k', nil), redis.pcall(nil), redis.pcall({})}

--- an argument that is false
return redis.call('SET', 'k', false)

--- no arguments
return redis.call()

--- no arguments to pcall
return redis.pcall()

--- a long list of arguments
local t = {}; for i = 1, 4000 do t[i] = i end; redis.call('RPUSH', 'l', unpack(t)); return {redis.call('LLEN', 'l'), redis.call('LINDEX', 'l', -1)}

--- long values
redis.call('SET', 'k', string.rep('x', 500000)); return {redis.call('STRLEN', 'k'), #redis.call('GET', 'k'), redis.call('GETRANGE', 'k', 499990, -1)}

--- replies do not share a table
--: run RPUSH l a b
local a, b = redis.call('LRANGE', 'l', 0, -1), redis.call('LRANGE', 'l', 0, -1); a[1] = 'x'; return {a, b, tostring(a == b)}

--- a reply may be changed and returned
--: run HSET h a 1
redis.setresp(3); local r = redis.call('HGETALL', 'h'); r.map.a = {double = 0.5}; return r

--- a nested reply is whole in spite of its depth
--: run XADD s 1-1 a 1
--: run XGROUP CREATE s g 0
redis.call('XREADGROUP', 'GROUP', 'g', 'c', 'STREAMS', 's', '>'); return show(redis.call('XPENDING', 's', 'g'))

--- COMMAND GETKEYS
return redis.call('COMMAND', 'GETKEYS', 'MSET', 'a', 1, 'b', 2)

--- COMMAND INFO of none
return {show(redis.call('COMMAND', 'INFO', 'nosuch'))}

--- COMMAND INFO of one
local info = redis.call('COMMAND', 'INFO', 'get')[1]; return {info[1], info[2], type(info[3]), show(info[3])}

--- COMMAND INFO of one in RESP3
redis.setresp(3); local info = redis.call('COMMAND', 'INFO', 'get')[1]; return {info[1], info[2], show(info[3])}

--- OBJECT ENCODING
--: run SET n 5
return {redis.call('OBJECT', 'ENCODING', 'n'), redis.pcall('OBJECT', 'ENCODING', 'none')}

--- what the client set in HELLO does not reach the script
--: run HSET hash a 1
return show(redis.call('HGETALL', 'hash'))

--- SETRESP changes from call to call
--: run HSET hash a 1
local a = show(redis.call('HGETALL', 'hash')); redis.setresp(3); local b = show(redis.call('HGETALL', 'hash')); redis.setresp(2); return {a, b, show(redis.call('HGETALL', 'hash'))}
