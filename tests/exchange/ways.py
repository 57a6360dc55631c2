#!/usr/bin/env python3
"""Moves a data set of every type between redis-server and ours, both ways, by every way there is. (run.py looks at every encoding
and version of what goes into a file or payload; here the ways differ.)

usage: ways.py --server BINARY [--reference /usr/bin/redis-server] [--check-rdb redis-check-rdb] [--check-aof redis-check-aof] [-v]

Ways: an RDB file; an append-only file that began empty; one that was rewritten, with its base in RDB and in AOF form, and has
grown since; DUMP and RESTORE; MIGRATE, with COPY, and of many keys at once. After each the DEBUG DIGEST of both servers must be
equal, and so must each key's value, encoding and expiry. What ours writes must please the reference's checking tools.
Each way in each direction is a test. The last line is 'N passed, N failed, N skipped'.
"""
import argparse
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../differential'))
from resp import Closed, Connection, Error, decode, quoted  # noqa: E402

START_S = 30
DATABASES = (0, 1, 9)
FAR_S = 4_000_000_000       # A time at which no key expires while the test runs.
SMALL = ['--hash-max-listpack-entries', '16', '--zset-max-listpack-entries', '16', '--set-max-intset-entries', '16',
         '--list-max-listpack-size', '8', '--stream-node-max-entries', '10']


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('--reference', default='/usr/bin/redis-server')
    ap.add_argument('--check-rdb', default='redis-check-rdb')
    ap.add_argument('--check-aof', default='redis-check-aof')
    ap.add_argument('--ways', default=','.join(WAYS))
    ap.add_argument('-v', action='store_true', help='show what passes too')
    a = ap.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
    passed = failed = 0
    for way in a.ways.split(','):
        for source, target in ((a.reference, a.server), (a.server, a.reference), (a.server, a.server)):
            title = f'{way} from {os.path.basename(source)} to {os.path.basename(target)}'
            exchange = Exchange(a, os.path.abspath(source), os.path.abspath(target))
            try:
                exchange.move(way)
                faults = exchange.faults or exchange.differences()
            except (Fault, OSError, Closed) as error:
                faults = [str(error) or repr(error)]
            finally:
                exchange.end()
            for fault in faults[:10]:
                print(f'FAIL: {title}: {fault}', flush=True)
            if a.v and not faults:
                print(f'ok: {title}, {exchange.keys} keys', flush=True)
            passed, failed = passed + (not faults), failed + bool(faults)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed or not passed else 0


def oldest(binary):
    """Directives by which a server writes what the oldest of them reads: by itself ours goes to version 11 for the times of
    a stream's consumers."""
    return ['--rdb-version', '10'] if 'cinnabar' in os.path.basename(binary) else []


class Fault(Exception):
    """What is wrong, where nothing can be compared any more."""


class Server:
    def __init__(self, binary, *directives):
        self.folder = tempfile.mkdtemp(prefix='exchange-')
        self.binary, self.directives, self.process = binary, directives, None

    def start(self, *more):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        with open(f'{self.folder}/log', 'ab') as log:
            self.process = subprocess.Popen([self.binary, '--port', str(self.port), '--dir', self.folder, '--save', '',
                                             '--enable-debug-command', 'yes', *SMALL, *oldest(self.binary), *self.directives,
                                             *more],
                                            cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.connection = Connection(self.port)
                if self.connection.call('PING') == b'PONG':
                    return self
            except (OSError, Closed):
                pass
            time.sleep(0.02)
        raise Fault(f'{self.binary} does not start ({self.process.poll()}): ' + open(f'{self.folder}/log', errors='replace').read()[-800:])

    def call(self, *argv):
        reply = self.connection.call(*argv)
        if isinstance(reply, Error):
            raise Fault(f'{self.binary}: {" ".join(map(str, argv))[:200]}: {reply.decode()}')
        return reply

    def wait_for(self, field):
        deadline = time.monotonic() + START_S
        while f'{field}\r\n'.encode() not in self.call('INFO', 'persistence'):
            if time.monotonic() > deadline:
                raise Fault(f'{self.binary}: {field} does not come')
            time.sleep(0.02)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Exchange:
    """One way in one direction."""

    def __init__(self, a, source, target):
        self.a, self.faults, self.keys = a, [], 0
        self.source, self.target = Server(source), Server(target)
        self.is_ours = source == os.path.abspath(a.server)

    def end(self):
        self.source.end()
        self.target.end()

    def move(self, way):
        self.way = way
        WAYS[way](self)

    def fill(self):
        for number, commands in enumerate((data_set(), data_set(seed=1)[:60], [[b'SET', b'only', b'here']])):
            self.source.call('SELECT', DATABASES[number])
            for start in range(0, len(commands), 500):
                batch = commands[start:start + 500]
                for argv, reply in zip(batch, self.source.connection.pipeline(batch)):
                    if isinstance(decode(reply), Error):
                        raise Fault(f'{self.source.binary}: {quoted(argv)[:200]}: {reply}')
        self.source.call('SELECT', 0)

    def check(self, tool, path):
        """What the reference's tool says of a file of ours."""
        if self.is_ours:
            result = subprocess.run([tool, path], capture_output=True, text=True, timeout=60)
            if result.returncode:
                self.faults.append(f'{tool} {os.path.basename(path)}: {result.returncode}\n{result.stdout[-800:]}{result.stderr[-300:]}')

    def by_rdb(self):
        self.source.start()
        self.fill()
        self.source.call('SAVE')
        self.check(self.a.check_rdb, f'{self.source.folder}/dump.rdb')
        shutil.copy(f'{self.source.folder}/dump.rdb', self.target.folder)
        self.target.start()

    def by_aof(self, *directives, rewrite=True):
        # Otherwise a write may be put off while an fsync runs.
        self.source.start('--appendonly', 'yes', '--appendfsync', 'always', *directives)
        self.fill()
        if rewrite:
            self.source.wait_for('aof_rewrite_in_progress:0')
            self.source.call('BGREWRITEAOF')
            self.source.wait_for('aof_rewrite_in_progress:0')
            for argv in growth():
                self.source.call(*argv)
        for manifest in glob.glob(f'{self.source.folder}/appendonlydir/*.manifest'):
            self.check(self.a.check_aof, manifest)
        shutil.copytree(f'{self.source.folder}/appendonlydir', f'{self.target.folder}/appendonlydir')
        self.target.start('--appendonly', 'yes', *directives)

    def by_restore(self):
        self.start_both()
        for database in DATABASES:
            for server in (self.source, self.target):
                server.call('SELECT', database)
            for key in self.source.call('KEYS', '*'):
                at = self.source.call('PEXPIRETIME', key)
                self.target.call('RESTORE', key, max(at, 0), self.source.call('DUMP', key), *(['ABSTTL'] if at > 0 else []))

    def by_migrate(self):
        self.start_both()
        for database in DATABASES:
            self.source.call('SELECT', database)
            keys = sorted(self.source.call('KEYS', '*'))
            half = len(keys) // 2
            for key in keys[:half]:
                self.source.call('MIGRATE', '127.0.0.1', self.target.port, key, database, 5000, 'COPY')
            if keys[half:]:
                self.source.call('MIGRATE', '127.0.0.1', self.target.port, '', database, 5000, 'COPY', 'REPLACE', 'KEYS', *keys[half:])

    def start_both(self):
        self.source.start()
        self.target.start()
        self.fill()

    def differences(self):
        faults = []
        digests = [server.call('DEBUG', 'DIGEST') for server in (self.source, self.target)]
        if digests[0] != digests[1]:
            faults.append(f'the digests are {digests[0]} and {digests[1]}')
        for database in DATABASES:
            looks = []
            for server in (self.source, self.target):
                server.call('SELECT', database)
                looks.append({key: self.look(server, key) for key in server.call('KEYS', '*')})
            self.keys += len(looks[0])
            for key in sorted(looks[0].keys() | looks[1].keys()):
                pair = [look.get(key) for look in looks]
                if pair[0] != pair[1]:
                    faults.append(f'{key!r} in database {database}: {str(pair[0])[:300]} and {str(pair[1])[:300]}')
        return faults

    def look(self, server, key):
        kind = server.call('TYPE', key)
        value = server.call(*(key if word == 'K' else word for word in VALUE[kind].split(' ')))
        if kind == b'hash':
            value = sorted(zip(value[::2], value[1::2]))
        if kind == b'zset':
            # Scores are written in a shorter form since 7.2.
            value = list(zip(value[::2], map(float, value[1::2])))
        encoding = server.call('OBJECT', 'ENCODING', key)
        # Short lists and small sets have had encodings of their own since 7.2; what was changed in place stays raw until it is loaded.
        if kind in (b'list', b'set') and encoding != b'intset' or encoding in (b'raw', b'embstr'):
            encoding = kind
        rest = []
        if kind == b'stream' and self.way != 'aof-rewritten-plain':
            # No command makes an entry pending that has been deleted.
            rest = [without_times(server.call('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'))]
        at = server.call('PEXPIRETIME', key)
        # MIGRATE tells how much time is left.
        at = at // 60_000 if self.way == 'migrate' and at > 0 else at
        return kind, encoding, at, sorted(value) if kind == b'set' else value, rest


VALUE = {b'string': 'GET K', b'list': 'LRANGE K 0 -1', b'set': 'SMEMBERS K', b'hash': 'HGETALL K', b'zset': 'ZRANGE K 0 -1 WITHSCORES',
         b'stream': 'XRANGE K - +'}


def without_times(value):
    """XINFO without what only one version tells, or the clock."""
    if not isinstance(value, list):
        return value
    pairs = list(zip(value[::2], value[1::2]))
    if pairs and all(isinstance(name, bytes) and name[:1].isalpha() for name, _ in pairs):
        return [(name, without_times(each)) for name, each in pairs
                if name not in (b'radix-tree-nodes', b'radix-tree-keys', b'seen-time', b'active-time')]
    return [without_times(each) for each in value]


def data_set(seed=0):
    """Commands that make keys of every type, and of every encoding by their sizes."""
    text = lambda n: b'element-%d' % (n + seed)
    commands = [[b'SET', key, value] for key, value in {
        b'string:int': b'%d' % (12345 + seed), b'string:negative': b'-9223372036854775808', b'string:short': b'short', b'string:empty': b'',
        b'string:raw': b'x' * 50 + bytes(range(256)), b'string:big': b'abc' * 40_000, b'string:noise': bytes((n * n * 7919 >> 3) & 255 for n in range(5000)),
        b'\x00\xff\r\nkey': b'binary', b'': b'of an empty key', b'string:float': b'3.25'}.items()]
    for count in (1, 5, 15, 17, 300):
        numbers = [b'%d' % n for n in range(count)]
        names = [text(n) for n in range(count)]
        commands += [[b'RPUSH', b'list:%d' % count, *names], [b'SADD', b'set:int:%d' % count, *numbers], [b'SADD', b'set:%d' % count, *names],
                     [b'HSET', b'hash:%d' % count, *(word for n in names for word in (n, n * 2))],
                     [b'ZADD', b'zset:%d' % count, *(word for n, name in enumerate(names) for word in (b'%d' % (n * n - 50), name))],
                     [b'PFADD', b'hll:%d' % count, *names]]
        commands += [[b'XADD', b'stream:%d' % count, b'%d-%d' % (n // 3 + 1, n % 3 + 1), b'f', name, b'g' if n % 4 else b'other', b'%d' % n]
                     for n, name in enumerate(names)]
    commands += [[b'RPUSH', b'list:wide', b'y' * 9000, b'z' * 70_000, b'', b'1'], [b'HSET', b'hash:wide', b'f' * 100, b'v' * 5000],
                 [b'SADD', b'set:wide', b'-32769', b'2147483648', b'-9223372036854775808'], [b'SADD', b'set:16', b'1', b'-32768'],
                 [b'ZADD', b'zset:odd', b'-inf', b'a', b'inf', b'b', b'0.5', b'c', b'-0.25', b'd', b'1e17', b'e'],
                 [b'PFADD', b'hll:dense', *(b'%d' % n for n in range(5000))],
                 [b'GEOADD', b'geo', b'13.361389', b'38.115556', b'Palermo'], [b'SETBIT', b'bits', b'10007', b'1']]
    commands += stream_groups()
    for key in (b'string:short', b'list:5', b'set:17', b'hash:300', b'zset:15', b'stream:17'):
        commands.append([b'PEXPIREAT', key, b'%d' % (FAR_S * 1000 + 123 + len(key))])
    return commands


def stream_groups():
    """Groups with consumers, entries that wait to be acknowledged, and entries that are gone."""
    key = b'stream:300'
    return [[b'XDEL', key, b'1-1', b'2-2', b'50-1'], [b'XTRIM', key, b'MAXLEN', b'250'], [b'XGROUP', b'CREATE', key, b'first', b'0'],
            [b'XGROUP', b'CREATE', key, b'second', b'$'], [b'XGROUP', b'CREATE', key, b'third', b'40-2', b'ENTRIESREAD', b'100'],
            [b'XGROUP', b'CREATECONSUMER', key, b'second', b'idle'],
            [b'XREADGROUP', b'GROUP', b'first', b'one', b'COUNT', b'30', b'STREAMS', key, b'>'],
            [b'XREADGROUP', b'GROUP', b'first', b'two', b'COUNT', b'20', b'STREAMS', key, b'>'],
            [b'XREADGROUP', b'GROUP', b'third', b'one', b'COUNT', b'3', b'NOACK', b'STREAMS', key, b'>'],
            [b'XACK', key, b'first', b'20-1', b'21-1', b'22-3'], [b'XDEL', key, b'25-1'],
            [b'XGROUP', b'CREATE', b'stream:empty', b'group', b'$', b'MKSTREAM'], [b'XSETID', key, b'5000-7']]


def growth():
    """What is written behind a rewritten file: each kind of change in another form."""
    return [('SET', 'grown', 'x', 'EXAT', FAR_S), ('INCRBYFLOAT', 'string:float', '0.5'), ('SPOP', 'set:300', 5), ('LPOP', 'list:17', 2),
            ('DEL', 'list:1'), ('RENAME', 'hash:5', 'hash:renamed'), ('COPY', 'zset:300', 'zset:copy'), ('GETEX', 'string:raw', 'EXAT', FAR_S + 1),
            ('XADD', 'stream:5', '*', 'f', 'v'), ('XREADGROUP', 'GROUP', 'first', 'late', 'COUNT', 4, 'STREAMS', 'stream:300', '>'),
            ('SORT', 'set:int:17', 'STORE', 'sorted'), ('ZUNIONSTORE', 'union', 2, 'zset:5', 'zset:17'), ('MOVE', 'hash:1', 9),
            ('HINCRBYFLOAT', 'hash:17', 'n', '1.5'), ('LMOVE', 'list:300', 'list:5', 'LEFT', 'RIGHT'), ('SETRANGE', 'string:short', 3, 'SEVEN'),
            ('PFMERGE', 'hll:all', 'hll:300', 'hll:17'), ('XTRIM', 'stream:17', 'MAXLEN', 3), ('EXPIREAT', 'bits', 1)]


WAYS = {'rdb': Exchange.by_rdb,
        'aof': lambda exchange: exchange.by_aof(rewrite=False),
        'aof-rewritten': Exchange.by_aof,
        'aof-rewritten-plain': lambda exchange: exchange.by_aof('--aof-use-rdb-preamble', 'no'),
        'restore': Exchange.by_restore,
        'migrate': Exchange.by_migrate}

if __name__ == '__main__':
    sys.exit(main())
