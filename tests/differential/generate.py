"""Random commands from the argument trees that COMMAND DOCS gives, with hostile values mixed in."""
import random
import time

import expected
from resp import Error, mapping

KEYS = [b's:0', b's:1', b's:2', b'i:0', b'i:1', b'b:0', b'b:1', b'none', b'', b'\x00\xff\r\n', b'long:' + b'k' * 300]
# Keys that may hold a value up to the size limit. Few commands touch them: LCS of two would take hours.
BIG_KEYS = [b'big:0', b'big:1']
BIG_COMMANDS = {'setbit', 'setrange', 'bitfield', 'bitfield_ro', 'getbit', 'bitcount', 'bitpos', 'strlen', 'getrange'}

INTEGERS = [b'0', b'1', b'2', b'-1', b'7', b'8', b'10', b'63', b'64', b'100']
HOSTILE_INTEGERS = [b'-0', b'007', b'+5', b' 1', b'1 ', b'2147483647', b'2147483648', b'-2147483648', b'-2147483649',
                    b'4294967295', b'4294967296', b'9223372036854775807', b'9223372036854775808',
                    b'-9223372036854775808', b'-9223372036854775809', b'18446744073709551615',
                    b'18446744073709551616', b'1' * 40, b'9223372036854775', b'-9223372036854775', b'1.0', b'1e3',
                    b'0x10', b'', b'-', b'abc', b'\x00', b'1\x00', b'536870911', b'8388607', b'8388608', b'1048576']
FLOATS = [b'0', b'1', b'-1', b'0.5', b'3.14159', b'-2.5e3', b'1e10', b'0.1', b'100.001', b'1e-7', b'123456789.123']
HOSTILE_FLOATS = [b'inf', b'-inf', b'+inf', b'infinity', b'nan', b'-nan', b'1e309', b'-1e309', b'1e4931', b'1e4933',
                  b'1e-400', b'1e-4951', b'1.7976931348623157e308', b'0x1p3', b'0x10', b'1e', b'e5', b'.5', b'5.', b'+.5',
                  b' 1.5', b'1.5 ', b'1,5', b'', b'.', b'-', b'1_0', b'1' * 60, b'0.' + b'3' * 60,
                  b'17976931348623157' + b'0' * 292, b'abc', b'1.5\x00']
STRINGS = [b'value', b'a', b'foobar', b'10', b'-5', b'3.5', b'ohmytext', b'mynewtext', b'a b', b'\xff' * 8, b'x' * 44,
           b'x' * 45]
HOSTILE_STRINGS = [b'', b'\x00', b'\r\n', b'\xf0\x9f\x92\xa5', b'*', b'%s%n', b'x' * 600, bytes(range(256))]
PATTERNS = [b'*', b's:*', b'?:0', b'[sb]:*', b'[^s]*', b'[a-i]:?', b'none', b'\\*', b'*:*', b'nothing*']
HOSTILE_PATTERNS = [b'', b'[', b'[]', b'[^', b'[a', b'[z-a]*', b'\\', b'*' * 50 + b'x', b'**', b'[\\]]*', b'a\\', b'[--]',
                    b'?' * 10]
ENCODINGS = [b'u1', b'u4', b'u8', b'i8', b'i5', b'u16', b'i32', b'u63', b'i64', b'i1']
HOSTILE_ENCODINGS = [b'u0', b'u64', b'i65', b'i0', b'u', b'x8', b'U8', b'i-1', b'u8 ', b'', b'8', b'u08']


class Generator:
    def __init__(self, seed, trees, tokens_known):
        """trees: {name: argument tree}; tokens_known: {name: tokens the reference documents}."""
        self.random = random.Random(seed)
        self.trees = trees
        self.tokens_known = tokens_known
        self.names = sorted(trees)
        self.weights = [1 if n in expected.SELDOM else 20 if group in ('string', 'bitmap', 'generic') else 4
                        for n in self.names for group in [trees[n]['group']]]
        self.tokens = sorted(set().union(*tokens_known.values()))

    def command(self):
        """(name, argv) of the next command."""
        r = self.random
        name = r.choices(self.names, self.weights)[0]
        self.name = name
        self.keys = BIG_KEYS if name in BIG_COMMANDS and r.random() < 0.04 else KEYS
        self.big = self.keys is BIG_KEYS
        argv = self.arguments(self.trees[name]['arguments'])
        if not self.big and r.random() < 0.25:
            argv = self.damage(argv)
        argv = [word.encode() for word in name.split('|')] + argv
        if r.random() < 0.05:
            argv[0] = r.choice([argv[0].upper(), argv[0].title()])
        if name not in BIG_COMMANDS or not self.big:
            self.tame_sizes(argv)
        self.tame_expiry(argv)
        if r.random() < 0.004:
            return 'nosuchcommand', [r.choice([b'nosuchcommand', b'', b'get\r\n', b'\xff', b'x' * 200])] + argv[1:]
        return name, argv

    def damage(self, argv):
        r = self.random
        argv = list(argv)
        for _ in range(r.choice([1, 1, 1, 2, 3])):
            kind = r.randrange(6)
            at = r.randrange(len(argv)) if argv else 0
            if kind == 0 and argv:
                argv[at] = self.hostile()
            elif kind == 1 and argv:
                del argv[at]
            elif kind == 2:
                argv.insert(at, self.hostile())
            elif kind == 3 and argv:
                argv.append(r.choice(argv))
            elif kind == 4 and len(argv) > 1:
                other = r.randrange(len(argv))
                argv[at], argv[other] = argv[other], argv[at]
            elif kind == 5:
                argv.insert(r.randrange(len(argv) + 1), r.choice(self.tokens).encode())
        return argv

    def hostile(self):
        return self.random.choice(self.random.choice(
            [HOSTILE_INTEGERS, HOSTILE_FLOATS, HOSTILE_STRINGS, HOSTILE_PATTERNS, INTEGERS, STRINGS, KEYS]))

    def arguments(self, tree):
        return [word for argument in tree for word in self.argument(argument)]

    def argument(self, argument):
        r = self.random
        flags = argument.get('flags', ())
        if 'optional' in flags and (r.random() < 0.6 or not self.is_known(argument)):
            return []
        repeat = 1
        if 'multiple' in flags:
            repeat = r.choice([1, 1, 2, 3, 5])
        words = []
        for n in range(repeat):
            token = argument.get('token')
            if token is not None and argument['type'] != 'pure-token' and (n == 0 or 'multiple_token' in flags):
                words.append(self.in_some_case(token))
            words += self.one(argument)
        return words

    def one(self, argument):
        r = self.random
        kind, name = argument['type'], argument['name'].lower()
        if kind == 'pure-token':
            return [self.in_some_case(argument['token'])]
        if kind == 'oneof':
            choices = [choice for choice in argument['arguments'] if self.is_known(choice)]
            return self.argument(r.choice(choices or argument['arguments']))
        if kind == 'block':
            return self.arguments(argument['arguments'])
        if kind == 'key':
            return [r.choice(self.keys)]
        if kind == 'pattern':
            return [self.pick(PATTERNS, HOSTILE_PATTERNS)]
        if kind == 'double' or (kind == 'integer' and self.name == 'incrbyfloat'):
            return [self.decimal()]
        if kind in ('integer', 'unix-time'):
            return [self.integer(kind, name)]
        return [self.string(name)]

    def is_known(self, argument):
        """False for an option that the reference does not have. Some of its commands document none."""
        known = self.tokens_known[self.name]
        return not known or 'token' not in argument or argument['token'].upper() in known

    def string(self, name):
        r = self.random
        if 'encoding' in name:
            return self.pick(ENCODINGS, HOSTILE_ENCODINGS)
        if name == 'operation':
            return self.pick([b'AND', b'OR', b'XOR', b'NOT', b'not'], [b'NAND', b''])
        if name == 'type':
            return self.pick([b'string', b'STRING', b'list', b'hash'], [b'nosuchtype', b''])
        if 'command' in name:
            return r.choice([b'get', b'SET', b'mset', b'bitop', b'lcs', b'nosuch', b'object|encoding'])
        if r.random() < 0.2:
            return str(r.randrange(-1000, 1000)).encode()
        if r.random() < 0.1:
            return self.decimal()
        return self.pick(STRINGS, HOSTILE_STRINGS)

    def integer(self, kind, name):
        r = self.random
        if 'second' in name or 'time' in name or kind == 'unix-time':
            return r.choice([b'0', b'-1', b'-100', str(r.randrange(10**6, 10**9)).encode(),
                             str(r.randrange(10**6, 10**9)).encode(), self.absolute(), r.choice(HOSTILE_INTEGERS)])
        if self.big:
            return r.choice([b'8388607', b'8388608', b'1048575', b'1048576', b'1048570', b'0', b'-1', b'131072'])
        if self.name.startswith('bitfield') and 'offset' in name and r.random() < 0.3:
            return b'#' + self.pick(INTEGERS, HOSTILE_INTEGERS)
        if r.random() < 0.2:
            return str(r.randrange(-20, 200)).encode()
        return self.pick(INTEGERS, HOSTILE_INTEGERS)

    def decimal(self):
        r = self.random
        if r.random() < 0.4:
            return repr(r.choice([1, -1]) * r.random() * 10 ** r.randrange(-5, 18)).encode()
        return self.pick(FLOATS, HOSTILE_FLOATS)

    def absolute(self):
        """A moment far away, in seconds or milliseconds."""
        r = self.random
        seconds = int(time.time()) + r.randrange(10**6, 10**8)
        return str(r.choice([seconds, seconds * 1000])).encode()

    def pick(self, usual, hostile):
        return self.random.choice(hostile if self.random.random() < 0.15 else usual)

    def in_some_case(self, token):
        return (token if self.random.random() < 0.8 else self.random.choice([token.lower(), token.title()])).encode()

    def tame_sizes(self, argv):
        """Keeps ordinary keys small: no offset may reach far into a value that the limit allows."""
        if self.name in ('setbit', 'setrange', 'bitfield'):
            for i, arg in enumerate(argv):
                number = as_integer(arg.lstrip(b'#'))
                if number is not None and 2000 < number * (64 if arg[:1] == b'#' else 1) and number < 2**24 * 64:
                    argv[i] = b'1999'

    def tame_expiry(self, argv):
        """Moves times at which a key would expire while the test runs far away."""
        command, places = argv[0].lower(), []
        if command in (b'expire', b'pexpire', b'expireat', b'pexpireat', b'setex', b'psetex'):
            places = [2]
        elif command in (b'set', b'getex'):
            places = [i + 1 for i, arg in enumerate(argv) if arg.lower() in (b'ex', b'px', b'exat', b'pxat')]
        now = time.time()
        for place in places:
            number = as_integer(argv[place]) if place < len(argv) else None
            if number is None:
                continue
            near = any(abs(number - moment) < 10**6 for moment in (now, now * 1000))
            if 0 < number < 10**6 or near:
                # A different number each time: whether an equal one is later is for the clock to say.
                argv[place] = str(self.random.randrange(10**7, 10**9)).encode()


def as_integer(text):
    try:
        return int(text)
    except ValueError:
        return None


def fetch_trees(ours, reference):
    """The argument trees of the commands of the families under test that both servers have."""
    families = ('string', 'bitmap', 'generic', 'connection', 'server')
    both = set(names(ours)) & set(names(reference))
    trees, tokens_known, undocumented = {}, {}, []
    for name in sorted(both):
        if is_not_sent(name):
            continue
        tree, known = docs(ours, name), docs(reference, name)
        if known['group'] not in families or known.get('subcommands'):
            continue
        if not tree['arguments'] and known['arguments']:
            tree = known
            undocumented.append(name)
        trees[name] = {'group': known['group'], 'arguments': tree['arguments']}
        tokens_known[name] = {token.upper() for token in tokens_of(known['arguments'])}
    return trees, tokens_known, undocumented


def is_not_sent(name):
    container, _, sub = name.partition('|')
    return sub == 'help' or name in expected.NOT_SENT or container in expected.NOT_SENT


def names(connection):
    reply = connection.call('COMMAND', 'LIST')
    if isinstance(reply, Error):
        raise SystemExit(f'COMMAND LIST: {reply.decode()}')
    found = [name.decode().lower() for name in reply]
    for container in ('client', 'command', 'config', 'latency', 'memory', 'object', 'slowlog'):
        found += subcommands(connection, container)
    return found


def subcommands(connection, container):
    entry = mapping(connection.call('COMMAND', 'DOCS', container))
    if not entry:
        return []
    described = mapping(next(iter(entry.values())))
    return [name.decode().lower() for name in mapping(described.get(b'subcommands', []))]


def docs(connection, name):
    entry = connection.call('COMMAND', 'DOCS', name)
    if isinstance(entry, Error) or not entry:
        return {'group': '', 'arguments': []}
    described = mapping(next(iter(mapping(entry).values())))
    return {'group': described.get(b'group', b'').decode(),
            'arguments': [argument_of(a) for a in described.get(b'arguments', [])],
            'subcommands': described.get(b'subcommands')}


def argument_of(value):
    value = mapping(value)
    argument = {'name': value[b'name'].decode(), 'type': value[b'type'].decode(),
                'flags': {flag.decode() for flag in value.get(b'flags', [])}}
    if b'token' in value:
        argument['token'] = value[b'token'].decode()
    if b'arguments' in value:
        argument['arguments'] = [argument_of(a) for a in value[b'arguments']]
    return argument


def tokens_of(tree):
    for argument in tree:
        if argument.get('token'):
            yield argument['token']
        yield from tokens_of(argument.get('arguments', []))
