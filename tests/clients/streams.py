#!/usr/bin/env python3
"""A job queue on streams by redis-py: a producer and two groups of three consumers each, one of which ends with its work undone.

usage: streams.py --server BINARY [--entries N]

Every entry must reach every group, whole, once and in order, but for what the lost consumer was given: that is claimed by
another one. Once over RESP2 and once over RESP3. The last line is 'N passed, N failed, N skipped'.
"""
import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import redis

GROUPS, CONSUMERS = ('billing', 'audit'), ('one', 'two', 'three')
LOST = 'three'          # This consumer ends after some batches, the last of which it does not acknowledge.
LOST_AFTER = 5
BATCH = 100
IDLE_MS = 300


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--server', required=True)
    ap.add_argument('--entries', type=int, default=100_000)
    a = ap.parse_args()
    folder = tempfile.mkdtemp(prefix='streams-')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([os.path.abspath(a.server), '--port', str(port), '--save', '', '--dir', folder,
                               '--logfile', f'{folder}/log'], cwd=folder, stdout=subprocess.DEVNULL)
    passed = failed = 0
    try:
        wait_until_up(port)
        for protocol in (2, 3):
            faults = Queue(port, protocol, a.entries).run()
            for fault in faults[:20]:
                print(f'FAIL: RESP{protocol}: {fault}')
            passed, failed = passed + (not faults), failed + bool(faults)
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


def wait_until_up(port):
    for _ in range(200):
        try:
            redis.Redis(port=port).ping()
            return
        except redis.exceptions.ConnectionError:
            time.sleep(0.05)
    sys.exit('the server does not start')


class Queue:
    def __init__(self, port, protocol, entries):
        self.port, self.protocol, self.entries = port, protocol, entries
        self.faults, self.lock = [], threading.Lock()
        self.sent = {}                                      # ID: fields
        self.done = {group: {} for group in GROUPS}         # ID: how often it was worked off
        self.left = {group: [] for group in GROUPS}         # What the lost consumers were given last.
        self.produced = threading.Event()

    def client(self):
        return redis.Redis(port=self.port, protocol=self.protocol, decode_responses=True)

    def fault(self, text):
        with self.lock:
            self.faults.append(text)

    def run(self):
        r = self.client()
        r.flushall()
        for group in GROUPS:
            r.xgroup_create('jobs', group, id='0', mkstream=True)
        tasks = [threading.Thread(target=self.guarded, args=(self.produce,))]
        tasks += [threading.Thread(target=self.guarded, args=(self.consume, group, name)) for group in GROUPS for name in CONSUMERS]
        started = time.time()
        for task in tasks:
            task.start()
        for task in tasks:
            task.join()
        print(f'RESP{self.protocol}: {self.entries} entries to {len(GROUPS)} groups in {time.time() - started:.1f} s', flush=True)
        self.check(r)
        return self.faults

    def guarded(self, task, *args):
        try:
            task(*args)
        except Exception as error:
            self.fault(f'{task.__name__}{args}: {error!r}')
            self.produced.set()

    def produce(self):
        r = self.client()
        for start in range(0, self.entries, BATCH):
            pipeline = r.pipeline(transaction=False)
            batch = [{'job': str(n), 'kind': 'even' if n % 2 == 0 else 'odd', 'text': 'x' * (n % 70)}
                     for n in range(start, min(start + BATCH, self.entries))]
            for fields in batch:
                pipeline.xadd('jobs', fields)
            for id, fields in zip(pipeline.execute(), batch):
                self.sent[id] = fields
        self.produced.set()

    def consume(self, group, name):
        r = self.client()
        batches, last = 0, (0, 0)
        while True:
            reply = r.xreadgroup(group, name, {'jobs': '>'}, count=BATCH, block=100)
            for id, fields in entries_of(reply):
                if order(id) <= last:
                    self.fault(f'{group}/{name}: {id} after {last}')
                last = order(id)
            batches += 1
            if name == LOST and batches >= LOST_AFTER and reply:
                self.left[group] = [id for id, _ in entries_of(reply)]
                r.close()
                return
            self.work_off(r, group, entries_of(reply))
            # One consumer looks after what others have left, as soon as there is nothing new.
            if not reply and name == CONSUMERS[0]:
                self.claim(r, group, name)
            if not reply and self.produced.is_set() and self.is_finished(r, group):
                return

    def claim(self, r, group, name):
        cursor = '0-0'
        while True:
            cursor, entries, deleted = r.xautoclaim('jobs', group, name, IDLE_MS, cursor, count=BATCH)
            if deleted:
                self.fault(f'{group}: {deleted} are said to be deleted')
            self.work_off(r, group, entries)
            if cursor == '0-0':
                return

    def work_off(self, r, group, entries):
        if not entries:
            return
        with self.lock:
            for id, fields in entries:
                self.done[group].setdefault(id, []).append(fields)
        acknowledged = r.xack('jobs', group, *(id for id, _ in entries))
        if acknowledged != len(entries):
            self.fault(f'{group}: {acknowledged} of {len(entries)} acknowledged')

    def is_finished(self, r, group):
        [info] = [info for info in r.xinfo_groups('jobs') if info['name'] == group]
        return info['pending'] == 0 and info['lag'] == 0

    def check(self, r):
        if len(self.sent) != self.entries or r.xlen('jobs') != self.entries:
            self.fault(f'{len(self.sent)} entries sent, {r.xlen("jobs")} there')
        for group in GROUPS:
            done = self.done[group]
            if not self.left[group]:
                self.fault(f'{group}: the consumer that is to be lost was given nothing')
            for id, fields in self.sent.items():
                if done.get(id) != [fields]:
                    self.fault(f'{group}: {id} {fields} worked off as {done.get(id)}')
            for id in done.keys() - self.sent.keys():
                self.fault(f'{group}: {id} was never sent')
            if r.xpending('jobs', group)['pending']:
                self.fault(f'{group}: {r.xpending("jobs", group)}')
        for info in r.xinfo_groups('jobs'):
            if (info['consumers'], info['entries-read'], info['lag']) != (len(CONSUMERS), self.entries, 0):
                self.fault(f'{info}')


def entries_of(reply):
    """The entries of a stream in a reply of XREADGROUP: a list of pairs in RESP2, a map in RESP3."""
    if not reply:
        return []
    entries = reply['jobs'] if isinstance(reply, dict) else reply[0][1]
    # In RESP3 redis-py has them in a list of lists.
    return entries[0] if entries and isinstance(entries[0], list) and len(entries) == 1 else entries


def order(id):
    return tuple(map(int, id.split('-')))


if __name__ == '__main__':
    sys.exit(main())
