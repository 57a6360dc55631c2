-- Libraries of functions: how they are loaded, called, listed, and what they may do.

--- one function
--: library
--: then FCALL one 1 k a b
--: then FCALL_RO one 0
#!lua name=mylib
redis.register_function('one', function(keys, args) return {keys, args} end)

--- the arguments of a function
--: library
--: then FCALL args 2 k1 k2 a1 a2 a3
--: then FCALL args 0
--: then FCALL args 3 a b
--: then FCALL args -1 a b
--: then FCALL args x
--: then FCALL args
--: then FCALL nosuch 0
--: then FCALL ARGS 0
#!lua name=mylib
redis.register_function('args', function(keys, args) return {#keys, #args, keys, args, type(keys), type(args)} end)

--- a function by a table
--: library
--: then FCALL two 1 k v
--: then FCALL_RO two 1 k v
#!lua name=mylib
redis.register_function{function_name = 'two', callback = function(keys, args) return redis.call('SET', keys[1], args[1]) end, description = 'sets a key'}

--- a function that does not write
--: library
--: then FCALL reads 1 k
--: then FCALL_RO reads 1 k
--: then FCALL writes 1 k
--: then FCALL_RO writes 1 k
#!lua name=mylib
redis.register_function{function_name = 'reads', callback = function(keys) return redis.call('GET', keys[1]) end, flags = {'no-writes'}}
redis.register_function{function_name = 'writes', callback = function(keys) return redis.pcall('SET', keys[1], 1) end, flags = {'no-writes'}}

--- all flags
--: library
--: then FCALL f 0
#!lua name=mylib
redis.register_function{function_name = 'f', callback = function() return 'ok' end, flags = {'no-writes', 'allow-oom', 'allow-stale', 'no-cluster', 'allow-cross-slot-keys'}}

--- an unknown flag
--: library
#!lua name=mylib
redis.register_function{function_name = 'f', callback = function() end, flags = {'nosuch'}}

--- flags that are no list
--: library
#!lua name=mylib
redis.register_function{function_name = 'f', callback = function() end, flags = 'no-writes'}

--- flags that are no text
--: library
#!lua name=mylib
redis.register_function{function_name = 'f', callback = function() end, flags = {1}}

--- no flags
--: library
--: then FUNCTION LIST
#!lua name=mylib
redis.register_function{function_name = 'f', callback = function() end, flags = {}}

--- an unknown argument of register_function
--: library
#!lua name=mylib
redis.register_function{function_name = 'f', callback = function() end, nosuch = 1}

--- register_function without a name
--: library
#!lua name=mylib
redis.register_function{callback = function() end}

--- register_function without a callback
--: library
#!lua name=mylib
redis.register_function{function_name = 'f'}

--- register_function with too little
--: library
#!lua name=mylib
redis.register_function('f')

--- register_function with nothing
--: library
#!lua name=mylib
redis.register_function()

--- register_function with too much
--: library
#!lua name=mylib
redis.register_function('f', function() end, {}, 1)

--- register_function with a callback that is none
--: library
#!lua name=mylib
redis.register_function('f', 'x')

--- register_function with a name that is none
--: library
#!lua name=mylib
redis.register_function({}, function() end)

--- register_function with a number as its name
--: library
--: then FCALL 5 0
#!lua name=mylib
redis.register_function(5, function() return 'five' end)

--- register_function with a table that is a number
--: library
#!lua name=mylib
redis.register_function(5)

--- a name with odd characters
--: library
#!lua name=mylib
redis.register_function('my-function', function() end)

--- an empty name
--: library
#!lua name=mylib
redis.register_function('', function() end)

--- a name twice
--: library
#!lua name=mylib
redis.register_function('f', function() end)
redis.register_function('f', function() end)

--- a name that another library has
--: run FUNCTION LOAD "#!lua name=other\nredis.register_function('f', function() return 'other' end)"
--: library
--: then FCALL f 0
#!lua name=mylib
redis.register_function('f', function() end)

--- a library that is there already
--: run FUNCTION LOAD "#!lua name=mylib\nredis.register_function('f', function() return 'old' end)"
--: library
--: then FCALL f 0
#!lua name=mylib
redis.register_function('f', function() return 'new' end)

--- a library that replaces another
--: run FUNCTION LOAD "#!lua name=mylib\nredis.register_function('f', function() return 'old' end) redis.register_function('g', function() end)"
--: then FUNCTION LOAD REPLACE "#!lua name=mylib\nredis.register_function('f', function() return 'new' end)"
--: then FCALL f 0
--: then FCALL g 0
--: then FUNCTION LOAD replace "#!lua name=mylib\nerror('not this')"
--: then FCALL f 0
--: then FUNCTION LOAD NOSUCH "#!lua name=mylib\nreturn 1"
--: then FUNCTION LOAD
--: then FUNCTION LOAD REPLACE
return 1

--- a library without functions
--: library
#!lua name=mylib
return 1

--- a library without its first line
--: library
redis.register_function('f', function() end)

--- a library without its name
--: library
#!lua
redis.register_function('f', function() end)

--- a library with an empty name
--: library
#!lua name=
redis.register_function('f', function() end)

--- a library with an odd name
--: library
#!lua name=my-lib
redis.register_function('f', function() end)

--- a library with two names
--: library
#!lua name=mylib name=other
redis.register_function('f', function() end)

--- a library with an unknown word
--: library
#!lua name=mylib engine=lua
redis.register_function('f', function() end)

--- a library of another engine
--: library
#!python name=mylib
redis.register_function('f', function() end)

--- a library of an engine in capitals
--: library
#!LUA name=mylib
redis.register_function('f', function() end)

--- a library with only its first line
--: library
#!lua name=mylib

--- a library that is no Lua
--: library
#!lua name=mylib
return return

--- a library that fails
--: library
#!lua name=mylib
error('my message')

--- a library that fails with a table
--: library
#!lua name=mylib
error({err = 'MY error'})

--- a library that calls a command
--: library
#!lua name=mylib
redis.call('PING')

--- a library that catches a command
--: library
#!lua name=mylib
redis.pcall('PING')

--- a library that makes a global
--: library
#!lua name=mylib
x = 1

--- a library that reads a global
--: library
#!lua name=mylib
return x

--- a library that reads KEYS
--: library
#!lua name=mylib
return KEYS[1]

--- what redis has while a library is loaded
--: library
--: then FCALL names 0
#!lua name=mylib
local names = {}; for k, v in pairs(redis) do if not k:find('_NAME$') and not k:find('_VERSION') then names[#names + 1] = k .. ' ' .. type(v) end end; table.sort(names)
redis.register_function('names', function() return names end)

--- what redis has in a function
--: library
--: then FCALL names 0
#!lua name=mylib
redis.register_function('names', function() local names = {}; for k, v in pairs(redis) do if not k:find('_NAME$') and not k:find('_VERSION') then names[#names + 1] = k .. ' ' .. type(v) end end; table.sort(names); return names end)

--- globals of a function
--: library
--: then FCALL makes 0
--: then FCALL reads 0
--: then FCALL keys 1 k
--: then FCALL registers 0
#!lua name=mylib
redis.register_function('makes', function() x = 1 end)
redis.register_function('reads', function() return x end)
redis.register_function('keys', function() return KEYS end)
redis.register_function('registers', function() redis.register_function('later', function() end) end)

--- the state of a library
--: library
--: then FCALL count 0
--: then FCALL count 0
--: then FCALL other 0
#!lua name=mylib
local n = 0
redis.register_function('count', function() n = n + 1; return n end)
redis.register_function('other', function() return n end)

--- functions that fail
--: library
--: then FCALL message 0
--: then FCALL table 0
--: then FCALL lua 0
--: then FCALL command 0
--: then FCALL caught 0
--: then FCALL reply 0
#!lua name=mylib
redis.register_function('message', function() error('my message') end)
redis.register_function('table', function() error({err = 'MY error'}) end)
redis.register_function('lua', function() return nil + 1 end)
redis.register_function('command', function() return redis.call('NOSUCH') end)
redis.register_function('caught', function() return redis.pcall('SET', 'k') end)
redis.register_function('reply', function() return redis.error_reply('My mistake') end)

--- what functions return
--: library
--: then FCALL all 0
--: then FCALL three 0
--: then FCALL all 0
#!lua name=mylib
redis.register_function('all', function() return {1, 2.5, 'x', true, false, {ok = 'fine'}, {double = 2.5}, {map = {a = true}}, {set = {b = true}}} end)
redis.register_function('three', function() redis.setresp(3); return {true, false} end)

--- a list of libraries
--: library
--: then FUNCTION LIST
--: then FUNCTION LIST WITHCODE
--: then FUNCTION LIST LIBRARYNAME my*
--: then FUNCTION LIST LIBRARYNAME nosuch
--: then FUNCTION LIST WITHCODE LIBRARYNAME mylib
--: then FUNCTION LIST LIBRARYNAME
--: then FUNCTION LIST LIBRARYNAME a LIBRARYNAME b
--: then FUNCTION LIST WITHCODE WITHCODE
--: then FUNCTION LIST NOSUCH
#!lua name=mylib
redis.register_function{function_name = 'f', callback = function() end, description = 'what it does', flags = {'no-writes'}}

--- no libraries
--: then FUNCTION LIST
--: then FUNCTION STATS
--: then FUNCTION DELETE nosuch
--: then FUNCTION FLUSH
--: then FUNCTION KILL
--: then FUNCTION
--: then FUNCTION NOSUCH
return 1

--- libraries are deleted
--: library
--: then FUNCTION DELETE nosuch
--: then FUNCTION DELETE mylib
--: then FCALL f 0
--: then FUNCTION LIST
--: then FUNCTION DELETE
--: then FUNCTION DELETE a b
#!lua name=mylib
redis.register_function('f', function() return 1 end)

--- libraries are flushed
--: library
--: then FUNCTION FLUSH NOSUCH
--: then FUNCTION FLUSH SYNC ASYNC
--: then FCALL f 0
--: then FUNCTION FLUSH ASYNC
--: then FCALL f 0
--: then FUNCTION FLUSH SYNC
--: then FUNCTION LIST
#!lua name=mylib
redis.register_function('f', function() return 1 end)

--- FLUSHALL keeps libraries
--: library
--: then FLUSHALL
--: then SCRIPT FLUSH
--: then FCALL f 0
#!lua name=mylib
redis.register_function('f', function() return 'still there' end)

--- statistics
--: library
--: then FUNCTION STATS
#!lua name=mylib
redis.register_function('f', function() return 1 end)
redis.register_function('g', function() return 1 end)

--- what is restored is checked
--: library
--: then FUNCTION RESTORE x
--: then FUNCTION RESTORE ""
--: then FUNCTION RESTORE x NOSUCH
--: then FUNCTION RESTORE
--: then FCALL f 0
#!lua name=mylib
redis.register_function('f', function() return 1 end)

--- functions of scripts are another world
--: library
--: then EVAL "return redis.call('FCALL', 'f', 0)" 0
--: then EVAL "return redis.call('FUNCTION', 'LIST')" 0
#!lua name=mylib
redis.register_function('f', function() return 1 end)

--- functions in a transaction
--: library
--: then MULTI
--: then FCALL f 1 k
--: then FCALL f 1 k
--: then FCALL nosuch 0
--: then EXEC
#!lua name=mylib
redis.register_function('f', function(keys) return redis.call('INCR', keys[1]) end)

--- functions where there is no room
--: library
--: then CONFIG SET maxmemory 1
--: then FCALL f 0
--: then FCALL g 0
--: then FCALL h 0
--: then FUNCTION LOAD "#!lua name=more\nredis.register_function('more', function() end)"
--: then CONFIG SET maxmemory 0
#!lua name=mylib
redis.register_function('f', function() return redis.pcall('SET', 'k', 1) end)
redis.register_function{function_name = 'g', callback = function() return redis.call('SET', 'k', 1) end, flags = {'allow-oom'}}
redis.register_function{function_name = 'h', callback = function() return redis.call('GET', 'k') end, flags = {'no-writes'}}

--- random numbers in functions
--: library
--: then FCALL f 0
--: then FCALL f 0
#!lua name=mylib
redis.register_function('f', function() return type(math.random(1000)) end)

--- libraries use the other libraries
--: library
--: then FCALL f 0
#!lua name=mylib
redis.register_function('f', function() return {cjson.encode({1, 2}), #cmsgpack.pack(5), struct.size('i'), bit.band(6, 3), redis.sha1hex('')} end)

--- functions log
--: library
--: then FCALL f 0
#!lua name=mylib
redis.log(redis.LOG_DEBUG, 'while it is loaded')
redis.register_function('f', function() redis.log(redis.LOG_DEBUG, 'x'); return redis.status_reply('FINE') end)

--- too few words
--: then FCALL
--: then FCALL f
--: then FCALL_RO f
--: then FUNCTION LIST x
--: then FUNCTION STATS x
--: then FUNCTION KILL x
--: then FUNCTION DUMP x
return 1

--- a function that is a coroutine's
--: library
--: then FCALL f 0
--: then FCALL f 0
#!lua name=mylib
local step = coroutine.wrap(function() local n = 0; while true do n = n + 1; coroutine.yield(n) end end)
redis.register_function('f', function() return step() end)
