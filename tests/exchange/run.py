#!/usr/bin/env python3
"""Exchanges a data set of every type and encoding with a reference server, both ways: by DUMP and RESTORE, by
snapshot, and in every version of the format that the reference reads. Digests must be equal, and the checker
of the reference must be content.

    tests/exchange/run.py --server target/quick/cinnabar [--reference /usr/bin/redis-server]
"""
import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time


def encode(argv):
    parts = [b'*%d\r\n' % len(argv)]
    for word in argv:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b'$%d\r\n%s\r\n' % (len(word), word))
    return b''.join(parts)


class Server:
    """A server in a folder of its own, and a connection to it."""

    def __init__(self, program, folder, *options):
        self.folder, self.file = folder, folder + '/dump.rdb'
        os.makedirs(folder, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        log = open(folder + '/log', 'ab')
        self.process = subprocess.Popen(
            [program, '--port', str(self.port), '--dir', folder, '--save', '', '--enable-debug-command', 'yes', *options],
            stdout=log, stderr=log, cwd=folder)
        for _ in range(600):
            try:
                self.socket = socket.create_connection(('127.0.0.1', self.port))
                break
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        else:
            raise SystemExit(f'{program} does not answer')
        if self.process.poll() is not None:
            raise SystemExit(f'{program} ended:\n' + open(folder + '/log', errors='replace').read()[-2000:])
        self.input = self.socket.makefile('rb')
        while isinstance(self(b'PING'), Exception):
            time.sleep(0.05)

    def __call__(self, *argv):
        self.socket.sendall(encode(argv))
        return self.read()

    def many(self, commands):
        self.socket.sendall(b''.join(map(encode, commands)))
        return [self.read() for _ in commands]

    def read(self):
        line = self.input.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b'$':
            return None if rest == b'-1' else self.input.read(int(rest) + 2)[:-2]
        if kind in (b'*', b'~', b'>'):
            return [self.read() for _ in range(int(rest))]
        if kind == b'-':
            return RuntimeError(rest.decode())
        return int(rest) if kind == b':' else rest

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def digests(self):
        keys = sorted(self('KEYS', '*'))
        return dict(zip(keys, self.many([('DEBUG', 'DIGEST-VALUE', key) for key in keys])))


def fill(server):
    """Every type and encoding, at its limits and beyond."""
    r = random.Random(1)
    text = lambda n: bytes(r.choice(b'abcdefgh \x00\xff\r\n') for _ in range(n))
    commands = [('FLUSHALL',)]
    for n in (0, 1, -1, 127, 128, -129, 32768, 2**31 - 1, -2**31, 2**31, 2**63 - 1, -2**63, '007', '-0', '1.5'):
        commands.append(('SET', f'int:{n}', n))
    for n in (0, 1, 20, 21, 44, 45, 64, 511, 512, 513, 16383, 16384, 70000, 1 << 20):
        commands += [('SET', f'text:{n}', text(n)), ('SET', f'same:{n}', b'x' * n, 'PX', 10**9 + n)]
    commands += [('APPEND', 'raw', 'short'), ('SET', b'\x00binary\xff\n', 'v'), ('SET', 'k' * 300, 'v'), ('SET', '', 'empty')]
    commands += [('SETRANGE', 'holes', 1000, 'x'), ('PFADD', 'hll', *range(2000)), ('PFADD', 'sparse', 1, 2)]
    for count, size in ((1, 5), (100, 10), (3000, 20), (4, 5000), (3, 20000), (500, 0)):
        commands += [('RPUSH', f'list:{count}:{size}', *[text(size) + b'%d' % n for n in range(count)])]
        commands += [('RPUSH', f'list:{count}:{size}', *range(count))]
    for n in (3, 512, 513):
        for factor in (1, 10**6, 10**12, -7):
            commands.append(('SADD', f'set:{n}:{factor}', *[i * factor for i in range(n)]))
    for n, size in ((3, 5), (128, 5), (129, 5), (5, 64), (5, 65), (2000, 10)):
        words = [b'%d%s' % (i, text(size)) for i in range(n)]
        words = [word[:size] if size > 10 else word for word in words]
        commands += [('SADD', f'smembers:{n}:{size}', *words, 5, -6)]
        commands += [('HSET', f'hash:{n}:{size}', *[x for word in words for x in (word, len(word))], 'n', 12345678901)]
        commands += [('ZADD', f'zset:{n}:{size}', *[x for i, word in enumerate(words) for x in (i * 1.1 - 3, word)],
                      'inf', 'top', '-inf', 'bottom', 0, 7, '-0', 8, 1e300, 'big', 1e-300, 'small', 3, 'three', 3, 'drei')]
    for n in (0, 1, 50, 1000):
        key = f'stream:{n}'
        commands.append(('XGROUP', 'CREATE', key, 'start', '0', 'MKSTREAM'))
        for i in range(1, n + 1):
            fields = ('a', i, 'b', text(5)) if i % 10 else ('other', i)
            commands.append(('XADD', key, f'{i}-{i % 3}', *fields))
        if n:
            commands += [('XGROUP', 'CREATE', key, 'g', '$'), ('XGROUP', 'CREATECONSUMER', key, 'g', 'idle')]
            commands += [('XREADGROUP', 'GROUP', 'start', name, 'COUNT', 7, 'STREAMS', key, '>') for name in ('alice', 'bob')]
            commands += [('XACK', key, 'start', '2-2'), ('XDEL', key, '3-0'), ('XDEL', key, f'{n}-{n % 3}')]
            commands += [('XTRIM', key, 'MAXLEN', n // 2)]
    commands += [('CONFIG', 'SET', 'list-compress-depth', 1)]
    commands += [('RPUSH', 'list:compressed', *[f'element number {n}' for n in range(20000)])]
    commands += [('CONFIG', 'SET', 'list-compress-depth', 0)]
    for reply, command in zip(server.many(commands), commands):
        if isinstance(reply, Exception):
            raise SystemExit(f'{command[:3]}: {reply}')


faults = checks = 0


def check(what, ours, reference):
    global faults, checks
    checks += 1
    if ours != reference:
        faults += 1
        print('FAULT', what)
        if isinstance(ours, dict):
            for key in sorted(ours.keys() | reference.keys()):
                if ours.get(key) != reference.get(key):
                    print('   ', key[:60], ours.get(key), reference.get(key))
        else:
            print('   ', ours, reference)


def carry(source, target):
    """Everything by DUMP and RESTORE."""
    keys = source('KEYS', '*')
    payloads = source.many([('DUMP', key) for key in keys])
    times = [max(time, 0) for time in source.many([('PEXPIRETIME', key) for key in keys])]
    target('FLUSHALL')
    replies = target.many([('RESTORE', *all, 'ABSTTL') for all in zip(keys, times, payloads)])
    for key, reply in zip(keys, replies):
        if isinstance(reply, Exception):
            check(f'RESTORE {key[:60]}', str(reply), 'OK')


def encodings(server):
    keys = sorted(server('KEYS', '*'))
    return dict(zip(keys, server.many([('OBJECT', 'ENCODING', key) for key in keys])))


def by_commands(ours, reference):
    fill(reference)
    wanted = reference.digests()
    carry(reference, ours)
    check('DUMP there, RESTORE here', ours.digests(), wanted)
    carry(ours, reference)
    check('DUMP here, RESTORE there', reference.digests(), wanted)
    fill(ours)
    carry(ours, reference)
    check('filled here, RESTORE there', reference.digests(), ours.digests())
    wanted = encodings(reference)
    carry(reference, ours)
    found = encodings(ours)
    # What a later version keeps in a listpack, an earlier one keeps in a table or quicklist.
    for key, value in wanted.items():
        if key.startswith((b'smembers', b'list')):
            found.pop(key), wanted.__setitem__(key, None)
    check('encodings', found, {key: value for key, value in wanted.items() if value})


def by_file(arguments, folder, versions):
    """Snapshots in both directions."""
    there = Server(arguments.reference, folder + '/there')
    fill(there)
    there('SELECT', 5), there('SET', 'elsewhere', 1), there('SELECT', 0)
    wanted, digest = there.digests(), there('DEBUG', 'DIGEST')
    there('SAVE')
    file = open(there.file, 'rb').read()
    there.stop()
    os.makedirs(folder + '/here')
    open(folder + '/here/dump.rdb', 'wb').write(file)
    here = Server(arguments.server, folder + '/here')
    check('snapshot from there', here.digests(), wanted)
    check('digest of all', here('DEBUG', 'DIGEST'), digest)
    for version in versions:
        here('CONFIG', 'SET', 'rdb-version', version)
        reply = here('SAVE')
        check(f'SAVE in version {version}', reply, b'OK')
        path = f'{folder}/{version}'
        os.makedirs(path)
        open(path + '/dump.rdb', 'wb').write(open(here.file, 'rb').read())
        verdict = subprocess.run([arguments.check, path + '/dump.rdb'], capture_output=True, text=True)
        check(f'{arguments.check} of version {version}', verdict.returncode, 0)
        back = Server(arguments.reference, path)
        check(f'snapshot of version {version}', back.digests(), wanted)
        check(f'digest of all in version {version}', back('DEBUG', 'DIGEST'), digest)
        back.stop()
    here.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--server', required=True)
    parser.add_argument('--reference', default='/usr/bin/redis-server')
    parser.add_argument('--check', default='/usr/bin/redis-check-rdb')
    parser.add_argument('--versions', default='9,10,auto', help='versions that the reference reads')
    arguments = parser.parse_args()
    arguments.server = os.path.abspath(arguments.server)
    with tempfile.TemporaryDirectory() as folder:
        ours, reference = (Server(program, f'{folder}/{name}')
                           for program, name in ((arguments.server, 'ours'), (arguments.reference, 'reference')))
        by_commands(ours, reference)
        ours.stop(), reference.stop()
        by_file(arguments, folder + '/files', arguments.versions.split(','))
    print(f'{checks} checks, {faults} faults')
    return faults > 0


if __name__ == '__main__':
    sys.exit(main())
