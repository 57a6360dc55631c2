-- What would take all memory or all of a stack. The reference does not survive all of it, so ours runs them alone: it must
-- answer, and go on. (Long texts differ in length: those that differ only at their ends have one hash, and are slow.)
-- Endless loops, which need a second client to end them, are elsewhere.

--- a text of gigabytes
--: alone "^-"
return #string.rep('x', 2^31 - 1)

--- a text of gigabytes is caught
--: alone "^[*$-]"
local ok, e = pcall(string.rep, 'x', 2^31 - 1); return {tostring(ok), type(e)}

--- a text of the largest length
--: alone "^[-:]"
return #string.rep('abc', 2^62)

--- a text that doubles
--: alone "^-"
local s = 'x'; for i = 1, 60 do s = s .. s end; return #s

--- a text that doubles in a caught function
--: alone "^[-*]"
local s = 'x'; local ok, e = pcall(function() for i = 1, 60 do s = s .. s end end); return {tostring(ok), #s > 0}

--- table.concat of gigabytes
--: alone "^-"
local s = string.rep('x', 2^20); local t = {}; for i = 1, 2^16 do t[i] = s end; return #table.concat(t)

--- gsub of gigabytes
--: alone "^-"
local s = string.rep('x', 2^20); return #s:gsub('x', s)

--- a table that grows without end
--: alone "^-"
local s, t, i = string.rep('x', 2^20), {}, 0; while true do i = i + 1; t[i] = s:sub(i) end

--- small tables without end
--: alone "^-"
local t = {}; while true do t = {t, {}, {}, {}} end

--- tables that hold each other without end
--: alone "^-"
local s, t, i = string.rep('x', 2^20), {}, 0; while true do i = i + 1; t = {t, s:sub(i)} end

--- coroutines without end
--: alone "^-"
local s, t = string.rep('x', 2^20), {}; while true do local c = coroutine.wrap(function() coroutine.yield(s:sub(#t)) end); t[#t + 1] = c; t[#t + 1] = c() end

--- recursion without end
--: alone "^-ERR .*stack overflow"
local function f() return 1 + f() end; return f()

--- recursion through pcall
--: alone "^[-*:$]"
local function f() return pcall(f) end; return {f()}

--- recursion through pcall that is no tail call
--: alone "^[-*:$]"
local function f() local ok = pcall(f); return ok end; return tostring(f())

--- recursion through metamethods
--: alone "^-"
local t = setmetatable({}, {}); getmetatable(t).__index = function(t, k) return t[k + 1] end; return t[1]

--- a chain of metatables
--: alone "^[-$]"
local t = {}; for i = 1, 100000 do t = setmetatable({}, {__index = t}) end; return t.x

--- a metatable that is its own
--: alone "^-"
local t = {}; setmetatable(t, t); t.__index = t; return t.x

--- recursion through tostring
--: alone "^-"
local t = setmetatable({}, {}); getmetatable(t).__tostring = function(t) return tostring(t) end; return tostring(t)

--- recursion through sort
--: alone "^[-*:$]"
local function f(n) local t = {3, 1, 2}; table.sort(t, function(a, b) f(n + 1); return a < b end) end; return tostring(pcall(f, 1))

--- recursion through gsub
--: alone "^[-*:$]"
local function f() return (('x'):gsub('x', f)) end; return tostring(pcall(f))

--- recursion through coroutines
--: alone "^[-*:$]"
local function f() return coroutine.wrap(f)() end; return tostring(pcall(f))

--- a coroutine that resumes itself
--: alone "^[-*:$]"
local c; c = coroutine.create(function() return coroutine.resume(c) end); return {tostring(coroutine.resume(c))}

--- a deep pattern
--: alone "^[-*:$]"
return tostring(pcall(string.find, string.rep('x', 200000), string.rep('x?', 200000)))

--- a deep pattern of single characters
--: alone "^[-*:$]"
return tostring(pcall(string.match, string.rep('a', 300000), '^' .. string.rep('a', 300000) .. 'b'))

--- a deep pattern of captures
--: alone "^[-*:$]"
return tostring(pcall(string.match, string.rep('a', 300000), '^(' .. string.rep('a-', 100000) .. ')'))

--- a source that nests
--: alone "^[-*:$]"
return tostring(loadstring('return ' .. string.rep('(', 100000) .. '1' .. string.rep(')', 100000)))

--- a source that nests tables
--: alone "^[-*:$]"
return tostring(loadstring('return ' .. string.rep('{', 100000) .. string.rep('}', 100000)))

--- a source of many functions
--: alone "^[-*:$]"
return tostring(loadstring(string.rep('return function() ', 10000) .. string.rep(' end', 10000)))

--- a source that joins
--: alone "^[-*:$]"
return type(loadstring('return ' .. string.rep("'a' .. ", 100000) .. "'b'"))

--- a source of many constants
--: alone "^[-*:$]"
local t = {}; for i = 1, 300000 do t[i] = i .. '.5' end; return type(loadstring('return {' .. table.concat(t, ',') .. '}'))

--- JSON that nests
--: alone "^-"
return cjson.decode(string.rep('[', 10000000))

--- JSON that nests with a higher limit
--: alone "^[-*:$]"
cjson.decode_max_depth(10000000); return tostring(pcall(cjson.decode, string.rep('[', 500000)))

--- JSON of a table that nests with a higher limit
--: alone "^[-*:$]"
cjson.encode_max_depth(10000000); local t = {}; for i = 1, 500000 do t = {t} end; return tostring(pcall(cjson.encode, t))

--- JSON of an array that seems long
--: alone "^[-*:$]"
cjson.encode_sparse_array(false, 0); return tostring(pcall(cjson.encode, {[2^31] = 1}))

--- MessagePack that nests
--: alone "^[-*:$]"
return tostring(pcall(cmsgpack.unpack, string.rep('\145', 1000000)))

--- MessagePack that promises an array
--: alone "^[-*:$]"
return tostring(pcall(cmsgpack.unpack, '\221\255\255\255\255\1'))

--- MessagePack of a table that nests
--: alone "^[-*:$]"
local t = {}; for i = 1, 500000 do t = {t} end; return tostring(pcall(cmsgpack.pack, t))

--- struct of a large field
--: alone "^[-*:$]"
return tostring(pcall(struct.pack, 'c2147483647', 'x')) .. tostring(pcall(struct.unpack, 'c2147483647', 'x')) .. tostring(pcall(struct.size, 'c2147483647c2147483647c2147483647'))

--- unpack of much
--: alone "^[-*:$]"
return tostring(pcall(unpack, {}, 1, 2^31 - 1)) .. tostring(pcall(unpack, {}, 0, 2^53)) .. tostring(pcall(unpack, {}, 1, 1/0))

--- unpack of more than an integer counts
--: alone "^[-*:$]"
return tostring(pcall(unpack, {}, 0, 2^31 - 1)) .. tostring(pcall(unpack, {}, -2^31, 2^31 - 1)) .. tostring(pcall(unpack, {}, -2^31, 2^31 - 2)) .. tostring(pcall(unpack, {}, -1, 2^31 - 2))

--- a source whose name ends early
--: alone "name..:1: unexpected symbol near"
local t = {}; for i = 1, 50000 do t[i] = "'text " .. i .. "'" end; collectgarbage('setpause', 1); local f, e = loadstring('return {' .. table.concat(t, ',') .. '}, $', 'name\0' .. string.rep('x', 100)); return e

--- a source that ends early
--: alone "^[-$]"
local t = {}; for i = 1, 50000 do t[i] = "'text " .. i .. "'" end; collectgarbage('setpause', 1); local f, e = loadstring('return {' .. table.concat(t, ',') .. '}\0, $'); return e

--- text of bytes of much
--: alone "^[-*:$]"
return tostring(pcall(string.byte, string.rep('x', 10000000), 1, -1))

--- a command of too many arguments
--: alone "^[-*:$]"
return tostring(pcall(function() return redis.call('ECHO', unpack({}, 1, 7000)) end))

--- an answer that would be gigabytes
--: alone "^[-*:$]"
local s = string.rep('x', 500000); local t = {}; for i = 1, 100 do t[i] = s end; return #t

--- a reply of a command that nests in answers
--: alone "^[-*:$]"
local t = {}; for i = 1, 200 do t = {t, t} end; return 1

--- arguments that are changed while they are read
--: alone "^[-*:$]"
for i = 1, 100000 do ARGV[i] = i end; return #ARGV

--- a finalizer that fails
--: alone "^[-*:$]"
for i = 1, 100 do local t = setmetatable({}, {__gc = function() error('x') end, __mode = 'kv'}) end; collectgarbage(); collectgarbage('stop'); collectgarbage('setpause', 0); collectgarbage('setstepmul', 1); return 1

--- next with a key that is gone
--: alone "^[-*:$]"
local t = {}; for i = 1, 100 do t['k' .. i] = i end; return tostring(pcall(function() for k in pairs(t) do for i = 1, 100 do t['k' .. i] = nil end; for i = 101, 300 do t['k' .. i] = i end end end))

--- still there
--: alone "^[+]PONG"
return redis.call('PING')
