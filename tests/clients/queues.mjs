#!/usr/bin/env node
// Job queues and rate limits that work by scripts: BullMQ, bull and rate-limiter-flexible, each with several workers or
// clients. Every job must be done, and once, in its order and not before its time. Starts the server in a folder of its own;
// each session is bounded in time. The last line is 'N passed, N failed, N skipped'.
//
//   usage: queues.mjs --server BINARY [--only TEXT] [-v]      TEXT is part of a test's name, as -v shows it
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { parseArgs } from 'node:util';

import { require, start } from './harness.mjs';

const { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } = require('bullmq');
const Bull = require('bull');
const { BurstyRateLimiter, RateLimiterQueue, RateLimiterRedis, RateLimiterUnion } = require('rate-limiter-flexible');

const SECONDS_MAX = 60; // What one test may take.
const JOBS = 300;

const { values } = parseArgs({
    options: { server: { type: 'string' }, only: { type: 'string', default: '' }, v: { type: 'boolean', short: 'v' } },
});
let closing = []; // What the running test has opened.

EventEmitter.defaultMaxListeners = 0; // Many jobs are waited for at the same time.

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));
const range = count => [...Array(count).keys()];

async function until(condition) {
    while (!await condition()) await sleep(10);
}

/** Something with a close() that the end of the test calls. */
function opened(thing) {
    thing.on?.('error', () => {});
    closing.push(thing);
    return thing;
}

/** A processor that counts how often each job was done, and notes when and in which order. */
function noting(act = () => {}) {
    const noted = { done: new Map(), order: [], times: [] };
    noted.processor = async job => {
        const key = `${job.name}:${job.data.n}`;
        noted.done.set(key, (noted.done.get(key) ?? 0) + 1);
        noted.order.push(job.data.n);
        noted.times.push(Date.now());
        await act(job, noted.done.get(key));
        return { n: job.data.n, twice: job.data.n * 2 };
    };
    return noted;
}

function eachOnce(noted, name, count) {
    assert.equal(noted.done.size, count);
    for (const n of range(count)) assert.equal(noted.done.get(`${name}:${n}`), 1, `${name}:${n}`);
}

/** Never more than `max` in any window, give or take what timers are late by. */
function keepsRate(times, max, duration) {
    for (let i = max; i < times.length; i++) {
        const took = times[i] - times[i - max];
        assert.ok(took >= duration * 0.8, `${took} ms for ${max}`);
    }
}

const connection = () => ({ host: '127.0.0.1', port, maxRetriesPerRequest: null });

// BullMQ.

const mq = (name, options = {}) => opened(new Queue(name, { connection: connection(), ...options }));
const mqWorker = (name, processor, options = {}) =>
    opened(new Worker(name, processor, { connection: connection(), drainDelay: 1, ...options }));
const mqEvents = async name => {
    // From the first event on: it may begin to listen after the next command of another connection.
    const events = opened(new QueueEvents(name, { connection: connection(), lastEventId: '0-0' }));
    await events.waitUntilReady();
    return events;
};

const BULLMQ = {
    async 'every job is done once'() {
        const queue = mq('once');
        const events = await mqEvents('once');
        const completed = new Map();
        events.on('completed', ({ jobId }) => completed.set(jobId, (completed.get(jobId) ?? 0) + 1));
        const noted = noting();
        for (const _ of range(3)) mqWorker('once', noted.processor, { concurrency: 5 });
        const jobs = await queue.addBulk(range(JOBS / 2).map(n => ({ name: 'job', data: { n } })));
        for (const n of range(JOBS / 2)) jobs.push(await queue.add('job', { n: n + JOBS / 2 }));
        const results = await Promise.all(jobs.map(job => job.waitUntilFinished(events)));
        assert.deepEqual(results, range(JOBS).map(n => ({ n, twice: 2 * n })));
        eachOnce(noted, 'job', JOBS);
        await until(() => completed.size === JOBS);
        assert.deepEqual(new Set(completed.values()), new Set([1]));
        const counts = await queue.getJobCounts();
        assert.deepEqual([counts.completed, counts.waiting, counts.active, counts.failed, counts.delayed], [JOBS, 0, 0, 0, 0]);
        assert.deepEqual((await queue.getJobs(['completed'], 0, 9, true)).map(job => job.returnvalue.n).length, 10);
    },

    async 'priorities and last in, first out'() {
        const queue = mq('priorities');
        await queue.pause();
        for (const n of range(30)) await queue.add('job', { n }, { priority: (n % 3) + 1 });
        await queue.add('job', { n: 100 }, { lifo: true });
        await queue.add('job', { n: 101 }, { lifo: true });
        await (await queue.add('job', { n: 102 }, { priority: 9 })).changePriority({ priority: 1 });
        assert.deepEqual(await queue.getCountsPerPriority([0, 1, 2, 3]), { 0: 2, 1: 11, 2: 10, 3: 10 });
        const noted = noting();
        mqWorker('priorities', noted.processor);
        await sleep(50);
        assert.equal(noted.order.length, 0);
        await queue.resume();
        await until(() => noted.order.length === 33);
        const sorted = [0, 1, 2].map(rest => range(30).filter(n => n % 3 === rest));
        assert.deepEqual(noted.order, [101, 100, ...sorted[0], 102, ...sorted[1], ...sorted[2]]);
    },

    async 'a failing job is tried again'() {
        const queue = mq('fails');
        const events = await mqEvents('fails');
        const noted = noting((job, times) => {
            if (job.name === 'hopeless') throw new UnrecoverableError('hopeless');
            if (times <= job.data.fails) throw new Error(`failed ${times} times`);
        });
        mqWorker('fails', noted.processor, { concurrency: 4 });
        const mends = await queue.add('mends', { n: 1, fails: 2 }, { attempts: 5, backoff: 20 });
        const grows = await queue.add('grows', { n: 2, fails: 3 }, { attempts: 4, backoff: { type: 'exponential', delay: 20 } });
        const fails = await queue.add('fails', { n: 3, fails: 99 }, { attempts: 3 });
        const hopeless = await queue.add('hopeless', { n: 4 }, { attempts: 3 });
        await Promise.all([mends, grows].map(job => job.waitUntilFinished(events)));
        await assert.rejects(fails.waitUntilFinished(events), /failed 3 times/);
        await assert.rejects(hopeless.waitUntilFinished(events), /hopeless/);
        assert.deepEqual([...noted.done.entries()].sort(), [['fails:3', 3], ['grows:2', 4], ['hopeless:4', 1], ['mends:1', 3]]);
        const failed = await queue.getJob(fails.id);
        assert.deepEqual([failed.attemptsMade, failed.failedReason, failed.stacktrace.length], [3, 'failed 3 times', 3]);
        await failed.retry('failed');
        await until(() => noted.done.get('fails:3') === 4);
        await until(async () => await failed.getState() === 'failed');
    },

    async 'delayed jobs wait'() {
        const queue = mq('delayed');
        const noted = noting();
        for (const _ of range(2)) mqWorker('delayed', noted.processor);
        const started = Date.now();
        const due = new Map();
        for (const n of range(20)) {
            const delay = 100 + ((n * 7) % 20) * 20;
            due.set(n, Date.now() + delay);
            await queue.add('job', { n }, { delay });
        }
        const late = await queue.add('job', { n: 20 }, { delay: 3_600_000 });
        assert.equal(await late.getState(), 'delayed');
        await late.changeDelay(600);
        due.set(20, Date.now() + 600);
        const promoted = await queue.add('job', { n: 21 }, { delay: 3_600_000 });
        await promoted.promote();
        await until(() => noted.order.length === 22);
        eachOnce(noted, 'job', 22);
        for (const [at, n] of noted.order.entries()) if (n < 21) assert.ok(noted.times[at] >= due.get(n) - 2, `${n} was early`);
        assert.ok(Date.now() - started < 20_000);
    },

    async 'a rate limit holds over all workers'() {
        const queue = mq('rate');
        const noted = noting();
        await queue.addBulk(range(25).map(n => ({ name: 'job', data: { n } })));
        for (const _ of range(3)) mqWorker('rate', noted.processor, { concurrency: 3, limiter: { max: 5, duration: 200 } });
        await until(() => noted.order.length === 25);
        eachOnce(noted, 'job', 25);
        keepsRate(noted.times, 5, 200);
    },

    async 'parents wait for their children'() {
        const flow = opened(new FlowProducer({ connection: connection() }));
        const queue = mq('flow');
        const events = await mqEvents('flow');
        const values = [];
        const noted = noting(async job => {
            if (job.name === 'child') return;
            values.push([job.name, Object.values(await job.getChildrenValues()).map(value => value.n).sort()]);
        });
        for (const _ of range(2)) mqWorker('flow', noted.processor, { concurrency: 3 });
        const child = n => ({ name: 'child', queueName: 'flow', data: { n } });
        const tree = await flow.add({
            ...child(9), name: 'top', children: [child(1), child(2), { ...child(8), name: 'middle', children: [3, 4, 5].map(child) }],
        });
        assert.deepEqual(await tree.job.waitUntilFinished(events), { n: 9, twice: 18 });
        assert.deepEqual(values, [['middle', [3, 4, 5]], ['top', [1, 2, 8]]]);
        assert.equal(noted.order.length, 7);
        assert.equal((await queue.getJobCounts()).completed, 7);
    },

    async 'a stalled job is given to another worker'() {
        const queue = mq('stalled');
        const events = await mqEvents('stalled');
        const stalled = [];
        events.on('stalled', ({ jobId }) => stalled.push(jobId));
        let hung = 0;
        // These workers take a job each, and let their locks expire.
        for (const _ of range(2)) {
            const options = { lockDuration: 100, skipLockRenewal: true, skipStalledCheck: true };
            mqWorker('stalled', () => new Promise(() => { hung++; }), options);
        }
        const jobs = [];
        for (const n of range(2)) jobs.push(await queue.add('job', { n }));
        await until(() => hung === 2);
        for (const n of range(20)) jobs.push(await queue.add('job', { n: n + 2 }));
        const noted = noting();
        mqWorker('stalled', noted.processor, { stalledInterval: 150, concurrency: 5 });
        await Promise.all(jobs.map(job => job.waitUntilFinished(events)));
        eachOnce(noted, 'job', 22);
        await until(() => stalled.length === 2);
        assert.deepEqual(stalled.sort(), jobs.slice(0, 2).map(job => job.id).sort());
    },

    async 'of one name there is one job'() {
        const queue = mq('named');
        const added = await Promise.all(range(20).map(n => queue.add('job', { n }, { jobId: 'the-one' })));
        assert.deepEqual(new Set(added.map(job => job.id)), new Set(['the-one']));
        await Promise.all(range(20).map(n => queue.add('job', { n }, { deduplication: { id: 'again', ttl: 60_000 } })));
        const other = await queue.add('job', { n: 1 }, { deduplication: { id: 'other' } });
        assert.equal(await queue.getDeduplicationJobId('other'), other.id);
        assert.equal(await queue.count(), 3);
        await queue.removeDeduplicationKey('other');
        await queue.add('job', { n: 1 }, { deduplication: { id: 'other' } });
        assert.equal(await queue.count(), 4);
    },

    async 'a scheduler repeats a job'() {
        const queue = mq('repeats');
        const noted = noting();
        for (const _ of range(2)) mqWorker('repeats', noted.processor);
        await queue.upsertJobScheduler('tick', { every: 60, limit: 6 }, { name: 'tick', data: { n: 1 } });
        await queue.upsertJobScheduler('yearly', { pattern: '0 0 1 1 *' }, { name: 'yearly', data: { n: 2 } });
        assert.deepEqual((await queue.getJobSchedulers()).map(scheduler => scheduler.key).sort(), ['tick', 'yearly']);
        await until(() => noted.order.length === 6);
        await sleep(200);
        assert.deepEqual([...noted.done], [['tick:1', 6]]);
        assert.ok(noted.times[5] - noted.times[0] >= 200);
        assert.ok(await queue.removeJobScheduler('yearly'));
        assert.equal((await queue.getJobCounts('delayed')).delayed, 0);
    },

    async 'logs, progress, cleaning up'() {
        const queue = mq('cleanup');
        const events = await mqEvents('cleanup');
        const progress = [];
        events.on('progress', ({ data }) => progress.push(data));
        const job = await queue.add('job', { n: 1 });
        await queue.addBulk(range(60).map(n => ({ name: 'job', data: { n: n + 2 } })));
        await job.updateProgress(40);
        await job.updateProgress({ done: 'half' });
        assert.equal(await job.log('one'), 1);
        assert.equal(await job.log('two'), 2);
        assert.deepEqual(await queue.getJobLogs(job.id), { logs: ['one', 'two'], count: 2 });
        await job.updateData({ n: 1, text: 'ü€' });
        assert.deepEqual((await queue.getJob(job.id)).data, { n: 1, text: 'ü€' });
        assert.equal((await queue.clean(0, 10, 'wait')).length, 10);
        await (await queue.getJobs(['wait']))[0].remove();
        assert.equal(await queue.count(), 50);
        mqWorker('cleanup', noting().processor, { removeOnComplete: { count: 5 } });
        await until(async () => await queue.count() === 0 && await queue.getActiveCount() === 0);
        assert.equal((await queue.getJobCounts()).completed, 5);
        await until(() => progress.length === 2);
        assert.deepEqual(progress, [40, { done: 'half' }]);
        await queue.add('late', { n: 1 }, { delay: 100_000 });
        await queue.pause();
        await queue.add('job', { n: 1 });
        await queue.drain(true);
        assert.equal(await queue.count(), 0);
        await queue.obliterate({ force: true });
        assert.deepEqual(await redis.keys('bull:cleanup:*').then(keys => keys.filter(key => !/events|meta/.test(key))), []);
    },
};

// bull.

function bull(name, options = {}) {
    const defaults = { redis: { host: '127.0.0.1', port }, settings: { guardInterval: 500, drainDelay: 1 } };
    return opened(new Bull(name, { ...defaults, ...options }));
}

const BULL = {
    async 'every job is done once'() {
        const noted = noting();
        const workers = range(3).map(() => bull('once'));
        for (const worker of workers) worker.process('job', 5, noted.processor);
        const queue = bull('once');
        const jobs = await Promise.all(range(JOBS).map(n => queue.add('job', { n })));
        assert.deepEqual(await Promise.all(jobs.map(job => job.finished())), range(JOBS).map(n => ({ n, twice: 2 * n })));
        eachOnce(noted, 'job', JOBS);
        const counts = await queue.getJobCounts();
        assert.deepEqual(counts, { waiting: 0, active: 0, completed: JOBS, failed: 0, delayed: 0, paused: 0 });
    },

    async 'priorities and last in, first out'() {
        const queue = bull('priorities');
        await queue.pause();
        for (const n of range(30)) await queue.add('job', { n }, { priority: (n % 3) + 1 });
        await queue.add('job', { n: 100 }, { lifo: true });
        const noted = noting();
        queue.process('job', noted.processor);
        await sleep(50);
        assert.equal(noted.order.length, 0);
        await queue.resume();
        await until(() => noted.order.length === 31);
        const sorted = [0, 1, 2].map(rest => range(30).filter(n => n % 3 === rest));
        assert.deepEqual(noted.order, [100, ...sorted.flat()]);
    },

    async 'a failing job is tried again'() {
        const queue = bull('fails');
        const noted = noting((job, times) => {
            if (times <= job.data.fails) throw new Error(`failed ${times} times`);
        });
        queue.process('*', 4, noted.processor);
        const mends = await queue.add('mends', { n: 1, fails: 2 }, { attempts: 5, backoff: 20 });
        const fails = await queue.add('fails', { n: 2, fails: 99 }, { attempts: 3, backoff: { type: 'exponential', delay: 10 } });
        assert.deepEqual(await mends.finished(), { n: 1, twice: 2 });
        await assert.rejects(fails.finished(), /failed 3 times/);
        assert.deepEqual([...noted.done.entries()].sort(), [['fails:2', 3], ['mends:1', 3]]);
        const failed = await queue.getJob(fails.id);
        assert.deepEqual([failed.attemptsMade, failed.failedReason, await failed.getState()], [3, 'failed 3 times', 'failed']);
        await failed.retry();
        await until(() => noted.done.get('fails:2') === 4);
    },

    async 'delayed jobs wait'() {
        const queue = bull('delayed');
        const noted = noting();
        for (const _ of range(2)) bull('delayed').process('job', noted.processor);
        const due = new Map();
        for (const n of range(20)) {
            const delay = 100 + ((n * 7) % 20) * 20;
            due.set(n, Date.now() + delay);
            await queue.add('job', { n }, { delay });
        }
        const promoted = await queue.add('job', { n: 20 }, { delay: 3_600_000 });
        await promoted.promote();
        await until(() => noted.order.length === 21);
        eachOnce(noted, 'job', 21);
        for (const [at, n] of noted.order.entries()) if (n < 20) assert.ok(noted.times[at] >= due.get(n) - 2, `${n} was early`);
    },

    async 'a rate limit holds over all workers'() {
        const limiter = { max: 5, duration: 200 };
        const noted = noting();
        const queue = bull('rate', { limiter });
        await Promise.all(range(25).map(n => queue.add('job', { n })));
        for (const _ of range(3)) bull('rate', { limiter }).process('job', 3, noted.processor);
        await until(() => noted.order.length === 25);
        eachOnce(noted, 'job', 25);
        keepsRate(noted.times, 5, 200);
    },

    async 'a stalled job is given to another worker'() {
        const settings = { guardInterval: 500, drainDelay: 1, lockDuration: 100, lockRenewTime: 100_000, stalledInterval: 0 };
        let hung = 0;
        for (const _ of range(2)) bull('stalled', { settings }).process('job', () => new Promise(() => { hung++; }));
        const queue = bull('stalled', { settings: { guardInterval: 500, drainDelay: 1, stalledInterval: 150 } });
        const jobs = [];
        for (const n of range(2)) jobs.push(await queue.add('job', { n }));
        await until(() => hung === 2);
        for (const n of range(20)) jobs.push(await queue.add('job', { n: n + 2 }));
        const noted = noting();
        const stalled = [];
        queue.on('global:stalled', id => stalled.push(id));
        queue.process('job', 5, noted.processor);
        await Promise.all(jobs.map(job => job.finished()));
        eachOnce(noted, 'job', 22);
        await until(() => stalled.length === 2);
    },

    async 'a job is repeated'() {
        const queue = bull('repeats');
        const noted = noting();
        queue.process('tick', noted.processor);
        await queue.add('tick', { n: 1 }, { repeat: { every: 60, limit: 5 } });
        await until(() => noted.order.length === 5);
        await sleep(200);
        assert.deepEqual([...noted.done], [['tick:1', 5]]);
    },

    async 'logs, progress, cleaning up'() {
        const queue = bull('cleanup');
        const progress = [];
        queue.on('global:progress', (_, value) => progress.push(value));
        await queue.isReady();
        const [job] = await queue.addBulk(range(60).map(n => ({ name: 'job', data: { n } })));
        await job.progress(40);
        await job.log('one');
        await job.log('two');
        assert.deepEqual(await queue.getJobLogs(job.id), { logs: ['one', 'two'], count: 2 });
        await job.update({ n: 0, text: 'ü€' });
        assert.deepEqual((await queue.getJob(job.id)).data, { n: 0, text: 'ü€' });
        await job.remove();
        await sleep(5);
        assert.equal((await queue.clean(0, 'wait', 9)).length, 9);
        assert.equal(await queue.count(), 50);
        const states = (await queue.getJobs(['wait'], 0, 3)).map(each => each.getState());
        assert.deepEqual(await Promise.all(states), range(4).map(() => 'waiting'));
        queue.process('job', 5, noting().processor);
        await until(async () => await queue.getCompletedCount() === 50);
        await until(() => progress.length === 1);
        await queue.pause();
        await Promise.all(range(5).map(n => queue.add('job', { n })));
        await queue.empty();
        assert.equal(await queue.count(), 0);
        await queue.obliterate({ force: true });
        assert.deepEqual(await redis.keys('bull:cleanup:*'), []);
    },

    async 'of one name there is one job'() {
        const queue = bull('named');
        await Promise.all(range(20).map(n => queue.add('job', { n }, { jobId: 'the-one' })));
        assert.equal(await queue.count(), 1);
        const noted = noting();
        queue.process('job', noted.processor);
        await (await queue.getJob('the-one')).finished();
        assert.equal(noted.order.length, 1);
    },
};

// rate-limiter-flexible.

function client() {
    const made = opened(server.connect());
    made.close = () => made.disconnect();
    return made;
}

const limiter = options => new RateLimiterRedis({ storeClient: client(), keyPrefix: 'limit', ...options });
const allowed = async promise => promise.then(() => true, refused => {
    if (refused instanceof Error) throw refused;
    return false;
});
const sum = results => results.filter(Boolean).length;

const LIMITER = {
    async 'no more pass than are let'() {
        const limiters = range(5).map(() => limiter({ points: 30, duration: 60 }));
        const passed = await Promise.all(range(200).map(n => allowed(limiters[n % 5].consume('user'))));
        assert.equal(sum(passed), 30);
        const state = await limiters[0].get('user');
        assert.deepEqual([state.consumedPoints, state.remainingPoints], [200, 0]);
        assert.ok(state.msBeforeNext > 50_000 && state.msBeforeNext <= 60_000);
        assert.equal(await allowed(limiters[0].consume('other', 30)), true);
        assert.equal(await allowed(limiters[1].consume('other')), false);
    },

    async 'a window ends'() {
        const limits = limiter({ points: 2, duration: 1 });
        for (const expected of [true, true, false]) assert.equal(await allowed(limits.consume('user')), expected);
        const { msBeforeNext } = await limits.get('user');
        assert.ok(msBeforeNext > 0 && msBeforeNext <= 1000);
        await sleep(msBeforeNext + 5);
        assert.equal(await limits.get('user'), null);
        assert.deepEqual((await limits.consume('user')).remainingPoints, 1);
    },

    async 'penalties, rewards, blocks'() {
        const limits = limiter({ points: 5, duration: 60, blockDuration: 30 });
        assert.equal((await limits.consume('user', 2)).isFirstInDuration, true);
        assert.equal((await limits.penalty('user', 2)).consumedPoints, 4);
        assert.equal((await limits.reward('user', 3)).consumedPoints, 1);
        assert.equal(await allowed(limits.consume('user', 5)), false);
        // What went over the limit is blocked for as long as the block lasts.
        const ttl = await redis.pttl('limit:user');
        assert.ok(ttl > 25_000 && ttl <= 30_000, String(ttl));
        await limits.block('bad', 100);
        assert.equal(await allowed(limits.consume('bad')), false);
        await limits.set('bad', 1, 20);
        assert.equal((await limits.get('bad')).remainingPoints, 4);
        assert.equal(await allowed(limits.consume('bad')), true);
        assert.equal(await limits.delete('bad'), true);
        assert.equal(await limits.get('bad'), null);
    },

    async 'bursts and unions'() {
        const slow = limiter({ points: 5, duration: 60, keyPrefix: 'slow' });
        const burst = limiter({ points: 7, duration: 60, keyPrefix: 'burst' });
        const bursty = new BurstyRateLimiter(slow, burst);
        assert.equal(sum(await Promise.all(range(40).map(() => allowed(bursty.consume('user'))))), 12);
        const parts = [3, 4].map(points => limiter({ points, duration: 60, keyPrefix: `of ${points}` }));
        const union = new RateLimiterUnion(...parts);
        assert.equal(sum(await Promise.all(range(10).map(() => union.consume('user').then(() => true, () => false)))), 3);
    },

    async 'a queue of those who wait'() {
        const waiting = new RateLimiterQueue(limiter({ points: 4, duration: 1 }), { maxQueueSize: 20 });
        const times = [];
        await Promise.all(range(10).map(async () => {
            await waiting.removeTokens(1);
            times.push(Date.now());
        }));
        assert.equal(times.length, 10);
        assert.ok(times[9] - times[0] > 900);
    },

    async 'scripts that the server forgot'() {
        const limits = limiter({ points: 100, duration: 60 });
        for (const n of range(5)) {
            assert.equal((await limits.consume('user')).consumedPoints, n + 1);
            await redis.script('FLUSH');
        }
    },
};

/** Runs a test; what is wrong, if anything. */
async function faultOf(test) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done after ${SECONDS_MAX} s`)), SECONDS_MAX * 1000);
    });
    try {
        await redis.flushall();
        await redis.script('FLUSH');
        await Promise.race([test(), late]);
        return null;
    } catch (error) {
        return error instanceof Error ? error.stack : JSON.stringify(error);
    } finally {
        clearTimeout(timer);
        // A hung worker ends only by force.
        await Promise.race([Promise.allSettled(closing.map(thing => thing.close(true))), sleep(3000)]);
        closing = [];
    }
}

const server = await start(values.server);
const { port } = server;
const redis = server.connect();
process.on('unhandledRejection', () => {}); // Connections that end while a command waits.
let passed = 0;
let failed = 0;
try {
    for (const [name, tests] of Object.entries({ BullMQ: BULLMQ, bull: BULL, 'rate-limiter-flexible': LIMITER })) {
        for (const [what, test] of Object.entries(tests)) {
            const title = `${name}: ${what}`;
            if (!title.includes(values.only)) continue;
            const started = Date.now();
            const fault = await faultOf(test);
            if (fault) console.log(`FAIL: ${title}: ${fault}`);
            else if (values.v) console.log(`ok: ${title} (${Date.now() - started} ms)`);
            if (fault) failed++;
            else passed++;
        }
    }
} finally {
    const code = await server.stop();
    if (code !== 0) {
        console.log(`FAIL: the server ended with ${code}`);
        failed++;
    }
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
