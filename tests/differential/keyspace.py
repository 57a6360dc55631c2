"""Compares all that two servers hold: keys, types, encodings, values, digests, and whole iterations."""
import collections

from compare import may_differ
from resp import decode, quoted, shown

DATABASES = 16
# The whole value, by type.
VALUE = {b'string': [(b'GET',)], b'list': [(b'LRANGE', b'0', b'-1')], b'set': [(b'SMEMBERS',)], b'hash': [(b'HGETALL',)],
         b'zset': [(b'ZRANGE', b'0', b'-1', b'WITHSCORES')], b'stream': [(b'XRANGE', b'-', b'+')]}
SCAN = {b'set': b'SSCAN', b'hash': b'HSCAN', b'zset': b'ZSCAN'}
SCAN_OPTIONS = ([], [b'COUNT', b'3'], [b'MATCH', b'*:*', b'COUNT', b'1000'])


class Keyspaces:
    def __init__(self, pair):
        """pair: the connections to ours and to the reference, of RESP2."""
        self.pair = pair
        self.encodings = collections.Counter()

    def difference(self):
        """What differs first; None when the keyspaces are equal."""
        databases, contents = [], ([], [])
        selects = [[b'HELLO', b'2']]
        for database in range(DATABASES):
            selects += [[b'SELECT', b'%d' % database], [b'KEYS', b'*']]
        for connection, found in zip(self.pair, contents):
            found += [sorted(decode(reply)) for reply in connection.pipeline(selects)[2::2]]
        for database, (ours, reference) in enumerate(zip(*contents)):
            if ours != reference:
                return f'the keys of database {database}: {ours} and {reference}'
            if ours:
                databases.append((database, ours))
        for database, keys in databases:
            for connection in self.pair:
                connection.pipeline([[b'SELECT', b'%d' % database]])
            found = self.of_database(keys)
            if found:
                return f'{found} in database {database}'
        return None

    def of_database(self, keys):
        types = [connection.pipeline([[b'TYPE', key] for key in keys]) for connection in self.pair]
        if types[0] != types[1]:
            return f'the types of {keys}: {types[0]} and {types[1]}'
        types = {key: decode(reply) for key, reply in zip(keys, types[0])}
        commands = [command for key in keys for command in self.looks(key, types[key])]
        replies = [connection.pipeline([argv for _, argv in commands]) for connection in self.pair]
        for (name, argv), ours, reference in zip(commands, *replies):
            if name.startswith('encoding'):
                self.encodings[name[9:] + ' ' + decode(ours).decode()] += 1
            if ours != reference and not may_differ(name, argv, ours, reference):
                return f'{quoted(argv)}: {shown(ours)} and {shown(reference)}'
        return self.scan_difference(keys, types)

    def looks(self, key, kind):
        yield f'encoding-{kind.decode()}', [b'OBJECT', b'ENCODING', key]
        yield 'pttl', [b'PTTL', key]
        for command, *rest in VALUE.get(kind, ()):
            yield command.decode().lower(), [command, key, *rest]
        if kind == b'stream':
            yield 'xinfo|stream', [b'XINFO', b'STREAM', key, b'FULL', b'COUNT', b'0']
        yield f'digest-{kind.decode()}', [b'DEBUG', b'DIGEST-VALUE', key]

    def scan_difference(self, keys, types):
        """Whole iterations over the database and over each collection, without options, by small steps, and
        with a filter that depends on the names alone."""
        scans = [([b'SCAN'], options + more) for options in SCAN_OPTIONS for more in ([], [b'TYPE', b'string'])]
        scans += [([SCAN[types[key]], key], options) for key in keys if types[key] in SCAN for options in SCAN_OPTIONS]
        found = [iterate(connection, scans) for connection in self.pair]
        for scan, ours, reference in zip(scans, *found):
            if ours != reference:
                return f'a whole {scan[0]} {scan[1]}: {sorted(ours - reference)} and {sorted(reference - ours)}'
        return None


def iterate(connection, scans):
    """What each iteration returns in all, as sets; they run side by side, a step of each at a time."""
    found, cursors = [set() for _ in scans], {n: b'0' for n in range(len(scans))}
    while cursors:
        running = list(cursors)
        replies = connection.pipeline([scans[n][0] + [cursors[n]] + scans[n][1] for n in running])
        for n, reply in zip(running, replies):
            cursors[n], some = decode(reply)
            found[n].update(elements(scans[n][0][0], some))
            if cursors[n] == b'0':
                del cursors[n]
    return found


def elements(command, flat):
    if command == b'HSCAN':
        return zip(flat[::2], flat[1::2])
    if command == b'ZSCAN':
        return zip(flat[::2], map(float, flat[1::2]))
    return flat
