#!/usr/bin/env python3
"""Lets the server run into a limit of its file's size, as into a full disk, and looks at what it acknowledges.

usage: full.py --server BINARY

For appendfsync always and everysec: writes until the append-only file cannot grow. From then on no write is acknowledged
(under always the first one gets no reply at all, others MISCONF), reads are; when the limit is gone writing goes on, a reply
that was held back arrives, and after a kill nothing is missing that was acknowledged.
The last line is 'N passed, N failed, N skipped'.
"""
import argparse
import resource
import socket
import subprocess
import tempfile
import time

LIMIT = 200_000
# Under everysec nothing is written for up to two seconds while the disk is busy, however much comes in.
WRITES_MAX = 500_000
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--server', required=True)
    server = parser.parse_args().server
    failed = 0
    for policy in ('always', 'everysec'):
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f'{policy}: {run(server, policy, folder)}')
            except (AssertionError, OSError) as error:
                failed += 1
                print(f'FAIL: {policy}: {error!r}')
                print(open(f'{folder}/log').read())
    print(f'{2 - failed} passed, {failed} failed, 0 skipped')
    raise SystemExit(failed > 0)


def run(program, policy, folder):
    process, port = start(program, policy, folder)
    try:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
        writer, other = Connection(port, 2), Connection(port, 5)
        acknowledged, reply = 0, '+OK'
        while reply == '+OK' and acknowledged < WRITES_MAX:
            reply = writer.run('SET', f'k{acknowledged}', 'v' * 100)
            acknowledged += reply == '+OK'
        assert reply is None if policy == 'always' else reply.startswith('-MISCONF Errors writing to the AOF file'), reply
        assert other.run('EXISTS', 'k1') == ':1'
        assert other.run('SET', 'more', 'x').startswith('-MISCONF')
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        if reply is None:
            writer.timeout(10)
            assert writer.read() == '+OK'
            acknowledged += 1
        for _ in range(100):
            if (reply := other.run('SET', 'more', 'x')) == '+OK':
                break
            time.sleep(0.1)
        assert reply == '+OK', reply
    finally:
        process.kill()
        process.wait()
    process, port = start(program, policy, folder)
    try:
        reader = Connection(port, 10)
        missing = [n for n in range(acknowledged) if reader.run('EXISTS', f'k{n}') != ':1']
        assert not missing, missing
    finally:
        process.kill()
        process.wait()
    return f'{acknowledged} writes acknowledged, none missing'


def start(program, policy, folder):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([program, '--port', str(port), '--dir', folder, '--save', '', '--appendonly', 'yes',
                                '--appendfsync', policy], stdout=open(f'{folder}/log', 'a'), stderr=subprocess.STDOUT)
    for _ in range(200):
        try:
            if Connection(port, 5).run('PING') == '+PONG':
                return process, port
        except OSError:
            pass
        time.sleep(0.05)
    process.kill()
    raise AssertionError('the server does not answer')


class Connection:
    """Sends commands and reads replies of one line; None if there is none in time."""

    def __init__(self, port, seconds):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=seconds)
        self.unread = b''

    def timeout(self, seconds):
        self.socket.settimeout(seconds)

    def run(self, *words):
        words = [word.encode() for word in words]
        self.socket.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(word), word) for word in words))
        return self.read()

    def read(self):
        while b'\r\n' not in self.unread:
            try:
                got = self.socket.recv(4096)
            except socket.timeout:
                return None
            assert got, 'the server closed the connection'
            self.unread += got
        line, self.unread = self.unread.split(b'\r\n', 1)
        return line.decode()


if __name__ == '__main__':
    main()
