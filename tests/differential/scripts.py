#!/usr/bin/env python3
"""Runs the same scripts on a reference server and on ours, and compares all replies byte for byte.

usage: scripts.py --server BINARY [--reference /usr/bin/redis-server] [--random N] [--seed N] [-v] [NAME …]

The scripts are those of scripts/*.lua, and N random ones (random_scripts.py). A file is a topic; in it

  --- NAME              begins a script; NAME is unique in its file
  --: keys K…           its keys, as redis-cli takes words
  --: args A…           its arguments
  --: run COMMAND       a command sent before the script
  --: then COMMAND      a command sent after it
  --: by COMMAND        EVAL_RO, say, in place of EVAL
  --: library           the text is a library, to be loaded by FUNCTION LOAD
  --: alone PATTERN     the reference would not survive it, or not end: only ours runs it, and its last reply matches the pattern
  --- prelude           begins what is put before each script of the file that uses it: those that call show(…)

Each script is run from empty servers by EVAL and by EVALSHA over RESP2 and by EVAL over RESP3; the replies to all its commands are
compared. What may differ, and why, is listed in script_rows.py. A script is named TOPIC/NAME; with names
(patterns as *cjson*) only these are run. The last line is 'N passed, N failed, N skipped' (skipped: may differ).
"""
import argparse
import collections
import fnmatch
import glob
import os
import random
import re
import signal
import sys
import time

import random_scripts
import script_rows
from resp import Closed, Connection, quoted, shown
from run import Server

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'scripts')
SHOWN_MAX = 100         # Scripts whose first difference is printed.
WAYS = ((2, b'EVAL'), (2, b'EVALSHA'), (3, b'EVAL'))
FRESH = [[b'RESET'], [b'FLUSHALL'], [b'SCRIPT', b'FLUSH'], [b'FUNCTION', b'FLUSH'], [b'CONFIG', b'RESETSTAT']]


class Script:
    def __init__(self, name, text='', keys=(), args=()):
        self.name, self.text, self.keys, self.args = name, text, list(keys), list(args)
        self.before, self.after = [], []
        self.command, self.is_library, self.alone = b'EVAL', False, None

    def commands(self, way):
        """What is sent to run it by EVAL or EVALSHA."""
        text = self.text.encode('latin-1')
        if self.is_library:
            call = [[b'FUNCTION', b'LOAD', text]]
        else:
            rest = [b'%d' % len(self.keys), *self.keys, *self.args]
            call = [[self.command, text, *rest]]
            if way == b'EVALSHA':
                sha = random_scripts.sha1hex(text)
                call = [[b'SCRIPT', b'LOAD', text], [self.command.replace(b'EVAL', b'EVALSHA'), sha, *rest]]
        return self.before + call + self.after

    def differs_by_way(self):
        """Whether EVALSHA is another test than EVAL."""
        return not self.is_library


def main():
    a = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('stopped'))
    seed = a.seed if a.seed is not None else random.randrange(10**9)
    scripts = read_all()
    corpus = len(scripts)
    scripts += random_scripts.generate(seed, a.random, Script)
    if a.names:
        scripts = [script for script in scripts if any(fnmatch.fnmatch(script.name, name) for name in a.names)]
    servers = []
    try:
        for binary in (a.server, a.reference):
            servers.append(Server(os.path.abspath(binary)))
        print(f'{corpus} scripts and {a.random} random ones of seed {seed} to {a.server} and {a.reference} '
              f'({servers[1].version()})', flush=True)
        return Comparison(servers, a).run(scripts)
    finally:
        for server in servers:
            server.stop()


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('--reference', default='/usr/bin/redis-server')
    ap.add_argument('--random', type=int, default=0, help='how many random scripts to add')
    ap.add_argument('--seed', type=int)
    ap.add_argument('-v', action='store_true', help='name what was skipped, by its reason')
    ap.add_argument('names', nargs='*', metavar='NAME')
    return ap.parse_args()


# Reading the files.

def read_all():
    scripts = []
    for path in sorted(glob.glob(f'{FOLDER}/*.lua')):
        scripts += read(path)
    names = collections.Counter(script.name for script in scripts)
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        raise SystemExit(f'more than one script is named {twice[0]}')
    return scripts


def read(path):
    topic = os.path.basename(path).removesuffix('.lua')
    # A file's bytes are its characters.
    with open(path, encoding='latin-1') as file:
        _, *parts = re.split(r'(?m)^--- ', file.read())
    prelude, scripts = '', []
    for part in parts:
        name, _, text = part.partition('\n')
        if name == 'prelude':
            prelude = text.strip() + '\n'
            continue
        script = Script(f'{topic}/{name}')
        while text.startswith('--:'):
            line, _, text = text.partition('\n')
            direct(script, words(line[3:]), path)
        script.text = text.strip()
        if prelude and 'show(' in script.text:
            script.text = prelude + script.text
        scripts.append(script)
    return scripts


def direct(script, line, path):
    what, rest = line[0].decode(), line[1:]
    if what == 'keys':
        script.keys += rest
    elif what == 'args':
        script.args += rest
    elif what == 'run':
        script.before.append(rest)
    elif what == 'then':
        script.after.append(rest)
    elif what == 'by':
        script.command = rest[0]
    elif what == 'library':
        script.is_library = True
    elif what == 'alone':
        script.alone = rest[0]
    else:
        raise SystemExit(f'{path}: {script.name}: no such directive: {what}')


def words(line):
    """The words of a line, as redis-cli reads them; bytes."""
    found = []
    for quoted_word, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line):
        word = plain or re.sub(r'\\(x[0-9a-f]{2}|.)', unescape, quoted_word)
        found.append(word.encode('latin-1'))
    return found


def unescape(match):
    escape = match[1]
    return chr(int(escape[1:], 16)) if len(escape) == 3 else {'n': '\n', 'r': '\r', 't': '\t'}.get(escape, escape)


# Comparing.

class Comparison:
    def __init__(self, servers, a):
        self.servers, self.v = servers, a.v
        self.connections = [Connection(server.port) for server in servers]
        self.rows = script_rows.rows_for(self.connections[1].call('INFO', 'server').decode())
        self.passed = self.failed = self.errors = 0
        self.skipped, self.seen = collections.Counter(), set()

    def run(self, scripts):
        started = time.time()
        for script in scripts:
            for protocol, way in WAYS:
                if way == b'EVAL' or script.differs_by_way():
                    try:
                        self.compare(script, protocol, way)
                    except Closed as error:
                        self.failed += 1
                        self.show_closed(script, error)
        if self.v:
            for reason, count in self.skipped.most_common():
                print(f'  {count:5} skipped: {reason}')
            for script, *_, reason in self.rows:
                if f'{script}: {reason}' not in self.skipped:
                    print(f'  never skipped: {script}: {reason}')
            print(f'  {self.errors} equal replies were errors')
        print(f'{time.time() - started:.0f} s')
        print(f'{self.passed} passed, {self.failed} failed, {sum(self.skipped.values())} skipped')
        return 1 if self.failed or not self.passed else 0

    def compare(self, script, protocol, way):
        """One run of a script on both servers: one test."""
        commands = script.commands(way)
        fresh = [*FRESH, [b'HELLO', b'%d' % protocol]]
        connections = self.connections[:1] if script.alone else self.connections
        replies = []
        for connection in connections:
            connection.send(fresh + commands)
        for connection in connections:
            for argv in fresh:
                if connection.read()[:1] == b'-':
                    raise SystemExit(f'{quoted(argv)} fails')
            replies.append([connection.read() for _ in commands])
        if script.alone:
            replies.append(replies[0][:-1] + [replies[0][-1] if re.search(script.alone, replies[0][-1]) else script.alone])
        reason = None
        for argv, ours, reference in zip(commands, *replies):
            if ours == reference:
                self.errors += ours[:1] == b'-'
                continue
            reason = script_rows.reason_for(self.rows, script.name, ours, reference)
            if not reason:
                self.failed += 1
                self.show(script, protocol, argv, ours, reference)
                return
        if reason:
            self.skipped[reason] += 1
        else:
            self.passed += 1

    def show_closed(self, script, error):
        """Says whose connection ended, and goes on with servers and connections anew."""
        print(f'FAIL: {script.name}: {error}', flush=True)
        for at, server in enumerate(self.servers):
            if server.process.poll() is not None:
                print(f'    {"the reference" if at else "ours"} ended with {server.process.returncode}:\n{server.log_tail()}')
            binary = server.process.args[0]
            server.stop()
            self.servers[at] = Server(binary)
        self.connections = [Connection(server.port) for server in self.servers]

    def show(self, script, protocol, argv, ours, reference):
        if script.name in self.seen or len(self.seen) >= SHOWN_MAX:
            return
        self.seen.add(script.name)
        print(f'FAIL: {script.name}, RESP{protocol}\n    {quoted(argv)[:2000]}\n'
              f'    ours:      {around(ours, reference)}\n    reference: {around(reference, ours)}', flush=True)


def around(reply, other):
    """A reply, or of a long one what is about where it differs."""
    at = len(os.path.commonprefix([reply, other]))
    return shown(reply) if at < 200 else '... ' + shown(reply[at - 100:])


if __name__ == '__main__':
    sys.exit(main())
