"""Random commands from the argument trees that COMMAND DOCS gives, with hostile values mixed in.

A profile is a choice of commands and keys that a round keeps to: 'strings', 'collections' or 'streams'. The trees
know nothing of what arguments mean together; adjust.py makes them agree, damage() undoes some of that,
and adjust.py then takes out what would never end or what no two servers could answer alike.
"""
import random
import time

import adjust
import expected
from pools import *

PROFILES = ('strings', 'collections', 'streams')
COLLECTIONS = ('list', 'set', 'hash', 'sorted-set', 'geo', 'hyperloglog')
# What fills the keys is sent oftener than what empties them.
ADDING = {'lpush', 'rpush', 'sadd', 'hset', 'hmset', 'zadd', 'geoadd', 'pfadd'}
BLOCKING = {'blpop', 'brpop', 'blmove', 'brpoplpush', 'blmpop', 'bzpopmin', 'bzpopmax', 'bzmpop'}
# The commands of strings that are sent among collections, for their errors and as sources and targets.
STRINGS_AMONG_COLLECTIONS = {'set', 'get', 'getset', 'getdel', 'append', 'mset', 'mget', 'incr', 'incrbyfloat', 'strlen',
                             'setrange', 'getrange', 'setbit', 'bitop', 'bitcount'}
KEYS_AMONG_COLLECTIONS = {'copy': 20, 'rename': 10, 'renamenx': 5, 'del': 8, 'unlink': 5, 'type': 8, 'object|encoding': 40,
                          'sort': 70, 'sort_ro': 30, 'scan': 8, 'exists': 5, 'touch': 3, 'keys': 3, 'persist': 3,
                          'expire': 3, 'move': 2}
KEYS_AMONG_STREAMS = {'del': 4, 'copy': 8, 'rename': 6, 'type': 4, 'object|encoding': 4, 'exists': 2, 'set': 1, 'lpush': 1,
                      'get': 2, 'unlink': 1}
STREAM_WEIGHTS = {'xadd': 160, 'xreadgroup': 120, 'xsetid': 8, 'xtrim': 20, 'xdel': 40, 'xgroup|create': 80,
                  'xgroup|destroy': 3, 'xgroup|setid': 12, 'xgroup|delconsumer': 10, 'xlen': 10}
# Commands between two looks at all that the streams hold.
LOOK_EVERY = 100
KEY_NAMES = {'key', 'source', 'destination', 'sourcekey', 'destkey', 'src', 'dst', 'storekey', 'storedistkey'}


def weight(profile, name, group):
    """How often a command is sent, against the others of the profile."""
    if profile == 'streams':
        return STREAM_WEIGHTS.get(name, 30) if group == 'stream' else KEYS_AMONG_STREAMS.get(name, 0)
    if group == 'stream':
        return 0
    if profile == 'strings':
        if group in COLLECTIONS or name in ('sort', 'sort_ro'):
            return 0
        return 1 if name in expected.SELDOM else 20 if group in ('string', 'bitmap', 'generic') else 4
    if group in COLLECTIONS:
        return 60 if name in ADDING else 6 if name in BLOCKING else 20
    if group in ('connection', 'server'):
        return 1 if name in ('flushdb', 'flushall', 'swapdb', 'dbsize') else 0
    if group == 'generic':
        return KEYS_AMONG_COLLECTIONS.get(name, 1)
    return 2 if name in STRINGS_AMONG_COLLECTIONS else 0


class Generator:
    def __init__(self, seed, trees, tokens_known, reference=(7, 2)):
        """trees: {name: argument tree}; tokens_known: {name: tokens the reference documents, or None};
        reference: its version."""
        self.reference = reference
        self.random = random.Random(seed)
        self.trees = trees
        self.tokens_known = tokens_known
        self.names = sorted(trees)
        self.weights = {profile: [weight(profile, name, trees[name]['group']) for name in self.names]
                        for profile in PROFILES}
        self.tokens = sorted(set().union(*filter(None, tokens_known.values())))
        self.pending = []

    def profiles(self):
        """The profiles whose own commands are at hand."""
        groups = {tree['group'] for tree in self.trees.values()}
        own = {'strings': groups - {*COLLECTIONS, 'stream'}, 'collections': groups & {*COLLECTIONS, 'generic'},
               'streams': groups & {'stream'}}
        return [profile for profile in PROFILES if own[profile] and any(self.weights[profile])]

    def begin(self, profile):
        """Starts a round; the limits that hold in it, as {parameter: value}."""
        self.profile, self.pending = profile, []
        if profile == 'strings':
            return {parameter: values[0] for parameter, values in LIMITS.items()}
        self.until_look, self.newest, self.stream = LOOK_EVERY, 1, None
        if profile == 'streams':
            self.pending = [('xadd', [b'XADD', FUTURE_KEY, FUTURE_ID, b'f', b'v'])]
        else:
            self.pending = [(argv[0].decode().lower(), argv) for argv in SORT_WEIGHTS
                            if argv[0].decode().lower() in self.trees]
        return {parameter: self.random.choice(values) for parameter, values in LIMITS.items()}

    def database(self):
        """The number of the database that the next batch goes to."""
        if self.pending or self.profile == 'streams':
            return b'0'
        return self.random.choice([b'0', b'0', b'0', b'1', b'9'] if self.profile == 'strings' else [b'0'] * 8 + [b'1', b'9'])

    def command(self):
        """(name, argv) of the next command."""
        r = self.random
        if self.pending:
            return self.pending.pop(0)
        if self.profile == 'streams':
            self.until_look -= 1
            if self.until_look == 0:
                self.until_look = LOOK_EVERY
                self.pending = [('xinfo|stream', [b'XINFO', b'STREAM', key, b'FULL', b'COUNT', b'0'])
                                for key in STREAM_KEYS + [FUTURE_KEY]]
        name = r.choices(self.names, self.weights[self.profile])[0]
        self.name, self.group = name, self.trees[name]['group']
        self.big = self.profile == 'strings' and name in BIG_COMMANDS and r.random() < 0.04
        self.numeric, self.wide = False, 0
        argv = [word.encode() for word in name.split('|')] + self.arguments(self.trees[name]['arguments'])
        adjust.agree(self, name, argv)
        words = name.count('|') + 1
        if not self.big and r.random() < (0.25 if self.profile == 'strings' else 0.12):
            argv[words:] = self.damage(argv[words:])
        if r.random() < 0.05:
            argv[0] = r.choice([argv[0].upper(), argv[0].title()])
        adjust.tame(self, name, argv)
        if r.random() < 0.004:
            return 'nosuchcommand', [r.choice([b'nosuchcommand', b'', b'get\r\n', b'\xff', b'x' * 200])] + argv[1:]
        return name, argv

    def damage(self, argv):
        r = self.random
        argv = list(argv)
        for _ in range(r.choice([1, 1, 1, 2, 3])):
            kind = r.randrange(6)
            at = r.randrange(len(argv)) if argv else 0
            if kind == 0 and argv:
                argv[at] = self.hostile()
            elif kind == 1 and argv:
                del argv[at]
            elif kind == 2:
                argv.insert(at, self.hostile())
            elif kind == 3 and argv:
                argv.append(r.choice(argv))
            elif kind == 4 and len(argv) > 1:
                other = r.randrange(len(argv))
                argv[at], argv[other] = argv[other], argv[at]
            elif kind == 5:
                argv.insert(r.randrange(len(argv) + 1), r.choice(self.tokens).encode())
        return argv

    def hostile(self):
        r = self.random
        pools = [HOSTILE_INTEGERS, HOSTILE_FLOATS, HOSTILE_STRINGS, HOSTILE_PATTERNS, INTEGERS, STRINGS, KEYS]
        if self.profile == 'streams':
            pools = [HOSTILE_INTEGERS, HOSTILE_STRINGS, ODD_IDS, ODD_IDS, ODD_NAMES, STREAM_KEYS, INTEGERS]
        if self.profile == 'collections':
            pools += [ODD_ELEMENTS, WIDE_NUMBERS, ODD_SCORES, ODD_SCORE_LIMITS, ODD_LEX_LIMITS, ANY_KEYS, ANY_KEYS]
        return r.choice(r.choice(pools))

    def arguments(self, tree):
        return [word for argument in tree for word in self.argument(argument)]

    def argument(self, argument):
        r = self.random
        flags = argument.get('flags', ())
        if 'optional' in flags and (r.random() < 0.6 or not self.is_known(argument)):
            return []
        words = []
        for n in range(self.repeats(argument) if 'multiple' in flags else 1):
            token = argument.get('token')
            if token is not None and argument['type'] != 'pure-token' and (n == 0 or 'multiple_token' in flags):
                words.append(self.in_some_case(token))
            words += self.one(argument)
        return words

    def repeats(self, argument):
        r = self.random
        if self.name in ADDING and self.profile == 'collections':
            if r.random() < 0.02:
                # From a pool of their own: elements that only such commands share.
                self.wide = r.randrange(100, 500)
                return r.randrange(30, 300)
            return r.choice([1, 1, 2, 3, 5, 8, 15])
        return r.choice([1, 1, 2, 3, 5])

    def one(self, argument):
        r = self.random
        kind, name = argument['type'], argument['name'].lower()
        if kind == 'pure-token':
            return [self.in_some_case(argument['token'])]
        if kind == 'oneof':
            choices = [choice for choice in argument['arguments'] if self.is_known(choice)]
            return self.argument(r.choice(choices or argument['arguments']))
        if kind == 'block':
            return self.arguments(argument['arguments'])
        if kind == 'key' or name in KEY_NAMES:
            return [self.key(name)]
        if self.profile == 'streams':
            return [self.stream_word(kind, name)]
        if self.profile == 'collections':
            word = self.collection_word(kind, name)
            if word is not None:
                return [word]
        if kind == 'pattern':
            return [self.pick(PATTERNS, HOSTILE_PATTERNS)]
        if kind == 'double' or (kind == 'integer' and self.name == 'incrbyfloat'):
            return [self.decimal()]
        if kind in ('integer', 'unix-time'):
            return [self.integer(kind, name)]
        return [self.string(name)]

    def is_known(self, argument):
        """False for an option that the reference does not have."""
        known = self.tokens_known[self.name]
        return known is None or 'token' not in argument or argument['token'].upper() in known

    def key(self, name):
        r = self.random
        if self.profile == 'strings':
            return r.choice(BIG_KEYS if self.big else KEYS)
        if self.profile == 'streams':
            if r.random() < 0.01:
                return r.choice(ODD_KEYS)
            self.stream = FUTURE_KEY if r.random() < 0.1 else r.choice(STREAM_KEYS)
            return self.stream
        family = self.group
        if family in ('generic', 'string', 'bitmap') or r.random() < 0.05:
            family = r.choice(list(TYPED_KEYS))
        if self.name.startswith('sort'):
            family = 'list' if name == 'destination' else r.choice(['list', 'set', 'sorted-set'])
        elif family == 'geo' and 'store' in name or family == 'sorted-set' and r.random() < 0.1:
            family = r.choice(['sorted-set', 'geo', 'set'])
        if r.random() < 0.03:
            return r.choice(ODD_KEYS)
        key = r.choice(TYPED_KEYS[family])
        self.numeric = key[-1:] in b'ij' and r.random() < 0.95
        return key

    # The words of the collections.

    def collection_word(self, kind, name):
        """A word that fits what the argument is called; None if nothing is known about it."""
        if self.group not in COLLECTIONS and not self.name.startswith('sort'):
            return None
        if name in ('element', 'member', 'pivot', 'field', 'member1', 'member2', 'value'):
            return self.element()
        if name == 'score' or self.name == 'zincrby' and name == 'increment':
            return self.score()
        if name == 'weight':
            return self.pick(SCORES, ODD_SCORES)
        if kind == 'pattern':
            return self.pick(PATTERNS + [b'e*', b'[a-e]', b'*1*', b'm:?', b'[0-9]'], HOSTILE_PATTERNS)
        if name == 'increment':
            return self.decimal() if self.name == 'hincrbyfloat' else self.pick(POSITIONS, HOSTILE_INTEGERS)
        if name == 'timeout':
            return self.random.choice(TIMEOUTS)
        if name == 'cursor':
            return self.pick([b'0'], HOSTILE_INTEGERS)
        if name == 'longitude':
            # Once a pair at most is the coordinate one from the pool: no two members stand at one place.
            self.odd_longitude = self.random.random() < 0.05
            return self.coordinate(13.36, 180, ODD_LONGITUDES if self.odd_longitude else None)
        if name == 'latitude':
            odd = not self.odd_longitude and self.random.random() < 0.05
            return self.coordinate(38.11, 85, ODD_LATITUDES if odd else None)
        if name in ('radius', 'width', 'height'):
            return self.pick(RADII, ODD_RADII)
        if name == 'subcommand':
            return self.random.choice([b'ENCODING', b'DECODE', b'TODENSE', b'encoding', b'nosuch'])
        if kind == 'integer':
            positions = name in ('start', 'stop', 'index', 'offset', 'rank')
            return self.pick(POSITIONS if positions else COUNTS, HOSTILE_INTEGERS)
        return None

    def element(self):
        r = self.random
        if self.wide:
            n = r.randrange(self.wide)
            return b'%d' % n if self.numeric else b'm:%d' % n
        if self.group == 'hyperloglog' and r.random() < 0.7:
            return b'%d' % r.randrange(10**6)
        chance = r.random()
        if self.numeric:
            return r.choice(NUMBERS if chance < 0.85 else WIDE_NUMBERS if chance < 0.98 else FLOATS)
        if chance < 0.002:
            # Larger than any node of a list, and than what a listpack may hold.
            return bytes([97 + r.randrange(3)]) * r.choice([4000, 5000, 9000, 70000])
        return r.choice(NAMES if chance < 0.6 else NUMBERS if chance < 0.8 else WIDE_NUMBERS if chance < 0.85 else ODD_ELEMENTS)

    def score(self):
        r = self.random
        if r.random() < 0.1:
            return repr(r.choice([1, -1]) * r.random() * 10 ** r.randrange(-8, 19)).encode()
        return self.pick(SCORES, ODD_SCORES)

    def limits(self, kind):
        """Two ends of a range, mostly the lower one first."""
        r = self.random
        pick = {'position': lambda: self.pick(POSITIONS, HOSTILE_INTEGERS),
                'score': lambda: r.choice(SCORE_LIMITS) if r.random() < 0.4 else self.pick(SCORES, ODD_SCORE_LIMITS),
                'lex': lambda: self.pick(LEX_LIMITS, ODD_LEX_LIMITS) if r.random() < 0.8
                else r.choice([b'[', b'(']) + self.element()}[kind]
        low, high = pick(), pick()
        if r.random() < 0.15:
            low, high = {'position': (b'0', b'-1'), 'score': (b'-inf', b'+inf'), 'lex': (b'-', b'+')}[kind]
        elif kind != 'position' and r.random() < 0.7 and adjust.limit_order(low) > adjust.limit_order(high):
            low, high = high, low
        return low, high

    def coordinate(self, near, most, odd):
        r = self.random
        if odd:
            return r.choice(odd)
        at = near + r.uniform(-2, 2) if r.random() < 0.7 else r.uniform(-most, most)
        return b'%.*f' % (r.choice([3, 6, 15]), at)

    # The words of streams.

    def stream_word(self, kind, name):
        """A word that fits what the argument is called."""
        r = self.random
        if name == 'group':
            return self.pick(GROUPS, ODD_NAMES)
        if name == 'consumer':
            return self.pick(CONSUMERS, ODD_NAMES)
        if name in ('id', 'start', 'end', 'last-id', 'lastid', 'max-deleted-id') or name == 'threshold' and r.random() < 0.5:
            return self.stream_id(name)
        if name == 'threshold' or name == 'count':
            return self.pick(COUNTS, HOSTILE_INTEGERS)
        if name == 'field':
            return r.choice(NAMES[:4] if r.random() < 0.7 else NAMES + ODD_ELEMENTS)
        if name == 'value':
            return r.choice(NUMBERS + WIDE_NUMBERS if r.random() < 0.6 else NAMES + ODD_ELEMENTS)
        if name == 'min-idle-time':
            return self.pick(IDLE_TIMES, HOSTILE_INTEGERS)
        if name == 'ms':
            return self.pick(LONG_AGO, HOSTILE_INTEGERS)
        if kind == 'unix-time':
            return self.pick([b'%d' % r.randrange(1, 10**9)], HOSTILE_INTEGERS)
        if name == 'milliseconds':
            return self.pick(STREAM_BLOCKS, ODD_STREAM_BLOCKS)
        return self.pick(INTEGERS, HOSTILE_INTEGERS)

    def stream_id(self, name):
        """An ID among those of the latest entries; those of new entries grow, those of all streams together."""
        r = self.random
        if r.random() < 0.03:
            return r.choice(ODD_IDS)
        if self.name == 'xadd' and self.stream == FUTURE_KEY:
            return b'*'
        if self.name == 'xadd':
            self.newest += r.choice([0, 0, 0, 1, 1])
            return r.choice([b'%d-%d' % (self.newest, r.randrange(4)), b'%d-*' % self.newest, b'%d' % (self.newest + 1)])
        if name in ('start', 'end') and r.random() < 0.4:
            return r.choice([b'-', b'+'] if r.random() < 0.2 else [b'-'] if name == 'start' else [b'+'])
        if name == 'id' and self.name == 'xreadgroup' and r.random() < 0.7:
            return b'>'
        if name == 'id' and (self.name == 'xread' or self.name.startswith('xgroup')) and r.random() < 0.2:
            return b'$'
        ms = max(0, self.newest + 1 - r.randrange(r.choice([5, 20, 60])))
        text = b'%d-%d' % (ms, r.randrange(4)) if r.random() < 0.9 else b'%d' % ms
        if r.random() < 0.06:
            text = FUTURE_ID[:-1] + b'%d' % r.randrange(40)
        return b'(' + text if name in ('start', 'end') and r.random() < 0.15 else text

    # The words of strings.

    def string(self, name):
        r = self.random
        if 'encoding' in name:
            return self.pick(ENCODINGS, HOSTILE_ENCODINGS)
        if name == 'operation':
            return self.pick([b'AND', b'OR', b'XOR', b'NOT', b'not'], [b'NAND', b''])
        if name == 'type':
            return self.pick([b'string', b'STRING', b'list', b'hash', b'zset', b'set'], [b'nosuchtype', b''])
        if 'command' in name:
            return r.choice([b'get', b'SET', b'mset', b'bitop', b'lcs', b'nosuch', b'object|encoding'])
        if r.random() < 0.2:
            return str(r.randrange(-1000, 1000)).encode()
        if r.random() < 0.1:
            return self.decimal()
        return self.pick(STRINGS, HOSTILE_STRINGS)

    def integer(self, kind, name):
        r = self.random
        if 'second' in name or 'time' in name or kind == 'unix-time':
            return r.choice([b'0', b'-1', b'-100', str(r.randrange(10**6, 10**9)).encode(),
                             str(r.randrange(10**6, 10**9)).encode(), self.absolute(), r.choice(HOSTILE_INTEGERS)])
        if self.big:
            return r.choice([b'8388607', b'8388608', b'1048575', b'1048576', b'1048570', b'0', b'-1', b'131072'])
        if self.name.startswith('bitfield') and 'offset' in name and r.random() < 0.3:
            return b'#' + self.pick(INTEGERS, HOSTILE_INTEGERS)
        if r.random() < 0.2:
            return str(r.randrange(-20, 200)).encode()
        return self.pick(INTEGERS, HOSTILE_INTEGERS)

    def decimal(self):
        r = self.random
        if r.random() < 0.4:
            return repr(r.choice([1, -1]) * r.random() * 10 ** r.randrange(-5, 18)).encode()
        return self.pick(FLOATS, HOSTILE_FLOATS)

    def absolute(self):
        """A moment far away, in seconds or milliseconds."""
        r = self.random
        seconds = int(time.time()) + r.randrange(10**6, 10**8)
        return str(r.choice([seconds, seconds * 1000])).encode()

    def pick(self, usual, hostile):
        """Mostly one of the usual values."""
        rate = 0.15 if self.profile == 'strings' else 0.06
        return self.random.choice(hostile if self.random.random() < rate else usual)

    def in_some_case(self, token):
        return (token if self.random.random() < 0.8 else self.random.choice([token.lower(), token.title()])).encode()
