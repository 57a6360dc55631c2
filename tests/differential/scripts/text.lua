-- The functions of string and table.

--- prelude
local function show(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = tostring(r[i]) end return table.concat(r, ' | ') end

--- length, case, order
return {#'a\0b', ('abc'):len(), ('aBc'):upper(), ('aBc'):lower(), ('abc'):reverse(), ('\195\188'):upper(), ('ab'):rep(3), ('ab'):rep(0), ('x'):rep(-5)}

--- parts
return {('hello'):sub(2), ('hello'):sub(2, 3), ('hello'):sub(-3), ('hello'):sub(-3, -2), ('hello'):sub(0), ('hello'):sub(10), ('hello'):sub(2, 100), ('hello'):sub(3, 2), ('hello'):sub(-100, 2), ('hello'):sub(2.9, 3.9)}

--- bytes
return {('ABC'):byte(), ('ABC'):byte(2), show(string.byte, 'ABC', 1, -1), show(string.byte, 'ABC', 10), string.char(72, 105), string.char(), show(string.char, 256), show(string.char, -1), string.char(0, 255)}

--- find
return {show(string.find, 'hello', 'l'), show(string.find, 'hello', 'l', 4), show(string.find, 'hello', 'x'), show(string.find, 'hello', ''), show(string.find, 'hello', '', 10), show(string.find, 'a.b', '.', 1, true), show(string.find, 'hello', 'l', -2), show(string.find, 'hello', '(l)(l)'), show(string.find, 'hello', '()ll()')}

--- match
return {show(string.match, 'key=value', '(%w+)=(%w+)'), show(string.match, '2024-01-15', '(%d+)-(%d+)-(%d+)'), show(string.match, 'hello', 'l*'), show(string.match, 'hello', 'l+'), show(string.match, '  x  ', '^%s*(.-)%s*$'), show(string.match, 'abc', '^b'), show(string.match, 'abc', 'c$')}

--- classes
local r = {}; for _, c in ipairs({'a', 'c', 'd', 'l', 'p', 's', 'u', 'w', 'x', 'z', 'A', 'D', 'S', 'W'}) do r[#r + 1] = c .. ':' .. ('aZ5_ \t.\0\127\200'):gsub('%' .. c, '#') end; return r

--- sets
return {show(string.gsub, 'hello world', '[aeiou]', '*'), show(string.gsub, 'hello', '[^l]', '.'), show(string.gsub, 'a-b]c', '[]-]', '#'), show(string.gsub, 'x1y2', '[%d]', ''), show(string.gsub, 'abc', '[a-b]', 'X'), show(string.gsub, 'a^b', '[%^]', '!')}

--- balanced and frontiers
return {show(string.match, 'f(a(b)c)d', '%b()'), show(string.gsub, 'THE (quick) fox', '%f[%a]%a+', 'w'), show(string.match, 'x = {1, {2}}', '%b{}'), show(string.match, '(((', '%b()')}

--- references back
return {show(string.match, '"it" and \'x\'', '(["\'])(.-)%1'), show(string.gsub, 'hello', '(l)%1', '<%0>'), show(string.match, 'abcabc', '(abc)%1')}

--- gsub with text
return {show(string.gsub, 'hello', 'l', 'L'), show(string.gsub, 'hello', 'l', 'L', 1), show(string.gsub, 'hello', '', '-'), show(string.gsub, 'abc', '%w', '%0%0'), show(string.gsub, 'abc', '(%w)(%w)', '%2%1'), show(string.gsub, 'x', 'x', '%%')}

--- gsub with a table and a function
return {show(string.gsub, '$name is $age', '%$(%w+)', {name = 'Ada', age = 36}), show(string.gsub, 'abc', '%w', {a = 1, b = false}), show(string.gsub, 'abc', '%w', function(c) if c == 'b' then return 'X' end end), show(string.gsub, 'abc', '(%w)(%w)', function(a, b) return b .. a end)}

--- gsub that is wrong
return {show(string.gsub, 'x', 'x', '%2'), show(string.gsub, 'x', 'x', '%a'), show(string.gsub, 'x', '(', ''), show(string.gsub, 'x', '[', ''), show(string.gsub, 'x', '%', ''), show(string.gsub, 'x', 'x', function() return {} end), show(string.gsub, 'x', 'x', true), show(string.gsub, 'x', 'x')}

--- patterns that are wrong
return {show(string.find, 'x', '(x'), show(string.find, 'x', 'x)'), show(string.find, 'x', '%b'), show(string.find, 'x', '%f'), show(string.find, 'x', '%1'), show(string.find, 'x', '[a'), show(string.find, 'x', string.rep('(x)', 40))}

--- gmatch
local r = {}; for w in ('one two  three'):gmatch('%a+') do r[#r + 1] = w end; for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do r[#r + 1] = k .. v end; for p in ('abc'):gmatch('()') do r[#r + 1] = p end; return r

--- an anchor in gmatch
local r = {}; for w in ('aaa'):gmatch('^a') do r[#r + 1] = w; if #r > 5 then break end end; return #r

--- patterns and NUL
return {show(string.find, 'a\0b', '\0'), show(string.find, 'a\0b', '%z'), show(string.match, 'a\0b', '.b'), show(string.gsub, 'a\0b', '%z', '0'), show(string.find, 'a\0b', 'b', 1, true)}

--- slow patterns
return {show(string.match, string.rep('a', 25), string.rep('a?', 12) .. string.rep('a', 25)), show(string.find, string.rep('a', 1000) .. 'b', 'a-b')}

--- format of text
return {string.format('%s', 'x'), string.format('%10s|%-10s|', 'abc', 'abc'), string.format('%.2s', 'abc'), string.format('%%'), string.format('%s %s', 1, 1.5), string.format('%q', 'a "quoted"\n\0\r\\ text'), string.format('%5.1s|', 'abc')}

--- format of other types
return {show(string.format, '%s', nil), show(string.format, '%s', true), show(string.format, '%s', {}) ~= '', show(string.format, '%s'), show(string.format, '%y', 1), show(string.format, '%', 1), show(string.format, '%10'), show(string.format), show(string.format, '%1000d', 1), show(string.format, '%q', 5)}

--- format of long text
return {#string.format('%s', string.rep('x', 10000)), #string.format('%-99s', 'x'), show(string.format, '%100s', 'x'), #string.format('%.99f', 1/3)}

--- text as methods
return {('%d-%s'):format(5, 'x'), ('a,b'):find(',', 1, true), #('x'):rep(10), ('abc'):upper():lower()}

--- arguments of the wrong type
return {show(string.sub), show(string.sub, 'x'), show(string.sub, {}, 1), show(string.upper), show(string.rep, 'x'), show(string.len, 5), show(string.len, nil), show(string.find, 'x'), show(string.byte), show(string.char, 'x'), show(string.reverse, true)}

--- table.concat
return {table.concat({1, 2, 3}), table.concat({1, 2, 3}, ', '), table.concat({'a', 'b', 'c'}, '-', 2), table.concat({'a', 'b', 'c'}, '-', 2, 2), table.concat({}, 'x'), table.concat({1.5, 'x'}, ''), show(table.concat, {1, {}, 3}), show(table.concat, {1, nil, 3}, ',', 1, 3), show(table.concat, {true})}

--- table.insert and table.remove
local t = {1, 2, 3}; table.insert(t, 4); table.insert(t, 1, 0); local a = table.remove(t); local b = table.remove(t, 1); local c = table.remove(t, 2); return {t, a, b, c, show(table.remove, {}), show(table.insert, t, 1, 2, 3), show(table.insert, t), show(table.insert, nil, 1)}

--- table.insert far away
local t = {1}; table.insert(t, 5, 'x'); return {#t == 1 or #t == 5, tostring(t[5])}

--- table.sort
local t = {5, 2, 8, 1, 9}; table.sort(t); local u = {'b', 'C', 'a'}; table.sort(u); local v = {1, 2, 3}; table.sort(v, function(a, b) return a > b end); return {t, u, v, show(table.sort, {1, 'x', 2}), show(table.sort, {{}, {}})}

--- table.sort of many
local t = {}; for i = 1, 500 do t[i] = (i * 7919) % 503 end; table.sort(t); return {t[1], t[250], t[500], table.concat(t, ',', 1, 10)}

--- table.sort with an order that is none
return show(table.sort, {3, 1, 2, 5, 4, 7, 6, 9, 8}, function() return true end)

--- table.sort keeps no order of equals
local t = {}; for i = 1, 30 do t[i] = {i % 3, i} end; table.sort(t, function(a, b) return a[1] < b[1] end); local r = {}; for i, v in ipairs(t) do r[i] = v[1] .. ':' .. v[2] end; return r

--- table.getn, maxn, foreach
return {show(function() return table.getn({1, 2, 3}) end), show(function() return table.maxn({1, 2, [10] = 3, x = 1}) end), show(function() local s = ''; table.foreach({a = 1}, function(k, v) s = s .. k .. v end); return s end), show(function() local s = ''; table.foreachi({5, 6}, function(i, v) s = s .. i .. v end); return s end), show(function() return table.setn({}, 1) end)}

--- table.pack and table.unpack
return {show(function() return table.pack(1, 2) end), show(function() return table.unpack({1, 2}) end)}

--- unpack
return {show(unpack, {1, 2, 3}), show(unpack, {1, 2, 3}, 2), show(unpack, {1, 2, 3}, 2, 3), show(unpack, {}, 1, 3), show(unpack), select('#', unpack({nil, nil}, 1, 4))}

--- select
return {show(select, 2, 'a', 'b', 'c'), show(select, -1, 'a', 'b', 'c'), select('#'), select('#', nil, nil), show(select, 0, 'a'), show(select, -5, 'a'), show(select, 'x')}

--- the length of tables with holes
return {#{1, 2, nil, 4}, #{nil, nil, 3}, #{n = 1}, #{1, 2, 3, nil}, #{[1] = 1, [2] = 2, [4] = 4}}

--- iteration over a table of fields
local t = {}; for i = 1, 20 do t['field' .. i] = i end; local r = {}; for k, v in pairs(t) do r[#r + 1] = k .. '=' .. v end; table.sort(r); return r

--- removal while iterating
local t = {}; for i = 1, 50 do t['k' .. i] = i end; local n = 0; for k in pairs(t) do t[k] = nil; n = n + 1 end; return {n, tostring(next(t))}

--- long text in pieces
local t = {}; for i = 1, 5000 do t[i] = tostring(i) end; local s = table.concat(t, ','); return {#s, redis.sha1hex(s)}

--- text that is joined step by step
local s = ''; for i = 1, 500 do s = s .. i end; return {#s, redis.sha1hex(s)}

--- escapes
return {'\a\b\f\n\r\t\v\\\"\'\065\10', [[long
text]], [==[with ]] in it]==], 'a\
b', "\'"}

--- comments of all forms
--[[ long
comment ]] --[==[ another ]==]
return 1 -- the end
