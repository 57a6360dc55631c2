"""What the random commands are made of: keys by type, and ordinary and hostile values of every kind."""

# The keys of the strings profile.
KEYS = [b's:0', b's:1', b's:2', b'i:0', b'i:1', b'b:0', b'b:1', b'none', b'', b'\x00\xff\r\n', b'long:' + b'k' * 300]
# Keys that may hold a value up to the size limit. Few commands touch them: LCS of two would take hours.
BIG_KEYS = [b'big:0', b'big:1']
BIG_COMMANDS = {'setbit', 'setrange', 'bitfield', 'bitfield_ro', 'getbit', 'bitcount', 'bitpos', 'strlen', 'getrange'}

# The keys of the collections profile, by the family whose commands mostly use them. What ends in i or j
# mostly holds numbers: intsets stay intsets, SORT and HINCRBY have something to work on.
TYPED_KEYS = {
    'list': [b'l:0', b'l:1', b'l:i'],
    'set': [b'S:0', b'S:1', b'S:i', b'S:j'],
    'hash': [b'h:0', b'h:1', b'h:i'],
    'sorted-set': [b'z:0', b'z:1', b'z:i'],
    'geo': [b'g:0', b'g:1'],
    'hyperloglog': [b'p:0', b'p:1'],
    'string': [b's:0', b's:1', b'i:0'],
}
ODD_KEYS = [b'none', b'', b'\x00\xff\r\n', b'long:' + b'k' * 300]
ANY_KEYS = sum(TYPED_KEYS.values(), []) + ODD_KEYS
# Sorted sets whose members all have one score: only for those are ranges by name defined.
LEX_KEYS = [b'z:lex0', b'z:lex1']
# Strings and hashes that SORT's patterns find, written at the start of a round and never changed.
SORT_WEIGHTS = [[b'MSET', b'w:0', b'5', b'w:1', b'-3', b'w:2', b'2.5', b'w:3', b'5', b'w:4', b'1e3', b'w:5', b'0',
            b'w:6', b'10', b'w:7', b'', b'w:a', b'abc', b'w:b', b'9']] + [
           [b'HSET', b'hw:%d' % n, b'weight', b'%d' % (n * 7 % 5), b'text', b't%d' % (n * 5 % 7)] for n in range(6)]

INTEGERS = [b'0', b'1', b'2', b'-1', b'7', b'8', b'10', b'63', b'64', b'100']
HOSTILE_INTEGERS = [b'-0', b'007', b'+5', b' 1', b'1 ', b'2147483647', b'2147483648', b'-2147483648', b'-2147483649',
                    b'4294967295', b'4294967296', b'9223372036854775807', b'9223372036854775808',
                    b'-9223372036854775808', b'-9223372036854775809', b'18446744073709551615',
                    b'18446744073709551616', b'1' * 40, b'9223372036854775', b'-9223372036854775', b'1.0', b'1e3',
                    b'0x10', b'', b'-', b'abc', b'\x00', b'1\x00', b'536870911', b'8388607', b'8388608', b'1048576']
FLOATS = [b'0', b'1', b'-1', b'0.5', b'3.14159', b'-2.5e3', b'1e10', b'0.1', b'100.001', b'1e-7', b'123456789.123']
HOSTILE_FLOATS = [b'inf', b'-inf', b'+inf', b'infinity', b'nan', b'-nan', b'1e309', b'-1e309', b'1e4931', b'1e4933',
                  b'1e-400', b'1e-4951', b'1.7976931348623157e308', b'0x1p3', b'0x10', b'1e', b'e5', b'.5', b'5.', b'+.5',
                  b' 1.5', b'1.5 ', b'1,5', b'', b'.', b'-', b'1_0', b'1' * 60, b'0.' + b'3' * 60,
                  b'17976931348623157' + b'0' * 292, b'abc', b'1.5\x00']
STRINGS = [b'value', b'a', b'foobar', b'10', b'-5', b'3.5', b'ohmytext', b'mynewtext', b'a b', b'\xff' * 8, b'x' * 44,
           b'x' * 45]
HOSTILE_STRINGS = [b'', b'\x00', b'\r\n', b'\xf0\x9f\x92\xa5', b'*', b'%s%n', b'x' * 600, bytes(range(256))]
PATTERNS = [b'*', b's:*', b'?:0', b'[sb]:*', b'[^s]*', b'[a-i]:?', b'none', b'\\*', b'*:*', b'nothing*']
HOSTILE_PATTERNS = [b'', b'[', b'[]', b'[^', b'[a', b'[z-a]*', b'\\', b'*' * 50 + b'x', b'**', b'[\\]]*', b'a\\', b'[--]',
                    b'?' * 10]
ENCODINGS = [b'u1', b'u4', b'u8', b'i8', b'i5', b'u16', b'i32', b'u63', b'i64', b'i1']
HOSTILE_ENCODINGS = [b'u0', b'u64', b'i65', b'i0', b'u', b'x8', b'U8', b'i-1', b'u8 ', b'', b'8', b'u08']

# Elements, members and fields come from few, so that commands meet what others put in. Lengths stand on
# both sides of the limits that are set and of the listpack's own length classes; integers of its widths.
NAMES = [b'a', b'b', b'c', b'd', b'e', b'e:1', b'e:2', b'e:3', b'hello', b'world', b'Hello', b'a b', b'foo']
NUMBERS = [b'%d' % n for n in range(16)] + [b'-1', b'-7', b'100', b'-100']
ODD_ELEMENTS = [b'', b'x' * 20, b'x' * 21, b'y' * 63, b'y' * 64, b'z' * 65, b'1.5', b'-0', b'007', b'3.0e5', b'q' * 600,
                b'\xff\xfe\x80', b'in\x00side', b'line\r\nend', b'\xc3\xa9t\xc3\xa9', b'nan', b'inf', b' 1']
WIDE_NUMBERS = [b'127', b'128', b'-128', b'-129', b'4095', b'4096', b'-4096', b'-4097', b'32767', b'32768', b'-32769',
                b'8388607', b'8388608', b'-8388609', b'2147483647', b'2147483648', b'-2147483649',
                b'9223372036854775807', b'-9223372036854775808', b'9223372036854775808']
# None is denormal: SORT in 7.0 fails on a sorted set with such a score.
SCORES = [b'0', b'1', b'1', b'2', b'2', b'3', b'-1', b'10', b'0.5', b'1.5', b'-2.25', b'0.1', b'3.3', b'1e3', b'100']
# Not -0: whether its sign stays depends on the encoding, and that on the version.
ODD_SCORES = [b'inf', b'-inf', b'+inf', b'nan', b'1e308', b'1e-300', b'9007199254740993', b'1e17', b'0x1p3', b'(1',
              b'', b'abc', b'1 ']
SCORE_LIMITS = [b'-inf', b'+inf', b'inf', b'(1', b'(2', b'(0.5', b'(-inf', b'(+inf', b'(inf']
ODD_SCORE_LIMITS = [b'(', b'((1', b'nan', b'[1', b'-', b'+', b'', b'abc', b'( 1', b'(nan', b'1)']
LEX_LIMITS = [b'-', b'+', b'[a', b'(a', b'[b', b'(c', b'[e:1', b'(e:2', b'[hello', b'(world', b'[', b'(', b'[5', b'(\xff']
ODD_LEX_LIMITS = [b'a', b'', b'--', b'+x', b'-1', b'{a', b'[' + b'x' * 70]
POSITIONS = [b'0', b'1', b'2', b'-1', b'-2', b'3', b'5', b'10', b'-5', b'12', b'13', b'-13', b'100', b'-100']
COUNTS = [b'1', b'2', b'3', b'5', b'10', b'12', b'0', b'-1', b'-2', b'-3', b'-10', b'1000', b'-40']
RADII = [b'0', b'1', b'100', b'1000', b'20000', b'200', b'50', b'5000', b'300000', b'3000000', b'0.5', b'40000000']
ODD_RADII = [b'-1', b'1e300', b'nan', b'inf', b'', b'abc', b'-0', b'1e-300']
# One of the two only: members at one place would tie where results are sorted by distance.
ODD_LONGITUDES = [b'180', b'-180', b'180.0001', b'-181', b'0', b'nan', b'inf', b'abc', b'', b'1e3']
ODD_LATITUDES = [b'85.05112878', b'-85.05112878', b'85.06', b'-90', b'0', b'nan', b'-inf', b'abc', b'', b'-86']
SORT_BY = [b'w:*', b'w:*', b'hw:*->weight', b'hw:*->text', b'nosort', b's:*', b'h:*->a', b'w:*->x']
SORT_GET = [b'#', b'#', b'w:*', b'hw:*->text', b'hw:*->weight', b's:*', b'h:*->e:1', b'*', b'nokey:*']
ODD_SORT_PATTERNS = [b'', b'*', b'->', b'hw:*->', b'hw:*->weight*', b'w:*w:*', b'nothing', b'*->', b'w:*->', b'#*', b'l:*']
# A pipeline goes on behind a command that waits, so none may wait for long.
TIMEOUTS = [b'0.001', b'0.003', b'0.01', b'0.005', b'.002', b'1e-3', b'0x1p-8']
ODD_TIMEOUTS = [b'-1', b'-0.5', b'nan', b'abc', b'', b'1e4933', b' 1', b'1 ', b'0.01x', b'inf', b'1e17', b'9223372036854775808']

# The keys of the streams profile. To the last one entries come with IDs after those of all clocks: what a server
# generates there does not depend on the time.
STREAM_KEYS = [b'st:0', b'st:1', b'st:2']
FUTURE_KEY = b'st:future'
FUTURE_ID = b'99999999999999-0'
FUTURE_ALLOWED = {'xadd', 'xrange', 'xrevrange', 'xlen', 'xread', 'xreadgroup', 'xdel', 'xtrim', 'xgroup|create', 'xgroup|destroy',
                  'xgroup|createconsumer', 'xgroup|delconsumer', 'xack', 'xclaim', 'xautoclaim', 'xpending', 'xinfo|stream',
                  'xinfo|groups', 'xinfo|consumers', 'type', 'exists', 'object|encoding'}
GROUPS = [b'g:0', b'g:0', b'g:1', b'g:2']
CONSUMERS = [b'alice', b'alice', b'bob', b'carol']
ODD_NAMES = [b'', b'nobody', b'a b', b'\x00\xff\r\n', b'>']
ODD_IDS = [b'0-0', b'0', b'0-1', b'18446744073709551615-18446744073709551615', b'18446744073709551615', b'18446744073709551616-0',
           b'5-18446744073709551615', b'5-18446744073709551616', b'0-18446744073709551615', b'-', b'+', b'$', b'>', b'*', b'-1', b'1-', b'1--1', b'a-1',
           b'1-a', b'1-*', b'', b'007-03', b'1.5', b'(1-1', b'(', b'(-', b'1' * 130, FUTURE_ID]
# Either everything has been idle for so long or nothing has: what is claimed with an IDLE or TIME long ago.
IDLE_TIMES = [b'0', b'0', b'0', b'3600000', b'100000000']
LONG_AGO = [b'10000000', b'50000000', b'90000000', b'9000000000']
STREAM_BLOCKS = [b'1', b'2', b'3']
ODD_STREAM_BLOCKS = [b'-1', b'1.5', b'abc', b'', b'9223372036854775808']

# Sizes at which encodings change, each round with its own; the first is the default and the one of strings.
LIMITS = {
    'hash-max-listpack-entries': [512, 12, 12, 12, 0],
    'hash-max-listpack-value': [64, 20, 20, 20],
    'zset-max-listpack-entries': [128, 12, 12, 12, 0],
    'zset-max-listpack-value': [64, 20, 20, 20],
    'set-max-intset-entries': [512, 12, 12, 12, 3],
    'set-max-listpack-entries': [128, 12, 12, 0, 0],
    'set-max-listpack-value': [64, 20, 20, 20],
    'list-max-listpack-size': [-2, -2, 10, 10, -1, 3, 1],
    'list-compress-depth': [0, 0, 0, 1, 2],
    'hll-sparse-max-bytes': [3000, 3000, 3000, 200, 0],
    'stream-node-max-entries': [100, 3, 5, 10, 0],
    'stream-node-max-bytes': [4096, 4096, 4096, 150, 0],
}
# Limits that not every reference has.
NEW_LIMITS = {'set-max-listpack-entries', 'set-max-listpack-value'}
