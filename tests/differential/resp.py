"""A connection that pipelines commands and keeps every reply's exact bytes."""
import re
import socket


class Closed(Exception):
    """The server closed the connection, or did not answer in time."""


def encode(argv):
    parts = [b'*%d\r\n' % len(argv)]
    for arg in argv:
        parts.append(b'$%d\r\n%b\r\n' % (len(arg), arg))
    return b''.join(parts)


class Connection:
    def __init__(self, port, timeout=20):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.at = b'', 0

    def send(self, commands):
        try:
            self.socket.sendall(b''.join(map(encode, commands)))
        except OSError as error:
            raise Closed(str(error)) from None

    def read(self):
        """One reply's bytes."""
        while True:
            end = reply_end(self.buffer, self.at)
            if end is not None:
                reply, self.at = self.buffer[self.at:end], end
                return reply
            self.fill()

    def fill(self):
        try:
            more = self.socket.recv(1 << 20)
        except OSError as error:
            raise Closed(str(error)) from None
        if not more:
            raise Closed('closed by the server')
        # A large reply in many pieces must not be copied once a piece.
        pieces, missing = [self.buffer[self.at:], more], missing_bytes(self.buffer, self.at) - len(more)
        while missing > 0:
            try:
                more = self.socket.recv(min(missing, 1 << 20))
            except OSError as error:
                raise Closed(str(error)) from None
            if not more:
                raise Closed('closed by the server')
            pieces.append(more)
            missing -= len(more)
        self.buffer, self.at = b''.join(pieces), 0

    def pipeline(self, commands):
        self.send(commands)
        return [self.read() for _ in commands]

    def call(self, *argv):
        """One command given as text or bytes; its reply as Python values."""
        argv = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in argv]
        return decode(self.pipeline([argv])[0])

    def close(self):
        self.socket.close()


def missing_bytes(buffer, at):
    """How much of a bulk string that starts at `at` is still to come; 0 when unknown."""
    line = buffer.find(b'\r\n', at)
    if line < 0 or buffer[at:at + 1] not in (b'$', b'='):
        return 0
    return max(0, line + 4 + int(buffer[at + 1:line]) - len(buffer))


def reply_end(buffer, at):
    """Where the reply that starts at `at` ends; None while it is incomplete."""
    replies = 1
    while replies:
        line = buffer.find(b'\r\n', at)
        if line < 0:
            return None
        kind = buffer[at]
        replies -= 1
        if kind in b'$=':
            length = int(buffer[at + 1:line])
            at = line + 2 if length < 0 else line + 4 + length
            if at > len(buffer):
                return None
        else:
            if kind in b'*~>':
                replies += max(0, int(buffer[at + 1:line]))
            elif kind in b'%':
                replies += 2 * int(buffer[at + 1:line])
            elif kind in b'|':
                replies += 1 + 2 * int(buffer[at + 1:line])
            elif kind not in b'+-:_#,(':
                raise Closed(f'no reply: {buffer[at:at + 80]!r}')
            at = line + 2
    return at


class Error(bytes):
    """An error reply's text."""


def decode(reply):
    """A reply's bytes as Python values: bytes, int, float, bool, None, list, dict, Error."""
    value, end = decode_at(reply, 0)
    assert end == len(reply)
    return value


def decode_at(buffer, at):
    line = buffer.index(b'\r\n', at)
    kind, text, at = buffer[at:at + 1], buffer[at + 1:line], line + 2
    if kind in b'$=':
        if text == b'-1':
            return None, at
        end = at + int(text)
        return buffer[at + 4 if kind == b'=' else at:end], end + 2
    if kind in b'*~>':
        if text == b'-1':
            return None, at
        items = []
        for _ in range(int(text)):
            item, at = decode_at(buffer, at)
            items.append(item)
        return items, at
    if kind == b'%':
        pairs = {}
        for _ in range(int(text)):
            key, at = decode_at(buffer, at)
            pairs[key], at = decode_at(buffer, at)
        return pairs, at
    scalar = {b'+': bytes, b'-': Error, b':': int, b'(': int, b',': float, b'#': lambda t: t == b't', b'_': lambda t: None}
    return scalar[kind](text), at


def mapping(value):
    """What RESP2 sends as a flat array and RESP3 as a map."""
    return value if isinstance(value, dict) else dict(zip(value[::2], value[1::2]))


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
