"""What may differ between the two servers, and what is not sent to them: data, each with its reason.

A row of DIFFERENCES: (command, treatment, reason). The command is as COMMAND LIST names it; 'latency|*'
stands for all subcommands of LATENCY, 'z*' for all names with a z, '*' for every command. Words after it
must be among the command's words, those with '!' must not. 'encoding-list', 'digest-list' and the like are
OBJECT ENCODING and DEBUG DIGEST-VALUE of a known type, at the end of a round. Treatments:
  'shape'              replies need only be of the same kind (both errors, both integers, both arrays …)
  ('within', n)        integers may differ by n
  'unordered'          arrays must have the same elements, in any order
  'pairs'              fields must have the same values, in any order
  'collated'           the same elements in any order, if one of them has a NUL byte
  'size'               arrays must have as many elements
  'ties'               with COUNT, places must be as many, and as far away
  'random'             arrays must have as many elements, and none twice unless the count is negative
  'numbers'            a double may be written as short as possible where the reference writes 17 digits
  'stream-progress'    the same, and entries-read and lag may differ
  'stream'             what XINFO and XPENDING tell must agree, but for times that nearly agree or are not told alike
  'cut'                of two errors, the reference's may end where ours has a NUL byte
  (ours, reference)    a pair of regular expressions; both must match the replies' beginnings
  (ours, reference, n) the same, for commands of exactly n words
Replies treated so count as skipped. Rows that never applied are named at the end of a run with -v: a row
that no longer applies should be deleted.
"""

CLOCK = 'the two servers run a moment after one another'
OWN = "says something about the server's own run, machine or version"
SHORTEST = 'scores are written as short as possible since 7.2'
HINT = 'a key becomes large for as many elements as a command brings, even if not all are new, since 7.2'
TABLE = 'the order of a table is not promised'

DIFFERENCES = [
    ('ttl', ('within', 2), CLOCK),
    ('pttl', ('within', 3000), CLOCK),
    ('expiretime', ('within', 2), CLOCK),
    ('pexpiretime', ('within', 3000), CLOCK),
    ('object|idletime', ('within', 2), CLOCK),
    ('time', 'shape', CLOCK),
    ('dbsize', ('within', 100), 'counts keys that have expired and are not yet collected'),
    ('keys', 'unordered', 'the order of keys is not promised'),
    ('randomkey', 'shape', 'random'),
    ('scan', 'shape', 'cursor and order are private; whole iterations are compared at checkpoints'),
    ('smembers', 'unordered', TABLE),
    ('sinter', 'unordered', TABLE),
    ('sunion', 'unordered', TABLE),
    ('sdiff', 'unordered', TABLE),
    ('hkeys', 'unordered', TABLE),
    ('hvals', 'unordered', TABLE),
    ('hgetall', 'pairs', TABLE),
    ('sort by', 'unordered', 'a set BY nosort has the order of its table; equal weights have none with ALPHA'),
    ('sort_ro by', 'unordered', 'as SORT'),
    *[(name, 'ties', 'of places equally far away, COUNT may take any')
      for name in ('geosearch', 'georadius', 'georadius_ro', 'georadiusbymember', 'georadiusbymember_ro')],
    ('sort by limit', 'size', 'as above, cut off'),
    ('sort_ro by limit', 'size', 'as above, cut off'),
    ('sort alpha', 'collated', 'the reference compares text up to the first NUL byte'),
    ('sort_ro alpha', 'collated', 'as SORT'),
    ('sscan', 'shape', 'cursor and order are private; whole iterations are compared at checkpoints'),
    ('hscan', 'shape', 'as SSCAN'),
    ('zscan', 'shape', 'as SSCAN'),
    ('srandmember', 'random', 'random'),
    ('hrandfield', 'random', 'random'),
    ('zrandmember', 'random', 'random'),
    ('spop', 'random', 'random; the reference is made to take the same'),
    ('hello', 'shape', OWN),
    ('info', 'shape', OWN),
    ('client|id', 'shape', OWN),
    ('client|info', 'shape', OWN),
    ('client|list', 'shape', OWN),
    ('command', 'shape', OWN),
    ('command|count', 'shape', OWN),
    ('command|docs', 'shape', OWN),
    ('command|info', 'shape', OWN),
    ('command|list', 'shape', OWN),
    ('latency|*', 'shape', OWN),
    ('memory|usage', 'shape', OWN),
    ('memory|stats', 'shape', OWN),
    ('memory|doctor', 'shape', OWN),
    ('memory|malloc-stats', 'shape', OWN),
    ('slowlog|*', 'shape', OWN),
    ('xinfo|*', 'stream', CLOCK + '; the nodes of a tree are its own; consumers have an active time since 7.2'),
    ('xpending', 'stream', CLOCK),
    ('xinfo|*', 'stream-progress', 'entries-read and lag are judged differently since 7.2 where a counter was given or entries were deleted'),
    ('pfdebug', 'shape', 'a damaged value whose last opcode is cut off is not read beyond its end'),
    ('*', 'cut', 'what the reference quotes in an error text ends at its first NUL byte'),
    # What has changed since the reference's version, 7.0.
    ('bitcount', (r':\d|-ERR value is not', r'-ERR syntax error', 3), 'END may be left out since 8.1'),
    ('bitcount', (r'-ERR ', r':0\r|-WRONGTYPE'), 'arguments are checked before the key since 7.2'),
    ('bitcount', (r'-ERR syntax error', r'-ERR value is not', 5), 'the unit is checked before the numbers since 8.1'),
    ('bitpos', (r'-ERR ', r':(0|-1)\r|-WRONGTYPE'), 'arguments are checked before the key since 7.2'),
    ('scan', (r'-ERR unknown type name', r'\*2|-ERR'), 'unknown types are refused, at once, since 8.0'),
    ('scan', (r'-ERR invalid cursor', r'\*2|-ERR'), 'cursors must be plain numbers since 8.0'),
    ('scan', (r'-ERR syntax error|\*2', r'-ERR invalid cursor'), 'cursors are read differently since 8.0'),
    ('[shz]scan', (r'-ERR invalid cursor', r'\*2|-ERR|-WRONGTYPE'), 'as SCAN, before the key is looked at'),
    ('[shz]scan', (r'-ERR syntax error|\*2|-WRONGTYPE', r'-ERR invalid cursor'), 'as SCAN'),
    ('z*', 'numbers', SHORTEST),
    ('bz*', 'numbers', SHORTEST),
    ('digest-zset', 'shape', 'scores are digested as they are written'),
    ('zrank', (r'-ERR syntax error', r'-ERR wrong number'), 'takes WITHSCORE since 7.2'),
    ('zrevrank', (r'-ERR syntax error', r'-ERR wrong number'), 'as ZRANK'),
    ('lpos rank', (r'-ERR value is out of range, value must', r''), 'the lowest rank of all is refused since 7.2'),
    ('lrem', (r'-ERR value is out of range, value must', r''), 'the lowest count of all is refused since 7.2'),
    ('b*', (r'-ERR timeout is out of range', r'-ERR timeout is negative'), 'too long timeouts have their own error since 7.2'),
    ('encoding-list', (r'\$8\r\nlistpack', r'\$9\r\nquicklist'), 'short lists are listpacks since 7.2'),
    ('encoding-set', (r'\$8\r\nlistpack', r'\$9\r\nhashtable'), 'small sets are listpacks since 7.2'),
    ('encoding-set', (r'\$9\r\nhashtable|\$8\r\nlistpack', r'\$6\r\nintset'), HINT),
    ('encoding-hash', (r'\$9\r\nhashtable', r'\$8\r\nlistpack'), HINT),
    ('encoding-zset', (r'\$8\r\nskiplist', r'\$8\r\nlistpack'), HINT),
    ('object|encoding', (r'\$8\r\nlistpack', r'\$9\r\nquicklist|\$9\r\nhashtable'),
     'as above; the type is checked at the ends of rounds'),
    ('object|encoding', (r'\$8\r\nskiplist', r'\$8\r\nlistpack'), HINT),
    ('object|encoding', (r'\$9\r\nhashtable|\$8\r\nlistpack', r'\$6\r\nintset'), HINT),
    ('object|encoding', (r'\$9\r\nhashtable', r'\$8\r\nlistpack'), HINT),
    ('object|refcount', (r':2147483647\r', r':1\r'), 'an integer that COPY made is not shared in the reference'),
    ('hello', (r'-ERR Syntax error in HELLO', r'-WRONGPASS'), 'options are all read before AUTH is tried since 7.2'),
    ('object|refcount', (r':1\r', r':2147483647\r'), 'small integers are one shared object in 7.0'),
    ('object|idletime', (r':\d', r':\d'), 'small integers are one shared object in 7.0, with one idle time'),
    ('command|getkeys', (r'-ERR Invalid command', r'-ERR The command has no'), 'knows commands that are not built yet'),
    ('command|getkeys', (r'-ERR ', r'-ERR wrong number of arguments'), 'takes commands of one word since 7.2'),
    ('command|getkeysandflags', (r'-ERR Invalid command', r'-ERR The command has no'), 'knows commands that are not built yet'),
    ('command|getkeysandflags', (r'-ERR ', r'-ERR wrong number of arguments'), 'as GETKEYS'),
    ('client|unblock', (r'', r'-ERR unknown subcommand or wrong number'), 'arguments after the second'),
    ('client|list', (r'', r'-ERR syntax error|-ERR Invalid client ID'), 'knows more filters since 8.0'),
    ('client|list', (r'-ERR client-id should be', r''), 'numbers below 1 are no client IDs since 8.0'),
    ('xread', (r'[*$_%]|-WRONGTYPE', r'-ERR Invalid stream ID'), 'takes + since 7.4'),
    ('xreadgroup', (r'-ERR The \+ ID is meaningless', r'-ERR Invalid stream ID'), 'knows of + since 7.4'),
    ('xread*', (r'-ERR Unbalanced', r'-ERR Unbalanced'), 'names the command since 7.2'),
    ('memory|usage', (r'_\r|\$-1\r', r':'), 'a key set with a past expiry is deleted at once since 8.0'),
]

# Commands that are not sent, by their whole or container name.
NOT_SENT = {
    'help': 'help texts are in our own words (every HELP subcommand)',
    'quit': 'ends the connection; see the integration tests',
    'shutdown': 'ends the server',
    'monitor': 'turns the connection into a stream',
    'debug': 'not an interface',
    'client|kill': 'would end the test\'s own connections',
    'client|pause': 'would stop the test',
    'client|reply': 'replies would be missing; see the integration tests',
    'config|set': 'changes the rules while the test runs',
    'config|rewrite': 'there is no file',
    'config|get': 'the parameters of two versions; see the integration tests',
    'lolwut': 'art',
    # Not of the families under test: they need what later issues build.
    'client|tracking': 'client tracking',
    'client|trackinginfo': 'client tracking',
    'client|caching': 'client tracking',
    'client|getredir': 'client tracking',
    'dump': 'persistence', 'restore': 'persistence', 'migrate': 'persistence', 'save': 'persistence',
    'bgsave': 'persistence', 'bgrewriteaof': 'persistence', 'lastsave': 'persistence',
    'restore-asking': 'cluster',
    'pfselftest': 'takes half a second each time and answers nothing but OK',
    'wait': 'replication', 'replicaof': 'replication', 'slaveof': 'replication', 'replconf': 'replication',
    'psync': 'replication', 'sync': 'replication', 'failover': 'replication', 'role': 'replication',
    'acl': 'access control lists', 'module': 'modules',
}

# Commands sent seldom, because they empty the keyspace or undo what the others build up.
SELDOM = {'flushall', 'flushdb', 'swapdb', 'reset', 'hello', 'move', 'select', 'command', 'command|docs',
          'command|info', 'command|list', 'client|list', 'info', 'memory|stats', 'memory|purge',
          'memory|doctor', 'memory|malloc-stats', 'latency|doctor', 'auth'}

# What three connections may be told differently (connections.py): (a command of the step, '*' for every step, or '(waiting)' for one
# before which a connection was blocked or paused; treatment; reason). Treatments:
#   'version'            what HELLO tells of the version
#   'pattern-order'      one message may be pushed for several patterns in any order
#   'name-order'         channels may be listed in any order
#   'leaving-order'      channels may be left in any order, where all are
#   'null'               the null of an invalidation of all keys may be either protocol's
#   'pushes-last'        pushes may come before or after the replies of the same step
#   'events-first'       invalidations may come before or after keyspace events
#   'expired'            events may tell that a key was deleted or that it has expired
#   'batches'            several invalidations may be one
#   (ours, reference)    a pair of regular expressions; both must match the beginnings of replies at the same place
CONNECTIONS = [
    ('*', 'version', OWN),
    ('*', 'name-order', 'the order of the channels is not promised'),
    ('*', 'leaving-order', 'the order of the subscriptions is not promised'),
    ('*', 'null', 'a redirected invalidation of all keys has the null of the connection that gets it, not of the one that redirects'),
    ('*', 'pattern-order', 'the order of the patterns is not promised'),
    ('*', 'pushes-last', 'what a command causes to be pushed to its own connection comes after its reply since 7.2'),
    ('*', 'events-first', 'whether an invalidation comes before or after the event of the same change is different for each command'),
    ('*', 'expired', 'what has expired, or is given a time in the past, is told to be deleted by some commands of the reference'),
    ('(waiting)', 'batches', 'what waiting clients go on to change may be broadcast with what set them free, or after it'),
]

# What the three connections do not send: (regular expression of a whole command, when, reason). When: 'multi', in a transaction;
# 'waiting', in a round with client-side caching and blocking commands; 'paused', while writes are paused; 'left', after
# client-side caching was ended on the connection.
NOT_INTERLEAVED = [
    ('(MULTI|WATCH) ?.*', 'multi', 'lets a transaction fail as a whole since 7.2'),
    ('CLIENT TRACKING ON(?!.* BCAST).*', 'left', 'keys that were read before caching was ended are still told in the reference when it begins again'),
    ('SWAPDB .*', 'waiting', 'before 7.2 it is not broadcast what a client takes that was blocked'),
    ('CLIENT UNBLOCK .*', 'paused', 'before 7.2 a client that is held back by a pause counts as blocked'),
    ('CLIENT TRACKING .*BCAST.* NOLOOP', 'waiting', 'since 7.2 what a client takes that was blocked is its own change alone'),
]
