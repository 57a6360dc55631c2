-- cmsgpack: what is packed and unpacked, byte for byte.

--- prelude
local function show(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = tostring(r[i]) end return table.concat(r, ' | ') end local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end local function tell(v) if type(v) ~= 'table' then return type(v) .. ' ' .. tostring(v) end local keys = {} for k in pairs(v) do keys[#keys + 1] = k end table.sort(keys, function(a, b) return tostring(a) < tostring(b) end) local parts = {} for _, k in ipairs(keys) do parts[#parts + 1] = type(k):sub(1, 1) .. tostring(k) .. '=' .. tell(v[k]) end return '{' .. table.concat(parts, ', ') .. '}' end local function tells(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = tell(r[i]) end return table.concat(r, ' | ') end local function bytes(s) return (s:gsub('%x%x', function(x) return string.char(tonumber(x, 16)) end)) end -- show( tell( hex( bytes(

--- pack integers
local r = {}; show(tostring); for i, n in ipairs({0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2^53, 2^62}) do r[i] = hex(cmsgpack.pack(n)) end; return r

--- pack negative integers
local r = {}; show(tostring); for i, n in ipairs({-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -2^53, -2^63}) do r[i] = hex(cmsgpack.pack(n)) end; return r

--- pack fractions
local r = {}; show(tostring); for i, n in ipairs({0.5, 1.5, -2.25, 0.1, 1/3, 1e100, 1e-300, 3.4e38, 2^64, 1/0, -1/0, -0.0}) do r[i] = hex(cmsgpack.pack(n)) end; return r

--- pack other scalars
return {hex(cmsgpack.pack(true)), hex(cmsgpack.pack(false)), hex(cmsgpack.pack(nil)), show(cmsgpack.pack)}

--- pack text
return {hex(cmsgpack.pack('')), hex(cmsgpack.pack('abc')), hex(cmsgpack.pack('\0\255')), hex(cmsgpack.pack(('x'):rep(31))), hex(cmsgpack.pack(('x'):rep(32))), show(tostring, 1)}

--- pack long text
show(tostring); local r = {}; for i, n in ipairs({255, 256, 65535, 65536}) do local s = cmsgpack.pack(('x'):rep(n)); r[i] = hex(s:sub(1, 6)) .. ' ' .. #s end; return r

--- pack arrays
return {hex(cmsgpack.pack({})), hex(cmsgpack.pack({1, 2, 3})), hex(cmsgpack.pack({1, {2, {3}}})), hex(cmsgpack.pack({'a', true, 1.5})), show(tostring, 1)}

--- pack long arrays
show(tostring); local r = {}; for i, n in ipairs({15, 16, 65535, 65536}) do local t = {}; for j = 1, n do t[j] = 1 end; local s = cmsgpack.pack(t); r[i] = hex(s:sub(1, 6)) .. ' ' .. #s end; return r

--- pack maps
return {hex(cmsgpack.pack({a = 1})), hex(cmsgpack.pack({a = {b = 'c'}})), hex(cmsgpack.pack({[1.5] = 2})), hex(cmsgpack.pack({[true] = 'x'})), show(tostring, 1)}

--- pack tables with holes
return {hex(cmsgpack.pack({1, nil, 3})), hex(cmsgpack.pack({[2] = 'b'})), hex(cmsgpack.pack({[0] = 'x'})), hex(cmsgpack.pack({[-1] = 'x'})), show(tostring, 1)}

--- pack long maps
show(tostring); local r = {}; for i, n in ipairs({15, 16, 300}) do local t = {}; for j = 1, n do t['k' .. j] = j end; local s = cmsgpack.pack(t); r[i] = hex(s:sub(1, 3)) .. ' ' .. #s end; return r

--- pack mixed tables
show(tostring); local t = cmsgpack.unpack(cmsgpack.pack({1, 2, x = 'y'})); return tell(t)

--- pack several values
return {hex(cmsgpack.pack(1, 'a', {2})), hex(cmsgpack.pack(nil, nil)), show(tostring, 1)}

--- pack other types
return {hex(cmsgpack.pack(function() end)), hex(cmsgpack.pack({function() end})), show(tostring, 1)}

--- pack nested deep
show(tostring); local t = {}; for i = 1, 20 do t = {t} end; return {hex(cmsgpack.pack(t)), tell(cmsgpack.unpack(cmsgpack.pack(t)))}

--- pack a table that contains itself
show(tostring); local t = {}; t[1] = t; return hex(cmsgpack.pack(t))

--- pack metatables
return {hex(cmsgpack.pack(setmetatable({1}, {__index = {a = 2}}))), show(tostring, 1)}

--- unpack integers
return {tells(cmsgpack.unpack, bytes('00')), tells(cmsgpack.unpack, bytes('7f')), tells(cmsgpack.unpack, bytes('ff')), tells(cmsgpack.unpack, bytes('e0')), tells(cmsgpack.unpack, bytes('ccff')), tells(cmsgpack.unpack, bytes('cdffff')), tells(cmsgpack.unpack, bytes('ceffffffff')), tells(cmsgpack.unpack, bytes('cf0020000000000001')), tells(cmsgpack.unpack, bytes('cfffffffffffffffff')), show(tostring, 1)}

--- unpack negative integers
return {tells(cmsgpack.unpack, bytes('d080')), tells(cmsgpack.unpack, bytes('d18000')), tells(cmsgpack.unpack, bytes('d280000000')), tells(cmsgpack.unpack, bytes('d3ffffffffffffffff')), tells(cmsgpack.unpack, bytes('d38000000000000000')), show(tostring, 1)}

--- unpack fractions
return {tells(cmsgpack.unpack, bytes('ca3f000000')), tells(cmsgpack.unpack, bytes('cb3fb999999999999a')), tells(cmsgpack.unpack, bytes('ca7f800000')), tells(cmsgpack.unpack, bytes('cbfff0000000000000')), show(tostring, 1)}

--- unpack other scalars
return {tells(cmsgpack.unpack, bytes('c0')), tells(cmsgpack.unpack, bytes('c2')), tells(cmsgpack.unpack, bytes('c3')), show(tostring, 1)}

--- unpack text
return {tells(cmsgpack.unpack, bytes('a0')), tells(cmsgpack.unpack, bytes('a3616263')), tells(cmsgpack.unpack, bytes('d903616263')), tells(cmsgpack.unpack, bytes('da0003616263')), tells(cmsgpack.unpack, bytes('db00000003616263')), tells(cmsgpack.unpack, bytes('c403616263')), tells(cmsgpack.unpack, bytes('c50003616263')), tells(cmsgpack.unpack, bytes('c600000003616263')), show(tostring, 1)}

--- unpack arrays
return {tells(cmsgpack.unpack, bytes('90')), tells(cmsgpack.unpack, bytes('93010203')), tells(cmsgpack.unpack, bytes('dc00020102')), tells(cmsgpack.unpack, bytes('dd000000020102')), tells(cmsgpack.unpack, bytes('9201c0')), tells(cmsgpack.unpack, bytes('92c001')), show(tostring, 1)}

--- unpack maps
return {tells(cmsgpack.unpack, bytes('80')), tells(cmsgpack.unpack, bytes('81a16101')), tells(cmsgpack.unpack, bytes('820102a16203')), tells(cmsgpack.unpack, bytes('de0001a16101')), tells(cmsgpack.unpack, bytes('df00000001a16101')), tells(cmsgpack.unpack, bytes('82a16101a16102')), show(tostring, 1)}

--- unpack maps with odd keys
return {tells(cmsgpack.unpack, bytes('81c001')), tells(cmsgpack.unpack, bytes('81cb7ff800000000000001')), tells(cmsgpack.unpack, bytes('81c301')), tells(cmsgpack.unpack, bytes('81a161c0')), show(tostring, 1)}

--- unpack several values
return {tells(cmsgpack.unpack, bytes('0102a161')), tells(cmsgpack.unpack, bytes('c0c0')), tells(cmsgpack.unpack, ''), show(tostring, 1)}

--- unpack what ends too early
local r = {}; show(tostring); for i, s in ipairs({'cc', 'cd00', 'ce000000', 'cf00', 'd0', 'd1', 'd2', 'd3', 'ca', 'cb00', 'a1', 'd9', 'd905', 'da', 'db00', '91', '9201', 'dc', 'dd', '81', '8101', 'de', 'df', 'c4', 'c405', '01cc'}) do r[i] = s .. ' ' .. tells(cmsgpack.unpack, bytes(s)) end; return r

--- unpack what is of no type
local r = {}; show(tostring); for i, s in ipairs({'c1', 'c7', 'c8', 'c9', 'd4', 'd5', 'd6', 'd7', 'd8', '91c1', 'd40001'}) do r[i] = s .. ' ' .. tells(cmsgpack.unpack, bytes(s)) end; return r

--- unpack what promises much
return {tells(cmsgpack.unpack, bytes('ddffffffff')), tells(cmsgpack.unpack, bytes('dfffffffff')), tells(cmsgpack.unpack, bytes('dbffffffff')), show(tostring, 1)}

--- unpack other types
return {show(cmsgpack.unpack), show(cmsgpack.unpack, nil), show(cmsgpack.unpack, {}), show(cmsgpack.unpack, 5), show(cmsgpack.unpack, true)}

--- unpack what is wrong ends the script
return cmsgpack.unpack('\204')

--- unpack_one
return {tells(cmsgpack.unpack_one, bytes('010203')), tells(cmsgpack.unpack_one, bytes('010203'), 1), tells(cmsgpack.unpack_one, bytes('010203'), 2), tells(cmsgpack.unpack_one, bytes('010203'), 3), show(cmsgpack.unpack_one, '\1', 5), show(cmsgpack.unpack_one, '\1', -1), show(cmsgpack.unpack_one)}

--- unpack_limit
return {tells(cmsgpack.unpack_limit, bytes('0102030405'), 2), tells(cmsgpack.unpack_limit, bytes('0102030405'), 2, 2), tells(cmsgpack.unpack_limit, bytes('0102'), 5), show(cmsgpack.unpack_limit, '\1', 0), show(cmsgpack.unpack_limit, '\1', -1), show(cmsgpack.unpack_limit, '\1'), show(cmsgpack.unpack_limit, '\1', 1, 9)}

--- unpack_limit step by step
show(tostring); local s, at, r = cmsgpack.pack('a', {1}, 2.5, nil, true), 0, {}; while at ~= -1 and #r < 20 do local v; at, v = cmsgpack.unpack_one(s, at); r[#r + 1] = at .. ' ' .. tell(v) end; return r

--- there and back
show(tostring); local t = {1, -5, 2.5, 'text', {a = {b = true}}, {}, 2^40}; return {tell(t), tell(cmsgpack.unpack(cmsgpack.pack(t)))}

--- there and back to bytes
--: args "\x93\x01\xa1\x61\xc3"
show(tostring); return {hex(cmsgpack.pack(cmsgpack.unpack(ARGV[1]))), cmsgpack.unpack(ARGV[1])}

--- a long document
show(tostring); local t = {}; for i = 1, 1000 do t[i] = {id = i} end; local s = cmsgpack.pack(t); return {#s, redis.sha1hex(s), #cmsgpack.unpack(s), cmsgpack.unpack(s)[1000].id}

--- its name and version
return {show(function() return cmsgpack._NAME end), show(function() return cmsgpack._VERSION end), show(function() return cmsgpack._COPYRIGHT ~= nil end), show(function() return cmsgpack._DESCRIPTION ~= nil end)}

--- there is no other way to pack
return show(function() return cmsgpack.safe end)

--- pack_multiple
return {show(function() return cmsgpack.pack_multiple end), show(function() return hex(cmsgpack.pack(1, 2, 3)) end)}

--- a packed value in a key
show(tostring); redis.call('SET', 'k', cmsgpack.pack({1, 2})); return {redis.call('STRLEN', 'k'), tell(cmsgpack.unpack(redis.call('GET', 'k')))}
