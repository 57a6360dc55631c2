-- Errors: of the text itself, of Lua, thrown by scripts, of commands; caught or not, and how they are told.

--- text that is no Lua
return return

--- text that ends too early
if true then return 1

--- an unfinished text
return 'abc

--- an odd character
return 1 $ 2

--- the second line is wrong
local a = 1
local b = = 2

--- an empty script

--- only a comment
-- nothing

--- break outside a loop
break

--- a label that is not of this version
goto done; ::done:: return 1

--- an integer division that is not of this version
return 7 // 2

--- too many locals
local s = {}; for i = 1, 201 do s[i] = 'local v' .. i .. ' = 1' end; return tostring((loadstring or load)(table.concat(s, '\n')))

--- a call of nil
local f = nil; f()

--- a call of a missing field
local t = {}; return t.missing()

--- a field of nil
local t = nil; return t.x

--- a field of a field of nil
local t = {}; return t.a.b

--- arithmetic on nil
return 1 + nil

--- arithmetic on text
return 'abc' + 1

--- arithmetic on a table
local t = {}; return t * 2

--- joining nil
return 'a' .. nil

--- joining a table
local t = {}; return 'a' .. t

--- comparing a number with text
return 1 < '2'

--- comparing tables
return {} < {}

--- the length of nil
local x; return #x

--- the length of a number
return #5

--- nil as a key
local t = {}; t[nil] = 1

--- not a number as a key
local t = {}; t[0/0] = 1

--- a bad argument
return string.rep()

--- a bad argument of another type
return string.rep({}, 3)

--- a bad argument to a method
return ('x'):rep({})

--- a loop that is no number
for i = 1, 'x' do end

--- error with text
error('my message')

--- error with text of level 0
error('my message', 0)

--- error with text of level 2
local function f() error('my message', 2) end; f()

--- error with a number
error(42)

--- error with nil
error()

--- error with nil said
error(nil)

--- error with true
error(true)

--- error with a table
--: alone "^-[A-Z]+ [^\r\n]+\r\n$"
error({})

--- error with a table that has an err
error({err = 'MY error'})

--- error with a table whose err has no code
error({err = 'oops'})

--- error with a table whose err is a number
error({err = 5})

--- error with a table that has a status
--: alone "^-[A-Z]+ [^\r\n]+\r\n$"
error({ok = 'FINE'})

--- error with a table that has an err and more
error({err = 'MY error', source = 'mine', line = '77', ignore_error_stats_update = true})

--- error with a table that tells itself
--: alone "^-[A-Z]+ [^\r\n]+\r\n$"
error(setmetatable({}, {__tostring = function() return 'told' end}))

--- error with a function
error(function() end)

--- error with what error_reply made
error(redis.error_reply('MY error'))

--- error with what status_reply made
--: alone "^-[A-Z]+ [^\r\n]+\r\n$"
error(redis.status_reply('FINE'))

--- error with a text that looks like an error
error('-MY error', 0)

--- error with line ends
--: alone "^-ERR one  two script: "
error('one\r\ntwo', 0)

--- error with an empty text
error('', 0)

--- error with a NUL
error('a\0b', 0)

--- error with a long text
error(string.rep('x', 2000), 0)

--- an error on the third line
local a = 1

error('here')

--- an error inside nested functions
local function a() error('deep') end
local function b() a() end
b()

--- an error inside a pattern's function
return string.gsub('abc', '.', function() error('inside') end)

--- an error inside a sort
local t = {3, 1, 2}; table.sort(t, function() error('inside') end)

--- an error inside a metamethod
local t = setmetatable({}, {__index = function(_, k) error('no ' .. k) end}); return t.x

--- assert
assert(false)

--- assert with text
assert(false, 'my message')

--- assert with nil
assert(nil, 'my message')

--- assert with a table
assert(false, {err = 'MY error'})

--- assert that holds
return {assert(1, 2, 3)}

--- pcall that holds
return {tostring(pcall(function(...) return select('#', ...), ... end, 1, nil, 3))}

--- pcall of an error with text
return {select(2, pcall(error, 'my message'))}

--- pcall of an error with its place
local ok, e = pcall(function() error('my message') end); return {tostring(ok), e}

--- pcall of an error of Lua
local ok, e = pcall(function() return nil + 1 end); return {tostring(ok), e}

--- pcall of a table
local ok, e = pcall(error, {err = 'MY error', x = 1}); return {tostring(ok), type(e), e.err, e.x}

--- pcall of nil
local ok, e = pcall(nil); return {tostring(ok), tostring(e)}

--- pcall without an argument
return {pcall(pcall)}

--- xpcall
local ok, e = xpcall(function() error('my message', 0) end, function(m) return 'handled ' .. m end); return {tostring(ok), e}

--- xpcall whose handler fails
local ok, e = xpcall(function() error('one', 0) end, function() error('two', 0) end); return {tostring(ok), tostring(e)}

--- pcall of a failing command
local ok, e = pcall(redis.call, 'INCR', 'k', 'extra'); return {tostring(ok), type(e), e.err, e.source, e.line}

--- pcall of a failing command inside a function
local ok, e = pcall(function() return redis.call('NOSUCH') end); return {tostring(ok), type(e), type(e) == 'table' and e.err or e}

--- pcall and error again
--: run SET k text
local ok, e = pcall(function() return redis.call('INCR', 'k') end); error(e)

--- pcall and return the error
--: run SET k text
local ok, e = pcall(function() return redis.call('INCR', 'k') end); return e

--- redis.pcall and error again
--: run SET k text
error(redis.pcall('INCR', 'k'))

--- redis.pcall of nothing is caught
local r = redis.pcall(); return {type(r), r.err}

--- fields of a caught error
--: run SET k text
local e = redis.pcall('INCR', 'k'); local keys = {}; for k in pairs(e) do keys[#keys + 1] = k end; table.sort(keys); return keys

--- fields of an error that a command threw
--: run SET k text
local _, e = pcall(redis.call, 'INCR', 'k'); local keys = {}; for k in pairs(e) do keys[#keys + 1] = k end; table.sort(keys); return keys

--- an unknown command
return redis.call('NOSUCH', 'a')

--- an unknown command is caught
return redis.pcall('NOSUCH', 'a')

--- an unknown subcommand
return redis.call('CONFIG', 'NOSUCH')

--- an unknown subcommand is caught
return redis.pcall('OBJECT', 'NOSUCH', 'k')

--- too few arguments
return redis.call('SET', 'k')

--- too few arguments are caught
return redis.pcall('SET', 'k')

--- too many arguments
return redis.call('GET', 'a', 'b')

--- a value that is no integer
--: run SET k text
return redis.call('INCR', 'k')

--- a wrong type
--: run SET k text
return redis.call('LPUSH', 'k', 1)

--- a wrong type on the second line
--: run SET k text
local a = redis.call('GET', 'k')
return redis.call('LPUSH', 'k', a)

--- an error of syntax
return redis.call('SET', 'k', 'v', 'NOSUCH')

--- a failing command stops the script
--: then MGET a b
redis.call('SET', 'a', 1); redis.call('LPUSH', 'a', 1); redis.call('SET', 'b', 1)

--- a caught error lets the script go on
--: then MGET a b
redis.call('SET', 'a', 1); redis.pcall('LPUSH', 'a', 1); redis.call('SET', 'b', 1)

--- errors are counted by their codes
--: run SET k text
--: then INFO errorstats
redis.pcall('INCR', 'k'); redis.pcall('LPUSH', 'k', 1); redis.pcall('NOSUCH'); pcall(redis.call, 'LPUSH', 'k', 1); return 1

--- an error is counted once
--: run SET k text
--: then INFO errorstats
return redis.call('LPUSH', 'k', 1)

--- an error that is passed on is counted once
--: run SET k text
--: then INFO errorstats
return redis.pcall('LPUSH', 'k', 1)

--- an error of the script is counted
--: then INFO errorstats
error('my message')

--- an error of its own code is counted
--: then INFO errorstats
error({err = 'MINE text'})

--- error_reply without a code
return redis.error_reply('my message')

--- error_reply with a code
return redis.error_reply('MY error')

--- error_reply with a dash
return redis.error_reply('-MY error')

--- error_reply with a dash only
return redis.error_reply('-')

--- error_reply of one word
return redis.error_reply('word')

--- error_reply of nothing
return redis.error_reply('')

--- error_reply with a space first
return redis.error_reply(' word')

--- error_reply of a number
return redis.error_reply(12)

--- error_reply without an argument
return redis.error_reply()

--- error_reply of two arguments
return redis.error_reply('a', 'b')

--- error_reply of a table
return redis.error_reply({})

--- error_reply makes a table
local t = redis.error_reply('MY error'); local keys = {}; for k, v in pairs(t) do keys[#keys + 1] = k .. '=' .. tostring(v) end; table.sort(keys); return keys

--- error_reply makes a table with a code
local t = redis.error_reply('oops'); return {type(t), t.err}

--- error_reply with line ends
return redis.error_reply('MY error\r\nand more')

--- status_reply
return redis.status_reply('FINE')

--- status_reply makes a table
local t = redis.status_reply('FINE'); return {type(t), t.ok}

--- status_reply without an argument
return redis.status_reply()

--- status_reply of a number
return redis.status_reply(1)

--- status_reply of two arguments
return redis.status_reply('a', 'b')

--- the stack overflows
local function f() return 1 + f() end; return f()

--- the stack overflows and is caught
local function f() return 1 + f() end; local ok, e = pcall(f); return {tostring(ok), e}

--- tail calls do not fill the stack
local function f(n) if n == 0 then return 'done' end; return f(n - 1) end; return f(100000)

--- too much for unpack
local ok, e = pcall(unpack, {}, 1, 1e7); return {tostring(ok), e}

--- nested pcall
local ok, e = pcall(pcall, error, 'x'); return {tostring(ok), tostring(e)}

--- many nested pcalls
local function f(n) if n == 0 then error('bottom', 0) end; local ok, e = pcall(f, n - 1); error(e, 0) end; local ok, e = pcall(f, 100); return {tostring(ok), e}

--- C stack
local function f(n) return string.gsub('x', 'x', function() return f(n + 1) end) end; local ok, e = pcall(f, 1); return {tostring(ok), e}

--- a pattern that is too complex
--: alone "^[*-]"
local ok, e = pcall(string.find, string.rep('x', 300000), string.rep('x?', 300000)); return {tostring(ok), e}
