-- What a script returns, as a reply: numbers, text, tables, and the tables that stand for the types of RESP3.

--- nothing
local x = 1

--- nil
return nil

--- true
return true

--- false
return false

--- a whole number
return 42

--- a negative number
return -7

--- fractions are cut off
return {3.99, -3.99, 0.5, -0.5, 1e-300}

--- large numbers
return {9007199254740993, 1e15, 2^53, -2^53, 2^62, 9223372036854774784}

--- numbers beyond 64 bits
return {2^63, 2^64, -2^63, -2^64, 1e300, -1e300, 1/0, -1/0}

--- text
return 'some text'

--- empty text
return ''

--- bytes
return '\0\1\r\n\255\128 end'

--- long text
return string.rep('abc', 10000)

--- a number as text
return tostring(0.1 + 0.2)

--- several values
return 1, 2, 3

--- an empty table
return {}

--- an array
return {1, 'two', 3.7, 'four'}

--- an array ends at nil
return {1, 2, nil, 4}

--- an array that begins with nil
return {nil, 2, 3}

--- false inside an array
return {1, false, 'x', true, 4}

--- nested arrays
return {{1, {2, {3, {}}}}, {{}, 'x'}}

--- keys that are no places are left out
return {1, 2, x = 'left out', [4] = 'left out', [0] = 'left out', [-1] = 'left out'}

--- a table with fields only
return {name = 'x', age = 3}

--- a status
return {ok = 'FINE'}

--- a status with more in it
return {ok = 'FINE', 1, 2, other = 'x'}

--- a status with line ends
return {ok = 'FINE\r\nNOT\nTHIS\rONE'}

--- an empty status
return {ok = ''}

--- a status that is a number
return {ok = 12}

--- a status that is no text
return {ok = true}

--- a status that is a table
return {ok = {}, 5}

--- an error
return {err = 'MY error text'}

--- an error without a code
return {err = 'oops'}

--- an error with a dash
return {err = '-MY error text'}

--- an error with line ends
return {err = 'MY error\r\nin\nlines'}

--- an empty error
return {err = ''}

--- an error that is a number
return {err = 5}

--- an error that is no text
return {err = false, 'x'}

--- an error and a status
return {err = 'MY error', ok = 'FINE'}

--- an error counts
--: then INFO errorstats
return {err = 'MINE text'}

--- an error that is not counted
--: then INFO errorstats
return {err = 'MINE text', ignore_error_stats_update = true}

--- errors inside an array
return {1, {err = 'MY error'}, {ok = 'FINE'}, {err = 'plain'}}

--- a double
return {double = 3.25}

--- doubles
return {{double = 0}, {double = -0.0}, {double = 1e100}, {double = 0.1}, {double = 12345678901234567890}, {double = -1.5e-7}}

--- infinite doubles
return {{double = math.huge}, {double = -math.huge}}

--- a double that is no number
return {double = 'x', 1}

--- a double from text
return {double = '3.5'}

--- a big number
return {big_number = '1234567890123456789012345678901234567890'}

--- a negative big number
return {big_number = '-12345678901234567890'}

--- a big number with line ends
return {big_number = '123\r\n456'}

--- a big number that is no text
return {big_number = {}, 1}

--- a map of one field
return {map = {field = 'value'}}

--- a map of a map
return {map = {outer = {map = {inner = 1}}}}

--- a map with a number as its key
return {map = {[7] = 'seven'}}

--- a map with a table as its value
return {map = {list = {1, 2, 3}}}

--- an empty map
return {map = {}}

--- a map with a false value
return {map = {no = false}}

--- a map with true as its key
return {map = {[true] = 'yes'}}

--- a map that is no table
return {map = 'x', 1}

--- a set
return {set = {member = true}}

--- a set of a number
return {set = {[5] = true}}

--- an empty set
return {set = {}}

--- a set that is no table
return {set = 5, 1}

--- members of a set may have any value
return {set = {member = false}}

--- a verbatim text
return {verbatim_string = {format = 'txt', string = 'some text'}}

--- a verbatim text of another format
return {verbatim_string = {format = 'mkd', string = '# title\r\n\0'}}

--- a verbatim text of a long format
return {verbatim_string = {format = 'toolong', string = 'x'}}

--- a verbatim text of a short format
return {verbatim_string = {format = 'a', string = 'x'}}

--- a verbatim text without a format
return {verbatim_string = {string = 'x'}, 5}

--- a verbatim text that is a text
return {verbatim_string = 'x', 5}

--- types before one another
return {double = 1.5, map = {a = 1}, set = {b = true}, big_number = '1', ok = 'x'}

--- types before one another without a status
return {set = {b = true}, map = {a = 1}, double = 1.5, big_number = '1'}

--- types before one another without a double
return {{set = {b = true}, map = {a = 1}}, {map = {a = 1}, big_number = '5'}, {set = {b = true}, big_number = '5'}}

--- types inside an array
return {{double = 1.5}, {map = {a = 1}}, {set = {b = true}}, {big_number = '5'}, {verbatim_string = {format = 'txt', string = 'v'}}, false, true}

--- a metatable does not help
return setmetatable({}, {__index = function() return 'x' end})

--- __tostring does not help
return setmetatable({}, {__tostring = function() return 'x' end})

--- a status through a metatable
return setmetatable({}, {__index = {ok = 'FINE'}})

--- an error in a metatable
return setmetatable({}, {__index = function() error('not this') end})

--- a function
return function() end

--- a function inside an array
return {1, function() end, 3}

--- a coroutine
return coroutine and coroutine.create(function() end) or 'none'

--- RESP3: nil
redis.setresp(3); return nil

--- RESP3: true
redis.setresp(3); return true

--- RESP3: false
redis.setresp(3); return false

--- RESP3: an array of everything
redis.setresp(3); return {1, 2.5, 'x', true, false, {ok = 'fine'}, {double = 2.5}, {map = {a = true}}, {set = {b = true}}}

--- RESP3: nested
redis.setresp(3); return {{false, {true, {false}}}, {}}

--- RESP3: numbers
redis.setresp(3); return {1.5, -1.5, 3}

--- RESP3 set in an earlier script does not last
--: run EVAL "redis.setresp(3); return true" 0
return true

--- RESP3 and back
redis.setresp(3); redis.setresp(2); return {true, false}

--- a deep array
local t = {}; for i = 1, 50 do t = {t} end; return t

--- a deep array of a thousand
local t = {'x'}; for i = 1, 1000 do t = {t} end; return t

--- a deep array beyond the limit
local t = {'x'}; for i = 1, 10000 do t = {t} end; return t

--- a table that contains itself
local t = {1}; t[2] = t; return t

--- a long array
local t = {}; for i = 1, 10000 do t[i] = i end; return t

--- an array that was filled from behind
local t = {}; for i = 5, 1, -1 do t[i] = i * 10 end; return t

--- a hole in the middle of a long array
local t = {}; for i = 1, 100 do t[i] = i end; t[50] = nil; return t

--- keys and arguments
--: keys a "b c" ""
--: args 1 "\x00\xff" "" last
return {KEYS, ARGV, #KEYS, #ARGV, KEYS[4], ARGV[0]}

--- keys and arguments are text
--: keys 1
--: args 2
return {type(KEYS[1]), type(ARGV[1]), KEYS[1] + ARGV[1], KEYS[1] .. ARGV[1]}

--- keys and arguments may be changed
--: keys a
--: args b
KEYS[1] = 'x'; ARGV[2] = 'y'; table.insert(KEYS, 'z'); return {KEYS, ARGV}

--- what was changed is not seen later
--: keys a
--: args b
--: then EVAL "return {KEYS, ARGV}" 1 c d
KEYS[1] = 'x'; ARGV[5] = 'y'; return {KEYS, ARGV}

--- many arguments
--: keys a b c d e f g h i j
--: args 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
return {#KEYS, #ARGV, KEYS[10], ARGV[20], unpack(ARGV)}
