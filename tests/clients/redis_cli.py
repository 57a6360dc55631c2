#!/usr/bin/env python3
"""What people do with redis-cli against a server with data: --bigkeys, --memkeys, --hotkeys, --scan, pipes.

usage: redis_cli.py --server BINARY [--cli redis-cli]

Starts the server in a folder of its own. The last line is 'N passed, N failed, N skipped'.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

OPTIONS = None
PORT = None

FILL = [
    'SET string:small value', 'SET string:big ' + 'x' * 5000,
    'RPUSH list:big ' + ' '.join(f'element-{i}' for i in range(300)), 'RPUSH list:small a',
    'SADD set:big ' + ' '.join(f'member-{i}' for i in range(400)), 'SADD set:small 1 2 3',
    'HSET hash:big ' + ' '.join(f'field-{i} value' for i in range(500)), 'HSET hash:small f v',
    'ZADD zset:big ' + ' '.join(f'{i} member-{i}' for i in range(600)), 'ZADD zset:small 1 m',
]


def cli(*arguments, stdin=None):
    result = subprocess.run([OPTIONS.cli, '-p', str(PORT), *arguments], input=stdin, capture_output=True, text=True,
                            timeout=60)
    return result.returncode, result.stdout + result.stderr


class Cli(unittest.TestCase):
    def setUp(self):
        self.assertEqual(cli('FLUSHALL')[1].strip(), 'OK')
        code, output = cli('--pipe', stdin='\n'.join(FILL) + '\n')
        self.assertIn('errors: 0, replies: 10', output)
        self.assertEqual(code, 0)

    def check(self, output, *patterns):
        for pattern in patterns:
            self.assertRegex(output, pattern)

    def test_bigkeys(self):
        code, output = cli('--bigkeys')
        self.assertEqual(code, 0, output)
        self.check(output, 'Sampled 10 keys in the keyspace', r'Biggest string found .*string:big.* has 5000 bytes',
                   r'Biggest\s+list found .*list:big.* has 300 items', r'Biggest\s+set found .*set:big.* has 400 members',
                   r'Biggest\s+hash found .*hash:big.* has 500 fields', r'Biggest\s+zset found .*zset:big.* has 600 members')

    def test_memkeys(self):
        code, output = cli('--memkeys')
        self.assertEqual(code, 0, output)
        self.check(output, 'Sampled 10 keys in the keyspace', r'Biggest\s+zset found .*zset:big.* has \d{5,} bytes',
                   r'Biggest string found .*string:big.* has [5-9]\d{3} bytes')

    def test_hotkeys(self):
        self.assertEqual(cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu')[1].strip(), 'OK')
        try:
            cli(stdin='HGET hash:big field-1\n' * 2000)
            code, output = cli('--hotkeys')
            self.assertEqual(code, 0, output)
            hottest = re.search(r'hot key found with counter: (\d+)\s+keyname: (.*)', output)
            self.assertIsNotNone(hottest, output)
            self.assertEqual(hottest.group(2).strip('"'), 'hash:big')
        finally:
            cli('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')

    def test_scan(self):
        self.assertEqual(len(cli('--scan')[1].split()), 10)
        self.assertEqual(sorted(cli('--scan', '--pattern', '*:big')[1].split()),
                         ['hash:big', 'list:big', 'set:big', 'string:big', 'zset:big'])

    def test_replies_are_shown(self):
        for protocol in ('-2', '-3'):
            self.assertEqual(cli(protocol, 'LRANGE', 'list:small', '0', '-1')[1].strip(), 'a')
            self.assertEqual(cli(protocol, 'HGETALL', 'hash:small')[1].split(), ['f', 'v'])
            self.assertEqual(cli(protocol, 'ZRANGE', 'zset:small', '0', '-1', 'WITHSCORES')[1].split(), ['m', '1'])
            self.assertEqual(cli(protocol, 'OBJECT', 'ENCODING', 'set:small')[1].strip(), 'intset')


def start(folder):
    global PORT
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        PORT = probe.getsockname()[1]
    server = subprocess.Popen([os.path.abspath(OPTIONS.server), '--port', str(PORT), '--save', '', '--dir', folder],
                              cwd=folder, stdout=open(f'{folder}/log', 'wb'), stderr=subprocess.STDOUT)
    for _ in range(200):
        if cli('PING')[1].strip() == 'PONG':
            return server
        time.sleep(0.05)
    sys.exit('the server does not start:\n' + open(f'{folder}/log', errors='replace').read())


def main():
    global OPTIONS
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('--cli', default='redis-cli')
    OPTIONS = ap.parse_args()
    folder = tempfile.mkdtemp(prefix='cli-')
    server = start(folder)
    try:
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(Cli)
        result = unittest.TextTestRunner(stream=sys.stdout).run(suite)
        failed = len(result.failures) + len(result.errors)
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{result.testsRun - failed} passed, {failed} failed, 0 skipped')
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
