"""What scripts may be answered differently by two servers: data, each with its reason.

A row of REWORDED: (pattern, text, reason): what the pattern finds in either reply is told by this text in the one server or
another. Replies that are the same with all of these texts put in count as skipped, by the first reason that applied.

A row of the other tables: (script, ours, reference, reason). The script is a pattern of TOPIC/NAME; ours and reference are
regular expressions, found in the two replies. In place of both there may be
  'unordered'  the same elements in any order, also inside elements
  'numbers'    a number may be written as short as possible in one
"""
import re
from fnmatch import fnmatchcase

from resp import decode

WORDING = 'errors do not name Redis since Valkey 8'
ENGINES = 'there may be several engines since Valkey 8.1'

REWORDED = [
    (r'NOSCRIPT No matching script\.( Please use EVAL\.)?', 'NOSCRIPT', WORDING),
    (r'Unknown (Redis )?command called', 'Unknown command called', WORDING),
    (r'calling (Redis )?command', 'calling command', WORDING),
    (r'for this (redis lib )?call', 'for this call', WORDING),
    (r'This (Redis )?command is not allowed', 'This command is not allowed', WORDING),
    (r'(Lua redis lib command|Command) arguments must', 'Command arguments must', WORDING),
    (r'(server|redis)\.(\w+\(\)|register_function)', r'redis.\2', 'functions are named as those of `server` since Valkey 8'),
    (r'(Error registering functions: ERR )?((Library|Function) names can only contain|Function already exists)', r'\2',
     'is found out later since Valkey 8'),
    (r'(Library|Function) names can only contain', 'Names can only contain', 'names of functions were called those of libraries'),
    (r'Invalid (debug|log) level', 'Invalid log level', WORDING),
    (r'set_repl\(\) requires (two arguments|one argument)', 'set_repl()', 'was wrong in 7.0'),
    (r"(Unexpected engine in script shebang: #!|Could not find scripting engine ')(\w*)'?", r'no engine \2', ENGINES),
    (r"The user executing the script can't access at least one of the keys mentioned in the command arguments|"
     r'ACL failure in script: No permissions to access a key', 'no permissions to a key', 'says which rule since 7.2'),
    (r"The user executing the script can't run this command or subcommand|"
     r"ACL failure in script: User \w+ has no permissions to run the '\w+' command", 'no permissions to run it', 'says which rule since 7.2'),
    (r"(this user|User \w+) has no permissions to run the", 'no permissions to run the', 'names the user since 7.2'),
    (r'(this user has no|No) permissions to access (one of the keys used as arguments|a key)', 'no permissions to a key',
     'says which rule since 7.2'),
    (r'(function|table): 0x[0-9a-f]+', r'\1', 'tells an address'),
]

SHORTEST = 'numbers are written as short as possible since 7.2'
FROZEN = 'time stands still while a script runs since 7.2'
BLOCKING = 'may be called by scripts since 7.2'
OWN = "says something about the server's own version"
TABLE = 'the order of a table of Lua is not promised'
FENV = 'getfenv and setfenv are there in Valkey 8.1, and not in the 7.0 of Debian'

# Against both.
ANY = [
    ('replies/*', 'unordered', TABLE),
    ('random/reply *', 'unordered', TABLE),
    ('replies/what is no number*', r'nan\r', r'nan\r', 'the sign of what is no number'),
    ('returns/a deep array beyond*', r'reached lua stack limit', r'reached lua stack limit', 'the stack holds a level more or less'),
    ('returns/a table that contains itself', r'reached lua stack limit', r'reached lua stack limit', 'the stack holds a level more or less'),
    ('errors/pcall without an argument', r'value expected', r'attempt to call a boolean value', 'says what is wrong'),
    ('sandbox/load* of byte code', r'not byte code', r'unexpected symbol near', 'says what is wrong'),
    ('sandbox/the metatable of redis', r'true \| false', r'', 'is protected by a metatable that is not shown'),
    ('rules/HELLO*', r'^[%*]', r'^[%*]', OWN),
    ('sandbox/[gs]etfenv', r'', r"nonexistent global variable '[gs]etfenv'", FENV),
    ('sandbox/the global names', r'getfenv', r'', FENV),
    ('functions/what redis has in a function', r'', r'', 'a function finds what version 7.2 has'),
    ('numbers/*', r'', r'', 'random numbers go on from one script to the next, and some run on our server alone'),
    ('rules/a user who may not', r"unknown command 'ACL'|WRONGPASS|OK|", r'', 'there are no users yet'),
    ('api/commands that scripts may not call', r'Unknown command called', r'', 'names commands that are not built yet'),
    ('rules/the keys of scripts', r'Invalid arguments specified', r'^\*0', 'fewer keys than announced are an error since 7.2'),
]

# Against Redis 7.0.
REDIS_7_0 = [
    ('returns/doubles', 'numbers', SHORTEST),
    ('replies/*numbers*', 'numbers', SHORTEST),
    ('random/*', 'numbers', SHORTEST),
    ('api/server', r'table', r"nonexistent global variable 'server'", 'has this name since Valkey 8'),
    ('api/time stands still*', r'^\*2\r\n:1\r\n:1\r\n$', r'', FROZEN),
    ('api/a time to live stands still', r'^:1000\r', r'^:9\d\d\r', FROZEN),
    ('api/commands that*wait', r'^\*', r'not allowed from script', BLOCKING),
    ('api/waiting for a stream', r'^\$5\r\nfalse', r'not allowed with BLOCK', BLOCKING),
    ('api/waiting for replicas', r'^:0', r'not allowed from script', BLOCKING),
    ('replies/a missing array', r'^\*3', r'not allowed from script', BLOCKING),
    ('replies/nil in RESP3', r'^\*3', r'not allowed from script', BLOCKING),
    ('sandbox/*os*', r'', r"nonexistent global variable 'os'", 'os.clock is there since 7.2'),
    ('rules/first line of an engine in capitals', r'^[:$]', r'^-', ENGINES),
]

# Against Valkey 8.1.
VALKEY_8_1 = [
    ('rules/first line of an engine in capitals', r'^-', r'^[:$]', ENGINES),
    *[(f'sandbox/{name}', r'', r'', 'was not shut off before 8.1.4') for name in (
        'the global names', 'the metatable of text cannot be*', 'newproxy', 'getfenv', 'setfenv')],
]


def rows_for(info):
    """The rows for the reference whose INFO this is."""
    return ANY + (VALKEY_8_1 if 'valkey_version' in info else REDIS_7_0)


def reason_for(rows, name, ours, reference):
    """The reason, if this difference is an expected one."""
    for script, *treatment, reason in rows:
        if fnmatchcase(name, script) and treated(treatment, ours, reference):
            return f'{script}: {reason}'
    return reworded(ours, reference)


def treated(treatment, ours, reference):
    if treatment == ['unordered']:
        return sorted_all(decode(ours)) == sorted_all(decode(reference))
    if treatment == ['numbers']:
        ours, reference = (re.sub(rb'\$\d+\r\n', b'', reply).split(b'\r\n') for reply in (ours, reference))
        return len(ours) == len(reference) and all(map(same_number, ours, reference))
    return all(re.search(pattern.encode(), reply, re.S) for pattern, reply in zip(treatment, (ours, reference)))


def sorted_all(value):
    if isinstance(value, dict):
        return sorted(repr((key, sorted_all(each))) for key, each in value.items())
    return sorted(repr(sorted_all(each)) for each in value) if isinstance(value, list) else value


def same_number(one, other):
    try:
        return one == other or float(one.lstrip(b',')) == float(other.lstrip(b','))
    except ValueError:
        return False


def reworded(ours, reference):
    """The reason, if the two differ only in words of REWORDED."""
    # A text of another length has another length in front.
    ours, reference = (re.sub(rb'\$\d+\r\n', b'$', reply) for reply in (ours, reference))
    first = None
    for pattern, text, reason in REWORDED:
        before = ours, reference
        ours, reference = (re.sub(pattern.encode(), text.encode(), reply) for reply in before)
        if first is None and before != (ours, reference):
            first = reason
    return first if ours == reference else None
