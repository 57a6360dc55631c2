#!/usr/bin/env python3
"""What programs coordinate by, through redis-py: channels, transactions, pipelines, keyspace events, client-side caching.

usage: coordination.py --server BINARY [-v] [TestCase.test …]

Many threads at once, each with a connection of its own, and everything is counted: no message lost, doubled or out of order,
no update lost, no transaction seen half, no stale value kept. Over RESP2 and over RESP3.
The last line is 'N passed, N failed, N skipped'.
"""
import collections
import sys
import threading
import time
import unittest

import redis
from redis.backoff import NoBackoff
from redis.cache import CacheConfig
from redis.retry import Retry

import harness

WAIT_S = 10             # No step takes that long, not even on a slow machine.


class Session(harness.Session):
    def subscriber(self, **options):
        subscriber = self.client(**options).pubsub(ignore_subscribe_messages=True)
        self.addCleanup(subscriber.close)
        return subscriber

    def ready(self, subscriber, confirmations):
        """Waits until as many subscriptions are confirmed: the messages from now on all arrive."""
        replies = []
        while len(replies) < confirmations:
            reply = subscriber.parse_response(block=False, timeout=WAIT_S)
            self.assertIsNotNone(reply, 'no confirmation')
            replies.append(reply)
        return replies

    def message(self, subscriber, timeout=WAIT_S):
        """The next message; None if none comes. One that only a handler gets, or a confirmation, is no message."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            message = subscriber.get_message(timeout=max(0.01, deadline - time.monotonic()))
            if message is not None:
                return message
        return None

    def together(self, *tasks):
        """Runs the tasks in threads that start at once, and fails with the first one's failure."""
        failures, gate = [], threading.Barrier(len(tasks))

        def guarded(task):
            try:
                gate.wait(WAIT_S)
                task()
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def eventually(self, found, expected):
        deadline = time.monotonic() + WAIT_S
        while found() != expected and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(found(), expected)


class PubSub(Session):
    def test_channels_patterns_and_shards(self):
        subscriber = self.subscriber()
        subscriber.subscribe('news', 'weather')
        subscriber.psubscribe('n?ws', 'we*')
        subscriber.ssubscribe('shard')
        counts = [(str(kind), name, count) for kind, name, count in self.ready(subscriber, 5)]
        self.assertEqual(counts, [('subscribe', 'news', 1), ('subscribe', 'weather', 2), ('psubscribe', 'n?ws', 3),
                                  ('psubscribe', 'we*', 4), ('ssubscribe', 'shard', 1)])
        self.assertEqual(self.r.publish('news', 'one'), 2)
        self.assertEqual(self.r.publish('nobody', 'two'), 0)
        self.assertEqual(self.r.spublish('shard', 'three'), 1)
        self.assertEqual(self.r.publish('shard', 'four'), 0)
        got = [self.message(subscriber) for _ in range(3)]
        self.assertEqual([(m['type'], m['pattern'], m['channel'], m['data']) for m in got],
                         [('message', None, 'news', 'one'), ('pmessage', 'n?ws', 'news', 'one'),
                          ('smessage', None, 'shard', 'three')])
        self.assertEqual(sorted(self.r.pubsub_channels()), ['news', 'weather'])
        self.assertEqual(self.r.pubsub_channels('w*'), ['weather'])
        self.assertEqual(self.r.pubsub_shardchannels(), ['shard'])
        self.assertEqual(self.r.pubsub_numsub('news', 'nobody'), [('news', 1), ('nobody', 0)])
        self.assertEqual(self.r.pubsub_shardnumsub('shard'), [('shard', 1)])
        self.assertEqual(self.r.pubsub_numpat(), 2)
        subscriber.unsubscribe('news')
        subscriber.punsubscribe()
        subscriber.sunsubscribe()
        replies = self.ready(subscriber, 4)
        self.assertEqual(sorted(str(kind) for kind, _, _ in replies),
                         ['punsubscribe', 'punsubscribe', 'sunsubscribe', 'unsubscribe'])
        self.assertEqual(self.r.publish('news', 'five'), 0)
        self.assertEqual(self.r.publish('weather', 'six'), 1)

    def test_every_subscriber_gets_every_message_in_order(self):
        publishers, messages, channels = 4, 500, ('a', 'b', 'c')
        by = {'channel': lambda s: s.subscribe(*channels), 'pattern': lambda s: s.psubscribe('?', 'nothing*'),
              'shard': lambda s: s.ssubscribe(*channels)}
        subscribers = []
        for way, subscribe in by.items():
            for _ in range(3):
                subscriber = self.subscriber()
                subscribe(subscriber)
                self.ready(subscriber, 2 if way == 'pattern' else 3)
                subscribers.append((way, subscriber))
        delivered, got = collections.Counter(), [[] for _ in subscribers]

        def publish(publisher):
            client, receivers = self.client(), collections.Counter()
            for n in range(messages):
                text, channel = f'{publisher}:{n}', channels[n % len(channels)]
                receivers['plain'] += client.publish(channel, text)
                receivers['shard'] += client.spublish(channel, text)
            delivered.update(receivers)

        def receive(subscriber, into):
            while len(into) < publishers * messages:
                message = self.message(subscriber)
                if message is None:
                    return
                into.append((message['channel'], message['data']))

        self.together(*(lambda p=p: publish(p) for p in range(publishers)),
                      *(lambda s=s, g=g: receive(s, g) for (_, s), g in zip(subscribers, got)))
        # As many as PUBLISH said: to three by their names and to three by a pattern.
        self.assertEqual(delivered, {'plain': publishers * messages * 6, 'shard': publishers * messages * 3})
        for (way, _), each in zip(subscribers, got):
            self.assertEqual(len(each), publishers * messages, way)
            for publisher in range(publishers):
                own = [(channel, data) for channel, data in each if data.startswith(f'{publisher}:')]
                self.assertEqual(own, [(channels[n % len(channels)], f'{publisher}:{n}') for n in range(messages)], way)
        for _, subscriber in subscribers:
            self.assertIsNone(self.message(subscriber, timeout=0.02))

    def test_handlers_run_in_a_thread(self):
        got, failures, lock = collections.Counter(), [], threading.Lock()

        def count(message):
            with lock:
                got[message['type'], message['pattern'], message['channel']] += 1
            if message['data'] == 'fail':
                raise ValueError('a handler fails')

        subscriber = self.subscriber()
        subscriber.subscribe(jobs=count)
        subscriber.psubscribe(**{'job*': count})
        self.eventually(lambda: (self.r.pubsub_numsub('jobs')[0][1], self.r.pubsub_numpat()), (1, 1))
        thread = subscriber.run_in_thread(sleep_time=0.01, daemon=True, exception_handler=lambda e, *_: failures.append(str(e)))

        def publish():
            client = self.client()
            for n in range(200):
                client.publish('jobs' if n % 2 else 'jobless', n)

        self.together(publish, publish, publish)
        self.r.publish('jobs', 'fail')
        expected = {('message', None, 'jobs'): 301, ('pmessage', 'job*', 'jobs'): 301, ('pmessage', 'job*', 'jobless'): 300}
        self.eventually(lambda: dict(got), expected)
        self.eventually(lambda: failures, ['a handler fails'] * 2)
        thread.stop()
        thread.join(WAIT_S)
        self.assertFalse(thread.is_alive())
        self.eventually(lambda: (self.r.pubsub_numsub('jobs')[0][1], self.r.pubsub_numpat()), (0, 0))

    def test_bytes_pass_through(self):
        client = self.client(decode_responses=False)
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        self.addCleanup(subscriber.close)
        channel, data = b'\x00\xff\r\n*', bytes(range(256)) * 5000
        subscriber.subscribe(channel)
        self.ready(subscriber, 1)
        self.assertEqual(client.publish(channel, data), 1)
        self.assertEqual(client.publish(channel, b''), 1)
        got = [self.message(subscriber) for _ in range(2)]
        self.assertEqual([(m['channel'], m['data']) for m in got], [(channel, data), (channel, b'')])

    def test_a_subscribed_connection_answers_pings(self):
        subscriber = self.client(decode_responses=False, health_check_interval=1).pubsub(ignore_subscribe_messages=True)
        self.addCleanup(subscriber.close)
        subscriber.subscribe('news')
        self.ready(subscriber, 1)
        subscriber.ping('hello')
        self.assertEqual(self.message(subscriber)['data'], b'hello')
        # The client's own checks, whose answers it keeps to itself.
        time.sleep(1.1)
        self.assertIsNone(self.message(subscriber, timeout=0.2))
        self.r.publish('news', 'still there')
        self.assertEqual(self.message(subscriber)['data'], b'still there')

    def test_a_lost_subscriber_subscribes_again(self):
        subscriber = self.subscriber(client_name='subscriber', retry=Retry(NoBackoff(), 3))
        subscriber.subscribe('news')
        subscriber.psubscribe('n*')
        subscriber.ssubscribe('shard')
        self.ready(subscriber, 3)
        [own] = [c for c in self.r.client_list(_type='pubsub') if c['name'] == 'subscriber']
        self.assertEqual((own['sub'], own['psub'], own['ssub']), ('1', '1', '1'))
        self.assertEqual(self.r.client_kill_filter(_id=own['id']), 1)
        self.assertIsNone(self.message(subscriber, timeout=0.1))
        self.eventually(lambda: (self.r.pubsub_numsub('news')[0][1], self.r.pubsub_numpat(), len(self.r.pubsub_shardchannels())),
                        (1, 1, 1))
        self.assertEqual(self.r.publish('news', 'again'), 2)
        self.assertEqual(self.r.spublish('shard', 'again'), 1)
        self.assertEqual([self.message(subscriber)['type'] for _ in range(3)], ['message', 'pmessage', 'smessage'])


class Transactions(Session):
    def test_exec_answers_all(self):
        with self.r.pipeline(transaction=True) as pipeline:
            pipeline.set('a', 1).incr('a').rpush('list', 'x', 'y').hset('hash', mapping={'f': 'v'}).hgetall('hash')
            pipeline.lrange('list', 0, -1).zadd('z', {'m': 1.5}).zrange('z', 0, -1, withscores=True).blpop('nothing', timeout=5).get('none')
            replies = pipeline.execute()
        self.assertEqual(replies[:7], [True, 2, 2, 1, {'f': 'v'}, ['x', 'y'], 1])
        self.assertEqual([list(pair) for pair in replies[7]], [['m', 1.5]])
        self.assertEqual(replies[8:], [None, None])
        self.assertEqual(self.r.pipeline().execute(), [])

    def test_errors_in_exec_undo_nothing(self):
        pipeline = self.r.pipeline().set('s', 'text').lpush('s', 'x').incr('n').incr('s')
        replies = pipeline.execute(raise_on_error=False)
        self.assertEqual((replies[0], replies[2]), (True, 1))
        self.assertRegex(str(replies[1]), '^WRONGTYPE')
        self.assertRegex(str(replies[3]), 'value is not an integer')
        with self.assertRaisesRegex(redis.ResponseError, r'Command # 2 \(LPUSH s x\) of pipeline caused error'):
            self.r.pipeline().incr('n').lpush('s', 'x').incr('n').execute()
        self.assertEqual(self.r.get('n'), '3')

    def test_errors_while_queueing_abort(self):
        pipeline = self.r.pipeline().set('a', 1)
        pipeline.execute_command('NOSUCHCOMMAND')
        pipeline.execute_command('GET')
        with self.assertRaisesRegex(redis.ResponseError, r'Command # 2 \(NOSUCHCOMMAND\) of pipeline caused error: unknown'):
            pipeline.execute()
        self.assertIsNone(self.r.get('a'))
        c = self.client(single_connection_client=True)
        self.assertEqual(c.execute_command('MULTI'), 'OK')
        self.assertRaisesRegex(redis.ResponseError, 'not be nested|not allowed inside a transaction', c.execute_command, 'MULTI')
        self.assertRaisesRegex(redis.ResponseError, 'not allowed', c.execute_command, 'WATCH', 'a')
        self.assertRaisesRegex(redis.ResponseError, 'wrong number of arguments', c.execute_command, 'ECHO')
        self.assertRaisesRegex(redis.exceptions.ExecAbortError, 'discarded because of previous errors', c.execute_command, 'EXEC')
        self.assertRaisesRegex(redis.ResponseError, 'without MULTI', c.execute_command, 'EXEC')
        self.assertRaisesRegex(redis.ResponseError, 'without MULTI', c.execute_command, 'DISCARD')

    def test_discard(self):
        c = self.client(single_connection_client=True)
        c.execute_command('WATCH', 'a')
        c.execute_command('MULTI')
        self.assertEqual(c.execute_command('INCR', 'a'), 'QUEUED')
        self.assertEqual(c.execute_command('DISCARD'), 'OK')
        self.assertIsNone(c.get('a'))
        # DISCARD has ended the watch as well.
        self.r.set('a', 5)
        c.execute_command('MULTI')
        c.execute_command('INCR', 'a')
        self.assertEqual(c.execute_command('EXEC'), [6])

    def test_what_a_watch_sees(self):
        def touched(change, key='key'):
            with self.r.pipeline() as pipeline:
                pipeline.watch(key)
                pipeline.get(key)
                change(self.client())
                pipeline.multi()
                pipeline.incr('done')
                try:
                    pipeline.execute()
                    return False
                except redis.WatchError:
                    return True

        self.assertTrue(touched(lambda other: other.set('key', 1)))
        self.assertTrue(touched(lambda other: other.set('key', 1)))
        self.assertTrue(touched(lambda other: other.expire('key', 100)))
        self.assertFalse(touched(lambda other: other.get('key')))
        self.assertFalse(touched(lambda other: other.set('other', 1)))
        self.assertTrue(touched(lambda other: other.delete('key')))
        self.assertFalse(touched(lambda other: other.delete('key')))
        self.assertTrue(touched(lambda other: (other.set('key', 1), other.delete('key'))))
        self.assertFalse(touched(lambda other: self.client(db=1).set('key', 1)))
        self.assertTrue(touched(lambda other: other.swapdb(0, 1)))
        self.assertTrue(touched(lambda other: other.flushall()))
        self.assertFalse(touched(lambda other: other.flushall()))
        self.r.set('key', 1, px=30)
        self.assertTrue(touched(lambda other: time.sleep(0.06)))
        self.assertEqual(self.r.get('done'), '1')

    def test_no_update_is_lost_under_contention(self):
        workers, updates = 8, 100
        conflicts = collections.Counter()

        def work(worker):
            client = self.client()
            for _ in range(updates):
                with client.pipeline() as pipeline:
                    while True:
                        try:
                            pipeline.watch('counter', 'log')
                            value = int(pipeline.get('counter') or 0)
                            pipeline.multi()
                            pipeline.set('counter', value + 1)
                            pipeline.rpush('log', value)
                            self.assertEqual(pipeline.execute(), [True, value + 1])
                            break
                        except redis.WatchError:
                            conflicts[worker] += 1

        self.together(*(lambda w=w: work(w) for w in range(workers)))
        self.assertEqual(self.r.get('counter'), str(workers * updates))
        self.assertEqual(self.r.lrange('log', 0, -1), [str(n) for n in range(workers * updates)])
        self.assertGreater(conflicts.total(), 0, 'nobody contended')

    def test_transfers_keep_the_sum(self):
        accounts, transfers, start = [f'account:{n}' for n in range(5)], 60, 100
        self.r.mset({account: start for account in accounts})
        done = threading.Event()

        def transfer(worker):
            client = self.client()
            for n in range(transfers):
                giver, taker = accounts[(worker + n) % 5], accounts[(worker + 2 * n + 1) % 5]

                def move(pipeline):
                    balance = int(pipeline.get(giver))
                    pipeline.multi()
                    if balance > 0 and giver != taker:
                        pipeline.decrby(giver, 1 + balance // 10)
                        pipeline.incrby(taker, 1 + balance // 10)

                client.transaction(move, giver, taker)

        def watch_sum():
            client = self.client()
            while not done.is_set():
                balances = client.pipeline().mget(accounts).execute()[0]
                self.assertEqual(sum(map(int, balances)), start * len(accounts), balances)
                self.assertGreaterEqual(min(map(int, balances)), 0)

        def transfer_all():
            try:
                self.together(*(lambda w=w: transfer(w) for w in range(6)))
            finally:
                done.set()

        self.together(transfer_all, watch_sum, watch_sum)
        self.assertEqual(self.r.transaction(lambda p: (p.multi(), p.set('x', 1)), 'x', value_from_callable=False), [True])

    def test_no_transaction_is_seen_half(self):
        rounds, writers = 300, 3
        done = threading.Event()

        def write(writer):
            client = self.client()
            for _ in range(rounds):
                client.pipeline().incr('first').rpush('list', writer).incr('second').execute()

        def read():
            client = self.client()
            while not done.is_set():
                first, second = client.mget('first', 'second')
                self.assertEqual(first, second)

        def write_all():
            try:
                self.together(*(lambda w=w: write(w) for w in range(writers)))
            finally:
                done.set()

        self.together(write_all, read, read)
        self.assertEqual(self.r.mget('first', 'second'), [str(rounds * writers)] * 2)
        self.assertEqual(collections.Counter(self.r.lrange('list', 0, -1)), {str(w): rounds for w in range(writers)})

    def test_pipelines_without_transaction(self):
        workers, commands = 8, 2500

        def work(worker):
            pipeline = self.client().pipeline(transaction=False)
            for n in range(commands):
                pipeline.set(f'{worker}:{n % 100}', n).get(f'{worker}:{n % 100}').incr('all')
            replies = pipeline.execute()
            self.assertEqual(replies[0::3], [True] * commands)
            self.assertEqual(replies[1::3], [str(n) for n in range(commands)])
            self.assertEqual(replies[2::3], sorted(set(replies[2::3])))

        self.together(*(lambda w=w: work(w) for w in range(workers)))
        self.assertEqual(self.r.get('all'), str(workers * commands))
        replies = self.r.pipeline(transaction=False).set('s', 'x').lpush('s', 1).get('s').execute(raise_on_error=False)
        self.assertEqual((replies[0], replies[2]), (True, 'x'))
        self.assertRegex(str(replies[1]), '^WRONGTYPE')


class KeyspaceEvents(Session):
    def setUp(self):
        super().setUp()
        self.r.config_set('notify-keyspace-events', 'KEA')
        self.addCleanup(lambda: self.client().config_set('notify-keyspace-events', ''))

    def test_events_of_a_session(self):
        subscriber = self.subscriber()
        subscriber.psubscribe('__keyevent@0__:*')
        subscriber.subscribe('__keyspace@0__:key')
        self.ready(subscriber, 2)
        r = self.r
        r.set('key', 1, ex=100)
        r.rename('key', 'other')
        r.sadd('set', 'a')
        r.srem('set', 'a')
        r.set('key', 1, px=20)
        # The last one comes by itself: nobody asks for the key.
        got = [self.message(subscriber) for _ in range(16)]
        self.assertEqual([(m['channel'].split(':')[1], m['data']) for m in got if m['type'] == 'pmessage'],
                         [('set', 'key'), ('expire', 'key'), ('rename_from', 'key'), ('rename_to', 'other'), ('sadd', 'set'),
                          ('srem', 'set'), ('del', 'set'), ('set', 'key'), ('expire', 'key'), ('expired', 'key')])
        self.assertEqual([m['data'] for m in got if m['type'] == 'message'],
                         ['set', 'expire', 'rename_from', 'set', 'expire', 'expired'])

    def test_every_event_of_many_writers(self):
        writers, keys = 4, 250
        all_events, some_events = self.subscriber(), self.subscriber()
        all_events.psubscribe('__keyevent@0__:set')
        some_events.psubscribe('__keyspace@0__:0:*')
        self.ready(all_events, 1)
        self.ready(some_events, 1)

        def write(writer):
            client = self.client()
            for n in range(keys):
                client.set(f'{writer}:{n}', n)
                client.get(f'{writer}:{n}')

        self.together(*(lambda w=w: write(w) for w in range(writers)))
        got = [self.message(all_events)['data'] for _ in range(writers * keys)]
        for writer in range(writers):
            self.assertEqual([key for key in got if key.startswith(f'{writer}:')], [f'{writer}:{n}' for n in range(keys)])
        self.assertEqual([self.message(some_events)['channel'] for _ in range(keys)],
                         [f'__keyspace@0__:0:{n}' for n in range(keys)])
        self.assertIsNone(self.message(all_events, timeout=0.02))
        self.assertIsNone(self.message(some_events, timeout=0.02))


class Caching(Session):
    """redis-py's own client-side cache, which only RESP3 has."""

    def cached(self, size=1000):
        return self.client(cache_config=CacheConfig(max_size=size), single_connection_client=True)

    def asked(self, command):
        """How often the server was asked."""
        return self.r.info('commandstats').get(f'cmdstat_{command}', {'calls': 0})['calls']

    def test_a_cached_value_is_not_asked_for_again(self):
        c = self.cached()
        self.r.set('key', 'value')
        self.r.hset('hash', 'f', 'v')
        self.r.rpush('list', 'a', 'b')
        before = [self.asked(command) for command in ('get', 'hgetall', 'lrange', 'mget')]
        for _ in range(100):
            self.assertEqual(c.get('key'), 'value')
            self.assertEqual(c.hgetall('hash'), {'f': 'v'})
            self.assertEqual(c.lrange('list', 0, -1), ['a', 'b'])
            self.assertEqual(c.mget('key', 'none'), ['value', None])
        after = [self.asked(command) for command in ('get', 'hgetall', 'lrange', 'mget')]
        self.assertEqual([a - b for a, b in zip(after, before)], [1, 1, 1, 1])
        self.assertEqual(c.get_cache().size, 4)

    def test_what_others_do_ends_what_is_cached(self):
        c, r = self.cached(), self.r
        changes = [lambda: r.set('key', 'new'), lambda: r.append('key', '!'), lambda: r.delete('key'), lambda: r.set('key', 'back'),
                   lambda: r.rename('key', 'gone'), lambda: r.copy('gone', 'key'), lambda: r.pexpire('key', 20),
                   lambda: r.set('key', 'more'), lambda: r.flushdb(), lambda: r.mset({'key': 'a', 'b': 'b'}), lambda: r.flushall(),
                   lambda: r.pipeline().set('key', 1).incr('key').execute(), lambda: r.getdel('key')]
        for change in changes:
            c.get('key')
            change()
            # The client learns of it a moment after the other one has its reply.
            self.eventually(lambda: c.get('key') == r.get('key'), True)

    def test_an_expired_value_is_forgotten(self):
        c = self.cached()
        self.r.set('key', 'value', px=40)
        self.assertEqual(c.get('key'), 'value')
        self.assertEqual(c.get_cache().size, 1)
        self.eventually(lambda: c.get('key'), None)

    def test_a_cache_keeps_to_its_size(self):
        c = self.cached(size=10)
        for n in range(100):
            self.r.set(f'key:{n}', n)
            self.assertEqual(c.get(f'key:{n}'), str(n))
        self.assertEqual(c.get_cache().size, 10)
        self.r.set('key:99', 'new')
        self.eventually(lambda: c.get('key:99'), 'new')

    def test_the_server_forgets_the_oldest_keys_and_says_so(self):
        self.r.config_set('tracking-table-max-keys', 20)
        self.addCleanup(lambda: self.client().config_set('tracking-table-max-keys', 1_000_000))
        c = self.cached()
        for n in range(200):
            self.r.set(f'key:{n}', n)
            c.get(f'key:{n}')

        def sizes():
            c.ping()
            return c.get_cache().size <= 20, self.r.info('stats')['tracking_total_keys'] <= 20

        self.eventually(sizes, (True, True))

    def test_no_reader_keeps_a_stale_value(self):
        keys, readers, rounds = 20, 4, 30
        finals, reads = [], collections.Counter()
        done = threading.Event()
        before = self.asked('get')

        def write():
            client = self.client()
            for n in range(rounds):
                for key in range(keys):
                    client.set(f'key:{key}', n)
                    time.sleep(0.002)
            done.set()

        def read(reader):
            client, seen = self.cached(), [-1] * keys
            while True:
                last = done.is_set()
                for key in range(keys):
                    value = int(client.get(f'key:{key}') or -1)
                    self.assertGreaterEqual(value, seen[key], 'a value from before')
                    seen[key] = value
                    reads[reader] += 1
                if last:
                    break
            self.eventually(lambda: {client.get(f'key:{key}') for key in range(keys)}, {str(rounds - 1)})
            finals.append(reader)

        self.together(write, *(lambda n=n: read(n) for n in range(readers)))
        self.assertEqual(sorted(finals), list(range(readers)))
        self.assertLess(self.asked('get') - before, reads.total() // 2, 'nothing was cached')


class Redirection(Session):
    """Invalidations by hand, as a client of RESP2 gets them: through a second connection that subscribes to them."""

    def setUp(self):
        super().setUp()
        self.events = self.subscriber(client_name='invalidations')
        self.events.subscribe('__redis__:invalidate')
        self.ready(self.events, 1)
        [own] = [c for c in self.r.client_list(_type='pubsub') if c['name'] == 'invalidations']
        self.target = int(own['id'])
        self.c = self.client(single_connection_client=True)

    def invalidated(self, count):
        """That many keys, in the order of their invalidations, and no more."""
        keys = []
        while len(keys) < count:
            keys += self.message(self.events)['data']
        self.assertIsNone(self.message(self.events, timeout=0.02))
        return keys

    def test_keys_that_were_read(self):
        self.c.client_tracking_on(clientid=self.target)
        self.r.mset({'a': 1, 'b': 2})
        self.c.mget('a', 'b', 'none')
        self.r.set('a', 2)
        self.r.set('a', 3)
        self.r.delete('b')
        self.r.set('none', 1)
        self.assertEqual(self.invalidated(3), ['a', 'b', 'none'])
        self.c.get('a')
        self.c.set('a', 4)
        self.assertEqual(self.invalidated(1), ['a'])
        self.c.get('a')
        self.r.flushall()
        self.assertIsNone(self.message(self.events)['data'])
        self.assertEqual(self.c.client_getredir(), self.target)

    def test_prefixes_and_noloop(self):
        self.c.client_tracking_on(clientid=self.target, bcast=True, prefix=['user:', 'job:'], noloop=True)
        for key in ('user:1', 'other', 'job:1', 'user:2'):
            self.r.set(key, 1)
        self.c.set('user:3', 1)
        self.assertEqual(sorted(self.invalidated(3)), ['job:1', 'user:1', 'user:2'])

    def test_opting_in(self):
        self.c.client_tracking_on(clientid=self.target, optin=True)
        self.r.mset({'a': 1, 'b': 2})
        self.c.get('a')
        self.c.execute_command('CLIENT', 'CACHING', 'YES')
        self.c.get('b')
        self.r.mset({'a': 2, 'b': 3})
        self.assertEqual(self.invalidated(1), ['b'])

    def test_every_write_of_many_is_told(self):
        writers, keys = 4, 200
        self.c.client_tracking_on(clientid=self.target, bcast=True, prefix=['w:'])

        def write(writer):
            client = self.client()
            for n in range(keys):
                client.set(f'w:{writer}:{n}', n)

        self.together(*(lambda w=w: write(w) for w in range(writers)))
        self.assertEqual(sorted(self.invalidated(writers * keys)),
                         sorted(f'w:{w}:{n}' for w in range(writers) for n in range(keys)))


def over(protocol, *cases):
    """The cases over one protocol, as test cases of this module."""
    for case in cases:
        name = f'{case.__name__}Resp{protocol}'
        globals()[name] = type(name, (case, unittest.TestCase), {'protocol': protocol, '__module__': __name__})


over(2, PubSub, Transactions, KeyspaceEvents, Redirection)
over(3, PubSub, Transactions, KeyspaceEvents, Caching)

if __name__ == '__main__':
    harness.run(sys.modules[__name__])
