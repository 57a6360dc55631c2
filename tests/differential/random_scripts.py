"""Random scripts: values that are returned, replies that are passed on, and what the libraries make of odd input.

A kind is a function that gives a script's text, its arguments and what is sent before it. Input for libraries comes by tens, as
arguments, so that the text is the same each time. Tables never have two fields whose order would be seen: that order is none.
"""
import hashlib
import random
import struct

# Tells a value by its type, tables by their sorted fields, so that no order is seen.
TELL = ("local function tell(v) if v == cjson.null then return 'null' end if type(v) ~= 'table' then return type(v):sub(1, 1) .. "
        "tostring(v) end local keys = {} for k in pairs(v) do keys[#keys + 1] = {tell(k), k} end "
        "table.sort(keys, function(a, b) return a[1] < b[1] end) local parts = {} for i, k in ipairs(keys) do parts[i] = k[1] .. '=' .. "
        "tell(v[k[2]]) end return '{' .. table.concat(parts, ', ') .. '}' end "
        "local function all(...) local parts = {} for i = 1, select('#', ...) do parts[i] = tell((select(i, ...))) end "
        "return table.concat(parts, ' | ') end "
        "local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end\n")
EACH = 'local r = {} for i, a in ipairs(ARGV) do r[i] = %s end return r'
TENS = 10
WORDS = [b'', b'a', b'key', b'\x00', b'\xff\xfe', 'ü€'.encode(), b'OK', b'-ERR x', b'a\r\nb', b'x' * 40, b'1', b'-1.5', b'1e3', b'nil']
NUMBERS = [0, 1, -1, 0.5, -0.5, 2.75, -3.25, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2147483647, 2147483648, 4294967295,
           4294967296, 9007199254740992, -2147483648, -2147483649, 1e15, 1e18, -1e18, 100, 7]


def sha1hex(text):
    return hashlib.sha1(text).hexdigest().encode()


def generate(seed, count, make):
    """`count` scripts, made by make(name, text)."""
    rng, scripts = random.Random(seed), []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        text, args, before = kind(rng)
        script = make(f'random/{kind.__name__} {number}', text)
        script.args, script.before = args, before
        scripts.append(script)
    return scripts


# Values that are returned.

def returned(rng):
    return f'{rng.choice(["", "redis.setresp(3) "])}return {value(rng, 4)}', [], []


def value(rng, depth):
    kinds = ['number', 'text', 'word'] + ['array', 'array', 'special'] * (depth > 0)
    kind = rng.choice(kinds)
    if kind == 'number':
        return number(rng)
    if kind == 'text':
        return literal(text(rng))
    if kind == 'word':
        return rng.choice(['true', 'false', 'nil', '{}'])
    if kind == 'array':
        return '{' + ', '.join(value(rng, depth - 1) for _ in range(rng.randrange(6))) + '}'
    return special(rng, depth - 1)


def special(rng, depth):
    kind = rng.choice(['ok', 'err', 'double', 'big_number', 'map', 'set', 'verbatim_string', 'wrong', 'field'])
    if kind in ('ok', 'err'):
        return f'{{{kind} = {literal(text(rng).replace(bytes(1), b""))}}}'
    if kind == 'double':
        return f'{{double = {rng.choice([0, 1.5, -2.25, 1e6, 3, -7.125])}}}'
    if kind == 'big_number':
        return f'{{big_number = "{rng.choice(["", "-"])}{rng.randrange(10**30)}"}}'
    if kind == 'verbatim_string':
        return f'{{verbatim_string = {{format = "{rng.choice(["txt", "mkd", "xyz"])}", string = {literal(text(rng))}}}}}'
    if kind == 'field':
        return f'{{{value(rng, depth)}, field = {value(rng, depth)}}}'
    if kind == 'wrong':
        return f'{{{rng.choice(["ok", "double", "map", "set", "big_number", "verbatim_string"])} = {value(rng, 0)}}}'
    key = rng.choice([literal(text(rng)), rng.choice(['5', '1.5', '-1', 'true'])])
    return f'{{map = {{[{key}] = {value(rng, depth)}}}}}' if kind == 'map' else f'{{set = {{[{key}] = true}}}}'


def number(rng):
    chosen = rng.choice([rng.choice(NUMBERS), rng.randrange(-10**9, 10**9), rng.randrange(-10**6, 10**6) / 8])
    return f'({chosen!r})'


def text(rng):
    if rng.random() < 0.6:
        return rng.choice(WORDS)
    return bytes(rng.randrange(256) for _ in range(rng.randrange(12)))


def literal(content):
    return '"' + ''.join(f'\\{byte:03}' if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in content) + '"'


# Replies of commands, passed on and told.

DATA = [line.split() for line in (
    b'SET text hello', b'SET number 41', b'RPUSH list a b c 1 2', b'SADD set 1 2 3 5 8', b'HSET hash name Ada age 36',
    b'ZADD zset 1 a 2.5 b inf c', b'XADD stream 1-1 a 1 b 2', b'XADD stream 2-1 c 3', b'XGROUP CREATE stream group 0',
    b'GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania', b'SETBIT bits 7 1', b'PFADD hll a b c')]
READS = [line.split() for line in (
    b'GET KEY', b'MGET KEY KEY none', b'STRLEN KEY', b'GETRANGE KEY 1 3', b'LRANGE KEY 0 -1', b'LINDEX KEY N', b'LLEN KEY', b'LPOS KEY b',
    b'LPOP KEY 2', b'RPOP KEY', b'LMPOP 2 none KEY LEFT COUNT 2', b'SMEMBERS KEY', b'SCARD KEY', b'SISMEMBER KEY N', b'SMISMEMBER KEY 1 N',
    b'SINTER KEY KEY', b'SUNION KEY none', b'SDIFF KEY none', b'SINTERCARD 2 KEY KEY', b'HGETALL KEY', b'HGET KEY name', b'HMGET KEY name none',
    b'HKEYS KEY', b'HVALS KEY', b'HLEN KEY', b'HEXISTS KEY age', b'HINCRBY KEY age N', b'HINCRBYFLOAT KEY age 0.5', b'ZRANGE KEY 0 -1',
    b'ZRANGE KEY 0 -1 WITHSCORES', b'ZRANGEBYSCORE KEY -inf 2 WITHSCORES', b'ZSCORE KEY b', b'ZMSCORE KEY a none c', b'ZRANK KEY b',
    b'ZCOUNT KEY -inf +inf', b'ZPOPMIN KEY', b'ZPOPMAX KEY 2', b'ZMPOP 1 KEY MAX COUNT 2', b'ZINCRBY KEY N a', b'ZADD KEY INCR 1.5 b',
    b'ZADD KEY CH 9 new', b'ZUNION 2 KEY KEY WITHSCORES', b'ZINTER 1 KEY WITHSCORES', b'ZDIFF 2 KEY none WITHSCORES', b'XRANGE KEY - +',
    b'XREAD COUNT 1 STREAMS KEY 0', b'XREADGROUP GROUP group me COUNT 1 STREAMS KEY >', b'XPENDING KEY group', b'XLEN KEY', b'XADD KEY 5-1 x y',
    b'XACK KEY group 1-1', b'XDEL KEY 1-1', b'GEOPOS KEY Palermo none', b'GEOHASH KEY Palermo none', b'GEODIST KEY Palermo Catania',
    b'GEOSEARCH KEY FROMMEMBER Palermo BYRADIUS 500 km ASC WITHDIST', b'BITCOUNT KEY', b'GETBIT KEY 7', b'BITPOS KEY 1', b'PFCOUNT KEY',
    b'BITFIELD KEY GET u8 0 OVERFLOW FAIL INCRBY u2 0 3', b'TYPE KEY', b'EXISTS KEY KEY none', b'TTL KEY', b'PERSIST KEY', b'EXPIRE KEY 100',
    b'OBJECT REFCOUNT none', b'INCR KEY', b'INCRBYFLOAT KEY 0.5', b'APPEND KEY x', b'SETRANGE KEY 3 x', b'SET KEY new GET', b'SET KEY new NX',
    b'GETDEL KEY', b'SETNX KEY x', b'RENAME KEY other', b'COPY KEY other', b'DEL KEY', b'TOUCH KEY', b'SORT KEY ALPHA LIMIT 0 3',
    b'SORT KEY BY nosort GET # GET none', b'LINSERT KEY BEFORE b x', b'LREM KEY 0 a', b'LMOVE KEY KEY LEFT RIGHT', b'RPOPLPUSH KEY other',
    b'SMOVE KEY other 1', b'DUMP none', b'LCS KEY KEY LEN', b'LCS text number IDX', b'ECHO KEY', b'PING', b'GET', b'SET KEY', b'NOSUCH KEY',
    b'SUBSTR KEY 0 1', b'CONFIG GET maxmemory', b'COMMAND GETKEYS GET KEY', b'OBJECT NOSUCH', b'ZRANGEBYLEX KEY - +')]
KEYS = [b'text', b'number', b'list', b'set', b'hash', b'zset', b'stream', b'geo', b'bits', b'hll', b'none']


# The key that a command fits, by how its name begins.
FITTING = [(b'GEO', b'geo'), (b'BIT', b'bits'), (b'GETBIT', b'bits'), (b'PF', b'hll'), (b'Z', b'zset'), (b'H', b'hash'), (b'X', b'stream'),
           (b'LCS', b'text'), (b'SETRANGE', b'text'), (b'L', b'list'), (b'R', b'list'), (b'SORT', b'list'), (b'SM', b'set'), (b'SCARD', b'set'),
           (b'SI', b'set'), (b'SU', b'set'), (b'SD', b'set'), (b'INCR', b'number'), (b'', b'text')]


def reply(rng):
    """A command and a key; some do not fit each other."""
    command = rng.choice(READS)
    key = next(key for start, key in FITTING if command[0].startswith(start))
    if rng.random() < 0.3:
        key = rng.choice(KEYS)
    argv = [key if word == b'KEY' else b'%d' % rng.choice([0, 1, -1, 2, 8]) if word == b'N' else word for word in command]
    protocol = rng.choice([2, 3])
    tail = rng.choice(['return redis.call(unpack(ARGV))', 'return redis.pcall(unpack(ARGV))', 'return {1, redis.pcall(unpack(ARGV)), 2}',
                       'return all(redis.pcall(unpack(ARGV)))', 'return all(pcall(redis.call, unpack(ARGV)))'])
    return f'{TELL}redis.setresp({protocol}) {tail}', argv, DATA


# The libraries.

def json_decoded(rng):
    return TELL + EACH % 'all(pcall(cjson.decode, a))', [mutated(rng, json_text(rng, 3).encode()) for _ in range(TENS)], []


JSON_CHARACTERS = ['a', 'ü', '\\n', '\\u0041', '\\u20ac', '\\ud83d\\ude00', '\\"', '\\\\', ' ', '/']


def json_text(rng, depth):
    kind = rng.choice(['number', 'text', 'word'] + ['array', 'object'] * (2 * (depth > 0)))
    space = rng.choice(['', '', ' ', '\n\t'])
    if kind == 'number':
        return rng.choice([str(rng.randrange(-1000, 1000)), repr(rng.randrange(1000) / 8), '1e3', '-0', '1E-2', '12345678901234567890', '0.5e+1'])
    if kind == 'text':
        return '"' + ''.join(rng.choice(JSON_CHARACTERS) for _ in range(rng.randrange(5))) + '"'
    if kind == 'word':
        return rng.choice(['true', 'false', 'null'])
    if kind == 'array':
        return '[' + space + ','.join(json_text(rng, depth - 1) for _ in range(rng.randrange(5))) + space + ']'
    return '{' + space + ','.join(f'"k{rng.randrange(9)}":{space}{json_text(rng, depth - 1)}' for _ in range(rng.randrange(4))) + '}'


def mutated(rng, content):
    """Half of them as they are; the others with a byte or two lost, changed or added."""
    content = bytearray(content)
    for _ in range(rng.choice([0, 0, 1, 2])):
        at = rng.randrange(len(content) + 1)
        what = rng.randrange(3)
        if what == 0:
            del content[at:at + rng.randrange(1, 3)]
        elif what == 1 and at < len(content):
            content[at] = rng.choice(b'[]{}",:0123456789eE+-.tfn\\u\0\xff \xc1\xd4\xdd')
        else:
            content.insert(at, rng.choice(b'[]{}",:09eE+-.\\ \0\xff\xc0\xcc\xdc'))
    return bytes(content)


def packed(rng):
    """Values through cjson and cmsgpack, and back."""
    values = ', '.join(plain(rng, 3) for _ in range(5))
    return (f'{TELL}local r = {{}} for i, v in ipairs({{{values}}}) do local p = cmsgpack.pack(v) '
            'r[i] = {hex(p), all(cmsgpack.unpack(p)), cjson.encode(v), all(cjson.decode(cjson.encode(v)))} end return r'), [], []


def plain(rng, depth):
    """A value of no special meaning, and no nil or table that would be an empty or a long array."""
    kind = rng.choice(['number', 'text', 'bool'] + ['array', 'map'] * (depth > 0))
    if kind == 'number':
        return number(rng)
    if kind == 'text':
        return literal(text(rng))
    if kind == 'bool':
        return rng.choice(['true', 'false'])
    if kind == 'array':
        return '{' + ', '.join(plain(rng, depth - 1) for _ in range(rng.randrange(6))) + '}'
    return f'{{[{rng.choice([literal(text(rng)), "3", "1.5", "-2"])}] = {plain(rng, depth - 1)}}}'


def unpacked(rng):
    return TELL + EACH % 'all(pcall(cmsgpack.unpack, a))', [mutated(rng, msgpack(rng, 3)) for _ in range(TENS)], []


def msgpack(rng, depth):
    kind = rng.randrange(10 if depth else 6)
    if kind == 0:
        return bytes([rng.randrange(256)])
    if kind == 1:
        return rng.choice([b'\xcc', b'\xd0']) + bytes([rng.randrange(256)])
    if kind == 2:
        return rng.choice([b'\xcd' + bytes(2), b'\xce\xff\x00\xff\x00', b'\xd1\x80\x01', b'\xd2\xff\xff\x00\x00', b'\xcf' + bytes(7) + b'\x05'])
    if kind == 3:
        return b'\xcb' + struct.pack('>d', rng.randrange(-1000, 1000) / 8)
    if kind == 4:
        content = text(rng)
        return rng.choice([bytes([0xa0 + len(content) % 32]), b'\xd9' + bytes([len(content)]), b'\xda\0' + bytes([len(content)])]) + content
    if kind == 5:
        return rng.choice([b'\xc0', b'\xc2', b'\xc3'])
    count = rng.randrange(4)
    if kind in (6, 7):
        return rng.choice([bytes([0x90 + count]), b'\xdc\0' + bytes([count])]) + b''.join(msgpack(rng, depth - 1) for _ in range(count))
    fields = b''.join(b'\xa2k' + bytes([97 + rng.randrange(9)]) + msgpack(rng, depth - 1) for _ in range(count))
    return rng.choice([bytes([0x80 + count]), b'\xde\0' + bytes([count])]) + fields


STRUCT_FORMATS = ['b', 'B', 'h', 'H', 'i', 'I', 'l', 'L', 'i3', 'I5', 'i8', 'f', 'd', 'x', '>', '<', '=', '!4', '!', '!8', ' ', 's', 'c3',
                  'Bc0', 'c0', 'i17', 'i40', '!3', 'z']


def structs(rng):
    """Formats that fit their values, and formats that fit nothing."""
    args = []
    for _ in range(TENS):
        formats = ''.join(rng.choice(STRUCT_FORMATS) for _ in range(rng.randrange(1, 6)))
        args += [formats.encode(), bytes(rng.randrange(256) for _ in range(rng.choice([0, 3, 8, 20, 40])))]
    return (TELL + 'local function pack(f, ...) return hex(struct.pack(f, ...)) end local r = {} for i = 1, #ARGV, 2 do '
            'local f, s = ARGV[i], ARGV[i + 1] r[#r + 1] = {f, all(pcall(struct.size, f)), all(pcall(struct.unpack, f, s)), '
            'all(pcall(struct.unpack, f, s, 3)), all(pcall(pack, f, 1, 2, -3, 4, 5, 6)), '
            "all(pcall(pack, f, 'abc', 'defgh', 'ij'))} end return r"), args, []


def formatted(rng):
    formats = [''.join(['%', *rng.sample('-+ #0', rng.randrange(3)), rng.choice(['', '5', '12', '99', '100']),
                        rng.choice(['', '.0', '.3', '.10', '.100']), rng.choice('dioxXucfeEgGsq%yQ')]).encode() for _ in range(TENS)]
    values = ', '.join([number(rng), literal(text(rng).replace(bytes(1), b'')), '"12"', number(rng)])
    return TELL + f'local r = {{}} for i, f in ipairs(ARGV) do r[i] = {{f}} for _, v in ipairs({{{values}}}) do ' \
        'r[i][#r[i] + 1] = all(pcall(string.format, f, v)) end end return r', formats, []


def matched(rng):
    """Patterns of few repetitions over short text: a match may take as many steps as there are ways to share it out."""
    args = []
    for _ in range(TENS):
        items = [rng.choice(['a', 'b', '.', '%a', '%d', '%s', '%w', '[ab]', '[^a]', '%%', '[a-c%d]', 'c', '%p', '()', '%b()', '%f[%w]', '%1', '('])
                 + rng.choice(['', '', '', '*', '+', '-', '?']) for _ in range(rng.randrange(1, 5))]
        if rng.random() < 0.4:
            items = ['('] + items[:2] + [')'] + items[2:]
        pattern = rng.choice(['', '', '^']) + ''.join(items) + rng.choice(['', '', '$'])
        subject = ''.join(rng.choice('aabbc12 ()%') for _ in range(rng.randrange(14)))
        args += [pattern.encode(), subject.encode()]
    return (TELL + 'local r = {} for i = 1, #ARGV, 2 do local p, s = ARGV[i], ARGV[i + 1] r[#r + 1] = {p, s, all(pcall(string.find, s, p)), '
            "all(pcall(string.match, s, p, 2)), all(pcall(string.gsub, s, p, '<%0>')), all(pcall(string.gsub, s, p, '%1', 2)), "
            'all(pcall(string.find, s, p, -3, true))} end return r'), args, []


def calculated(rng):
    """Numbers as text, as bits and in calculations."""
    texts = [rng.choice([repr(rng.choice(NUMBERS)), f'0x{rng.randrange(2**40):x}', f' {rng.randrange(100)} ',
                         f'{rng.randrange(100)}e{rng.randrange(-20, 20)}', rng.choice(['', ' ', '1_0', '1e', '--1', '0x', '1.', '.1', '1 2', '٣'])]).encode() for _ in range(TENS)]
    other = number(rng)
    return (TELL + f'local o = {other} local r = {{}} for i, a in ipairs(ARGV) do local n = tonumber(a) r[i] = {{tell(n), tell(tonumber(a, 16)), '
            "n and all(bit.tobit(n), bit.band(n, o), bit.bxor(n, o), bit.lshift(n, 3), bit.arshift(n, 2), bit.tohex(n)), "
            "n and o ~= 0 and all(n + o, n * o, n / o, math.floor(n), math.ceil(n), math.abs(n), n % 7), n and all(n < o, n == o), "
            "n and n .. '', pcall(function() return a + 1 end) and 'number' or 'none'} end return r"), texts, []


KINDS = [returned, reply, json_decoded, returned, reply, packed, unpacked, structs, returned, reply, formatted, matched, calculated]
