-- cjson: what is encoded and decoded, its limits and options.

--- prelude
local function show(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = tostring(r[i]) end return table.concat(r, ' | ') end local function tell(v) if type(v) ~= 'table' then return v == cjson.null and 'null' or type(v) .. ' ' .. tostring(v) end local keys = {} for k in pairs(v) do keys[#keys + 1] = k end table.sort(keys, function(a, b) return tostring(a) < tostring(b) end) local parts = {} for _, k in ipairs(keys) do parts[#parts + 1] = type(k):sub(1, 1) .. tostring(k) .. '=' .. tell(v[k]) end return '{' .. table.concat(parts, ', ') .. '}' end

--- encode scalars
return {cjson.encode(1), cjson.encode(-1.5), cjson.encode('x'), cjson.encode(true), cjson.encode(false), cjson.encode(nil), cjson.encode(cjson.null)}

--- encode numbers
return cjson.encode({0, 1e15, 1e16, 0.1, 1/3, 1e100, -0.0, 2^53, 2^63, 123456789012345, 1e-10, 100000000000000000})

--- encode numbers that are none
return {show(cjson.encode, 1/0), show(cjson.encode, -1/0), show(cjson.encode, 0/0)}

--- encode text
return cjson.encode('a"b\\c/d\n\r\t\b\f\0\1\31\127\195\188\255')

--- encode all bytes
local t = {}; for i = 0, 255 do t[#t + 1] = string.char(i) end; return cjson.encode(table.concat(t))

--- encode an array
return {cjson.encode({1, 2, 3}), cjson.encode({'a', {'b', {}}}), cjson.encode({1, nil, 3}), cjson.encode({nil, nil, 3})}

--- encode an empty table
return {cjson.encode({}), cjson.encode({{}}), cjson.encode({a = {}})}

--- encode a table of one field
return {cjson.encode({a = 1}), cjson.encode({['a b'] = {c = false}}), cjson.encode({[''] = 1})}

--- encode keys that are numbers
return {cjson.encode({[5] = 1}), cjson.encode({[1.5] = 1}), cjson.encode({[-1] = 1}), cjson.encode({[0] = 'x'}), cjson.encode({[1] = 'a', [3] = 'c'})}

--- encode other keys
return {show(cjson.encode, {[true] = 1}), show(cjson.encode, {[{}] = 1})}

--- encode other types
return {show(cjson.encode, function() end), show(cjson.encode, {function() end}), show(cjson.encode, coroutine.create(function() end))}

--- encode of nothing
return {show(cjson.encode), show(cjson.encode, 1, 2)}

--- encode a sparse array
return {show(cjson.encode, {[1] = 1, [11] = 1}), show(cjson.encode, {[1] = 1, [30] = 1}), show(cjson.encode, {[100] = 1})}

--- encode a mixed table
return #cjson.encode({1, 2, x = 'y'})

--- encode a metatable
return cjson.encode(setmetatable({1, 2}, {__index = {3, 4, 5}, __len = function() return 5 end}))

--- encode nested deep
local t = {}; for i = 1, 998 do t = {t} end; return {#cjson.encode(t), show(cjson.encode, {{t}})}

--- encode a table that contains itself
local t = {}; t[1] = t; return show(cjson.encode, t)

--- encode a reply
redis.call('HSET', 'h', 'a', 1, 'b', 'x'); return cjson.encode(redis.call('HGETALL', 'h'))

--- encode keys and arguments
--: keys a b
--: args 1 "ü"
return cjson.encode({KEYS, ARGV})

--- encode a status and an error
return {cjson.encode(redis.call('PING')), #cjson.encode(redis.pcall('NOSUCH')) > 10}

--- decode scalars
return {tell(cjson.decode('1')), tell(cjson.decode('"x"')), tell(cjson.decode('true')), tell(cjson.decode('false')), tell(cjson.decode('null')), tell(cjson.decode(' [1 , 2 ] '))}

--- decode numbers
return tell(cjson.decode('[0, -0, 1.5, -1.5, 1e3, 1E+3, 1e-3, 12345678901234567890, 9007199254740993, 0.1, 1.0]'))

--- decode large numbers
return {tell(cjson.decode('1e308')), tell(cjson.decode('1e400')), tell(cjson.decode('-1e400')), tell(cjson.decode('1e-400'))}

--- decode odd numbers
return {show(cjson.decode, '01'), show(cjson.decode, '0x10'), show(cjson.decode, 'inf'), show(cjson.decode, 'nan'), show(cjson.decode, '-'), show(cjson.decode, '+1'), show(cjson.decode, '.5'), show(cjson.decode, '5.'), show(cjson.decode, '1e'), show(cjson.decode, '-inf'), show(cjson.decode, 'Infinity')}

--- decode text
return tell(cjson.decode([["a\"b\\c\/d\n\r\t\b\f\u0041\u00fc\u20ac"]]))

--- decode surrogates
return {tell(cjson.decode([["\ud83d\ude00"]])), show(cjson.decode, [["\ud83d"]]), show(cjson.decode, [["\ude00"]]), show(cjson.decode, [["\ud83dx"]]), show(cjson.decode, [["\ud83d\u0041"]])}

--- decode NUL
return {#cjson.decode([["a\u0000b"]]), cjson.decode([["a\u0000b"]])}

--- decode odd escapes
return {show(cjson.decode, [["\x"]]), show(cjson.decode, [["\u12"]]), show(cjson.decode, [["\u12g4"]]), show(cjson.decode, '"\\'), show(cjson.decode, '"abc'), show(cjson.decode, '"a\nb"'), show(cjson.decode, '"a\tb"'), show(cjson.decode, '"a\1b"')}

--- decode bytes that are no UTF-8
return cjson.decode('"\255\254\128"')

--- decode objects
return {tell(cjson.decode('{}')), tell(cjson.decode('{"a":1}')), tell(cjson.decode('{"a":{"b":[1,{"c":null}]}}')), tell(cjson.decode('{"a":1,"a":2}')), tell(cjson.decode('{"":1}')), tell(cjson.decode('{"1":"text key"}'))}

--- decode arrays
return {tell(cjson.decode('[]')), tell(cjson.decode('[1,[2,[3]]]')), tell(cjson.decode('[null,1,null]')), #cjson.decode('[1,2,3]')}

--- decode null inside
local t = cjson.decode('{"a":null,"b":[null]}'); return {tostring(t.a == cjson.null), tostring(t.b[1] == cjson.null), type(t.a), tostring(t.c)}

--- null is passed on as nothing
return {cjson.decode('[1,null,3]')[1], cjson.null, 2}

--- decode what is wrong
local r = {}; for i, s in ipairs({'', ' ', '{', '[', '}', ']', '{]', '[}', '[1,]', '[,1]', '{"a"}', '{"a":}', '{"a":1,}', '{a:1}', "{'a':1}", '{1:2}', '[1 2]', '1 2', 'tru', 'nul', 'True', '"a" x', '[1]]', '{"a":1}}', ',', ':', '/* */ 1', '[1]\0', '\239\187\1911'}) do r[i] = show(cjson.decode, s) end; return r

--- decode other types
return {show(cjson.decode), show(cjson.decode, nil), show(cjson.decode, {}), show(cjson.decode, true), show(cjson.decode, 5), show(cjson.decode, '1', '2')}

--- decode what is wrong ends the script
return cjson.decode('{"a":')

--- decode nested deep
return {type(cjson.decode(string.rep('[', 1000) .. string.rep(']', 1000))), show(cjson.decode, string.rep('[', 1001) .. string.rep(']', 1001))}

--- decode nested objects too deep
return show(cjson.decode, string.rep('{"a":', 1001) .. '1' .. string.rep('}', 1001))

--- there and back
--: args "{\"name\":\"Ada\"}" "[1,2.5,\"x\",true,false,null,[],[[]]]" "\"ü€😀\""
return {cjson.encode(cjson.decode(ARGV[1])), cjson.encode(cjson.decode(ARGV[2])), cjson.encode(cjson.decode(ARGV[3]))}

--- an empty array becomes an object
return {cjson.encode(cjson.decode('[]')), cjson.encode(cjson.decode('{}')), cjson.encode(cjson.decode('{"a":[]}'))}

--- options: encode_sparse_array
return {show(cjson.encode_sparse_array), show(function() cjson.encode_sparse_array(true); return cjson.encode({[1000] = 1}) end), show(function() cjson.encode_sparse_array(true, 1, 2); return cjson.encode({[1] = 1, [5] = 1}), cjson.encode({[1] = 1, [2] = 1}) end)}

--- options: encode_sparse_array off
return {show(function() cjson.encode_sparse_array(false, 0, 0); return #cjson.encode({[1000] = 1}) end), show(cjson.encode_sparse_array, 'x'), show(cjson.encode_sparse_array, false, -1), show(cjson.encode_sparse_array, false, 2, -1)}

--- options: encode_max_depth
return {show(cjson.encode_max_depth), show(function() cjson.encode_max_depth(2); return cjson.encode({{1}}), pcall(cjson.encode, {{{1}}}) end), show(cjson.encode_max_depth, 0), show(cjson.encode_max_depth, 'x')}

--- options: decode_max_depth
return {show(function() return cjson.decode_max_depth() end), show(function() cjson.decode_max_depth(2); return tell(cjson.decode('[[1]]')), pcall(cjson.decode, '[[[1]]]') end)}

--- options: encode_number_precision
return {show(cjson.encode_number_precision), show(function() cjson.encode_number_precision(3); return cjson.encode(math.pi) end), show(function() cjson.encode_number_precision(14); return cjson.encode(1/3) end), show(cjson.encode_number_precision, 0), show(cjson.encode_number_precision, 15), show(cjson.encode_number_precision, 17)}

--- options: encode_keep_buffer
return {show(cjson.encode_keep_buffer), show(cjson.encode_keep_buffer, false), show(cjson.encode_keep_buffer, true), show(cjson.encode_keep_buffer, 'x')}

--- options: encode_invalid_numbers
return {show(cjson.encode_invalid_numbers), show(function() cjson.encode_invalid_numbers(true); return cjson.encode({1/0, -1/0}) end), show(function() cjson.encode_invalid_numbers('null'); return cjson.encode({1/0, 0/0}) end), show(function() cjson.encode_invalid_numbers(false); return cjson.encode(1/0) end), show(cjson.encode_invalid_numbers, 'nosuch')}

--- options: decode_invalid_numbers
return {show(cjson.decode_invalid_numbers), show(function() cjson.decode_invalid_numbers(true); return tell(cjson.decode('[0x10, inf]')) end), show(function() cjson.decode_invalid_numbers(false); return cjson.decode('0x10') end)}

--- options: decode_array_with_array_mt
return {show(function() return cjson.decode_array_with_array_mt() end), show(function() cjson.decode_array_with_array_mt(true); return cjson.encode(cjson.decode('[]')), cjson.encode({cjson.decode('[[],{}]')}) end)}

--- new
return show(function() return type(cjson.new()) end)

--- its name and version
return {show(function() return cjson._NAME end), show(function() return cjson._VERSION end), tostring(cjson.null), type(cjson.null)}

--- a long document
local t = {}; for i = 1, 500 do t[i] = {id = i} end; local s = cjson.encode(t); local u = cjson.decode(s); return {#s, redis.sha1hex(s), #u, u[500].id}

--- text as a key and as a value
local s = cjson.encode({['k"\n'] = 'v\0'}); return {s, tell(cjson.decode(s))}

--- numbers come back
local r = {}; for i, n in ipairs({0.1, 1/3, 123456789.123456789, 1e21, -5e-7, 2^53}) do r[i] = cjson.encode(n) .. ' ' .. tostring(cjson.decode(cjson.encode(n)) == n) end; return r

--- spaces
return tell(cjson.decode(' \t\r\n{ "a" : [ 1 , 2 ] , "b" : { } } \n'))

--- slashes
return {cjson.encode('a/b'), cjson.decode([["a\/b"]])}
