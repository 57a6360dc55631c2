#!/usr/bin/env python3
"""Sends the same random commands to a reference server and to ours, and compares the replies byte for byte.

usage: run.py --server BINARY [--reference /usr/bin/redis-server] [--commands 200000] [--seed N]
              [--families strings|collections|all] [-v]

The commands are generated from our server's own COMMAND DOCS, restricted to what the reference has
too, with hostile values mixed in (pools.py, generate.py, adjust.py), over a few keys, several databases
and two connections, one of RESP2 and one of RESP3. What may differ, and why, is listed in expected.py.
A round is a few thousand commands of strings or of the collections, from empty servers; rounds of
collections set small limits, so that values change their encodings both ways. At its end the whole
keyspaces are compared: encodings, values, digests, and whole iterations (keyspace.py).

What SPOP took at random, the reference is made to have taken too. A difference is shrunk to the fewest
commands that still show it, from an empty server, and printed as redis-cli would take them. The last
line is 'N passed, N failed, N skipped' (skipped: may differ).
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
import trees
from compare import may_differ
from keyspace import DATABASES, Keyspaces
from pools import LIMITS, NEW_LIMITS
from resp import Closed, Connection, decode, quoted, shown

BATCH = 50
CHECKPOINT = 3000       # Commands between two comparisons of the keyspaces; then both are emptied.
SHOWN_MAX = 20          # Differences that are printed and shrunk.
FAILURES_MAX = 300      # Differences after which the run is given up.
PROTOCOLS = (2, 3)
# Small enough that hostile offsets can be used freely.
DIRECTIVES = ['--save', '', '--appendonly', 'no', '--proto-max-bulk-len', '1mb', '--loglevel', 'warning',
              '--databases', str(DATABASES), '--enable-debug-command', 'yes']

FORGET_ERROR = [b'ZADD', b'no such key', b'XX', b'0', b'member']


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
    ap.add_argument('--families', choices=[*generate.PROFILES, 'all'], default='all', help='what a round may be of')
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
                                            stdout=self.log, stderr=self.log, cwd=self.folder,
                                            env={**os.environ, 'LC_ALL': 'C'})
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
        known, tokens, undocumented = trees.fetch_trees(*self.pairs[2])
        if a.only:
            known = {name: known[name] for name in a.only.split(',')}
        known = {name: tree for name, tree in known.items() if name not in a.without.split(',')}
        print(f'{len(known)} commands: {" ".join(sorted(known))}')
        if undocumented:
            print(f'no arguments in our COMMAND DOCS, taken from the reference: {" ".join(undocumented)}')
        version = tuple(map(int, reference.version().split('.')))
        self.generator = generate.Generator(seed, known, tokens, version)
        self.profiles = [p for p in self.generator.profiles() if a.families in ('all', p)]
        if not self.profiles:
            raise SystemExit(f'no commands of {a.families}')
        self.keyspaces = Keyspaces(self.pairs[2])
        self.passed = self.failed = self.errors = self.rounds = 0
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
            print('Ours and the reference answered {} and {} of these:'.format(*map(len, self.answered)))
            print('\n'.join(f'        {quoted(argv)}' for argv in self.sent))
        if self.a.v:
            self.show_counts()
        skipped = sum(self.skipped.values())
        print(f'{time.time() - started:.0f} s')
        print(f'{self.passed} passed, {self.failed} failed, {skipped} skipped')
        return 1 if self.failed or not self.passed else 0

    def total(self):
        return self.passed + self.failed + sum(self.skipped.values())

    def show_counts(self):
        for reason, count in self.skipped.most_common():
            print(f'  {count:7} skipped: {reason}')
        for command, _, reason in expected.DIFFERENCES:
            if f'{command}: {reason}' not in self.skipped:
                print(f'  never skipped: {command}: {reason}')
        print(f'  {self.errors} equal replies were errors')
        print('  keys compared at the ends of rounds: ' +
              ', '.join(f'{count} {encoding}' for encoding, count in sorted(self.keyspaces.encodings.items())))

    def round(self):
        """Commands from empty servers up to a checkpoint, or to the first difference."""
        self.limits = self.generator.begin(self.profiles[self.rounds % len(self.profiles)])
        self.rounds += 1
        self.set_limits()
        self.empty()
        self.history = []
        for number in range(CHECKPOINT // BATCH):
            if not self.batch(PROTOCOLS[number % len(PROTOCOLS)]):
                return
        difference = self.keyspaces.difference()
        if difference:
            self.failed += 1
            kind = difference.partition(' ')[0], difference[-24:]
            if kind in self.seen or len(self.seen) >= SHOWN_MAX:
                return
            self.seen.add(kind)
            print(f'FAIL: after {len(self.history)} commands the keyspaces differ (first: {difference})')
            self.show_shrunk(lambda history: self.replay(history) is not None and self.keyspaces.difference() is not None)
        else:
            self.passed += 1

    def batch(self, protocol):
        """Whether the two servers answered a batch alike."""
        batch = [('hello', [b'HELLO', b'%d' % protocol]), ('select', [b'SELECT', self.generator.database()])]
        while len(batch) < BATCH or self.generator.pending:
            batch.append(self.generator.command())
        replies = self.exchange(protocol, [argv for _, argv in batch])
        for (name, argv), ours, reference in zip(batch, *replies):
            self.history.append((protocol, name, argv))
            if ours == reference:
                self.passed += 1
                self.errors += ours[:1] == b'-'
                continue
            allowed = may_differ(name, argv, ours, reference)
            if not allowed:
                self.failed += 1
                self.show(name, argv, ours, reference)
                return False
            self.skipped[allowed] += 1
        return True

    def exchange(self, protocol, commands):
        """The replies of ours and of the reference to a pipeline. Behind each SPOP the reference is repaired."""
        pair, self.sent, replies = self.pairs[protocol], commands, ([], [])
        self.answered, start = replies, 0
        for end in range(1, len(commands) + 1):
            takes = commands[end - 1][0].lower() == b'spop'
            if not takes and end < len(commands):
                continue
            for connection in pair:
                connection.send(prepared(commands[start:end]))
            for connection, some in zip(pair, replies):
                for argv in prepared(commands[start:end]):
                    reply = connection.read()
                    if argv is not FORGET_ERROR:
                        some.append(reply)
            start = end
            if takes:
                repair(pair[1], commands[end - 1], decode(replies[0][-1]), decode(replies[1][-1]))
        return replies

    def empty(self):
        for protocol in PROTOCOLS:
            self.exchange(protocol, [[b'RESET'], [b'HELLO', b'%d' % protocol], [b'FLUSHALL']])

    def set_limits(self):
        """Sets the round's limits on both servers; only of the new ones may one not know."""
        commands = [[b'CONFIG', b'SET', parameter.encode(), b'%d' % value] for parameter, value in self.limits.items()]
        for server, replies in zip(self.servers, self.exchange(2, commands)):
            for command, reply in zip(commands, replies):
                if reply[:1] == b'-' and command[2].decode() not in NEW_LIMITS:
                    raise SystemExit(f'{quoted(command)} on port {server.port}: {shown(reply)}')

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
            return replies and replies[0] != replies[1] and not may_differ(name, argv, *replies)

        self.show_shrunk(fails, self.history[:-1], [last])

    def show_shrunk(self, fails, history=None, tail=()):
        history = self.history if history is None else history
        if not fails(history):
            print('    (does not happen again when the commands are replayed)', flush=True)
            return
        history = shrink(history, fails)
        self.shrink_limits(lambda: fails(history))
        fails(history)
        print(f'    to reproduce, from empty servers with {" ".join(DIRECTIVES[4:6])}:')
        for parameter, value in self.limits.items():
            if value != LIMITS[parameter][0]:
                print(f'        CONFIG SET {parameter} {value}')
        protocol = 2
        for each, name, argv in history + list(tail):
            if each != protocol:
                print(f'        HELLO {each}')
                protocol = each
            print(f'        {quoted(argv)}')
        sys.stdout.flush()

    def shrink_limits(self, fails):
        """Sets each limit back to its default with which it still fails."""
        for parameter, value in self.limits.items():
            self.limits[parameter] = LIMITS[parameter][0]
            self.set_limits()
            if not fails():
                self.limits[parameter] = value
        self.set_limits()

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


def prepared(commands):
    """The commands as they are sent. In 7.0 a SORT fails if an earlier command has read a number out
    of range (errno is not reset); one that reads a good number helps."""
    for argv in commands:
        if argv[0].lower() in (b'sort', b'sort_ro'):
            yield FORGET_ERROR
        yield argv


def repair(reference, argv, ours_took, reference_took):
    """Gives a set of the reference back what its SPOP took and takes what ours did. First the one and then the
    other: the set never has more members than before, nor is it ever gone."""
    took = [set(t) if isinstance(t, list) else {t} if type(t) is bytes else set() for t in (ours_took, reference_took)]
    if not took[0] or len(took[0]) != len(took[1]) or took[0] == took[1]:
        return
    reference.pipeline([[b'SADD', argv[1], *(took[1] - took[0])], [b'SREM', argv[1], *(took[0] - took[1])]])


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


if __name__ == '__main__':
    sys.exit(main())
