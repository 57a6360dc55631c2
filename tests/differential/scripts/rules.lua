-- How scripts are called: keys, read-only scripts, flags of the first line, the cache, transactions.

--- EVAL_RO that reads
--: by EVAL_RO
--: run SET k v
--: keys k
return redis.call('GET', KEYS[1])

--- EVAL_RO that writes
--: by EVAL_RO
--: keys k
--: then EXISTS k
return redis.call('SET', KEYS[1], 'v')

--- EVAL_RO that writes and is caught
--: by EVAL_RO
--: keys k
return redis.pcall('SET', KEYS[1], 'v')

--- EVAL_RO that publishes
--: by EVAL_RO
return redis.pcall('PUBLISH', 'c', 'm')

--- EVAL_RO that may read by a command that may write
--: by EVAL_RO
--: run RPUSH l 2 1
return {redis.pcall('SORT', 'l'), redis.pcall('SORT_RO', 'l'), redis.pcall('GETEX', 'k'), redis.pcall('SPOP', 's'), redis.pcall('PFCOUNT', 'p'), redis.pcall('BITFIELD', 'b', 'GET', 'u8', 0), redis.pcall('BITFIELD_RO', 'b', 'GET', 'u8', 0)}

--- first line
#!lua
return redis.call('PING')

--- first line with a flag
#!lua flags=no-writes
return redis.call('PING')

--- first line with a flag, and a write
#!lua flags=no-writes
return redis.call('SET', 'k', 'v')

--- first line with a flag, and a write that is caught
#!lua flags=no-writes
return redis.pcall('SET', 'k', 'v')

--- first line with all flags
#!lua flags=no-writes,allow-stale,allow-oom,no-cluster,allow-cross-slot-keys
return redis.call('PING')

--- first line without a flag
#!lua flags=
return 1

--- first line with spaces
#!lua   flags=no-writes   
return 1

--- first line with an unknown flag
#!lua flags=nosuch
return 1

--- first line with flags twice
#!lua flags=no-writes flags=allow-oom
return 1

--- first line with an empty flag
#!lua flags=no-writes,,allow-oom
return 1

--- first line with an unknown word
#!lua name=mine
return 1

--- first line with a word without a value
#!lua flags
return 1

--- first line of another engine
#!python
return 1

--- first line of an engine in capitals
#!LUA
return 1

--- first line without an engine
#! flags=no-writes
return 1

--- first line only
#!lua

--- first line without its end
#!lua flags=no-writes

--- first line, and a fault behind it
#!lua
return return

--- first line, and an error behind it
#!lua

error('on the third line')

--- first line, and SCRIPT LOAD
--: then SCRIPT LOAD "#!lua flags=nosuch\nreturn 1"
--: then SCRIPT LOAD "#!nosuch\nreturn 1"
--: then SCRIPT LOAD "#!lua"
--: then SCRIPT LOAD "#!lua flags=no-writes\nreturn 1"
return 1

--- EVAL_RO of a script that says it writes
--: by EVAL_RO
#!lua
return redis.call('SET', 'k', 'v')

--- EVAL_RO of a script that says it does not write
--: by EVAL_RO
#!lua flags=no-writes
return redis.call('GET', 'k')

--- EVAL_RO of a script that says nothing of writes
--: by EVAL_RO
#!lua
return 1

--- too few keys
--: then EVAL "return 1" 2 a
--: then EVAL "return 1" 1
return 1

--- keys that are no number
--: then EVAL "return 1" x
--: then EVAL "return 1" ""
--: then EVAL "return 1" 1.5 a
--: then EVAL "return 1" 99999999999999999999
return 1

--- fewer keys than none
--: then EVAL "return 1" -1
--: then EVAL "return 1" -1 a
return 1

--- too few words
--: then EVAL
--: then EVAL "return 1"
--: then EVALSHA
--: then EVALSHA abc
--: then EVAL_RO "return 1"
--: then EVALSHA_RO x
return 1

--- EVALSHA of what there is not
--: then EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
--: then EVALSHA abc 0
--: then EVALSHA "" 0
--: then EVALSHA_RO ffffffffffffffffffffffffffffffffffffffff 0
--: then EVALSHA ffffffffffffffffffffffffffffffffffffffff 5
return 1

--- EVALSHA in capitals
--: then EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
--: then EVALSHA E0E1F9FABFC9D4800C877A703B823AC0578FF8DB 0
--: then EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
--: run EVAL "return 1" 0
return 1

--- SCRIPT EXISTS
--: run SCRIPT LOAD "return 1"
--: then SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db ffffffffffffffffffffffffffffffffffffffff E0E1F9FABFC9D4800C877A703B823AC0578FF8DB
--: then SCRIPT EXISTS
--: then SCRIPT EXISTS x
return 1

--- SCRIPT LOAD
--: then SCRIPT LOAD "return 2"
--: then SCRIPT LOAD "return 2"
--: then SCRIPT LOAD "return return"
--: then SCRIPT LOAD ""
--: then SCRIPT LOAD
--: then EVALSHA 7f923f79fe76194c868d7e1d0820de36700eb649 0
return 1

--- SCRIPT FLUSH
--: run SCRIPT LOAD "return 1"
--: then SCRIPT FLUSH NOSUCH
--: then SCRIPT FLUSH SYNC ASYNC
--: then SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db
--: then SCRIPT FLUSH ASYNC
--: then SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db
--: then SCRIPT FLUSH SYNC
--: then SCRIPT FLUSH
--: then EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
return 1

--- SCRIPT KILL of none
--: then SCRIPT KILL
--: then SCRIPT KILL x
return 1

--- SCRIPT of nothing
--: then SCRIPT
--: then SCRIPT NOSUCH
--: then SCRIPT DEBUG
return 1

--- EVALSHA of what EVAL ran
--: run EVAL "return ARGV[1]" 0 x
--: then EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 0 y
return redis.sha1hex('return ARGV[1]')

--- scripts in a transaction
--: run MULTI
--: then EVAL "return redis.call('INCR', KEYS[1])" 1 k
--: then EVAL "return redis.call('NOSUCH')" 0
--: then EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
--: then EVAL "return return" 0
--: then EXEC
--: then GET k
return redis.call('INCR', KEYS[1] or 'k')

--- scripts in a transaction that was refused
--: run MULTI
--: then EVAL
--: then EXEC
return 1

--- a script changes a watched key
--: run WATCH k
--: then MULTI
--: then GET k
--: then EXEC
redis.call('SET', 'k', 1)

--- a script reads a watched key
--: run WATCH k
--: then MULTI
--: then GET k
--: then EXEC
return redis.call('GET', 'k')

--- the keys of scripts
--: then COMMAND GETKEYS EVAL "return 1" 2 a b c
--: then COMMAND GETKEYS EVALSHA abc 1 a b
--: then COMMAND GETKEYS EVAL "return 1" 0 a
--: then COMMAND GETKEYS FCALL f 1 a b
--: then COMMAND GETKEYS EVAL "return 1" 3 a
return 1

--- a script that writes where there is no room for it
--: run CONFIG SET maxmemory 1
--: then CONFIG SET maxmemory 0
return {redis.pcall('SET', 'k', 'v'), redis.pcall('DEL', 'k'), redis.pcall('GET', 'k')}

--- a script that writes where there is no room and stops
--: run CONFIG SET maxmemory 1
--: then CONFIG SET maxmemory 0
--: then EXISTS k
return redis.call('SET', 'k', 'v')

--- a script with a first line where there is no room
--: run CONFIG SET maxmemory 1
--: then CONFIG SET maxmemory 0
#!lua
return redis.call('PING')

--- a script that allows no room
--: run CONFIG SET maxmemory 1
--: then CONFIG SET maxmemory 0
--: then EXISTS k
#!lua flags=allow-oom
return redis.call('SET', 'k', 'v')

--- a script that does not write where there is no room
--: run CONFIG SET maxmemory 1
--: then CONFIG SET maxmemory 0
#!lua flags=no-writes
return redis.call('PING')

--- a user who may not
--: run ACL SETUSER limited on nopass ~my:* +eval +get +set
--: run AUTH limited x
--: then EVAL "return redis.call('GET', 'other')" 0
--: then EVAL "return redis.call('GET', 'my:k')" 1 my:k
--: then EVAL "return redis.call('INCR', 'my:k')" 1 my:k
--: then EVAL "return redis.pcall('INCR', 'my:k')" 1 my:k
--: then EVAL "return {tostring(redis.acl_check_cmd('GET', 'other')), tostring(redis.acl_check_cmd('GET', 'my:k')), tostring(redis.acl_check_cmd('INCR', 'my:k'))}" 0
--: then EVAL "return 1" 1 other
--: then EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
return redis.pcall('SET', 'other', 1)

--- statistics of the commands that scripts call
--: then EVAL "local s = redis.call('INFO', 'commandstats') return {s:match('cmdstat_get:calls=(%d+)'), s:match('cmdstat_incr:calls=(%d+)[^\\n]*rejected_calls=(%d+),failed_calls=(%d+)')}" 0
redis.call('GET', 'a'); redis.call('GET', 'b'); redis.pcall('INCR', 'a', 'b'); redis.call('SET', 'k', 'text'); redis.pcall('INCR', 'k')

--- HELLO over the wire decides what is sent
--: then HELLO 3
--: then EVAL "return {true, false, {double = 1.5}, {map = {a = 1}}}" 0
--: then HELLO 2
--: then EVAL "return {true, false, {double = 1.5}, {map = {a = 1}}}" 0
return {true, false, {double = 1.5}, {map = {a = 1}}}
