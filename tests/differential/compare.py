"""Which differences between two replies are expected ones, by the treatments that expected.py names."""
import re
from fnmatch import fnmatchcase

import expected
from resp import decode


def may_differ(name, argv, ours, reference):
    """The reason, if this difference is an expected one."""
    for command, treatment, reason in expected.DIFFERENCES:
        pattern, *conditions = command.split(' ')
        if fnmatchcase(name, pattern) and hold(conditions, argv) and treated(treatment, argv, ours, reference):
            return f'{command}: {reason}'
    return None


def hold(conditions, argv):
    """Whether a command has the words that a row asks for, and none of those it excludes."""
    words = {word.lower() for word in argv[1:]} if conditions else ()
    return all((c[1:].encode() not in words) if c[0] == '!' else (c.encode() in words) for c in conditions)


def treated(treatment, argv, ours, reference):
    if isinstance(treatment, tuple) and treatment[0] != 'within':
        return (treatment[2:] in ((), (len(argv),)) and re.match(treatment[0].encode(), ours)
                and re.match(treatment[1].encode(), reference))
    if treatment == 'cut':
        return ours[:1] == b'-' and b'\0' in ours and ours.partition(b'\0')[0] + b'\r\n' == reference
    if ours[:1] != reference[:1] or ours[:1] == b'-':
        return False
    if treatment == 'numbers':
        return are_same_numbers(ours, reference)
    if treatment == 'collated':
        # Only where a member has a NUL byte.
        return b'\0' in ours and is_permutation(decode(ours), decode(reference))
    ours, reference = decode(ours), decode(reference)
    if treatment == 'shape':
        return (ours is None) == (reference is None)
    if treatment == 'unordered':
        return is_permutation(ours, reference)
    if treatment == 'pairs':
        return are_same_pairs(ours, reference)
    if treatment in ('stream', 'stream-progress'):
        return is_same_stream(ours, reference, NOT_COMPARED | (JUDGED if treatment == 'stream-progress' else set()))
    if treatment == 'size':
        return isinstance(ours, list) and isinstance(reference, list) and len(ours) == len(reference)
    if treatment == 'ties':
        return any(word.upper() == b'COUNT' for word in argv) and have_same_distances(ours, reference)
    if treatment == 'random':
        return are_alike(argv, ours, reference)
    # Negative answers say something other than a time.
    return ours >= 0 and reference >= 0 and abs(ours - reference) <= treatment[1]


# What XINFO tells of streams, groups and consumers, by its name; and what of that is not compared.
STREAM_FIELDS = {b'length', b'radix-tree-keys', b'radix-tree-nodes', b'last-generated-id', b'max-deleted-entry-id', b'entries-added',
                 b'recorded-first-entry-id', b'entries', b'groups', b'first-entry', b'last-entry', b'name', b'last-delivered-id',
                 b'entries-read', b'lag', b'pel-count', b'pending', b'pel', b'consumers', b'seen-time', b'active-time', b'idle', b'inactive'}
NOT_COMPARED = {b'radix-tree-nodes', b'seen-time', b'active-time', b'idle', b'inactive'}
# How far a group has read is judged differently since 7.2, where it cannot be known for certain.
JUDGED = {b'entries-read', b'lag'}
CLOCK_MS = 5000


def is_same_stream(ours, reference, left_out):
    """What XINFO and XPENDING tell, but for times that only nearly agree: those of deliveries, and the idle ones."""
    ours, reference = with_names(ours), with_names(reference)
    if isinstance(ours, dict) and isinstance(reference, dict):
        names = (ours.keys() | reference.keys()) - left_out
        return all(name in ours and name in reference and is_same_stream(ours[name], reference[name], left_out) for name in names)
    if not isinstance(ours, list) or not isinstance(reference, list):
        return ours == reference
    if len(ours) != len(reference):
        return False
    kinds = [[type(e) for e in each] for each in (ours, reference)]
    if kinds[0] == kinds[1] and kinds[0] in ([bytes, bytes, int, int], [bytes, int, int]):
        at = len(ours) - 2
        return ours[:at] + ours[at + 1:] == reference[:at] + reference[at + 1:] and abs(ours[at] - reference[at]) <= CLOCK_MS
    return all(is_same_stream(*pair, left_out) for pair in zip(ours, reference))


def with_names(value):
    """A map of RESP3, or the same as the array that RESP2 makes of it, as a map."""
    if isinstance(value, list) and value and len(value) % 2 == 0 and all(
            isinstance(name, bytes) and name in STREAM_FIELDS for name in value[::2]):
        return dict(zip(value[::2], value[1::2]))
    return value


def is_permutation(ours, reference):
    return (isinstance(ours, list) and isinstance(reference, list)
            and sorted(map(repr, ours)) == sorted(map(repr, reference)))


def have_same_distances(ours, reference):
    """As many places, and as far away one by one if that is told."""
    if not isinstance(ours, list) or not isinstance(reference, list):
        return False
    told = [[place[1] for place in reply if isinstance(place, list)] for reply in (ours, reference)]
    return len(ours) == len(reference) and told[0] == told[1]


def are_same_pairs(ours, reference):
    """Fields with their values, in any order: a flat array of RESP2 or a map of RESP3."""
    if isinstance(ours, dict):
        return ours == reference
    return (isinstance(ours, list) and isinstance(reference, list) and len(ours) == len(reference)
            and sorted(zip(ours[::2], ours[1::2])) == sorted(zip(reference[::2], reference[1::2])))


def are_alike(argv, ours, reference):
    """Random elements: as many, and none twice unless that was asked for."""
    if not isinstance(ours, list) or not isinstance(reference, list):
        return isinstance(ours, bytes) and isinstance(reference, bytes)
    if len(ours) != len(reference):
        return False
    if len(argv) > 2 and argv[2][:1] == b'-':
        return True
    names = [repr(e[0]) if isinstance(e, list) else repr(e) for e in ours]
    if len(argv) > 3 and not any(isinstance(e, list) for e in ours):
        names = names[::2]
    return len(set(names)) == len(names)


def are_same_numbers(ours, reference):
    """Equal but for doubles that the reference writes with 17 digits and ours with no more than it needs."""
    ours, reference = ours.split(b'\r\n'), reference.split(b'\r\n')
    return len(ours) == len(reference) and all(
        one == other or one[:1] == other[:1] == b'$' or is_shorter_double(one.lstrip(b','), other.lstrip(b','))
        for one, other in zip(ours, reference))


def is_shorter_double(ours, reference):
    try:
        value = float(ours)
    except ValueError:
        return False
    if b'%.17g' % value != reference:
        return False
    # Whole numbers have no exponent. Of two shortest forms either will do.
    return (abs(value) < 2**63 and ours == b'%d' % value) or len(digits(ours)) <= len(digits(repr(value).encode()))


def digits(number):
    """A number's significant digits, wherever its point and whatever its exponent."""
    return number.lower().partition(b'e')[0].replace(b'.', b'').lstrip(b'-0').rstrip(b'0')
