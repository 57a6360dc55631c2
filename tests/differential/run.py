#!/usr/bin/env python3
"""Sends the same random commands to a reference server and to ours, and compares the replies byte for byte.

usage: run.py --server BINARY [--reference /usr/bin/redis-server] [--commands 200000] [--seed N] [-v]

The commands are generated from our server's own COMMAND DOCS, restricted to what the reference has
too, with hostile values mixed in (generate.py), over a few keys, several databases and two
connections, one of RESP2 and one of RESP3. What may differ, and why, is listed in expected.py.
Every few thousand commands the whole keyspaces are compared, and whole SCAN iterations.

A difference is shrunk to the fewest commands that still show it, from an empty server, and printed as
redis-cli would take them. The last line is 'N passed, N failed, N skipped' (skipped: may differ).
"""
import argparse
import collections
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import expected
import generate
from resp import Closed, Connection, Error, decode

BATCH = 50
CHECKPOINT = 3000       # Commands between two comparisons of the keyspaces; then both are emptied.
SHOWN_MAX = 20          # Differences that are printed and shrunk.
FAILURES_MAX = 300      # Differences after which the run is given up.
DATABASES = 16
PROTOCOLS = (2, 3)
# Small enough that hostile offsets can be used freely.
DIRECTIVES = ['--save', '', '--appendonly', 'no', '--proto-max-bulk-len', '1mb', '--loglevel', 'warning',
              '--databases', str(DATABASES)]


def main():
    a = arguments()
    # A time limit set from outside ends by SIGTERM; the servers must not outlive the test.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
    seed = a.seed if a.seed is not None else random.randrange(10**9)
    servers = []
    try:
        for binary in (os.path.abspath(a.server), os.path.abspath(a.reference)):
            servers.append(Server(binary))
        ours, reference = servers
        print(f'seed {seed}: {a.commands} commands to {a.server} and {a.reference} ({reference.version()})', flush=True)
        return Comparison(ours, reference, seed, a).run()
    finally:
        for server in servers:
            server.stop()


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('--reference', default='/usr/bin/redis-server')
    ap.add_argument('--commands', type=int, default=200_000)
    ap.add_argument('--seed', type=int)
    ap.add_argument('--only', help='commands to send, separated by commas, as COMMAND LIST names them')
    ap.add_argument('--without', default='', help='commands not to send, likewise')
    ap.add_argument('-v', action='store_true', help='count what was skipped, by its reason')
    return ap.parse_args()


class Server:
    def __init__(self, binary):
        self.folder = tempfile.mkdtemp(prefix='differential-')
        self.log = open(f'{self.folder}/log', 'wb')
        for _ in range(10):
            self.port = free_port()
            self.process = subprocess.Popen([binary, '--port', str(self.port), '--dir', self.folder, *DIRECTIVES],
                                            stdout=self.log, stderr=self.log, cwd=self.folder)
            if self.is_up():
                return
        raise SystemExit(f'{binary} does not start:\n{self.log_tail()}')

    def is_up(self):
        for _ in range(300):
            try:
                connection = Connection(self.port)
                connection.call('PING')
                connection.close()
                return True
            except (OSError, Closed):
                if self.process.poll() is not None:
                    return False
                time.sleep(0.05)
        return False

    def version(self):
        connection = Connection(self.port)
        info = connection.call('INFO', 'server').decode()
        connection.close()
        return re.search(r'redis_version:(\S+)', info).group(1)

    def log_tail(self):
        return open(f'{self.folder}/log', errors='replace').read()[-3000:]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Comparison:
    def __init__(self, ours, reference, seed, a):
        self.servers, self.a = (ours, reference), a
        self.pairs = {protocol: tuple(Connection(s.port) for s in self.servers) for protocol in PROTOCOLS}
        trees, tokens, undocumented = generate.fetch_trees(*self.pairs[2])
        if a.only:
            trees = {name: trees[name] for name in a.only.split(',')}
        trees = {name: tree for name, tree in trees.items() if name not in a.without.split(',')}
        print(f'{len(trees)} commands: {" ".join(sorted(trees))}')
        if undocumented:
            print(f'no arguments in our COMMAND DOCS, taken from the reference: {" ".join(undocumented)}')
        self.generator = generate.Generator(seed, trees, tokens)
        self.passed = self.failed = 0
        self.skipped = collections.Counter()
        self.seen = set()

    def run(self):
        started = time.time()
        try:
            while self.total() < self.a.commands and self.failed < FAILURES_MAX:
                self.round()
            if self.failed >= FAILURES_MAX:
                print(f'given up after {self.failed} differences')
        except Closed as error:
            self.failed += 1
            print(f'FAIL: {error}')
            for server in self.servers:
                if server.process.poll() is not None:
                    print(f'The server on port {server.port} ended with {server.process.returncode}:\n{server.log_tail()}')
            print('It was sent:\n' + '\n'.join(f'        {quoted(argv)}' for argv in self.sent))
        if self.a.v:
            for reason, count in self.skipped.most_common():
                print(f'  {count:7} skipped: {reason}')
            for command, _, reason in expected.DIFFERENCES:
                if f'{command}: {reason}' not in self.skipped:
                    print(f'  never skipped: {command}: {reason}')
        skipped = sum(self.skipped.values())
        print(f'{time.time() - started:.0f} s')
        print(f'{self.passed} passed, {self.failed} failed, {skipped} skipped')
        return 1 if self.failed or not self.passed else 0

    def total(self):
        return self.passed + self.failed + sum(self.skipped.values())

    def round(self):
        """Commands from empty servers up to a checkpoint, or to the first difference."""
        self.empty()
        self.history = []
        for number in range(CHECKPOINT // BATCH):
            protocol = PROTOCOLS[number % len(PROTOCOLS)]
            batch = [self.generator.command() for _ in range(BATCH)]
            batch.insert(0, ('select', [b'SELECT', self.generator.random.choice([b'0', b'0', b'0', b'1', b'9'])]))
            batch.insert(0, ('hello', [b'HELLO', b'%d' % protocol]))
            replies = self.exchange(protocol, [argv for _, argv in batch])
            for (name, argv), ours, reference in zip(batch, *replies):
                self.history.append((protocol, name, argv))
                if ours == reference:
                    self.passed += 1
                    continue
                allowed = self.may_differ(name, argv, ours, reference)
                if allowed:
                    self.skipped[allowed] += 1
                    continue
                self.failed += 1
                self.show(name, argv, ours, reference)
                return
        difference = self.keyspace_difference()
        if difference:
            self.failed += 1
            kind = difference.partition(' ')[0], difference[-24:]
            if kind in self.seen or len(self.seen) >= SHOWN_MAX:
                return
            self.seen.add(kind)
            print(f'FAIL: after {len(self.history)} commands the keyspaces differ (first: {difference})')
            self.show_shrunk(lambda history: self.replay(history) is not None and self.keyspace_difference() is not None)
        else:
            self.passed += 1

    def exchange(self, protocol, commands):
        pair, self.sent = self.pairs[protocol], commands
        for connection in pair:
            connection.send(commands)
        return [[connection.read() for _ in commands] for connection in pair]

    def empty(self):
        for protocol in PROTOCOLS:
            self.exchange(protocol, [[b'RESET'], [b'HELLO', b'%d' % protocol], [b'FLUSHALL']])

    # What may differ.

    def may_differ(self, name, argv, ours, reference):
        """The reason, if this difference is an expected one."""
        names = (name, name.partition('|')[0] + '|*', '*')
        for command, treatment, reason in expected.DIFFERENCES:
            if command in names and self.treated(treatment, argv, ours, reference):
                return f'{command}: {reason}'
        return None

    def treated(self, treatment, argv, ours, reference):
        if isinstance(treatment, tuple) and treatment[0] != 'within':
            return (treatment[2:] in ((), (len(argv),)) and re.match(treatment[0].encode(), ours)
                    and re.match(treatment[1].encode(), reference))
        if treatment == 'cut':
            return ours[:1] == b'-' and b'\0' in ours and ours.partition(b'\0')[0] + b'\r\n' == reference
        if ours[:1] != reference[:1] or ours[:1] == b'-':
            return False
        if treatment == 'shape':
            return (decode(ours) is None) == (decode(reference) is None)
        if treatment == 'unordered':
            return sorted(decode(ours)) == sorted(decode(reference))
        ours, reference = decode(ours), decode(reference)
        # Negative answers say something other than a time.
        return ours >= 0 and reference >= 0 and abs(ours - reference) <= treatment[1]

    # The keyspaces as a whole.

    def keyspace_difference(self):
        """What differs first between the two keyspaces; None when they are equal."""
        for database in range(DATABASES):
            select = [[b'HELLO', b'2'], [b'SELECT', b'%d' % database]]
            ours, reference = ([sorted(decode(c.pipeline(select + [[b'KEYS', b'*']])[-1])) for c in self.pairs[2]])
            if ours != reference:
                return f'the keys of database {database}: {ours} and {reference}'
            for key in ours:
                commands = [[b'TYPE', key], [b'OBJECT', b'ENCODING', key], [b'GET', key], [b'PTTL', key]]
                replies = self.exchange(2, commands)
                for command, one, other in zip(commands, *replies):
                    if one != other and not self.may_differ(command[0].decode().lower(), command, one, other):
                        return f'{quoted(command)} in database {database}: {shown(one)} and {shown(other)}'
            scans = [self.scan_all(connection, ours) for connection in self.pairs[2]]
            if scans[0] != scans[1]:
                return f'a SCAN of database {database}: {scans[0]} and {scans[1]}'
        return None

    def scan_all(self, connection, keys):
        """What a whole iteration returns, without filter and with one that depends on the keys alone."""
        found = []
        for options in ([], [b'COUNT', b'3'], [b'MATCH', b'*:0'], [b'TYPE', b'string', b'COUNT', b'1000']):
            cursor, seen = b'0', set()
            while True:
                cursor, some = connection.call(b'SCAN', cursor, *options)
                seen.update(some)
                if cursor == b'0':
                    break
            found.append(sorted(seen))
        assert set(found[0]) <= set(keys)
        return found

    # Showing a difference.

    def show(self, name, argv, ours, reference):
        kind = (name, ours[:24], reference[:24])
        if kind in self.seen or len(self.seen) >= SHOWN_MAX:
            return
        self.seen.add(kind)
        print(f'FAIL: {quoted(argv)}\n    ours:      {shown(ours)}\n    reference: {shown(reference)}')
        last = self.history[-1]

        def fails(history):
            replies = self.replay(history + [last])
            return replies and replies[0] != replies[1] and not self.may_differ(name, argv, *replies)

        self.show_shrunk(fails, self.history[:-1], [last])

    def show_shrunk(self, fails, history=None, tail=()):
        history = self.history if history is None else history
        if not fails(history):
            print('    (does not happen again when the commands are replayed)', flush=True)
            return
        history = shrink(history, fails)
        fails(history)
        print('    to reproduce, from empty servers with ' + ' '.join(DIRECTIVES[4:6]) + ':')
        protocol = 2
        for each, name, argv in history + list(tail):
            if each != protocol:
                print(f'        HELLO {each}')
                protocol = each
            print(f'        {quoted(argv)}')
        sys.stdout.flush()

    def replay(self, history):
        """Sends the commands to both servers, emptied; the replies to the last of them."""
        self.empty()
        replies, start = None, 0
        while start < len(history):
            end = start
            while end < len(history) and history[end][0] == history[start][0]:
                end += 1
            replies = self.exchange(history[start][0], [argv for _, _, argv in history[start:end]])
            start = end
        return replies and (replies[0][-1], replies[1][-1])


def shrink(history, fails):
    """The fewest commands, by halves and then by ones, with which it still fails."""
    size = len(history)
    while size >= 1:
        at = len(history)
        while at > 0:
            start = max(0, at - size)
            shorter = history[:start] + history[at:]
            if fails(shorter):
                history = shorter
            at = start
        size = size // 2 if size > 1 else 0
    return history


def quoted(argv):
    """A command as redis-cli takes it."""
    def quote(arg):
        if re.fullmatch(rb'[\w:.*+#-]+', arg):
            return arg.decode()
        text = ''.join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f'\\x{b:02x}' for b in arg)
        return f'"{text}"'
    return ' '.join(quote(arg) for arg in argv)


def shown(reply):
    return repr(reply if len(reply) <= 300 else reply[:300] + b'...')[2:-1]


if __name__ == '__main__':
    sys.exit(main())
