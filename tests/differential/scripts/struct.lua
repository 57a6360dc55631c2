-- struct: formats, sizes, orders of bytes, alignment.

--- prelude
local function show(f, ...) local r = {pcall(f, ...)} for i = 1, #r do r[i] = tostring(r[i]) end return table.concat(r, ' | ') end local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end -- show( hex(

--- pack integers
show(tostring); return {hex(struct.pack('b', -1)), hex(struct.pack('B', 255)), hex(struct.pack('h', -2)), hex(struct.pack('H', 65535)), hex(struct.pack('i', -3)), hex(struct.pack('I', 7)), hex(struct.pack('l', -4)), hex(struct.pack('L', 5)), hex(struct.pack('T', 9))}

--- pack integers of sizes
show(tostring); return {hex(struct.pack('i1', 5)), hex(struct.pack('i2', 5)), hex(struct.pack('i3', 5)), hex(struct.pack('i4', 5)), hex(struct.pack('i8', 5)), hex(struct.pack('I8', 2^53)), hex(struct.pack('>i3', -5)), hex(struct.pack('i16', 1))}

--- pack in both orders
show(tostring); return {hex(struct.pack('>i4', 1)), hex(struct.pack('<i4', 1)), hex(struct.pack('>h<h>h', 1, 1, 1)), hex(struct.pack('=i4', 1)), hex(struct.pack('>d', 1.5)), hex(struct.pack('<d', 1.5)), hex(struct.pack('>f', 1.5)), hex(struct.pack('<f', 0.1))}

--- pack text
show(tostring); return {hex(struct.pack('s', 'abc')), hex(struct.pack('c0', 'abc')), hex(struct.pack('c2', 'abc')), hex(struct.pack('c3', 'abc')), show(struct.pack, 'c4', 'abc'), hex(struct.pack('c', 'abc')), hex(struct.pack('s', 'a\0b')), hex(struct.pack('Bc0', 3, 'abc'))}

--- pack padding
show(tostring); return {hex(struct.pack('x')), hex(struct.pack('bxb', 1, 2)), hex(struct.pack('!4bi', 1, 2)), hex(struct.pack('!8bd', 1, 2)), hex(struct.pack('!2bi4', 1, 2)), hex(struct.pack('!bi', 1, 2)), hex(struct.pack('!1bi', 1, 2))}

--- pack beyond the bounds
show(tostring); return {hex(struct.pack('b', 300)), hex(struct.pack('B', -1)), hex(struct.pack('h', 70000)), hex(struct.pack('I4', 2^32 + 5)), hex(struct.pack('i4', -2^31)), hex(struct.pack('I4', -1)), hex(struct.pack('b', 3.7)), hex(struct.pack('b', -3.7))}

--- pack huge numbers
show(tostring); return {hex(struct.pack('>I8', 2^63)), hex(struct.pack('>i8', -2^63)), hex(struct.pack('>i8', 2^62)), hex(struct.pack('>d', 1/0)), hex(struct.pack('>f', 1e300))}

--- pack with spaces
show(tostring); return {hex(struct.pack('b b  b', 1, 2, 3)), hex(struct.pack(' > h ', 1)), hex(struct.pack(''))}

--- pack without values
return {show(struct.pack, 'i'), show(struct.pack, 'ii', 1), show(struct.pack, 's'), show(struct.pack), show(struct.pack, 'i', 'x'), show(struct.pack, 's', 5), show(struct.pack, 'i', nil), show(struct.pack, 'i', {})}

--- pack more values than there are places
show(tostring); return hex(struct.pack('b', 1, 2, 3))

--- formats that are none
local r = {}; for i, f in ipairs({'y', 'i0', 'i33', 'i32', 'i64', 'I17', '!', '!3', '!16', '!64', '!0', 'i99999999999999999999', 'c99999999999999999999', 'z', '%', '\0', 'b!', 'i-1', 'h2'}) do r[i] = f .. ' ' .. show(struct.size, f) .. ' / ' .. show(struct.pack, f, 1):gsub('[^%g ]', '?') end; return r

--- sizes
return {struct.size('b'), struct.size('h'), struct.size('i'), struct.size('l'), struct.size('T'), struct.size('f'), struct.size('d'), struct.size('x'), struct.size('c10'), struct.size('i3'), struct.size('bhid'), struct.size('!bhid'), struct.size('!8bd'), struct.size(''), show(struct.size, 's'), show(struct.size, 'c0'), show(struct.size)}

--- unpack integers
show(tostring); return {show(struct.unpack, 'b', '\255'), show(struct.unpack, 'B', '\255'), show(struct.unpack, '<h', '\1\2'), show(struct.unpack, '>h', '\1\2'), show(struct.unpack, '<i4', '\255\255\255\255'), show(struct.unpack, '<I4', '\255\255\255\255'), show(struct.unpack, '>I3', '\1\2\3'), show(struct.unpack, '<i8', '\255\255\255\255\255\255\255\255')}

--- unpack large integers
return {show(struct.unpack, '>I8', '\0\32\0\0\0\0\0\1'), show(struct.unpack, '>I8', '\255\255\255\255\255\255\255\255'), show(struct.unpack, '>i8', '\128\0\0\0\0\0\0\0'), show(struct.unpack, '>i16', ('\0'):rep(15) .. '\5'), show(struct.unpack, '<I16', '\5' .. ('\255'):rep(15))}

--- unpack fractions
return {show(struct.unpack, '>d', '\63\248\0\0\0\0\0\0'), show(struct.unpack, '<f', '\0\0\192\63'), show(struct.unpack, '>d', '\127\240\0\0\0\0\0\0')}

--- unpack text
return {show(struct.unpack, 's', 'abc\0def'), show(struct.unpack, 's', 'abc'), show(struct.unpack, 'c3', 'abcdef'), show(struct.unpack, 'c', 'abc'), show(struct.unpack, 'Bc0', '\3abcdef'), show(struct.unpack, 'c0', 'abc'), show(struct.unpack, 'c5', 'abc'), show(struct.unpack, 'Bc0', '\9abc'), show(struct.unpack, 'sc0', 'x\0abc')}

--- unpack from a place
return {show(struct.unpack, 'b', '\1\2\3', 2), show(struct.unpack, 'b', '\1\2\3', 3), show(struct.unpack, 'b', '\1\2\3', 4), show(struct.unpack, 'b', '\1\2\3', 0), show(struct.unpack, 'b', '\1\2\3', -1), show(struct.unpack, 'b', '\1\2\3', 1e10), show(struct.unpack, 'b', '\1', 'x')}

--- unpack several values
return {show(struct.unpack, 'bBh', '\255\255\1\0'), show(struct.unpack, '>bxh', '\1\0\0\2'), show(struct.unpack, '!4bi', '\1\0\0\0\2\0\0\0'), show(struct.unpack, '', 'abc')}

--- unpack what is too short
return {show(struct.unpack, 'i', 'abc'), show(struct.unpack, 'd', 'abc'), show(struct.unpack, 'h', ''), show(struct.unpack, 'bb', 'a'), show(struct.unpack, 'x', ''), show(struct.unpack, 'c1', '')}

--- unpack other types
return {show(struct.unpack), show(struct.unpack, 'b'), show(struct.unpack, 'b', nil), show(struct.unpack, 'b', 5), show(struct.unpack, 'b', {}), show(struct.unpack, 5, 'x')}

--- unpack what is too short ends the script
return struct.unpack('i', 'abc')

--- there and back
show(tostring); local s = struct.pack('>i2I4dsc5', -7, 70000, 2.5, 'text', 'fixed'); return {hex(s), #s, show(struct.unpack, '>i2I4dsc5', s)}

--- a packed value of numbers in text
show(tostring); return {hex(struct.pack('i4', '12')), hex(struct.pack('d', '1.5')), show(struct.unpack, '<i4', '12' .. '\0\0')}

--- many values
show(tostring); local t = {}; for i = 1, 200 do t[i] = i end; local s = struct.pack(('H'):rep(200), unpack(t)); return {#s, redis.sha1hex(s), select('#', struct.unpack(('H'):rep(200), s))}
