"""What the sessions of redis-py share: the server under test in a folder of its own, and the run of a file's test cases."""
import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

SERVER = None           # The server under test, once run() has started it.


class Server:
    """The server under test, with a Unix socket beside its port."""

    def __init__(self, binary, *directives):
        self.binary, self.directives = binary, directives
        self.folder = tempfile.mkdtemp(prefix='clients-')
        self.unix = f'{self.folder}/socket'
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, '--port', str(self.port), '--save', '', '--dir', self.folder, '--unixsocket', self.unix,
             '--enable-debug-command', 'yes', '--logfile', f'{self.folder}/log', *self.directives],
            cwd=self.folder, stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                redis.Redis(port=self.port).ping()
                return
            except redis.exceptions.ConnectionError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        sys.exit(f'{self.binary} does not start: {self.log()}')

    def log(self):
        path = f'{self.folder}/log'
        return open(path, errors='replace').read()[-3000:] if os.path.exists(path) else ''

    def stop(self):
        self.process.terminate()
        code = self.process.wait(20)
        if code != 0:
            print(f'the server ended with {code}:\n{self.log()}')
        return code

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Session:
    """What test cases derive from, beside unittest.TestCase: clients of one protocol, and a server without data."""
    protocol = None

    def client(self, **options):
        options = {'port': SERVER.port, 'protocol': self.protocol, 'decode_responses': True, 'socket_timeout': 10,
                   'retry': Retry(NoBackoff(), 0), **options}
        client = redis.Redis(**options)
        self.addCleanup(client.close)
        return client

    def setUp(self):
        self.r = self.client()
        self.r.flushall()


def run(module):
    """Runs the module's test cases, or those that the command line names, against --server; never returns.
    The last line is 'N passed, N failed, N skipped'."""
    global SERVER
    ap = argparse.ArgumentParser(description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('-v', action='store_true')
    ap.add_argument('tests', nargs='*')
    a = ap.parse_args()
    SERVER = Server(os.path.abspath(a.server))
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(a.tests, module) if a.tests else loader.loadTestsFromModule(module)
    try:
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2 if a.v else 1).run(suite)
        failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
        if SERVER.stop() != 0:
            failed += 1
    finally:
        SERVER.process.kill()
        SERVER.remove()
    print(f'{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, {len(result.skipped)} skipped')
    sys.exit(1 if failed else 0)
