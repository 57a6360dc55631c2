#!/usr/bin/env python3
"""Job queues and locks that work by scripts: rq, dramatiq and redis-py's Lock, each with several workers, over RESP2 and RESP3.

usage: queues.py --server BINARY [-v] [TestCase.test …]

Every job must be done, and once: each counts what it did in the server itself. Each session is bounded in time. Needs the
packages in requirements.txt beside this file. The last line is 'N passed, N failed, N skipped'.
"""
import collections
import datetime
import logging
import signal
import subprocess
import sys
import threading
import time
import unittest

import dramatiq
import redis
import rq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits import ConcurrentRateLimiter, WindowRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as Limits
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from redis.exceptions import LockError, LockNotOwnedError
from rq.exceptions import DuplicateJobError
from rq.rate_limit import RateLimit

import harness

SECONDS_MAX = 60        # What one test may take.
JOBS = 400


class Bounded:
    """A test that is given up after a minute, with clients of the protocol under test."""
    protocol = None

    def setUp(self):
        signal.signal(signal.SIGALRM, self.give_up)
        signal.alarm(SECONDS_MAX)
        self.addCleanup(signal.alarm, 0)
        self.r = self.client(decode_responses=True)
        self.r.flushall()
        self.r.script_flush()

    def give_up(self, *_):
        raise TimeoutError(f'not done after {SECONDS_MAX} s')

    def client(self, **options):
        client = redis.Redis(port=harness.SERVER.port, protocol=self.protocol, **options)
        self.addCleanup(client.close)
        return client

    def wait_for(self, condition):
        while not condition():
            time.sleep(0.01)

    def done(self):
        """How often each job was done."""
        return {job: int(times) for job, times in self.r.hgetall('done').items()}

    def in_threads(self, task, count):
        """Runs the task with 0 to count - 1 at the same time; what each returned."""
        results, together = [None] * count, threading.Barrier(count)

        def one(number):
            together.wait()
            results[number] = task(number)

        threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


# What rq's workers run. They import this file, as `queues`.

def note(name, fails=0, seconds=0.0):
    """Counts itself, its place in the order and how many run beside it; fails the first times."""
    r = rq.get_current_job().connection
    times = r.hincrby('done', name, 1)
    r.rpush('order', name)
    r.rpush('beside', r.incr('running'))
    time.sleep(seconds)
    r.decr('running')
    if times <= fails:
        raise ValueError(f'{name} fails')
    return f'{name} done'


def work(port, protocol, kind, queues, how):
    """A worker's process."""
    connection = redis.Redis(port=port, protocol=protocol)
    worker = {'simple': rq.SimpleWorker, 'forking': rq.Worker}[kind]
    worker(queues.split(','), connection=connection).work(burst=how == 'burst', with_scheduler=how == 'scheduler')


class Rq(Bounded):
    def setUp(self):
        super().setUp()
        self.connection = self.client()

    def queue(self, name='default'):
        return rq.Queue(name, connection=self.connection)

    def worker(self, kind='simple', queues='default', how='stay'):
        process = subprocess.Popen([sys.executable, __file__, '--work', str(harness.SERVER.port), str(self.protocol), kind, queues, how],
                                   stdout=subprocess.DEVNULL)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def burst(self, queues='default'):
        self.assertEqual(self.worker(queues=queues, how='burst').wait(), 0)

    def finish(self, jobs):
        self.wait_for(lambda: all(job.get_status() in ('finished', 'failed') for job in jobs))

    def test_every_job_is_done_once(self):
        workers = [self.worker(), self.worker(), self.worker('forking')]
        queue = self.queue()
        jobs = [queue.enqueue('queues.note', f'job {n}') for n in range(JOBS)]
        self.finish(jobs)
        self.assertEqual(self.done(), {f'job {n}': 1 for n in range(JOBS)})
        self.assertEqual([job.return_value() for job in jobs], [f'job {n} done' for n in range(JOBS)])
        self.assertEqual(queue.count, 0)
        self.wait_for(lambda: sum(worker.successful_job_count for worker in rq.Worker.all(self.connection)) == JOBS)
        self.assertEqual(len(rq.Worker.all(self.connection)), len(workers))

    def test_urgent_queues_and_jobs_go_first(self):
        for name in ('low', 'default', 'high'):
            for n in range(5):
                self.queue(name).enqueue('queues.note', f'{name} {n}')
        self.queue('high').enqueue('queues.note', 'front', at_front=True)
        self.burst('high,default,low')
        names = [f'{name} {n}' for name in ('high', 'default', 'low') for n in range(5)]
        self.assertEqual(self.r.lrange('order', 0, -1), ['front', *names])

    def test_a_failing_job_is_tried_again(self):
        queue = self.queue()
        mends = queue.enqueue('queues.note', 'mends', fails=2, retry=rq.Retry(max=3))
        fails = queue.enqueue('queues.note', 'fails', fails=99, retry=rq.Retry(max=2))
        self.burst()
        self.assertEqual(self.done(), {'mends': 3, 'fails': 3})
        self.assertEqual((mends.get_status(), fails.get_status()), ('finished', 'failed'))
        self.assertIn('ValueError: fails fails', fails.latest_result().exc_string)
        self.assertEqual(queue.failed_job_registry.get_job_ids(), [fails.id])
        self.assertEqual(queue.failed_job_registry.requeue(fails).get_status(), 'queued')
        self.burst()
        # Whoever puts it back gives it all its tries again.
        self.assertEqual(self.done()['fails'], 6)

    def test_a_delayed_job_waits(self):
        queue = self.queue()
        started = time.monotonic()
        jobs = [queue.enqueue_in(datetime.timedelta(seconds=2), 'queues.note', f'late {n}') for n in range(10)]
        self.assertEqual(queue.scheduled_job_registry.count, 10)
        self.worker(how='scheduler')
        queue.enqueue('queues.note', 'early')
        self.finish(jobs)
        # The scheduler cuts off what is less than a second.
        self.assertGreater(time.monotonic() - started, 1)
        self.assertEqual(self.r.lindex('order', 0), 'early')
        self.assertEqual(self.done(), {'early': 1, **{f'late {n}': 1 for n in range(10)}})

    def test_a_job_waits_for_what_it_depends_on(self):
        queue = self.queue()
        first = [queue.enqueue('queues.note', f'first {n}', seconds=0.05) for n in range(4)]
        last = queue.enqueue('queues.note', 'last', depends_on=first)
        for _ in range(3):
            self.worker()
        self.finish([last])
        self.assertEqual(self.r.lindex('order', -1), 'last')
        self.assertEqual(self.done(), {'last': 1, **{f'first {n}': 1 for n in range(4)}})

    def test_of_one_name_there_is_one_job(self):
        def enqueue(_):
            try:
                queue = rq.Queue(connection=self.client())
                queue.enqueue('queues.note', 'one', job_id='one', unique=True)
                return True
            except DuplicateJobError:
                return False

        def schedule(_):
            try:
                queue = rq.Queue('later', connection=self.client())
                queue.enqueue_at(datetime.datetime(2100, 1, 1), 'queues.note', 'two', job_id='two', unique=True)
                return True
            except DuplicateJobError:
                return False

        self.assertEqual(sum(self.in_threads(enqueue, 16)), 1)
        self.assertEqual(sum(self.in_threads(schedule, 16)), 1)
        self.burst()
        self.assertEqual(self.done(), {'one': 1})
        self.assertEqual(self.queue('later').scheduled_job_registry.get_job_ids(), ['two'])

    def test_no_more_jobs_run_together_than_are_let(self):
        queue = self.queue()
        limit = RateLimit('narrow', concurrency=2)
        jobs = [queue.enqueue('queues.note', f'job {n}', seconds=0.02, rate_limit=limit) for n in range(30)]
        self.assertEqual(queue.count, 2)
        for _ in range(4):
            self.worker()
        self.finish(jobs)
        self.assertEqual(self.done(), {f'job {n}': 1 for n in range(30)})
        self.assertLessEqual(max(map(int, self.r.lrange('beside', 0, -1))), 2)

    def test_an_emptied_queue_leaves_no_job(self):
        queue = self.queue()
        jobs = [queue.enqueue('queues.note', f'job {n}') for n in range(50)]
        self.assertEqual(queue.empty(), 50)
        self.assertEqual(queue.count, 0)
        self.assertEqual(self.r.exists(*(job.key for job in jobs)), 0)


class Department:
    """A broker of dramatiq with the actors and a worker of its own, as another process would have it."""

    def __init__(self, connect, **options):
        self.client, self.noted = connect(), 0
        limits, client = Limits(client=self.client), self.client
        self.results = RedisBackend(client=self.client)
        self.broker = RedisBroker(client=self.client, **options)
        self.broker.add_middleware(Results(backend=self.results))
        self.broker.add_middleware(GroupCallbacks(limits))
        narrow = ConcurrentRateLimiter(limits, 'narrow', limit=2)
        window = WindowRateLimiter(limits, 'window', limit=10, window=60)

        @dramatiq.actor(broker=self.broker, max_retries=3, min_backoff=5, max_backoff=10, store_results=True)
        def note(name, fails=0):
            self.noted += 1
            times = client.hincrby('done', name, 1)
            client.rpush('order', name)
            if times <= fails:
                raise ValueError(f'{name} fails')
            return f'{name} done'

        @dramatiq.actor(broker=self.broker, max_retries=1000, min_backoff=5, max_backoff=20)
        def limited(name):
            with narrow.acquire():
                client.rpush('beside', client.incr('running'))
                time.sleep(0.02)
                client.decr('running')
                client.hincrby('done', name, 1)

        @dramatiq.actor(broker=self.broker, max_retries=0)
        def windowed(name):
            with window.acquire(raise_on_failure=False) as acquired:
                client.hincrby('acquired', str(acquired), 1)

        self.note, self.limited, self.windowed = note, limited, windowed
        self.worker = dramatiq.Worker(self.broker, worker_timeout=20, worker_threads=4)

    def join(self):
        self.broker.join('default', interval=20, timeout=SECONDS_MAX * 1000)
        self.worker.join()


class Dramatiq(Bounded):
    def departments(self, count=3, **options):
        departments = [Department(self.client, **options) for _ in range(count)]
        for department in departments:
            department.worker.start()
            self.addCleanup(department.worker.stop)
        return departments

    def test_every_message_is_done_once(self):
        departments = self.departments()
        messages = self.in_threads(lambda part: [departments[part % 3].note.send(f'job {part} {n}') for n in range(JOBS // 4)], 4)
        departments[0].join()
        self.assertEqual(self.done(), {f'job {part} {n}': 1 for part in range(4) for n in range(JOBS // 4)})
        self.assertEqual(sum(department.noted for department in departments), JOBS)
        for part, sent in enumerate(messages):
            for n, message in enumerate(sent):
                self.assertEqual(message.get_result(backend=departments[1].results, block=True), f'job {part} {n} done')
        self.assertEqual(self.r.hlen('dramatiq:default.msgs'), 0)
        self.assertEqual(self.r.keys('dramatiq:__acks__*'), [])

    def test_a_delayed_message_waits(self):
        departments = self.departments()
        started = time.monotonic()
        late = [departments[0].note.send_with_options(args=(f'late {n}',), delay=600) for n in range(10)]
        departments[0].note.send('early')
        for message in late:
            message.get_result(backend=departments[0].results, block=True, timeout=20_000)
        self.assertGreaterEqual(time.monotonic() - started, 0.6)
        self.assertEqual(self.r.lindex('order', 0), 'early')
        self.assertEqual(self.done(), {'early': 1, **{f'late {n}': 1 for n in range(10)}})

    def test_a_failing_message_is_tried_again_and_then_put_aside(self):
        departments = self.departments()
        mends = departments[0].note.send('mends', fails=2)
        departments[1].note.send('fails', fails=99)
        self.assertEqual(mends.get_result(backend=departments[2].results, block=True), 'mends done')
        self.wait_for(lambda: self.r.zcard('dramatiq:default.XQ') == 1)
        departments[0].join()
        self.assertEqual(self.done(), {'mends': 3, 'fails': 4})
        self.assertEqual(self.r.hlen('dramatiq:default.XQ.msgs'), 1)

    def test_what_a_lost_worker_took_is_given_to_others(self):
        lost = Department(self.client)
        for n in range(50):
            lost.note.send(f'job {n}')
        taken = lost.broker.do_fetch('default', 20)
        self.assertEqual(len(taken), 20)
        self.assertEqual(self.r.scard(f'dramatiq:__acks__.{lost.broker.broker_id}.default'), 20)
        # Every command looks after lost workers here.
        departments = self.departments(2, heartbeat_timeout=300, maintenance_chance=1_000_000)
        self.wait_for(lambda: len(self.done()) == 50)
        departments[0].join()
        self.assertEqual(self.done(), {f'job {n}': 1 for n in range(50)})
        self.assertEqual(self.r.keys(f'dramatiq:__acks__.{lost.broker.broker_id}*'), [])

    def test_groups_pipelines_and_their_callbacks(self):
        first, second, _ = self.departments()
        group = dramatiq.group([first.note.message(f'part {n}') for n in range(20)], broker=first.broker)
        group.add_completion_callback(first.note.message('whole'))
        group.run()
        self.assertEqual([part.get_result(backend=second.results, block=True) for part in group.children],
                         [f'part {n} done' for n in range(20)])
        self.wait_for(lambda: 'whole' in self.done())
        self.assertEqual(self.done(), {'whole': 1, **{f'part {n}': 1 for n in range(20)}})
        self.assertEqual(self.r.lindex('order', -1), 'whole')
        chain = dramatiq.pipeline([first.note.message_with_options(args=(name,), pipe_ignore=True) for name in ('one', 'two')],
                                  broker=first.broker).run()
        self.assertEqual(chain.messages[-1].get_result(backend=second.results, block=True), 'two done')

    def test_limits_hold_over_all_workers(self):
        departments = self.departments()
        for n in range(30):
            departments[0].limited.send(f'job {n}')
            departments[1].windowed.send(n)
        self.wait_for(lambda: len(self.done()) == 30)
        departments[0].join()
        self.assertEqual(self.done(), {f'job {n}': 1 for n in range(30)})
        self.assertLessEqual(max(map(int, self.r.lrange('beside', 0, -1))), 2)
        self.assertEqual(self.r.hgetall('acquired'), {'True': '10', 'False': '20'})

    def test_a_flushed_queue_leaves_nothing(self):
        department = Department(self.client)
        for n in range(2000):
            department.note.send(n)
        self.assertEqual(department.broker.do_qsize('default'), 2000)
        department.broker.flush_all()
        self.assertEqual(department.broker.do_qsize('default'), 0)
        self.assertEqual(self.r.keys('dramatiq:default*'), [])


class Locks(Bounded):
    def test_one_at_a_time(self):
        self.r.set('counter', 0)
        holders = collections.Counter()

        def count(number):
            r = self.client()
            for _ in range(50):
                with r.lock('lock', timeout=30, sleep=0.001):
                    value = int(r.get('counter'))
                    time.sleep(0.0005)
                    r.set('counter', value + 1)
                    holders[number] += 1
            return True

        self.assertTrue(all(self.in_threads(count, 8)))
        self.assertEqual(self.r.get('counter'), '400')
        self.assertEqual(set(holders.values()), {50})
        self.assertFalse(self.r.lock('lock').locked())

    def test_a_lock_that_ended_is_another_ones(self):
        mine, other = self.r.lock('lock', timeout=0.1), self.client().lock('lock', timeout=30, blocking_timeout=5, sleep=0.01)
        self.assertTrue(mine.acquire())
        self.assertFalse(other.acquire(blocking=False))
        self.assertTrue(other.acquire())
        self.assertTrue(mine.locked())
        self.assertFalse(mine.owned())
        for call in (mine.reacquire, lambda: mine.extend(10), mine.release):
            with self.assertRaises(LockNotOwnedError):
                call()
        self.assertTrue(other.owned())
        other.release()
        with self.assertRaises(LockError):
            other.release()

    def test_a_lock_is_made_to_last(self):
        lock = self.r.lock('lock', timeout=10)
        lock.acquire(token='token')
        self.assertEqual(self.r.get('lock'), 'token')
        self.assertTrue(lock.extend(10))
        self.assertTrue(19_000 < self.r.pttl('lock') <= 20_000)
        self.assertTrue(lock.extend(30.5, replace_ttl=True))
        self.assertTrue(29_500 < self.r.pttl('lock') <= 30_500)
        self.assertTrue(lock.reacquire())
        self.assertTrue(9_000 < self.r.pttl('lock') <= 10_000)
        self.r.persist('lock')
        with self.assertRaises(LockNotOwnedError):
            lock.extend(10)
        lock.release()

    def test_a_wait_ends(self):
        self.assertTrue(self.r.lock('lock').acquire())
        started = time.monotonic()
        self.assertFalse(self.client().lock('lock').acquire(blocking_timeout=0.2, sleep=0.02))
        self.assertTrue(0.1 <= time.monotonic() - started < 5)

    def test_scripts_that_the_server_forgot(self):
        lock = self.r.lock('lock', timeout=10)
        for _ in range(3):
            lock.acquire()
            self.r.script_flush()
            lock.release()
        script = self.r.register_script('return {KEYS[1], ARGV[1], redis.call("INCRBY", KEYS[1], ARGV[1])}')
        self.r.script_flush()
        pipeline = self.r.pipeline(transaction=True)
        for n in range(3):
            script(keys=['counter'], args=[n], client=pipeline)
        self.assertEqual(pipeline.execute(), [['counter', '0', 0], ['counter', '1', 1], ['counter', '2', 3]])
        self.assertEqual(self.r.script_exists(script.sha), [True])


class RqResp2(Rq, unittest.TestCase):
    protocol = 2


class RqResp3(Rq, unittest.TestCase):
    protocol = 3


class DramatiqResp2(Dramatiq, unittest.TestCase):
    protocol = 2


class DramatiqResp3(Dramatiq, unittest.TestCase):
    protocol = 3


class LocksResp2(Locks, unittest.TestCase):
    protocol = 2


class LocksResp3(Locks, unittest.TestCase):
    protocol = 3


if __name__ == '__main__':
    logging.disable(logging.CRITICAL)
    if sys.argv[1:2] == ['--work']:
        port, protocol, *rest = sys.argv[2:]
        work(int(port), int(protocol), *rest)
    else:
        harness.run(sys.modules[__name__])
