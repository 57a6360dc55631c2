#!/usr/bin/env python3
"""Three connections at random to a reference server and to ours: who is told what, and in which order.

usage: connections.py --server BINARY [--reference /usr/bin/redis-server] [--commands 50000] [--seed N] [-v]

A step is a pipeline of one to five commands on one of three connections (interleave.py): transactions and watches, expiries,
subscriptions and messages, keyspace events, client-side caching in every mode, blocking commands, pauses, changes of the
protocol, RESET and lost connections, on few keys. After each step all that the three connections have received is compared,
replies and pushes, in their order. A round is some hundred steps on one subject, from empty servers; at its end the keyspaces
and what the servers tell about their clients are compared.

A fourth connection says when a step is over: when it has been answered some times, what was written before has been sent. The
connections have the same IDs on both servers. What may differ, and why, is listed in expected.py. A difference is
shrunk to the fewest steps that still show it. The last line is 'N passed, N failed, N skipped' (skipped: may differ).
"""
import argparse
import collections
import os
import random
import re
import select
import signal
import socket
import sys
import time

import expected
from interleave import CHANNELS, CONNECTIONS, CONTROL, SHARDED, SUBJECTS, Interleaving
from keyspace import Keyspaces
from resp import Closed, Connection, encode, quoted
from run import SHOWN_MAX, Server, shrink

STEPS_A_ROUND = 250
FAILURES_MAX = 30       # Differences after which the run is given up.
ANSWER_S = 10
# What both tell of the clients, and of what they have caused.
CLIENT_FIELDS = ('id', 'name', 'flags', 'db', 'sub', 'psub', 'ssub', 'redir', 'resp')
INFO_FIELDS = ('connected_clients', 'blocked_clients', 'tracking_clients', 'clients_in_timeout_table', 'pubsub_channels',
               'pubsub_patterns', 'pubsubshard_channels', 'tracking_total_prefixes')


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('--reference', default='/usr/bin/redis-server')
    ap.add_argument('--commands', type=int, default=50_000)
    ap.add_argument('--seed', type=int)
    ap.add_argument('--subject', choices=sorted(SUBJECTS), help='what all rounds are about')
    ap.add_argument('-v', action='store_true', help='count what was skipped, by its reason')
    a = ap.parse_args()
    # A time limit set from outside ends by SIGTERM; the servers must not outlive the test.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
    seed = a.seed if a.seed is not None else random.randrange(10**9)
    servers = []
    try:
        for binary in (os.path.abspath(a.server), os.path.abspath(a.reference)):
            servers.append(Server(binary))
        print(f'seed {seed}: {a.commands} commands on {CONNECTIONS} connections to {a.server} and {a.reference} '
              f'({servers[1].version()})', flush=True)
        return Comparison(servers, seed, a).run()
    finally:
        for server in servers:
            server.stop()


class Link:
    """A connection whose replies and pushes are taken as they come."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.readable = select.poll()
        self.readable.register(self.socket, select.POLLIN)
        self.buffer, self.closed = b'', False

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True

    def received(self):
        """What has been received, each a nested tuple; the rest of one that was begun is waited for."""
        frames = []
        while not self.closed:
            try:
                more = self.socket.recv(1 << 18)
            except BlockingIOError:
                if not self.buffer:
                    break
                self.wait()
                continue
            except OSError:
                more = b''
            self.closed = not more
            self.buffer += more
            self.take(frames)
        return frames

    def wait(self):
        if not self.readable.poll(ANSWER_S * 1000):
            raise Closed(f'nothing for {ANSWER_S} s')

    def take(self, frames):
        at = 0
        while at < len(self.buffer):
            pushes = []
            frame, end = parse(self.buffer, at, pushes)
            if frame is None:
                break
            frames += [*pushes, frame]
            at = end
        self.buffer = self.buffer[at:]

    def wait_for_one(self):
        while True:
            self.wait()
            frames = self.received()
            if frames:
                return frames
            if self.closed:
                raise Closed('closed by the server')

    def call(self, *argv):
        self.send(encode([arg if isinstance(arg, bytes) else str(arg).encode() for arg in argv]))
        return self.wait_for_one()[-1]


def parse(buffer, at, pushes):
    """(frame, its end): bytes with their kind in front, or a tuple of the kind and the elements; (None, at) while it is
    incomplete. Before 7.2 a push may come within a reply: it is put into `pushes`."""
    line = buffer.find(b'\r\n', at)
    if line < 0:
        return None, at
    kind, end = buffer[at:at + 1], line + 2
    if kind in b'+-:_#,(':
        return buffer[at:line], end
    count = int(buffer[at + 1:line])
    if kind in b'$=':
        if count < 0:
            return buffer[at:line], end
        return (None, at) if len(buffer) < end + count + 2 else (kind + buffer[end:end + count], end + count + 2)
    if kind not in b'*~>%':
        raise Closed(f'no reply: {buffer[at:at + 80]!r}')
    if count < 0:
        return buffer[at:line], end
    elements = [kind]
    while len(elements) <= count * (2 if kind == b'%' else 1):
        element, end = parse(buffer, end, pushes)
        if element is None:
            return None, at
        (pushes if kind != b'>' and is_stray(element) else elements).append(element)
    return tuple(elements), end


def is_push(frame):
    """Whether a frame is what RESP3 pushes; RESP2 sends messages as if they were replies."""
    return isinstance(frame, tuple) and (frame[0] == b'>' or frame[1:2] in MESSAGES)


def is_stray(element):
    """Whether a push stands within a reply without being a part of it, as what a transaction of SUBSCRIBE answers is."""
    return is_push(element) and element[1:2] in (*MESSAGES, (b'$invalidate',))


MESSAGES = ((b'$message',), (b'$pmessage',), (b'$smessage',))


class Side:
    """One server, the connections to it, and the one that tells when a step is over."""

    def __init__(self, server):
        self.server = server
        self.links = []
        self.control = Link(server.port)
        self.pair_member = Connection(server.port)
        # The timer looks after time-outs. It goes on with the new rate when it has run once more at the old one.
        self.pair_member.call('CONFIG', 'SET', 'hz', '200')
        time.sleep(0.12)

    def last_id(self):
        return int(self.control.call('CLIENT', 'ID')[1:])

    def begin(self):
        for link in self.links:
            link.socket.close()
        self.control.socket.close()
        self.control = Link(self.server.port)
        # Those of the round before must be gone before the counts start.
        for _ in range(1000):
            if len(self.clients()) == 2:
                break
            time.sleep(0.001)

    def clients(self):
        text = self.control.call('CLIENT', 'LIST').decode()
        return [dict(field.split('=', 1) for field in line.split(' ')) for line in text[1:].strip().split('\n')]

    def empty(self, settings):
        for command in (['CLIENT', 'UNPAUSE'], ['FLUSHALL'], ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'], *settings):
            reply = self.control.call(*command)
            if reply[:1] == b'-':
                raise SystemExit(f'{command} on port {self.server.port}: {reply}')
        self.links = [None] * CONNECTIONS
        for i in range(CONNECTIONS):
            self.connect(i)

    def connect(self, i):
        link = self.links[i] = Link(self.server.port)
        link.id = link.call('CLIENT', 'ID')[1:]

    def send(self, step):
        commands = [[self.links[int(arg[1:])].id if re.fullmatch(rb'@\d', arg) else arg for arg in argv] for argv in step.commands]
        if step.connection == CONTROL:
            for argv in commands:
                self.control.call(*argv)
        else:
            self.links[step.connection].send(b''.join(map(encode, commands)))

    def received(self):
        return [(link.received(), link.closed) for link in self.links]

    def told(self):
        """What the server tells about its clients and itself."""
        own = {link.id.decode() for link in self.links}
        clients = [tuple(f'{name}={client.get(name)}' for name in CLIENT_FIELDS) for client in self.clients() if client['id'] in own]
        info = dict(re.findall(r'(\w+):(\S*)', self.control.call('INFO').decode()))
        return clients, [f'{name}:{info.get(name)}' for name in INFO_FIELDS]


class Comparison:
    def __init__(self, servers, seed, a):
        self.a, self.random = a, random.Random(seed)
        self.sides = [Side(server) for server in servers]
        self.keyspaces = Keyspaces([side.pair_member for side in self.sides])
        self.passed = self.failed = self.rounds = 0
        self.skipped, self.sent, self.frames = collections.Counter(), collections.Counter(), collections.Counter()
        self.seen = set()

    def run(self):
        started = time.time()
        try:
            while self.sent.total() < self.a.commands and self.failed < FAILURES_MAX:
                self.round()
        except (Closed, OSError) as error:
            self.failed += 1
            print(f'FAIL: {error!r}')
            for side in self.sides:
                if side.server.process.poll() is not None:
                    print(f'The server on port {side.server.port} ended with {side.server.process.returncode}:\n{side.server.log_tail()}')
            self.show_steps(self.history[-20:])
        if self.a.v:
            self.show_counts()
        print(f'{self.rounds} rounds, {self.sent.total()} commands, {self.frames.total()} replies and pushes, {time.time() - started:.0f} s')
        print(f'{self.passed} passed, {self.failed} failed, {self.skipped.total()} skipped')
        return 1 if self.failed or not self.passed else 0

    def show_counts(self):
        print('  sent: ' + ' '.join(f'{name}:{count}' for name, count in self.sent.most_common()))
        print('  received: ' + ' '.join(f'{name}:{count}' for name, count in self.frames.most_common()))
        for reason, count in self.skipped.most_common():
            print(f'  {count:7} skipped: {reason}')
        for command, treatment, reason in expected.CONNECTIONS:
            if reason not in self.skipped:
                print(f'  never skipped: {command}: {reason}')

    def round(self):
        subject = self.a.subject or sorted(SUBJECTS)[self.rounds % len(SUBJECTS)]
        interleaving = Interleaving(self.random.randrange(2**32), subject)
        self.rounds += 1
        self.settings = interleaving.settings()
        self.begin()
        self.history = []
        for _ in range(STEPS_A_ROUND):
            step = interleaving.step()
            self.history.append(step)
            for argv in step.commands:
                self.sent[argv[0].decode()] += 1
            received = self.take(step)
            interleaving.note(step, received[0])
            for frames, _ in received[0]:
                self.frames.update(kind_of(frame) for frame in frames)
            difference, reasons = compare(step, received)
            self.skipped.update(reasons)
            if difference:
                self.show(difference)
                return
            self.passed += not reasons
        difference = self.difference_in_state()
        if difference:
            self.show(difference, of_state=True)
        else:
            self.passed += 1

    def begin(self):
        """Empty servers, and connections whose IDs are the same on both."""
        for side in self.sides:
            side.begin()
        ids = [side.last_id() for side in self.sides]
        for side, id in zip(self.sides, ids):
            for _ in range(max(ids) - id):
                Link(side.server.port).socket.close()
        for side in self.sides:
            side.empty(self.settings)

    def take(self, step):
        """What each connection receives by a step: from ours, from the reference."""
        for side in self.sides:
            side.send(step)
        # What waited before goes on one round of the server's loop later.
        for _ in range(4 if step.waiting else 2):
            for side in self.sides:
                side.control.send(PING)
            for side in self.sides:
                side.control.wait_for_one()
        if step.wait_s:
            time.sleep(step.wait_s)
        received = [side.received() for side in self.sides]
        for i in range(CONNECTIONS):
            if any(side.links[i].closed for side in self.sides):
                for side in self.sides:
                    side.links[i].socket.close()
                    side.connect(i)
        return received

    def difference_in_state(self):
        clients, info = zip(*(side.told() for side in self.sides))
        for ours, reference in zip(clients[0] + info[0], clients[1] + info[1]):
            if ours != reference and not isinstance(ours, str):
                ours, reference = (' '.join(o for o, r in zip(*pair) if o != r) for pair in ((ours, reference), (reference, ours)))
            if ours != reference:
                return f'{ours} and {reference}'
        # What blocks could not be ended by looking, and nothing may be written any more.
        return self.keyspaces.difference()

    # Showing a difference.

    def show(self, difference, of_state=False):
        self.failed += 1
        kind = re.sub(r'\d+', '', difference)[:60]
        if kind in self.seen or len(self.seen) >= SHOWN_MAX:
            return
        self.seen.add(kind)
        print(f'FAIL: {difference}')

        def fails(history):
            self.begin()
            found = None
            for step in history:
                found, _ = compare(step, self.take(step))
                if found:
                    break
            if of_state:
                found = None if found else self.difference_in_state()
            return found is not None and re.sub(r'\d+', '', found)[:60] == kind

        if not fails(self.history):
            print('    (does not happen again when the steps are replayed)')
            self.show_steps(self.history[-10:])
            return
        self.history = shrink(self.history, fails)
        print(f'    to reproduce, from empty servers with {" ".join(map(" ".join, self.settings))}:')
        self.show_steps(self.history)

    def show_steps(self, history):
        for step in history:
            wait = f'   (then {step.wait_s} s)' if step.wait_s else ''
            print(f'        {step.connection}: ' + ' | '.join(map(quoted, step.commands)) + wait)
        sys.stdout.flush()


PING = encode([b'PING'])


def compare(step, received):
    """(What differs, or None; the reasons why something else may.)"""
    reasons = []
    for i, ((ours, ours_closed), (reference, reference_closed)) in enumerate(zip(*received)):
        if ours == reference and ours_closed == reference_closed:
            continue
        pair = ours, reference
        for command, treatment, reason in expected.CONNECTIONS:
            if command == '*' or command == '(waiting)' and step.waiting or any(argv[0].decode().lower() == command for argv in step.commands):
                treated = TREATMENTS[treatment](*pair) if isinstance(treatment, str) else replaced(treatment, *pair)
                if treated != pair:
                    pair = treated
                    reasons.append(reason)
        if pair[0] != pair[1] or ours_closed != reference_closed:
            commands = ' | '.join(map(quoted, step.commands))
            return (f'connection {i} after {step.connection}: {commands}\n    ours:      {shown(ours, ours_closed)}\n'
                    f'    reference: {shown(reference, reference_closed)}'), reasons
    return None, reasons


def shown(frames, closed):
    text = re.sub(r'y{20,}', 'yy…', ' '.join(map(repr, frames)))
    return (text if len(text) < 1000 else text[:1000] + '…').replace("b'", "'") + (' closed' if closed else '')


def kind_of(frame):
    """What a reply or push is, for the counts."""
    if isinstance(frame, tuple):
        name = frame[1] if len(frame) > 1 and isinstance(frame[1], bytes) else b''
        return frame[0].decode() + (name[1:].decode('latin-1') if is_push(frame) or name[1:] in PUSHES else '')
    return frame.split(b' ')[0].decode('latin-1') if frame[:1] in b'-+' else frame[:1].decode('latin-1')


INVALIDATIONS = (b'$invalidate', b'$__redis__:invalidate', b'$tracking-redir-broken')
NAMES = {b'$' + name.encode() for name in CHANNELS + SHARDED}
PUSHES = (b'message', b'pmessage', b'smessage', b'subscribe', b'psubscribe', b'ssubscribe')


# Treatments: each makes equal what is told in another way.

def replaced(treatment, ours, reference):
    """Frames that match are made one, wherever both are at the same place."""
    if len(ours) != len(reference):
        return ours, reference
    allowed = [isinstance(o, bytes) and isinstance(r, bytes) and o != r
               and re.match(treatment[0].encode(), o) and re.match(treatment[1].encode(), r) for o, r in zip(ours, reference)]
    return [r if a else o for o, r, a in zip(ours, reference, allowed)], reference


def deep(change, frame):
    """A frame whose aggregates are changed, the inner ones first."""
    if isinstance(frame, tuple):
        return change((frame[0], *(deep(change, element) for element in frame[1:])))
    return frame


def without_version(frame):
    """HELLO tells a version."""
    at = frame.index(b'$version') + 1 if b'$version' in frame else len(frame)
    return (*frame[:at], b'$', *frame[at + 1:])[:len(frame)]


def names_in_order(frame):
    """Lists of channels."""
    return (frame[0], *sorted(frame[1:])) if frame[0] == b'*' and all(name in NAMES for name in frame[1:]) else frame


def deleted_for_expired(frame):
    """The events of a key that is gone."""
    return tuple(b'$del' if element == b'$expired' else element[:-8] + b':del' if type(element) is bytes and element.endswith(b':expired')
                 else element for element in frame)


def null_as_in_resp3(frame):
    """That all keys are invalid is told by a null."""
    return (*frame[:-1], b'_') if len(frame) > 2 and frame[-2] in INVALIDATIONS and frame[-1] == b'$-1' else frame


def patterns_in_any_order(ours, reference):
    """The pushes of one message by several patterns, one behind the other, are sorted."""
    def order(frames):
        found, at = [], 0
        while at < len(frames):
            end = at + 1
            while end < len(frames) and message_of(frames[at]) and message_of(frames[end]) == message_of(frames[at]):
                end += 1
            found += sorted(frames[at:end])
            at = end
        return found
    return order(ours), order(reference)


def message_of(frame):
    """What a pmessage tells but for its pattern."""
    return frame[3:] if isinstance(frame, tuple) and len(frame) == 5 and frame[1] == b'$pmessage' else None


def leaving_in_order(ours, reference):
    """What was left all at once; in a transaction a part of it may stand within the reply to EXEC."""
    def order(frames):
        names = []
        [deep(lambda f: names.append(f[2]) or f if is_leaving(f) else f, frame) for frame in frames]
        names.sort(reverse=True)
        return [deep(lambda f: (*f[:2], names.pop(), f[3]) if is_leaving(f) else f, frame) for frame in frames]
    return order(ours), order(reference)


def is_leaving(frame):
    return isinstance(frame, tuple) and len(frame) == 4 and frame[1] in (b'$unsubscribe', b'$punsubscribe', b'$sunsubscribe') \
        and frame[2][:1] == b'$'


def pushes_after_replies(ours, reference):
    """What was pushed behind what was replied, or confirmed."""
    def is_told(frame):
        return is_push(frame) and not re.fullmatch(rb'\$[ps]?(un)?subscribe', frame[1])
    return sorted(ours, key=is_told), sorted(reference, key=is_told)


def batches_as_one(ours, reference):
    """Invalidations one behind the other."""
    def join(frames):
        found = []
        for frame in frames:
            if found and keys_of(frame) and keys_of(found[-1]) and frame[:-1] == found[-1][:-1]:
                found[-1] = (*frame[:-1], (b'*', *sorted({*keys_of(found[-1]), *keys_of(frame)})))
            elif not (found and is_invalidation(frame) and frame == found[-1]):
                found.append(frame)
        return found
    return join(ours), join(reference)


def keys_of(frame):
    """The keys of an invalidation."""
    return frame[-1][1:] if is_invalidation(frame) and isinstance(frame[-1], tuple) else None


def is_invalidation(frame):
    """Whether it tells of invalid keys, or that they cannot be told."""
    return isinstance(frame, tuple) and len(frame) > 2 and frame[-2] in INVALIDATIONS


def invalidations_behind_events(ours, reference):
    """Of the pushes one behind the other, those of client-side caching last."""
    def order(frames):
        found, at = [], 0
        while at < len(frames):
            end = at
            while end < len(frames) and is_push(frames[end]):
                end += 1
            end = max(end, at + 1)
            found += sorted(frames[at:end], key=lambda frame: is_invalidation(frame) + (frame[1:2] == (b'$tracking-redir-broken',)))
            at = end
        return found
    return order(ours), order(reference)


def of_each(change):
    return lambda ours, reference: ([deep(change, f) for f in ours], [deep(change, f) for f in reference])


TREATMENTS = {'version': of_each(without_version), 'name-order': of_each(names_in_order), 'null': of_each(null_as_in_resp3),
              'expired': of_each(deleted_for_expired),
              'pattern-order': patterns_in_any_order, 'leaving-order': leaving_in_order, 'pushes-last': pushes_after_replies,
              'events-first': invalidations_behind_events, 'batches': batches_as_one}

if __name__ == '__main__':
    sys.exit(main())
