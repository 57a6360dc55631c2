"""Random steps on three connections, which only need to be told the outcome where it decides what can follow.

The clock must have no say: what expires at once is followed by a wait, or has expired before; what blocks does so for ever,
or until a wait is over. What a command did is only guessed (is the connection in a transaction, in a subscriber's mode?), and
a wrong guess does no harm but to the variety.
"""
import collections
import random
import re

from expected import NOT_INTERLEAVED

CONNECTIONS = 3
CONTROL = 3             # In a step, the connection beside them that is never stuck.
# `waiting`: whether a connection waits before the step, because it is blocked or writes are paused.
Step = collections.namedtuple('Step', 'connection commands wait_s waiting')

KEYS = ['a', 'b', 'c', 'user:1', 'user:2']
LISTS, ZSETS, STREAMS = ['l', 'l:2'], ['z', 'z:2'], ['s']
CHANNELS = ['a', 'b', 'ab', 'news.1', 'news.2', '__keyspace@0__:a', '__keyevent@0__:set', '__redis__:invalidate', '']
PATTERNS = ['a*', '*', 'news.?', 'news.[12]', '?b', '__key*__:*', '__keyevent@1__:*', '__keyspace@*:[ab]', 'a\\b', '']
SHARDED = ['a', 's1', 's2']
PREFIXES = ['', 'u', 'user:', 'user:1', 'a', 'l', 'b']
MESSAGES = ['m', '', 'x' * 100, 'y' * 20000]
EVENTS = ['', '', 'KEA', 'KEA', 'KA', 'EA', 'KEAn', 'Kgx$l', 'Elxg', 'KEt', 'Em']
SHORT_S = 0.004         # A wait in which what was to last a millisecond has expired,
TIMEOUT_S = 0.04        # and one in which the timer, which runs every few milliseconds, has seen it.

# Nobody blocks on two keys that may both be written: since 7.2 the first of them is served, and not the one that was written first.
# Templates by group: K a key, L a list, Z a sorted set, S a stream, V a value, C a channel, P a pattern, H a sharded channel,
# D a database, M a message, I the ID of one of the connections.
TEMPLATES = {
    'write': '''SET K V|SET K V|SET K V|SET K V PX 100000|SET K V KEEPTTL|SET K V NX|SET K V XX GET|SETEX K 100 V|INCR K|APPEND K V|DEL K|DEL K K
        UNLINK K|GETDEL K|GETEX K PERSIST|GETEX K EX 100|GETSET K V|MSET K V K V|MSETNX K V K V|SETRANGE K 1 V|SETBIT K 1 1
        EXPIRE K 100|PEXPIRE K 100000 NX|PEXPIRE K -1|EXPIREAT K 1|PERSIST K|RENAME K K|RENAMENX K K|COPY K K|COPY K K REPLACE
        COPY K K DB 1|MOVE K D|RPUSH L V|RPUSH L V V|LPUSH L V|LPOP L|RPOP L 2|LSET L 0 V|LREM L 0 1|LTRIM L 0 0|LMOVE L L LEFT RIGHT
        RPOPLPUSH L L|SADD st V|SREM st V|SMOVE st st:2 V|HSET h V V|HDEL h V|HINCRBY h n 1|ZADD Z 1 V|ZREM Z V|ZPOPMIN Z|ZADD Z INCR 1 V
        ZADD Z XX CH 5 V|SORT L BY nosort STORE L|PFADD hll V|BITOP AND K K K|ZRANGESTORE Z Z 0 -1|SINTERSTORE st st st:2
        XADD S 0-* f V|XDEL S 0-1|XTRIM S MAXLEN 1|GEOADD g 1 2 V''',
    'read': '''GET K|GET K|GET K|MGET K K|EXISTS K K|STRLEN K|TYPE K|LRANGE L 0 -1|LLEN L|SCARD st|HGET h V|HLEN h|ZCARD Z|ZSCORE Z V
        DBSIZE|TOUCH K K|GETRANGE K 0 -1|GETBIT K 0|XLEN S|XRANGE S - +|PFCOUNT hll|LINDEX L 0|SISMEMBER st V|ZRANGE Z 0 -1|OBJECT ENCODING nosuch
        GET L|SUBSTR K 0 1|BITCOUNT K|SORT L BY nosort''',
    'transaction': '''MULTI|MULTI|MULTI|MULTI|EXEC|EXEC|EXEC|EXEC|DISCARD|WATCH K|WATCH K|WATCH K K|WATCH L|UNWATCH|NOSUCH|GET|SUBSCRIBE C|ECHO V''',
    'database': 'SELECT D|SELECT D|SELECT D|SWAPDB 0 1|SWAPDB 1 D|FLUSHDB|FLUSHALL|FLUSHDB ASYNC|SELECT 99|SWAPDB 0 99',
    'pubsub': '''SUBSCRIBE C|SUBSCRIBE C C C|PSUBSCRIBE P|PSUBSCRIBE P P|SSUBSCRIBE H|SSUBSCRIBE H H|UNSUBSCRIBE C|UNSUBSCRIBE C C|UNSUBSCRIBE
        PUNSUBSCRIBE P|PUNSUBSCRIBE|SUNSUBSCRIBE H|SUNSUBSCRIBE|PUBLISH C M|PUBLISH C M|PUBLISH C M|PUBLISH C M|PUBLISH C M|SPUBLISH H M
        SPUBLISH H M|PUBSUB NUMSUB C C|PUBSUB NUMPAT|PUBSUB CHANNELS|PUBSUB CHANNELS P|PUBSUB SHARDCHANNELS|PUBSUB SHARDNUMSUB H
        PING|PING V|SUBSCRIBE|PUBLISH C|GET K|PUBSUB CHANNELS a b|PUBSUB NOSUCH''',
    'tracking': '''CLIENT TRACKING ON|CLIENT TRACKING ON|CLIENT TRACKING ON OPTIN|CLIENT TRACKING ON OPTOUT|CLIENT TRACKING ON NOLOOP|CLIENT TRACKING OFF
        CLIENT TRACKING ON BCAST|CLIENT TRACKING ON BCAST PREFIX F|CLIENT TRACKING ON BCAST PREFIX F PREFIX F|CLIENT TRACKING ON BCAST NOLOOP
        CLIENT TRACKING ON REDIRECT I|CLIENT TRACKING ON REDIRECT I BCAST|CLIENT TRACKING ON REDIRECT I OPTIN NOLOOP|CLIENT TRACKING ON REDIRECT 99999999
        CLIENT TRACKING ON PREFIX F|CLIENT TRACKING ON OPTIN OPTOUT|CLIENT TRACKING ON BCAST OPTIN|CLIENT TRACKING MAYBE
        CLIENT CACHING YES|CLIENT CACHING YES|CLIENT CACHING NO|CLIENT GETREDIR|CLIENT TRACKINGINFO|GET K|GET K|MGET K K K|GET K|LRANGE L 0 -1|SET K V|SET K V
        SUBSCRIBE __redis__:invalidate''',
    'connection': '''HELLO 2|HELLO 3|HELLO 3|HELLO 3|HELLO 3 SETNAME V|RESET|RESET|CLIENT SETNAME V|CLIENT GETNAME|CLIENT ID|QUIT
        CLIENT KILL ID I|PING|ECHO V|HELLO 4''',
    'blocking': '''BLPOP nokey L 0|BRPOP L 0|BLMOVE L L LEFT RIGHT 0|BRPOPLPUSH L L 0|BLMPOP 0 2 nokey L LEFT COUNT 2|BZPOPMIN Z 0|BZPOPMAX Z nokey 0
        BZMPOP 0 1 Z MIN|XREAD BLOCK 0 STREAMS S $|BLPOP L 0.001|BZPOPMIN Z 0.001|XREAD BLOCK 1 STREAMS S $|BLPOP K 0''',
    'unblocking': '''RPUSH L V|RPUSH L V V V|ZADD Z 1 V|XADD S 0-* f V|CLIENT UNBLOCK I|CLIENT UNBLOCK I ERROR|CLIENT UNBLOCK I TIMEOUT|DEL L
        LPUSH L V|RENAME L L|FLUSHALL|SWAPDB 0 1|COPY L L|LMOVE L L LEFT LEFT|SORT L BY nosort STORE L|MOVE L 1''',
}
TEMPLATES = {group: [line.strip().split(' ') for line in text.replace('\n', '|').split('|')] for group, text in TEMPLATES.items()}
# What rounds are about: how often each group's commands come.
SUBJECTS = {
    'blocking': {'blocking': 14, 'unblocking': 30, 'write': 10, 'transaction': 18, 'database': 4, 'connection': 4, 'read': 5, 'pubsub': 3},
    'everything': {'blocking': 3, 'unblocking': 6, 'write': 20, 'read': 15, 'transaction': 20, 'database': 6, 'connection': 8,
                   'pubsub': 14, 'tracking': 14},
    'pubsub': {'pubsub': 60, 'connection': 12, 'write': 14, 'transaction': 8, 'database': 3},
    'tracking': {'tracking': 30, 'read': 24, 'write': 24, 'transaction': 10, 'database': 4, 'connection': 7, 'pubsub': 3},
    'transactions': {'transaction': 34, 'write': 30, 'read': 10, 'database': 8, 'connection': 3, 'unblocking': 4, 'blocking': 2},
}
# Sent to a connection that is stuck: they wait until it goes on, and no clock has a say in what they do.
BEHIND = ['PING', 'INCR n', 'RPUSH l 9', 'GET a', 'ECHO behind', 'SET a behind', 'PUBLISH a behind']


class Interleaving:
    """The steps of one round."""

    def __init__(self, seed, subject):
        self.random = random.Random(seed)
        weights = SUBJECTS[subject]
        self.groups, self.weights = list(weights), list(weights.values())
        self.multi = [False] * CONNECTIONS          # In a transaction, as far as is known.
        self.subscribed = [False] * CONNECTIONS
        self.resp = [2] * CONNECTIONS
        self.stuck = [0] * CONNECTIONS              # How many commands wait behind one that blocks, with it.
        self.left = [False] * CONNECTIONS           # Has ended client-side caching, since when its keys may still be in the table.
        self.paused = 0                             # Steps until a pause of writes is ended.

    def settings(self):
        """How the servers are set up for the round."""
        self.events = self.random.choice(EVENTS)
        return [['CONFIG', 'SET', 'notify-keyspace-events', self.events]]

    def step(self):
        waiting = any(self.stuck) or self.paused > 0
        return Step(*self.next_step(), waiting)

    def next_step(self):
        """The connection, the commands and the wait."""
        r = self.random
        if self.paused:
            self.paused -= 1
            if self.paused == 0:
                return CONTROL, [[b'CLIENT', b'UNPAUSE']], 0
        if r.random() < 0.002 and not self.paused and not any(self.multi):
            self.paused = r.randrange(2, 12)
            return CONTROL, [[b'CLIENT', b'PAUSE', b'100000', b'WRITE']], 0
        if all(self.stuck):
            self.paused = 0
            return CONTROL, [[b'CLIENT', b'UNPAUSE']] + [[b'CLIENT', b'UNBLOCK', b'@%d' % i] for i in range(CONNECTIONS)], 0
        i = r.randrange(CONNECTIONS)
        if self.stuck[i]:
            if self.stuck[i] > 3 or r.random() < 0.8:
                i = self.free()
            else:
                return i, [r.choice(BEHIND).encode().split(b' ')], 0
        if sum(map(bool, self.stuck)) == CONNECTIONS - 1 and r.random() < 0.5:
            # Nobody else can set free the ones that are stuck.
            return i, [self.tamed(i, self.fill(r.choice(TEMPLATES['unblocking'])))], 0
        return self.some(i)

    def free(self):
        """A connection that is not stuck."""
        return self.random.choice([i for i in range(CONNECTIONS) if not self.stuck[i]])

    def some(self, i):
        """One to five commands on a connection."""
        r, commands, was_multi = self.random, [], self.multi[i]
        for _ in range(r.choice([1, 1, 1, 1, 2, 3, 5])):
            group = r.choices(self.groups, self.weights)[0]
            if self.subscribed[i] and self.resp[i] == 2 and r.random() < 0.6:
                group = 'pubsub' if r.random() < 0.85 else 'connection'
            argv = self.fill(r.choice(TEMPLATES[group]))
            if commands and (argv == [b'QUIT'] or argv[:2] == [b'CLIENT', b'KILL']):
                # Alone: whether a connection that ends is still told what the same pipeline has changed differs.
                continue
            if group == 'blocking' and not self.multi[i]:
                # Alone, so that it is known whether it blocks; and never on the last connection that could end it.
                if commands or self.paused or sum(map(bool, self.stuck)) >= CONNECTIONS - 1:
                    continue
                return i, [argv], TIMEOUT_S if {b'0.001', b'1'} & {*argv} else 0
            if group == 'blocking':
                # Should it be no transaction after all, then no clock may end it.
                argv = [b'0' if word == b'0.001' else word for word in argv if argv[0] != b'XREAD'] or [b'EXEC']
            commands.append(self.tamed(i, argv, not commands))
            self.guess(i, commands[-1])
            if commands[-1][0] in (b'QUIT', b'RESET') or argv[:2] == [b'CLIENT', b'KILL']:
                break
        commands = commands or [[b'PING']]
        if was_multi or self.multi[i] or self.subscribed[i] or commands[-1][0] in (b'QUIT', b'RESET'):
            return i, commands, 0
        return self.varied(i, commands)

    def varied(self, i, commands):
        """Seldom with something that expires behind the commands, or without their replies."""
        r = self.random
        chance = r.random()
        if chance < 0.04 and not self.paused:
            return i, [*commands, self.fill(r.choice(['SET K V PX 1', 'PEXPIRE K 1', 'GETEX K PX 1']).split(' '))], SHORT_S
        if chance < 0.06:
            commands = [[b'CLIENT', b'REPLY', b'OFF'], *commands, [b'CLIENT', b'REPLY', b'ON']]
        elif chance < 0.08:
            commands = [[b'CLIENT', b'REPLY', b'SKIP'], *commands]
        return i, commands, 0

    def tamed(self, i, argv, alone=True):
        """The command, or a harmless one instead of what NOT_INTERLEAVED names."""
        words = b' '.join(argv).decode('latin-1')
        for pattern, when, _ in NOT_INTERLEAVED:
            if re.fullmatch(pattern, words) and self.holds(i, when):
                return [b'EXEC'] if self.multi[i] and argv[0] in (b'MULTI', b'WATCH') else \
                    [b'QUIT'] if when == 'left' and alone else [b'ECHO', b'harmless']
        return argv

    def holds(self, i, when):
        caching = 'tracking' in self.groups
        return {'multi': self.multi[i], 'waiting': caching and 'blocking' in self.groups, 'paused': self.paused > 0,
                'left': self.left[i]}[when]

    def guess(self, i, argv):
        name = argv[0]
        if name == b'MULTI':
            self.multi[i] = True
        elif name in (b'EXEC', b'DISCARD', b'RESET', b'QUIT'):
            self.multi[i] = False
        if name in (b'SUBSCRIBE', b'PSUBSCRIBE', b'SSUBSCRIBE'):
            self.subscribed[i] = True
        elif name in (b'RESET', b'QUIT') or name.endswith(b'UNSUBSCRIBE') and len(argv) == 1:
            self.subscribed[i] = False
        if name == b'RESET' or argv[1:] == [b'TRACKING', b'OFF']:
            self.left[i] = True
        if name == b'HELLO' and not self.multi[i] and argv[1] in (b'2', b'3'):
            self.resp[i] = int(argv[1])
        elif name in (b'RESET', b'QUIT'):
            self.resp[i] = 2

    def fill(self, template):
        r = self.random
        pools = {'K': KEYS, 'L': LISTS, 'Z': ZSETS, 'S': STREAMS, 'V': ['1', '2', '3', 'abc'], 'C': CHANNELS, 'P': PATTERNS,
                 'H': SHARDED, 'D': ['0', '1'], 'M': MESSAGES, 'F': PREFIXES, 'I': ['@0', '@1', '@2']}
        return [(r.choice(pools[word]) if word in pools else word).encode() for word in template]

    def note(self, step, received):
        """Learns from what ours sent which connections are stuck and which are lost."""
        for i, (frames, closed) in enumerate(received):
            replies = [frame for frame in frames if frame[0] != b'>']
            if closed:
                self.multi[i] = self.subscribed[i] = self.left[i] = False
                self.resp[i], self.stuck[i] = 2, 0
            elif replies:
                self.stuck[i] = 0
            elif i == step.connection and not frames and step.commands[0][:2] != [b'CLIENT', b'REPLY']:
                self.stuck[i] += len(step.commands)
