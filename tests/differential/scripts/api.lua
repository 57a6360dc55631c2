-- The functions and values of `redis`, which is also named `server`: hashes, logs, replication, protocols, access.

--- prelude
local function show(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = type(r[i]) == 'table' and (r[i].err or r[i].ok or 'table') or tostring(r[i]) end return table.concat(r, ' | ') end

--- sha1hex
return {redis.sha1hex(''), redis.sha1hex('abc'), redis.sha1hex('a\0b'), redis.sha1hex(string.rep('x', 1000))}

--- sha1hex of a number
return {redis.sha1hex(12), redis.sha1hex(1.5), redis.sha1hex(1e20)}

--- sha1hex of other types
return {show(redis.sha1hex), show(redis.sha1hex, nil), show(redis.sha1hex, {}), show(redis.sha1hex, true), show(redis.sha1hex, 'a', 'b')}

--- levels of the log
return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}

--- log
return {show(redis.log, redis.LOG_DEBUG, 'a', 1, 'b'), show(redis.log, redis.LOG_VERBOSE, ''), show(redis.log, 0, 1.5)}

--- log of too little
return {show(redis.log), show(redis.log, redis.LOG_DEBUG), show(redis.log, 'x', 'y'), show(redis.log, 99, 'x'), show(redis.log, -1, 'x')}

--- log of other types
return {show(redis.log, redis.LOG_DEBUG, nil), show(redis.log, redis.LOG_DEBUG, {}), show(redis.log, redis.LOG_DEBUG, true)}

--- log of too little ends the script
redis.log(redis.LOG_DEBUG)

--- setresp of what there is not
return {show(redis.setresp, 1), show(redis.setresp, 4), show(redis.setresp, 'x'), show(redis.setresp), show(redis.setresp, 2, 3), show(redis.setresp, nil)}

--- setresp of text
return {show(redis.setresp, '3'), show(redis.setresp, 3.5), show(redis.setresp, {})}

--- setresp of what there is not ends the script
redis.setresp(5)

--- what is to be replicated
return {redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL}

--- set_repl
return {show(redis.set_repl, redis.REPL_NONE), show(redis.set_repl, redis.REPL_AOF), show(redis.set_repl, redis.REPL_REPLICA), show(redis.set_repl, redis.REPL_ALL)}

--- set_repl of what there is not
return {show(redis.set_repl), show(redis.set_repl, 99), show(redis.set_repl, -1), show(redis.set_repl, 'x'), show(redis.set_repl, 1, 2)}

--- set_repl of what there is not ends the script
redis.set_repl(99)

--- replicate_commands
return {show(redis.replicate_commands), tostring(redis.replicate_commands())}

--- breakpoint
return {tostring(redis.breakpoint()), show(redis.breakpoint, 1)}

--- debug
return {show(redis.debug, 'a', 1), show(redis.debug)}

--- the version
return {type(redis.REDIS_VERSION), type(redis.REDIS_VERSION_NUM), redis.REDIS_VERSION_NUM > 0x070000}

--- the number of the version is that of its text
local a, b, c = redis.REDIS_VERSION:match('^(%d+)%.(%d+)%.(%d+)$'); return tostring(a * 65536 + b * 256 + c == redis.REDIS_VERSION_NUM)

--- acl_check_cmd
return {show(redis.acl_check_cmd, 'SET', 'k', 'v'), show(redis.acl_check_cmd, 'get', 'k'), show(redis.acl_check_cmd, 'CONFIG', 'GET', 'x')}

--- acl_check_cmd of what there is not
return {show(redis.acl_check_cmd), show(redis.acl_check_cmd, 'NOSUCH'), show(redis.acl_check_cmd, 'CONFIG', 'NOSUCH'), show(redis.acl_check_cmd, {}), show(redis.acl_check_cmd, 'SET', nil)}

--- acl_check_cmd of too few arguments
return {show(redis.acl_check_cmd, 'SET'), show(redis.acl_check_cmd, 'GET')}

--- acl_check_cmd of what there is not ends the script
return redis.acl_check_cmd('NOSUCH', 'a')

--- register_function outside a library
return {show(redis.register_function, 'f', function() end)}

--- register_function outside a library ends the script
redis.register_function('f', function() end)

--- what redis has
local names = {}; for k, v in pairs(redis) do if not k:find('_NAME$') and not k:find('_VERSION') then names[#names + 1] = k .. ' ' .. type(v) end end; table.sort(names); return names

--- a field that redis has not
return redis.nosuch

--- a function that redis has not
return redis.nosuch('x')

--- redis may not be changed
redis.call = function() return 1 end

--- a field of redis may not be added
redis.mine = 1

--- a field of redis may not be removed
redis.call = nil

--- redis may not be changed by rawset
rawset(redis, 'call', 1)

--- server
return {tostring(server == nil), type(server)}

--- the names of commands are not kept
local call = redis.call; return {call('PING'), (call('ECHO', 'x'))}

--- calls as methods
return redis:call('PING')

--- time stands still while a script runs
local a = redis.call('TIME'); local s = 0; for i = 1, 200000 do s = s + i end; local b = redis.call('TIME'); return {a[1] == b[1], a[2] == b[2]}

--- keys do not expire while a script runs
redis.call('SET', 'k', 'v', 'PX', 1); local s = 0; for i = 1, 2000000 do s = s + i % 7 end; return {redis.call('GET', 'k'), redis.call('EXISTS', 'k')}

--- a time to live stands still
redis.call('SET', 'k', 'v', 'PX', 1000); local s = 0; for i = 1, 500000 do s = s + i % 7 end; return redis.call('PTTL', 'k')

--- a database is chosen for the script only
--: run SET where outside
--: then GET where
redis.call('SELECT', 3); redis.call('SET', 'where', 'three'); return redis.call('GET', 'where')

--- a database that there is not
return redis.call('SELECT', 99)

--- publish
return redis.call('PUBLISH', 'channel', 'message')

--- commands that scripts may not call
local r = {}; for i, argv in ipairs({{'EVAL', 'return 1', 0}, {'MULTI'}, {'EXEC'}, {'DISCARD'}, {'WATCH', 'k'}, {'SUBSCRIBE', 'c'}, {'PSUBSCRIBE', 'c'}, {'MONITOR'}, {'AUTH', 'x'}, {'HELLO', 3}, {'QUIT'}, {'RESET'}, {'SAVE'}, {'BGSAVE'}, {'SHUTDOWN'}, {'CLIENT', 'LIST'}, {'SCRIPT', 'FLUSH'}, {'FUNCTION', 'LIST'}, {'DEBUG', 'JMAP'}, {'SLAVEOF', 'NO', 'ONE'}, {'FCALL', 'f', 0}, {'EVALSHA', 'x', 0}, {'SPUBLISH', 'c', 'm'}, {'ACL', 'WHOAMI'}, {'ASKING'}, {'FAILOVER'}, {'BGREWRITEAOF'}, {'LATENCY', 'RESET'}}) do local x = redis.pcall(unpack(argv)); r[i] = argv[1] .. ': ' .. (type(x) == 'table' and (x.err or x.ok or 'table') or tostring(x)) end; return r

--- a command that scripts may not call ends them
return redis.call('MULTI')

--- commands that would wait
return {tostring(redis.call('BLPOP', 'none', 0)), tostring(redis.call('BRPOP', 'none', 0)), tostring(redis.call('BLMOVE', 'a', 'b', 'LEFT', 'RIGHT', 0)), tostring(redis.call('BRPOPLPUSH', 'a', 'b', 0)), tostring(redis.call('BZPOPMIN', 'z', 0)), tostring(redis.call('BLMPOP', 0, 1, 'l', 'LEFT')), tostring(redis.call('BZMPOP', 0, 1, 'z', 'MIN')), tostring(redis.call('XREAD', 'STREAMS', 's', '$'))}

--- waiting for a stream
local r = redis.pcall('XREAD', 'BLOCK', 1, 'STREAMS', 's', '$'); return r and r.err or tostring(r)

--- commands that need not wait
--: run RPUSH l a b c d
--: run ZADD z 1 x 2 y
return {redis.call('BLPOP', 'none', 'l', 0), redis.call('BRPOPLPUSH', 'l', 'm', 0), redis.call('BLMPOP', 0, 1, 'l', 'LEFT', 'COUNT', 5), redis.call('BZPOPMAX', 'z', 0), redis.call('BZMPOP', 0, 1, 'z', 'MIN')}

--- SORT with patterns of keys
--: run RPUSH l 2 1
--: run MSET w_1 10 w_2 20
return {redis.call('SORT', 'l', 'BY', 'w_*', 'GET', 'w_*', 'GET', '#')}

--- a script may write keys that it did not declare
--: then MGET a b
redis.call('MSET', 'a', 1, 'b', 2); return redis.call('KEYS', '*') and 'done'

--- FLUSHALL inside a script
--: run SET k v
--: then DBSIZE
redis.call('FLUSHALL'); return redis.call('DBSIZE')

--- SWAPDB inside a script
--: run SET k zero
--: then GET k
redis.call('SWAPDB', 0, 1); return {redis.call('GET', 'k')}

--- RENAME, COPY and MOVE inside a script
--: run SET k v
return {redis.call('RENAME', 'k', 'l'), redis.call('COPY', 'l', 'm'), redis.call('MOVE', 'm', 1), redis.call('EXISTS', 'k', 'l', 'm')}

--- SPOP inside a script
--: run SADD s a
return {redis.call('SPOP', 's'), tostring(redis.call('SPOP', 's')), redis.call('EXISTS', 's')}

--- DUMP and RESTORE inside a script
--: run RPUSH l a b
local d = redis.call('DUMP', 'l'); redis.call('RESTORE', 'm', 0, d); return redis.call('LRANGE', 'm', 0, -1)

--- waiting for replicas
local r = redis.pcall('WAIT', 0, 0); return type(r) == 'table' and r.err or r
