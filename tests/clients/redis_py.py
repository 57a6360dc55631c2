#!/usr/bin/env python3
"""A session of real use by redis-py: pipelines, decoding, pools and threads, time-outs, RESP2 and RESP3.

usage: redis_py.py --server BINARY [-v] [TestCase.test …]

Needs the package in requirements.txt beside this file. Starts the server in a folder of its own.
The last line is 'N passed, N failed, N skipped'.
"""
import os
import sys
import threading
import time
import unittest

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

import harness


class Session(harness.Session):
    """The session; run once over each protocol by the classes below."""

    def test_strings(self):
        r = self.r
        self.assertTrue(r.set('key', 'välue'))
        self.assertEqual(r.get('key'), 'välue')
        self.assertIsNone(r.get('none'))
        self.assertEqual(r.strlen('key'), 6)
        self.assertEqual(r.append('key', '!'), 7)
        self.assertEqual(r.getrange('key', 0, 0), 'v')
        self.assertEqual(r.setrange('key', 6, '?'), 7)
        self.assertEqual(r.getset('key', 'new'), 'välue?')
        self.assertEqual(r.getdel('key'), 'new')
        self.assertTrue(r.mset({'a': 1, 'b': 2.5}))
        self.assertEqual(r.mget('a', 'none', 'b'), ['1', None, '2.5'])
        self.assertFalse(r.msetnx({'b': 1, 'c': 1}))
        self.assertEqual(r.incr('a', 41), 42)
        self.assertEqual(r.decr('a'), 41)
        self.assertEqual(r.incrbyfloat('b', 0.25), 2.75)
        self.assertEqual(r.lcs('a', 'a', len=True), 2)
        with self.assertRaisesRegex(redis.ResponseError, 'value is not an integer or out of range'):
            r.incr('b')

    def test_lists(self):
        r = self.r
        self.assertEqual(r.rpush('list', 'b', 'c', 'd'), 3)
        self.assertEqual(r.lpush('list', 'a'), 4)
        self.assertEqual(r.lrange('list', 0, -1), ['a', 'b', 'c', 'd'])
        self.assertEqual(r.lindex('list', -1), 'd')
        self.assertEqual(r.linsert('list', 'before', 'c', 'x'), 5)
        self.assertEqual(r.lpos('list', 'x'), 2)
        self.assertEqual(r.lrem('list', 0, 'x'), 1)
        self.assertTrue(r.lset('list', 0, 'A'))
        self.assertEqual(r.lmove('list', 'other', 'LEFT', 'RIGHT'), 'A')
        self.assertEqual(r.lmpop(2, 'none', 'list', direction='RIGHT', count=2), ['list', ['d', 'c']])
        self.assertEqual(r.lpop('list', 5), ['b'])
        self.assertEqual(r.exists('list'), 0)
        r.rpush('big', *range(5000))
        self.assertEqual(r.object('encoding', 'big'), 'quicklist')
        self.assertEqual(r.lrange('big', 4990, 4992), ['4990', '4991', '4992'])
        self.assertTrue(r.ltrim('big', 10, 19))
        self.assertEqual(r.llen('big'), 10)

    def test_sets(self):
        r = self.r
        self.assertEqual(r.sadd('a', 1, 2, 3, 'x'), 4)
        self.assertEqual(r.sadd('b', 2, 3, 4), 3)
        self.assertEqual(set(r.smembers('a')), {'1', '2', '3', 'x'})
        self.assertEqual(set(r.sinter('a', 'b')), {'2', '3'})
        self.assertEqual(set(r.sdiff('a', 'b')), {'1', 'x'})
        self.assertEqual(r.sunionstore('c', 'a', 'b'), 5)
        self.assertEqual(r.sintercard(2, ['a', 'b']), 2)
        self.assertEqual(r.smismember('a', ['1', 'nothing']), [1, 0])
        self.assertTrue(r.smove('a', 'b', 'x'))
        self.assertEqual(len(r.srandmember('c', -20)), 20)
        self.assertEqual(len(r.spop('c', 2)), 2)
        self.assertEqual(r.srem('b', 'x', 'nothing'), 1)
        r.sadd('big', *range(3000), 'text')
        self.assertEqual(len(set(r.sscan_iter('big', count=100))), 3001)

    def test_hashes(self):
        r = self.r
        self.assertEqual(r.hset('hash', mapping={'name': 'Ada', 'age': 36}), 2)
        self.assertEqual(r.hgetall('hash'), {'name': 'Ada', 'age': '36'})
        self.assertEqual(r.hmget('hash', 'age', 'none'), ['36', None])
        self.assertEqual(r.hincrby('hash', 'age', 1), 37)
        self.assertEqual(r.hincrbyfloat('hash', 'weight', 0.5), 0.5)
        self.assertEqual(r.hdel('hash', 'weight', 'none'), 1)
        self.assertFalse(r.hsetnx('hash', 'name', 'Bob'))
        self.assertEqual(r.hexpire('hash', 100, 'name', 'none'), [1, -2])
        self.assertEqual(r.httl('hash', 'name', 'age'), [100, -1])
        self.assertEqual(r.hpersist('hash', 'name'), [1])
        self.assertEqual(r.hpexpire('hash', 1, 'name'), [1])
        time.sleep(0.01)
        self.assertIsNone(r.hget('hash', 'name'))
        self.assertEqual(r.hkeys('hash'), ['age'])
        r.hset('big', mapping={f'f{i}': i for i in range(3000)})
        self.assertEqual(len(dict(r.hscan_iter('big', count=100))), 3000)
        self.assertEqual(len(set(r.hscan_iter('big', no_values=True))), 3000)

    def test_sorted_sets(self):
        r = self.r
        self.assertEqual(r.zadd('z', {'a': 1, 'b': 2.5, 'c': float('inf')}), 3)
        self.assertEqual(r.zscore('z', 'b'), 2.5)
        self.assertEqual([tuple(pair) for pair in r.zrange('z', 0, -1, withscores=True)],
                         [('a', 1.0), ('b', 2.5), ('c', float('inf'))])
        self.assertEqual(r.zrangebyscore('z', '(1', '+inf'), ['b', 'c'])
        self.assertEqual(r.zrange('z', 'inf', 0, byscore=True, desc=True, offset=1, num=1), ['b'])
        self.assertEqual(r.zrevrank('z', 'a'), 2)
        self.assertEqual(r.zincrby('z', 10, 'a'), 11)
        self.assertEqual(r.zadd('z', {'a': 5}, gt=True, ch=True), 0)
        self.assertEqual(r.zmscore('z', ['a', 'none']), [11, None])
        r.zadd('y', {'a': 1, 'd': 4})
        self.assertEqual(r.zunionstore('u', {'z': 2, 'y': 1}, aggregate='MAX'), 4)
        self.assertEqual(r.zscore('u', 'a'), 22)
        self.assertEqual(r.zinter(['z', 'y']), ['a'])
        self.assertEqual(r.zremrangebyrank('u', 0, 0), 1)
        self.assertEqual(len(r.zpopmin('u', 2)), 2)
        r.zadd('big', {f'm{i:05}': i for i in range(3000)})
        self.assertEqual(r.zrangebylex('lex', '-', '+'), [])
        self.assertEqual(r.zcount('big', 100, 199), 100)
        self.assertEqual(len(dict(r.zscan_iter('big', count=100))), 3000)

    def test_waiting(self):
        r, other = self.r, self.client()
        started = time.monotonic()
        self.assertIsNone(r.blpop(['none'], timeout=0.2))
        self.assertGreaterEqual(time.monotonic() - started, 0.2)
        got = []
        waiter = threading.Thread(target=lambda: got.append(self.client().blpop(['first', 'second'], timeout=5)))
        waiter.start()
        self.wait_for(lambda: other.info('clients')['blocked_clients'] == 1)
        other.rpush('second', 'value', 'more')
        waiter.join()
        self.assertEqual([list(reply) for reply in got], [['second', 'value']])
        self.assertEqual(other.lrange('second', 0, -1), ['more'])
        other.zadd('z', {'m': 1})
        self.assertEqual(list(r.bzpopmin(['z'], timeout=1)), ['z', 'm', 1.0])

    def wait_for(self, condition):
        deadline = time.monotonic() + 5
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def test_geo_and_cardinality(self):
        r = self.r
        self.assertEqual(r.geoadd('geo', [13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania']), 2)
        self.assertAlmostEqual(r.geodist('geo', 'Palermo', 'Catania', unit='km'), 166.2742, places=3)
        self.assertEqual(r.geosearch('geo', longitude=15, latitude=37, radius=100, unit='km'), ['Catania'])
        self.assertEqual(r.geohash('geo', 'Palermo'), ['sqc8b49rny0'])
        r.pfadd('p', *range(1000))
        self.assertAlmostEqual(r.pfcount('p'), 1000, delta=30)
        r.pfadd('q', 'x')
        self.assertTrue(r.pfmerge('both', 'p', 'q'))

    def test_sort(self):
        r = self.r
        r.rpush('numbers', 3, 1, 2)
        r.mset({'w:1': 9, 'w:2': 8, 'w:3': 7})
        self.assertEqual(r.sort('numbers'), ['1', '2', '3'])
        self.assertEqual(r.sort('numbers', by='w:*', get=['#', 'w:*'], groups=True), [('3', '7'), ('2', '8'), ('1', '9')])
        self.assertEqual(r.sort('numbers', desc=True, store='sorted'), 3)
        self.assertEqual(r.lrange('sorted', 0, -1), ['3', '2', '1'])

    def test_bytes(self):
        raw = self.client(decode_responses=False)
        value = bytes(range(256)) * 40
        raw.set(b'\x00key\xff', value)
        self.assertEqual(raw.get(b'\x00key\xff'), value)
        self.assertEqual(raw.keys(), [b'\x00key\xff'])

    def test_large_values(self):
        raw = self.client(decode_responses=False)
        value = os.urandom(8 << 20)
        raw.set('key', value)
        self.assertEqual(raw.get('key'), value)
        self.assertEqual(raw.getrange('key', 100, 199), value[100:200])

    def test_set_options(self):
        r = self.r
        self.assertTrue(r.set('key', 1, ex=100, nx=True))
        self.assertIsNone(r.set('key', 2, nx=True))
        self.assertEqual(r.set('key', 3, xx=True, keepttl=True, get=True), '1')
        self.assertTrue(95 <= r.ttl('key') <= 100)
        self.assertEqual(r.getex('key', persist=True), '3')
        self.assertEqual(r.ttl('key'), -1)
        r.set('key', 4, px=30)
        time.sleep(0.08)
        self.assertFalse(r.exists('key'))
        r.set('key', 5, exat=2_000_000_000)
        self.assertEqual(r.expiretime('key'), 2_000_000_000)

    def test_expiry(self):
        r = self.r
        r.set('key', 1)
        self.assertFalse(r.expire('key', 100, xx=True))
        self.assertTrue(r.expire('key', 100, nx=True))
        self.assertFalse(r.expire('key', 50, gt=True))
        self.assertTrue(r.pexpire('key', 50_000, lt=True))
        self.assertTrue(40_000 < r.pttl('key') <= 50_000)
        self.assertTrue(r.persist('key'))
        self.assertTrue(r.expireat('key', 1))
        self.assertEqual(r.ttl('key'), -2)

    def test_generic(self):
        r = self.r
        r.mset({'a': 1, 'b': 'text'})
        self.assertEqual(r.exists('a', 'b', 'c', 'a'), 3)
        self.assertEqual(r.type('a'), 'string')
        self.assertEqual(r.object('encoding', 'a'), 'int')
        self.assertTrue(r.copy('a', 'c'))
        self.assertTrue(r.rename('c', 'd'))
        self.assertFalse(r.renamenx('d', 'a'))
        with self.assertRaisesRegex(redis.ResponseError, 'no such key'):
            r.rename('c', 'e')
        self.assertTrue(r.move('d', 3))
        self.assertEqual(self.client(db=3).get('d'), '1')
        self.assertEqual(r.touch('a', 'b', 'c'), 2)
        self.assertIn(r.randomkey(), {'a', 'b'})
        self.assertEqual(r.unlink('a', 'b', 'c'), 2)
        self.assertEqual(r.dbsize(), 0)

    def test_bits(self):
        r = self.r
        self.assertEqual(r.setbit('bits', 7, 1), 0)
        self.assertEqual(r.getbit('bits', 7), 1)
        self.assertEqual(r.bitcount('bits'), 1)
        self.assertEqual(r.bitpos('bits', 1), 7)
        self.assertEqual(r.bitfield('field').set('u8', '#0', 255).overflow('SAT').incrby('u8', '#0', 10).execute(), [0, 255])
        self.assertEqual(r.bitop('OR', 'dest', 'bits', 'field'), 1)

    def test_pipeline(self):
        with self.r.pipeline(transaction=False) as pipe:
            for n in range(1000):
                pipe.set(f'key:{n}', n).get(f'key:{n}')
            replies = pipe.execute()
        self.assertEqual(replies[1::2], [str(n) for n in range(1000)])
        with self.r.pipeline(transaction=False) as pipe:
            pipe.set('a', 'x').incr('a').get('a')
            replies = pipe.execute(raise_on_error=False)
        self.assertIsInstance(replies[1], redis.ResponseError)
        self.assertEqual(replies[2], 'x')

    def test_scan_iter(self):
        self.r.mset({f'key:{n}': n for n in range(2000)})
        self.r.mset({f'other:{n}': n for n in range(500)})
        self.assertEqual(sorted(self.r.scan_iter('key:*')), sorted(f'key:{n}' for n in range(2000)))
        self.assertEqual(len(set(self.r.scan_iter(count=500))), 2500)
        self.assertEqual(len(list(self.r.scan_iter('key:1?', _type='string'))), 10)

    def test_pool_and_threads(self):
        pool = redis.BlockingConnectionPool(port=harness.SERVER.port, protocol=self.protocol, max_connections=5, timeout=10)
        self.addCleanup(pool.disconnect)
        failures = []

        def work():
            try:
                client = redis.Redis(connection_pool=pool)
                for _ in range(100):
                    client.incr('counter')
                    with client.pipeline(transaction=False) as pipe:
                        pipe.incr('counter').incr('counter').execute()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.r.get('counter'), '6000')

    def test_socket_timeout(self):
        hasty = self.client(socket_timeout=0.1)
        with self.assertRaises(redis.TimeoutError):
            hasty.execute_command('DEBUG', 'SLEEP', '0.4')
        self.assertTrue(self.r.ping())
        self.assertTrue(hasty.ping(), 'the late reply is not taken for another command\'s')

    def test_retry_after_a_lost_connection(self):
        client = self.client(retry=Retry(ConstantBackoff(0.05), 3), retry_on_error=[redis.exceptions.ConnectionError])
        client.client_setname('victim')
        number = client.client_id()
        self.assertEqual(self.r.client_kill_filter(_id=number), 1)
        self.assertTrue(client.set('key', 'value'))
        self.assertNotEqual(client.client_id(), number)

    def test_unix_socket(self):
        client = redis.Redis(unix_socket_path=harness.SERVER.unix, protocol=self.protocol, decode_responses=True)
        self.addCleanup(client.close)
        client.set('key', 'value')
        self.assertEqual(self.r.get('key'), 'value')

    def test_client_commands(self):
        client = self.client(client_name='tester')
        self.assertEqual(client.client_getname(), 'tester')
        self.assertTrue(client.client_setname('other'))
        listed = [each for each in self.r.client_list() if each['name'] == 'other']
        self.assertEqual(len(listed), 1)
        self.assertEqual(int(listed[0]['id']), client.client_id())
        self.assertEqual(listed[0]['resp'], str(self.protocol))
        self.assertEqual(client.client_info()['name'], 'other')
        self.assertTrue(client.client_pause(1))
        self.assertTrue(client.client_unpause())

    def test_server_commands(self):
        r = self.r
        self.assertEqual(r.echo('hello'), 'hello')
        self.assertEqual(r.info('server')['tcp_port'], harness.SERVER.port)
        self.assertIn('db0', (r.set('key', 1), r.info('keyspace'))[1])
        self.assertEqual(r.config_get('maxmemory'), {'maxmemory': '0'})
        self.assertTrue(r.config_set('maxmemory', '1gb'))
        self.assertEqual(r.config_get('maxmemory'), {'maxmemory': str(1 << 30)})
        r.config_set('maxmemory', 0)
        self.assertTrue(r.config_resetstat())
        seconds, _ = r.time()
        self.assertLess(abs(seconds - time.time()), 5)
        names = [str(name) for name in r.command_list()]
        self.assertEqual(r.command_count(), sum('|' not in name for name in names))
        self.assertEqual(r.command()['get']['arity'], 2)
        self.assertEqual(r.command_getkeys('MSET', 'a', 1, 'b', 2), ['a', 'b'])
        self.assertIsInstance(r.slowlog_get(), list)
        self.assertGreater(r.memory_usage('key'), 10)
        self.assertTrue(r.swapdb(0, 1))

    def test_password(self):
        self.r.config_set('requirepass', 'secret')
        try:
            with self.assertRaises(redis.AuthenticationError):
                self.client().ping()
            with self.assertRaises(redis.AuthenticationError):
                self.client(password='wrong').ping()
            self.assertTrue(self.client(password='secret').ping())
            self.assertTrue(self.client(username='default', password='secret').ping())
            self.assertTrue(redis.from_url(f'redis://:secret@127.0.0.1:{harness.SERVER.port}/2?protocol={self.protocol}').ping())
        finally:
            self.client(password='secret').config_set('requirepass', '')

    def test_monitor(self):
        with self.client().monitor() as monitor:
            self.r.set('key', 'a b')
            for command in monitor.listen():
                if command['command'] == 'SET key a b':
                    break


class Resp2(Session, unittest.TestCase):
    protocol = 2


class Resp3(Session, unittest.TestCase):
    protocol = 3


if __name__ == '__main__':
    harness.run(sys.modules[__name__])
