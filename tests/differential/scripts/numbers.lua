-- Numbers: as text, from text, in calculations, math, bit.

--- prelude
local function show(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = tostring(r[i]) end return table.concat(r, ' | ') end

--- tostring
return {tostring(1), tostring(1.0), tostring(0.1), tostring(1/3), tostring(1e15), tostring(1e16), tostring(123456789012345678), tostring(1e100), tostring(-0.0), tostring(2^53), tostring(2^63)}

--- tostring of infinite numbers
return {tostring(1/0), tostring(-1/0), #tostring(0/0)}

--- joined to text
return {1 .. '', 1.5 .. '', 0.1 .. '', 1e20 .. '', -7 .. 'x', 1/3 .. ''}

--- tonumber
return {tostring(tonumber('12')), tostring(tonumber(' 12 ')), tostring(tonumber('1e3')), tostring(tonumber('0x1F')), tostring(tonumber('-0x10')), tostring(tonumber('')), tostring(tonumber('12x')), tostring(tonumber('.5')), tostring(tonumber('5.')), tostring(tonumber('1e')), tostring(tonumber('inf')), tostring(tonumber('nan') ~= nil)}

--- tonumber with a base
return {tostring(tonumber('ff', 16)), tostring(tonumber('FF', 16)), tostring(tonumber('777', 8)), tostring(tonumber('zz', 36)), tostring(tonumber('12', 2)), tostring(tonumber('-11', 2)), tostring(tonumber('8', 8)), show(tonumber, '1', 1), show(tonumber, '1', 37), tostring(tonumber('99999999999999999999', 10))}

--- tonumber of other types
return {tostring(tonumber(5)), tostring(tonumber({})), tostring(tonumber(nil)), tostring(tonumber(true)), show(tonumber), show(tonumber, 10, 2)}

--- text in calculations
return {'10' + 5, '3' * '4', '0x10' + 0, ' 7 ' - 1, 10 .. 20}

--- division and remainder
return {7 / 2, tostring(7 / 2), 7 % 3, -7 % 3, 7 % -3, tostring(-7 % -3), tostring(5.5 % 2), tostring(1 / 0), #tostring(5 % 0) > 0}

--- powers
return {2 ^ 10, tostring(2 ^ 0.5), tostring(2 ^ -1), tostring((-8) ^ (1 / 3)) ~= '', tostring(2 ^ 1024)}

--- comparing
return {tostring(1 == 1.0), tostring('1' == 1), tostring(0/0 == 0/0), tostring(1 < 2), tostring('a' < 'b'), tostring('a' < 'B'), tostring('' < 'a'), tostring('Z' < 'a'), tostring('a\0b' < 'a\0c')}

--- precision
return {tostring(0.1 + 0.2 == 0.3), string.format('%.17g', 0.1 + 0.2), string.format('%.20f', 0.1), tostring(9007199254740992 + 1), string.format('%d', 9007199254740993)}

--- math
return {math.floor(3.7), math.floor(-3.7), math.ceil(3.2), math.ceil(-3.2), math.abs(-5), math.max(1, 5, 3), math.min(4, 2, 8), tostring(math.sqrt(2)), tostring(math.pi), tostring(math.huge), tostring(-math.huge)}

--- more of math
return {tostring(math.fmod(7, 3)), tostring(math.fmod(-7, 3)), show(math.modf, 3.7), show(math.modf, -3.7), show(math.modf, 5), show(math.frexp, 10), tostring(math.ldexp(0.5, 4)), tostring(math.exp(1)), tostring(math.log(10)), tostring(math.log10(1000)), tostring(math.pow(2, 8))}

--- angles
return {string.format('%.10f', math.sin(1)), string.format('%.10f', math.cos(1)), string.format('%.10f', math.tan(1)), string.format('%.10f', math.asin(1)), string.format('%.10f', math.acos(0)), string.format('%.10f', math.atan(1)), string.format('%.10f', math.atan2(1, 2)), string.format('%.10f', math.sinh(1)), string.format('%.10f', math.cosh(1)), string.format('%.10f', math.tanh(1)), string.format('%.10f', math.deg(1)), string.format('%.10f', math.rad(90))}

--- random numbers are the same in each script
return {tostring(math.random()), tostring(math.random()), math.random(100), math.random(5, 10), math.random(1000000)}

--- random numbers of a seed
math.randomseed(42); return {tostring(math.random()), math.random(100), math.random(100), math.random(1, 6), math.random(2^31 - 2)}

--- random numbers of several seeds
local r = {}; for _, seed in ipairs({0, 1, -1, 2^31, 1.5, 123456789}) do math.randomseed(seed); r[#r + 1] = string.format('%.14f', math.random()) end; return r

--- a seed does not last
--: run EVAL "math.randomseed(7); return math.random(1000000)" 0
return {math.random(1000000), math.random(1000000)}

--- many random numbers
local s = 0; for i = 1, 10000 do s = s + math.random(1000) end; return s

--- random numbers of odd bounds
return {show(math.random, 0), show(math.random, 5, 1), show(math.random, 1, 2, 3), show(math.random, 'x'), show(math.random, 1), show(math.random, -5, -5)}

--- a shuffle
local t = {}; for i = 1, 20 do t[i] = i end; for i = 20, 2, -1 do local j = math.random(i); t[i], t[j] = t[j], t[i] end; return t

--- math of other types
return {show(math.floor, 'x'), show(math.floor), show(math.floor, '3.7'), show(math.max), show(math.sqrt, -1) ~= '', show(math.abs, nil), show(math.ldexp, 1)}

--- bit.tobit
return {bit.tobit(1), bit.tobit(0xffffffff), bit.tobit(0x100000001), bit.tobit(2^40 + 5), bit.tobit(-1), bit.tobit(3.5), bit.tobit(2.5), bit.tobit(-2.5), bit.tobit(2^31)}

--- bit.tohex
return {bit.tohex(1), bit.tohex(-1), bit.tohex(0xdeadbeef), bit.tohex(255, 4), bit.tohex(255, -4), bit.tohex(255, 1), bit.tohex(255, 0), bit.tohex(255, 20), bit.tohex(-1, -8)}

--- bit operations
return {bit.band(12, 10), bit.bor(12, 10), bit.bxor(12, 10), bit.bnot(0), bit.bnot(5), bit.band(0xff, 0xf0, 0x30), bit.bor(1, 2, 4, 8), bit.bxor(1, 1, 1), bit.band(-1), bit.bor(2^31)}

--- shifts
return {bit.lshift(1, 4), bit.lshift(1, 31), bit.lshift(1, 32), bit.lshift(1, 33), bit.rshift(256, 4), bit.rshift(-1, 28), bit.arshift(-256, 4), bit.arshift(256, 4), bit.lshift(1, -1), bit.rshift(8, 35)}

--- rotations
return {bit.rol(0x12345678, 8), bit.ror(0x12345678, 8), bit.rol(1, 32), bit.ror(1, 1), bit.rol(1, 33), bit.bswap(0x12345678), bit.bswap(0xff)}

--- bit of other types
return {show(bit.band), show(bit.band, 'x'), show(bit.band, '12', 10), show(bit.tobit, nil), show(bit.lshift, 1), show(bit.bnot, {}), show(bit.tohex), show(bit.tohex, 1, 'x')}

--- bit of numbers that are none
return {bit.tobit(1/0), bit.tobit(-1/0), bit.tobit(0/0), bit.tobit(1e300), bit.band(2^53, 1)}

--- number formats
return {string.format('%d', 3.7), string.format('%d', -3.7), string.format('%5d|%-5d|%05d|%+d', 42, 42, 42, 42), string.format('%i', 5), string.format('%u', 5), string.format('%c%c', 72, 105), string.format('%x %X %#x %o', 255, 255, 255, 8)}

--- formats of fractions
return {string.format('%f %.2f %10.3f', 1.5, 1.005, math.pi), string.format('%e %.3E', 12345.678, 0.00012), string.format('%g %g %g %G', 100000, 1e20, 0.0001, 1e-10), string.format('%a', 1) ~= ''}

--- formats of infinite numbers
return {string.format('%f', 1/0), string.format('%g', -1/0), string.format('%.1f', -0.0), string.format('%5.1f|', 1/0)}

--- formats of what is no number
return {show(string.format, '%d', 'x'), show(string.format, '%d', '12'), show(string.format, '%d'), show(string.format, '%d', {}), show(string.format, '%d', 1e20), show(string.format, '%x', -1), show(string.format, '%c', 'x')}

--- loops over fractions
local r = {}; for i = 0, 1, 0.25 do r[#r + 1] = tostring(i) end; return r

--- loops backwards and of no steps
local r = {}; for i = 3, 1, -1 do r[#r + 1] = i end; for i = 3, 1 do r[#r + 1] = 'never' end; return {r, show(function() for i = 1, 2, 0 do return 'endless' end end)}

--- hexadecimal and odd literals
return {0xff, 0XA, 1e2, .5 * 2, 5., 3e-0, tostring(0x7fffffffffffffff), tostring(1e309)}
