-- What a script must not reach or change, and what there is of the language.

--- prelude
local function show(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = type(r[i]) == 'table' and (r[i].err or 'table') or (tostring(r[i]):gsub(': 0x%x+', '')) end return table.concat(r, ' | ') end

--- the global names
local names, own = {}, {os = true, server = true, __redis__err__handler = true, __server__err__handler = true}; for k, v in pairs(_G) do names[#names + 1] = not own[k] and k .. ' ' .. type(v) or nil end; table.sort(names); return names

--- the functions of string
local names = {}; for k, v in pairs(string) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of table
local names = {}; for k, v in pairs(table) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of math
local names = {}; for k, v in pairs(math) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of os
local names = {}; for k, v in pairs(os) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of coroutine
local names = {}; for k, v in pairs(coroutine) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of cjson
local names = {}; for k, v in pairs(cjson) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of cmsgpack
local names = {}; for k, v in pairs(cmsgpack) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of struct
local names = {}; for k, v in pairs(struct) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- the functions of bit
local names = {}; for k, v in pairs(bit) do names[#names + 1] = k .. ' ' .. type(v) end; table.sort(names); return names

--- a global cannot be made
x = 1

--- a global cannot be made on a later line
local a = 1

x = a

--- a global function cannot be made
function f() return 1 end; return f()

--- a global cannot be made in a function
local function f() y = 2 end; return show(f)

--- a global that is not there cannot be read
return x

--- a global that is not there cannot be called
return nosuch(1)

--- a global of the environment that is not there
return show(function() return print end)

--- a global cannot be made through _G
_G.x = 1

--- a global cannot be made through _G by its key
_G['x y'] = 1

--- a global cannot be made by rawset
rawset(_G, 'x', 1)

--- a global cannot be changed
pairs = 1

--- a global cannot be removed
pairs = nil

--- a global of _G cannot be removed
_G.redis = nil

--- redis cannot be replaced
redis = {}

--- rawget of what is not there
return tostring(rawget(_G, 'nosuch'))

--- rawget of what is there
return type(rawget(_G, 'redis'))

--- the metatable of _G
return {show(getmetatable, _G), show(setmetatable, _G, {})}

--- the metatable of _G cannot be changed
setmetatable(_G, nil)

--- the metatable of redis
return {show(getmetatable, redis), show(setmetatable, redis, {})}

--- the metatable of text
return {show(getmetatable, ''), show(setmetatable, '', {})}

--- the metatable of text cannot be changed
getmetatable('').__index = function() return 1 end

--- the metatable of text cannot be given more
getmetatable('').__add = function() return 1 end; return 'a' + 1

--- the functions of text cannot be changed
string.upper = function() return 1 end

--- the functions of text cannot be added to
string.mine = 1

--- the functions of text cannot be changed by rawset
return show(rawset, string, 'upper', 1)

--- the functions of table cannot be changed
table.insert = nil

--- the functions of math cannot be changed
math.random = function() return 4 end

--- the functions of cjson cannot be changed
cjson.encode = nil

--- the functions of bit cannot be changed
bit.band = nil

--- the functions of cmsgpack cannot be changed
cmsgpack.pack = nil

--- the functions of struct cannot be changed
struct.pack = nil

--- the functions of os cannot be changed
os.clock = nil

--- the functions of redis cannot be changed through a caught error
return {show(function() redis.call = 1 end), redis.call('PING')}

--- metatables of a script's own tables
local t = setmetatable({}, {__index = {a = 1}, __call = function(_, x) return x end, __add = function() return 'sum' end, __concat = function() return 'joined' end, __len = function() return 9 end, __eq = function() return true end, __lt = function() return true end, __unm = function() return 'neg' end}); return {t.a, t(5), t + 1, t .. 'x', #t, tostring(t < t), -t}

--- a protected metatable
local t = setmetatable({}, {__metatable = 'mine'}); return {getmetatable(t), show(setmetatable, t, {})}

--- a finalizer does not run
local t = setmetatable({}, {__gc = function() error('ran') end}); t = nil; collectgarbage(); return 1

--- newproxy
return show(function() return newproxy(true) end)

--- load
return {show(function() return load(function() return nil end) end)}

--- loadstring
return {show(function() return loadstring('return 1')() end)}

--- loadstring of what is wrong
return {show(function() return loadstring('return return') end)}

--- loadstring makes no global
return {show(function() return loadstring('x = 1')() end)}

--- loadstring of byte code
return show(function() return loadstring('\27Lua\81\0\1\4\8\4\8\0') end)

--- load of byte code
return show(function() local sent; return load(function() if sent then return nil end; sent = true; return '\27Lua\81\0\1\4\8\4\8\0' end) end)

--- string.dump
return show(function() return string.dump(function() return 1 end) end)

--- dofile
return show(function() return dofile('/etc/passwd') end)

--- loadfile
return show(function() return loadfile('/etc/passwd') end)

--- require
return show(function() return require('os') end)

--- module
return show(function() return module('mine') end)

--- package
return show(function() return package.path end)

--- io
return show(function() return io.open('/etc/passwd') end)

--- debug
return show(function() return debug.getregistry() end)

--- print
return show(function() print('x') end)

--- getfenv
return {show(function() return getfenv(1) == _G end), show(function() return getfenv(redis.call) end)}

--- setfenv
return show(function() return setfenv(1, {}) end)

--- os.execute and the like
return {show(function() return os.execute('true') end), show(function() return os.time() end), show(function() return os.getenv('HOME') end), show(function() return os.exit() end)}

--- os.clock
local a = os.clock(); local s = 0; for i = 1, 100000 do s = s + i end; local b = os.clock(); return {type(a), tostring(b >= a), tostring(a < 1000)}

--- collectgarbage
return {type(collectgarbage('count')), show(collectgarbage), show(collectgarbage, 'step'), show(collectgarbage, 'nosuch')}

--- gcinfo
return show(function() return type(gcinfo()) end)

--- coroutines
local c = coroutine.create(function(a) local b = coroutine.yield(a + 1); return b * 2 end); return {show(coroutine.resume, c, 1), show(coroutine.resume, c, 5), show(coroutine.resume, c), coroutine.status(c)}

--- coroutine.wrap
local f = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end); return {f(), f(), f()}

--- a command inside a coroutine
local f = coroutine.wrap(function() coroutine.yield(redis.call('INCR', 'k')); return redis.call('INCR', 'k') end); return {f(), f()}

--- a failing command inside a coroutine
local c = coroutine.create(function() return redis.call('LPUSH', 'k') end); local ok, e = coroutine.resume(c); return {tostring(ok), type(e) == 'table' and e.err or e}

--- a yield outside a coroutine
return show(coroutine.yield, 1)

--- a yield out of a script
coroutine.yield(1)

--- a yield through pcall
local c = coroutine.create(function() return pcall(function() return coroutine.yield(1) end) end); return {show(coroutine.resume, c), show(coroutine.resume, c, 2)}

--- a metamethod that runs commands
local t = setmetatable({}, {__index = function(_, k) return redis.call('GET', k) end}); redis.call('SET', 'a', 'x'); return {t.a, tostring(t.b)}

--- nothing is left for the next script
--: run EVAL "local t = {}; t.x = 1; return show" 0
--: then EVAL "return tostring(rawget(_G, 'x'))" 0
return show(function() x = 1 end)

--- KEYS and ARGV are no globals that stay
--: run EVAL "return 1" 1 k a
return {#KEYS, #ARGV, type(KEYS), type(ARGV)}

--- KEYS may be replaced
--: keys a
KEYS = {'b'}; return KEYS

--- a local may have the name of a global
local redis, pairs = 1, 2; return {redis, pairs}

--- _G is itself
return {tostring(_G == _G._G), type(_G._G.redis)}

--- _VERSION
return _VERSION

--- a script's arguments
return {select('#', ...), show(function(...) return ... end, 1, 2)}

--- setting a field of a reply's text
local s = redis.call('PING'); s.ok = 'changed'; return s

--- next and ipairs
local t = {10, 20, nil, 40, x = 1}; local r = {}; for i, v in ipairs(t) do r[#r + 1] = i .. '=' .. v end; return {r, show(next, {}), show(next, {5}), show(next, {}, 'x'), select('#', next({}))}

--- tostring of everything
return {tostring(nil), tostring(true), tostring(1), tostring(1.5), tostring('x'), show(tostring), type(tostring({})), tostring(print == nil and 1 or 2)}

--- table.concat of globals' names in two engines
return table.concat({type(assert), type(error), type(pcall), type(xpcall), type(select), type(unpack), type(tonumber), type(rawequal), type(rawget), type(rawset)}, ' ')

--- an upvalue is not shared between scripts
--: run EVAL "local n = 0; return (function() n = n + 1; return n end)()" 0
local n = 0; return (function() n = n + 1; return n end)()

--- string.rep of more than there is
local ok, e = pcall(string.rep, 'x', -1); return {tostring(ok), e}
