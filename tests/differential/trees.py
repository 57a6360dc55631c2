"""The argument trees of the commands that both servers have, from COMMAND DOCS."""
import expected
from resp import Error, mapping

FAMILIES = ('string', 'bitmap', 'generic', 'connection', 'server', 'list', 'set', 'hash', 'sorted-set', 'geo', 'hyperloglog',
            'stream')


def fetch_trees(ours, reference):
    """The argument trees of the commands of the families under test that both servers have."""
    both = set(names(ours)) & set(names(reference))
    trees, tokens_known, undocumented = {}, {}, []
    for name in sorted(both):
        if is_not_sent(name):
            continue
        tree, known = docs(ours, name), docs(reference, name)
        if known['group'] not in FAMILIES or known.get('subcommands'):
            continue
        if not tree['arguments'] and known['arguments']:
            tree = known
            undocumented.append(name)
        trees[name] = {'group': known['group'], 'arguments': tree['arguments']}
        # None where the reference documents no arguments: then nothing is known of its options.
        tokens_known[name] = {token.upper() for token in tokens_of(known['arguments'])} if known['arguments'] else None
    return trees, tokens_known, undocumented


def is_not_sent(name):
    container, _, sub = name.partition('|')
    return sub == 'help' or name in expected.NOT_SENT or container in expected.NOT_SENT


def names(connection):
    reply = connection.call('COMMAND', 'LIST')
    if isinstance(reply, Error):
        raise SystemExit(f'COMMAND LIST: {reply.decode()}')
    found = [name.decode().lower() for name in reply]
    for container in ('client', 'command', 'config', 'latency', 'memory', 'object', 'slowlog', 'xgroup', 'xinfo'):
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
