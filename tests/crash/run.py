#!/usr/bin/env python3
"""Kills the server at random moments while several connections write, and looks at what it still has when it is up again.

usage: run.py --server BINARY [--kills 100] [--modes always,everysec,rewrite,save] [--seed N]

Modes: `always` and `everysec` are appendfsync's; `rewrite` is always, and the kill falls into a rewrite of the append-only
file; `save` has no such file, and the kill falls into a BGSAVE, after which the snapshot before it must load. SIGKILL goes to
the server and its children. Then:
  - the files load;
  - no write is missing that was acknowledged (everysec: more than PROMISE_S before the kill; save: before the last snapshot);
  - nothing is there that was not sent, and no command or transaction is there half.
What a killed process has written the kernel keeps: this tests what the server writes, when, and what it reads again, not the
disk. Each kill is a test. The last line is 'N passed, N failed, N skipped'.
"""
import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../differential'))
from resp import Closed, Connection, Error, decode  # noqa: E402

WRITERS = 5
PROMISE_S = 2.0         # What everysec may lose.
START_S = 30
FILLER = 40_000         # Keys that make a snapshot take a while.
MODES = {'always': ['--appendonly', 'yes', '--appendfsync', 'always'],
         'everysec': ['--appendonly', 'yes', '--appendfsync', 'everysec'],
         'rewrite': ['--appendonly', 'yes', '--appendfsync', 'always'],
         'save': ['--appendonly', 'no', '--dbfilename', 'dump.rdb']}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('--kills', type=int, default=100, help='how many in each mode')
    ap.add_argument('--modes', default=','.join(MODES))
    ap.add_argument('--seed', type=int, default=random.randrange(10**9))
    a = ap.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
    print(f'seed {a.seed}')
    passed = failed = 0
    for mode in a.modes.split(','):
        ordeal = Ordeal(os.path.abspath(a.server), mode, random.Random(f'{a.seed} {mode}'))
        started = time.time()
        try:
            for kill in range(a.kills):
                faults = ordeal.round()
                for fault in faults[:10]:
                    print(f'FAIL: {mode}, kill {kill}: {fault}', flush=True)
                passed, failed = passed + (not faults), failed + bool(faults)
                if ordeal.server is None:
                    break
        finally:
            ordeal.end()
        print(f'{mode}: {a.kills} kills, {ordeal.acknowledged} acknowledged writes, {ordeal.interrupted} kills fell into a child, '
              f'{time.time() - started:.0f} s', flush=True)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed or not passed else 0


class Ordeal:
    """A server that is killed and started again on the same files."""

    def __init__(self, binary, mode, rand):
        self.binary, self.mode, self.random = binary, mode, rand
        self.folder = tempfile.mkdtemp(prefix='crash-')
        self.writers = [Writer(n) for n in range(WRITERS)]
        self.acknowledged = self.interrupted = 0
        self.server = None
        self.start()
        self.fill()

    def start(self):
        """Starts the server and waits until it has loaded its files; says what is wrong if it does not."""
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        with open(f'{self.folder}/log', 'ab') as log:
            self.server = subprocess.Popen([self.binary, '--port', str(self.port), '--dir', self.folder, '--save', '', *MODES[self.mode]],
                                           cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.server.poll() is None:
            try:
                if Connection(self.port).call('PING') == b'PONG':
                    return None
            except (OSError, Closed):
                pass
            time.sleep(0.01)
        tail = open(f'{self.folder}/log', errors='replace').read()[-1500:]
        fault = f'does not start again ({self.server.poll()}):\n{tail}'
        self.kill()
        self.server = None
        return fault

    def kill(self):
        try:
            os.killpg(self.server.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.server.wait()

    def end(self):
        if self.server:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self):
        connection = Connection(self.port)
        for start in range(0, FILLER if self.mode in ('rewrite', 'save') else 0, 1000):
            connection.pipeline([[b'SET', b'filler:%d' % n, b'%d' % n * 20] for n in range(start, start + 1000)])

    def round(self):
        """Writes until a kill; what is wrong afterwards."""
        connection = Connection(self.port)
        if self.mode == 'save':
            self.save_before(connection)
        ended = threading.Event()
        threads = [threading.Thread(target=writer.write, args=(self.port, ended)) for writer in self.writers]
        for thread in threads:
            thread.start()
        time.sleep(self.random.uniform(0, PROMISE_S + 1 if self.mode == 'everysec' and self.random.random() < 0.2 else 0.25))
        if self.mode in ('rewrite', 'save'):
            connection.call('BGSAVE' if self.mode == 'save' else 'BGREWRITEAOF')
            time.sleep(self.random.choice([0, self.random.uniform(0, 0.01), self.random.uniform(0, 0.1)]))
            info = connection.call('INFO', 'persistence')
            self.interrupted += b'rdb_bgsave_in_progress:1' in info or b'aof_rewrite_in_progress:1' in info
        killed = time.monotonic()
        self.kill()
        ended.set()
        for thread in threads:
            thread.join()
        self.acknowledged += sum(writer.acknowledged - writer.first for writer in self.writers)
        fault = self.start()
        if fault:
            return [fault]
        connection = Connection(self.port)
        faults = [writer.fault for writer in self.writers if writer.fault]
        for writer in self.writers:
            faults += writer.check(connection, self.owed(writer, killed), self.mode != 'save')
        if self.mode in ('rewrite', 'save'):
            values = connection.pipeline([[b'GET', b'filler:%d' % self.random.randrange(FILLER)] for _ in range(50)])
            faults += ['a filler is missing'] if b'$-1\r\n' in values else []
        return faults

    def save_before(self, connection):
        """A snapshot, which is what a kill may not take away."""
        deadline = time.monotonic() + START_S
        while isinstance(connection.call('SAVE'), Error):
            if time.monotonic() > deadline:
                raise SystemExit('SAVE does not go')
            time.sleep(0.01)

    def owed(self, writer, killed):
        """How many of a writer's rounds must still be there."""
        if self.mode == 'save':
            return writer.first
        if self.mode == 'everysec':
            return max([writer.first] + [n for moment, n in writer.moments if moment < killed - PROMISE_S])
        return writer.acknowledged


class Writer:
    """A connection that writes in rounds, each of a few commands that leave a trace of its number."""

    def __init__(self, number):
        self.number = number
        self.acknowledged = self.sent = self.first = 0      # Rounds; the first number of this start.
        self.moments, self.fault = [], None

    def commands(self, n):
        """Round n; the counts are one more than its number."""
        own, count = b'%d' % self.number, b'%d' % (n + 1)
        return [[b'MULTI'], [b'INCR', b'first:' + own], [b'RPUSH', b'log:' + own, b'%d' % n], [b'ZADD', b'z:' + own, b'%d' % n, count],
                [b'INCR', b'second:' + own], [b'EXEC'],
                [b'MSET', b'left:' + own, count, b'right:' + own, count],
                [b'RPUSH', b'threes:' + own, count, count, count],
                [b'HSET', b'hash:' + own, b'f', count, b'g', count], [b'SET', b'last:' + own, count]]

    def write(self, port, ended):
        self.first, self.sent, self.moments, self.fault = self.acknowledged, self.acknowledged, [], None
        try:
            connection = Connection(port, timeout=10)
            while not ended.is_set():
                batch = 1 + self.sent % 4
                commands = [argv for n in range(self.sent, self.sent + batch) for argv in self.commands(n)]
                self.sent += batch
                replies = connection.pipeline(commands)
                wrong = [reply for reply in replies if isinstance(decode(reply), Error)]
                if wrong:
                    self.fault = f'writer {self.number} got {wrong[0]}'
                    return
                self.acknowledged += batch
                self.moments.append((time.monotonic(), self.acknowledged))
        except (OSError, Closed):
            pass

    def check(self, connection, owed, all_at_once):
        """What is wrong with what this writer has left; it goes on from there. all_at_once: there is no more than one round of
        which a part is there, the last one."""
        own = b'%d' % self.number
        get = [decode(reply) for reply in connection.pipeline([[b'GET', name + own] for name in
               (b'first:', b'second:', b'left:', b'right:', b'last:')] + [[b'HMGET', b'hash:' + own, b'f', b'g'],
               [b'LRANGE', b'log:' + own, b'0', b'-1'], [b'LLEN', b'threes:' + own], [b'ZCARD', b'z:' + own]])]
        first, second, left, right, last = (int(value or 0) for value in get[:5])
        f, g = (int(value or 0) for value in get[5])
        log, threes, zset = get[6:]
        faults = []

        def must(condition, text):
            if not condition:
                faults.append(f'writer {self.number}: {text} (acknowledged {self.acknowledged}, owed {owed}, sent {self.sent})')

        must(first == second == len(log) == zset, f'half a transaction: {first} {second} {len(log)} {zset}')
        must(log == [b'%d' % n for n in range(first)], 'the log has gaps')
        must(left == right, f'half an MSET: {left} {right}')
        must(threes % 3 == 0, f'half an RPUSH: {threes}')
        must(f == g, f'half an HSET: {f} {g}')
        counts = [first, left, threes // 3, f, last]
        must(min(counts) >= owed, f'acknowledged writes are missing: {counts}')
        must(max(counts) <= self.sent, f'more than was sent: {counts}')
        must(max(counts) - min(counts) <= 1 and counts == sorted(counts, reverse=True), f'not a prefix of what was sent: {counts}')
        self.repair(connection, own, min(counts), max(counts))
        return faults

    def repair(self, connection, own, whole, most):
        """Completes the round of which a part is there, so that the next start begins with a whole one."""
        if whole != most:
            connection.pipeline([[b'MSET', b'left:' + own, b'%d' % most, b'right:' + own, b'%d' % most],
                                 [b'LTRIM', b'threes:' + own, b'0', b'%d' % (3 * whole - 1)] if whole else [b'DEL', b'threes:' + own],
                                 *[[b'RPUSH', b'threes:' + own, b'x', b'x', b'x']] * (most - whole),
                                 [b'HSET', b'hash:' + own, b'f', b'%d' % most, b'g', b'%d' % most],
                                 [b'SET', b'last:' + own, b'%d' % most]])
        self.acknowledged = most


if __name__ == '__main__':
    sys.exit(main())
