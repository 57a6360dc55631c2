"""What the argument trees do not say: agree() makes a command's arguments fit one another, and tame()
takes out what would take hours or gigabytes, and what two correct servers would answer differently."""
import time

from pools import *

# Where the number of keys stands that follow it.
NUMKEYS = {'lmpop': 1, 'blmpop': 2, 'zmpop': 1, 'bzmpop': 2, 'sintercard': 1, 'zintercard': 1, 'zinter': 1, 'zunion': 1,
           'zdiff': 1, 'zinterstore': 2, 'zunionstore': 2, 'zdiffstore': 2}
# Where a range begins, and of what it is one.
RANGES = {'zrange': (2, None), 'zrangestore': (3, None), 'zcount': (2, 'score'), 'zlexcount': (2, 'lex'),
          'zrangebylex': (2, 'lex'), 'zrangebyscore': (2, 'score'), 'zremrangebylex': (2, 'lex'),
          'zremrangebyscore': (2, 'score'), 'zrevrangebylex': (2, 'lex'), 'zrevrangebyscore': (2, 'score')}
REVERSED = {'zrevrangebylex', 'zrevrangebyscore'}
# What may touch the sorted sets of one score, and leaves them so.
LEX_ALLOWED = {'zadd', 'zcard', 'zrem', 'zscore', 'zmscore', 'zrank', 'zrevrank', 'zpopmin', 'zpopmax', 'zrange', 'zrevrange',
               'zremrangebyrank', 'zcount', 'del', 'unlink', 'type', 'object|encoding', 'zscan', 'zrandmember', 'exists'}
RANDOM_COUNT = {'srandmember', 'hrandfield', 'zrandmember'}
# Where a blocking command's timeout stands.
TIMEOUT = {'blpop': -1, 'brpop': -1, 'brpoplpush': 3, 'blmove': 5, 'blmpop': 1, 'bzpopmin': -1, 'bzpopmax': -1, 'bzmpop': 1}


def agree(generator, name, argv):
    """Makes the arguments of one command fit one another, mostly."""
    r = generator.random
    if generator.profile == 'streams':
        agree_streams(r, name, argv)
    if generator.profile != 'collections':
        return
    if name in NUMKEYS:
        count = agree_numkeys(r, NUMKEYS[name], argv)
        agree_weights(generator, argv, count)
    if name in RANGES:
        agree_range(generator, name, argv)
    elif name in LEX_ALLOWED and name.startswith('z') and r.random() < 0.25:
        argv[1] = r.choice(LEX_KEYS)
    if name.startswith('sort'):
        agree_sort(generator, argv)
    if name in ('rename', 'renamenx', 'copy') and len(argv) > 2 and r.random() < 0.7:
        # Mostly to a key whose commands expect the type that comes.
        same = next((keys for keys in TYPED_KEYS.values() if argv[1] in keys), None)
        if same:
            argv[2] = r.choice(same)


def agree_streams(r, name, argv):
    """As many IDs as keys, mostly."""
    words = [word.upper() for word in argv]
    if name in ('xread', 'xreadgroup') and b'STREAMS' in words and r.random() < 0.95:
        at = words.index(b'STREAMS') + 1
        keys = [word for word in argv[at:] if word in STREAM_KEYS or word in (FUTURE_KEY, *ODD_KEYS)]
        ids = argv[at + len(keys):]
        argv[at:] = keys + [ids[i % len(ids)] for i in range(len(keys))] if keys and ids else argv[at:]
    if name == 'xgroup|create' and r.random() < 0.5 and b'MKSTREAM' not in words:
        argv.insert(5, b'MKSTREAM')


def agree_numkeys(r, at, argv):
    count = 0
    while at + 1 + count < len(argv) and argv[at + 1 + count] in ANY_KEYS:
        count += 1
    argv[at] = b'%d' % count if r.random() < 0.9 else r.choice([b'0', b'-1', b'%d' % (count + 1), b'1', b'100', b'abc'])
    return count


def agree_weights(generator, argv, count):
    words = [word.upper() for word in argv]
    if b'WEIGHTS' not in words:
        return
    start = end = words.index(b'WEIGHTS') + 1
    while end < len(argv) and words[end] not in (b'AGGREGATE', b'WITHSCORES'):
        end += 1
    if generator.random.random() < 0.9:
        argv[start:end] = [generator.pick(SCORES, ODD_SCORES) for _ in range(count)]


def agree_range(generator, name, argv):
    at, kind = RANGES[name]
    words = [word.upper() for word in argv]
    if kind is None:
        kind = 'score' if b'BYSCORE' in words else 'lex' if b'BYLEX' in words else 'position'
        if kind == 'position' and b'LIMIT' in words and generator.random.random() < 0.8:
            del argv[words.index(b'LIMIT'):words.index(b'LIMIT') + 3]
    low, high = generator.limits(kind)
    if name in REVERSED or (b'REV' in words and kind != 'position'):
        low, high = high, low
    argv[at:at + 2] = [low, high]


def limit_order(limit):
    """A limit's place among others, roughly: what gives ranges that are not empty."""
    if limit[:1] == b'-' and len(limit) == 1:
        return 0, -1e999, b''
    if limit == b'+':
        return 2, 0, b''
    if limit[:1] == b'[':
        return 1, 0, limit[1:]
    try:
        return 1, float(limit.lstrip(b'(')), b''
    except ValueError:
        return 1, 0, limit[1:]


def agree_sort(generator, argv):
    r = generator.random
    for i in range(1, len(argv) - 1):
        word = argv[i].upper()
        if word in (b'BY', b'GET'):
            argv[i + 1] = generator.pick(SORT_BY if word == b'BY' else SORT_GET, ODD_SORT_PATTERNS)
    if b'ALPHA' not in [word.upper() for word in argv] and r.random() < 0.4:
        argv.append(b'ALPHA')
    elif r.random() < 0.6:
        argv[1] = r.choice([b'l:i', b'S:i', b'S:j', b'z:i'])


def tame(generator, name, argv):
    """Takes out of a finished command what would not end, or would have no one answer."""
    if not generator.big:
        tame_sizes(name, argv)
    tame_expiry(generator.random, argv)
    if generator.profile == 'streams':
        tame_streams(generator, name, argv)
    if generator.profile == 'collections':
        tame_lex(generator, name, argv)
        tame_counts(generator, name, argv)
        tame_damage(generator, name, argv)
        tame_order(argv)
        tame_timeout(generator.random, name, argv)


def tame_sizes(name, argv):
    """Keeps ordinary keys small: no offset may reach far into a value that the limit allows."""
    if name in ('setbit', 'setrange', 'bitfield'):
        for i, arg in enumerate(argv):
            number = as_integer(arg.lstrip(b'#'))
            if number is not None and 2000 < number * (64 if arg[:1] == b'#' else 1) and number < 2**24 * 64:
                argv[i] = b'1999'


def tame_expiry(r, argv):
    """Moves times at which a key would expire while the test runs far away."""
    command, places = argv[0].lower(), []
    if command in (b'expire', b'pexpire', b'expireat', b'pexpireat', b'setex', b'psetex'):
        places = [2]
    elif command in (b'set', b'getex'):
        places = [i + 1 for i, arg in enumerate(argv) if arg.lower() in (b'ex', b'px', b'exat', b'pxat')]
    now = time.time()
    for place in places:
        number = as_integer(argv[place]) if place < len(argv) else None
        if number is None:
            continue
        near = any(abs(number - moment) < 10**6 for moment in (now, now * 1000))
        if 0 < number < 10**6 or near:
            # A different number each time: whether an equal one is later is for the clock to say.
            argv[place] = str(r.randrange(10**7, 10**9)).encode()


def tame_lex(generator, name, argv):
    """Ranges by name are defined for members of one score only. They go to keys whose members have one,
    or to what is no sorted set, and nothing else writes to those keys."""
    r = generator.random
    if 'lex' in name or any(word.upper() == b'BYLEX' for word in argv):
        at = 2 if name == 'zrangestore' else 1
        if len(argv) > at and argv[at] not in LEX_KEYS:
            argv[at] = r.choice(LEX_KEYS * 6 + [b'w:0', b'nothing'])
        if name == 'zrangestore' and len(argv) > 1 and argv[1] in LEX_KEYS:
            argv[1] = b'z:0'
    elif name == 'zadd' and len(argv) > 1 and argv[1] in LEX_KEYS:
        at = 2
        while at < len(argv) and argv[at].upper() in (b'NX', b'XX', b'GT', b'LT', b'CH', b'INCR'):
            at += 1
        argv[at::2] = [b'0'] * len(argv[at::2])
    elif name not in LEX_ALLOWED:
        argv[1:] = [b'z:1' if word in LEX_KEYS else word for word in argv[1:]]


def tame_counts(generator, name, argv):
    if len(argv) < 3 or name not in RANDOM_COUNT | {'spop'}:
        return
    count = as_integer(argv[2])
    if name != 'spop':
        # So many random elements were asked for that any server would be busy for years.
        if count is not None and -2**62 < count < -1000:
            argv[2] = b'%d' % -(-count % 1000)
    elif count is not None and 4 < count < 2**63:
        # What remains of a set when most are popped is put into a new one, whose encoding depends on
        # what remained: the key is deleted before anybody sees it.
        generator.pending.append(('del', [b'DEL', argv[1]]))


def tame_damage(generator, name, argv):
    """Lets a HyperLogLog that was damaged be looked at once: PFADD keeps nothing of a failed call in ours,
    and what came before the fault in the reference."""
    if name in ('append', 'setrange', 'setbit', 'bitfield') and len(argv) > 1 and argv[1].startswith(b'p:'):
        generator.pending.append(('pfcount', [b'PFCOUNT', argv[1]]))
        generator.pending.append(('del', [b'DEL', argv[1]]))


def tame_order(argv):
    """Takes out what is stored in an order, or cut off at a number, that nothing prescribes."""
    words = [word.upper() for word in argv]
    command = words[0]
    if command == b'SORT' and b'BY' in words and b'ALPHA' in words and b'STORE' in words:
        # Elements of equal weight have no order, unless the weights are numbers.
        argv[:] = [word for word in argv if word.upper() != b'ALPHA']
    if command.startswith(b'GEO') and any(b'STORE' in word for word in words):
        # Which of several places equally far away COUNT takes, and which places ANY.
        if b'COUNT' in words:
            at = words.index(b'COUNT')
            del argv[at:at + 2]
        argv[:] = [word for word in argv if word.upper() != b'ANY']


def tame_timeout(r, name, argv):
    at = TIMEOUT.get(name)
    if at is not None and max(at, 1) < len(argv) and argv[at] not in TIMEOUTS + ODD_TIMEOUTS:
        argv[at] = r.choice(ODD_TIMEOUTS) if r.random() < 0.1 else r.choice(TIMEOUTS)


def tame_streams(generator, name, argv):
    """IDs that depend on the clock are only generated where it has no say, and no wait is long."""
    r = generator.random
    words = [word.upper() for word in argv]
    if name == 'xadd':
        argv[2:] = [word if word != b'*' or argv[1] == FUTURE_KEY else b'%d-*' % generator.newest for word in argv[2:]]
    # The reference reads over space before an ID, and reads it up to a zero byte.
    argv[:] = [b'1x' if word[:1].isspace() or b'\0' in word and word[:1].isdigit() else word for word in argv]
    if name == 'xsetid' and generator.reference < (7, 2) and len(argv) > 2 and argv[2][:1].isdigit():
        # Before 7.2 the last ID of an empty stream might be set to one before deleted entries.
        generator.newest += 2
        argv[2] = b'%d-0' % generator.newest
    for at, word in enumerate(words[:-1]):
        if word == b'BLOCK' and argv[at + 1] not in STREAM_BLOCKS + ODD_STREAM_BLOCKS:
            argv[at + 1] = r.choice(STREAM_BLOCKS)
    # The reference sets memory aside for as many entries as XAUTOCLAIM may claim, and refuses if it cannot.
    for at, word in enumerate(words[:-1]):
        if name == 'xautoclaim' and word == b'COUNT' and 10**6 < (as_integer(argv[at + 1]) or 0) <= (2**63 - 1) // 16:
            argv[at + 1] = b'1000'
    # Whether something has been idle for some milliseconds is for the clock to say.
    idle = {'xclaim': 4, 'xautoclaim': 4, 'xpending': 4}.get(name)
    if idle is not None and idle < len(argv) and 0 < (as_integer(argv[idle]) or 0) < 10**6:
        argv[idle] = b'0'
    if generator.reference < (7, 2):
        tame_consumers(generator, name, argv)
    if name not in FUTURE_ALLOWED:
        argv[:] = [b'st:0' if word == FUTURE_KEY else word for word in argv]


def tame_consumers(generator, name, argv):
    """Before 7.2 a consumer came to be with the first entry it got, and not with its first request. So all consumers
    are made with their group, and again when one is deleted, and no others are named."""
    at = {'xclaim': 3, 'xautoclaim': 3}.get(name)
    if name == 'xreadgroup':
        at = next((i + 2 for i in range(1, len(argv)) if argv[i].upper() == b'GROUP'), None)
    if at is not None and at < len(argv) and argv[at] not in CONSUMERS:
        argv[at] = CONSUMERS[0]
    if name in ('xgroup|create', 'xgroup|delconsumer') and len(argv) > 3:
        generator.pending += [('xgroup|createconsumer', [b'XGROUP', b'CREATECONSUMER', argv[2], argv[3], consumer])
                              for consumer in sorted({*CONSUMERS})]


def as_integer(text):
    try:
        return int(text)
    except ValueError:
        return None
