#!/usr/bin/env node
// What programs coordinate by, through ioredis: channels, transactions, pipelines, keyspace events, and invalidations that are
// redirected to a subscriber. Many clients at once, and everything is counted: no message lost, doubled or out of order, no
// update lost, no transaction seen half. The last line is 'N passed, N failed, N skipped'.
//
//   usage: coordination.mjs --server BINARY [NAME…]
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';

import { start } from './harness.mjs';

const WAIT_MS = 10_000;
const { values, positionals } = parseArgs({ options: { server: { type: 'string' } }, allowPositionals: true });
const server = await start(values.server);
const connect = options => server.connect(options);
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const numbers = count => Array.from({ length: count }, (_, n) => n);

async function eventually(found, expected) {
    for (const end = Date.now() + WAIT_MS; Date.now() < end; await pause(10)) {
        try {
            assert.deepEqual(await found(), expected);
            return;
        } catch {
            // Not yet.
        }
    }
    assert.deepEqual(await found(), expected);
}

// The ID of the connection by this name, which asks nothing itself while it is subscribed.
async function idOf(redis, name) {
    const line = (await redis.client('LIST')).split('\n').find(text => text.includes(` name=${name} `));
    return Number(/^id=(\d+)/.exec(line)[1]);
}

// Three subscribers by names, three by a pattern and three to sharded channels, and three publishers.
async function everySubscriberGetsEveryMessageInOrder(redis) {
    const channels = ['a', 'b', 'c'];
    const messages = 1000;
    const ways = {
        message: s => s.subscribe(...channels), pmessage: s => s.psubscribe('?', 'nothing*'), smessage: s => s.ssubscribe(...channels),
    };
    const received = [];
    for (const [event, subscribe] of Object.entries(ways)) {
        for (const _ of numbers(3)) {
            const subscriber = connect();
            const got = [];
            subscriber.on(event, (...message) => got.push(message.slice(-2)));
            assert.equal(await subscribe(subscriber), event === 'pmessage' ? 2 : 3);
            received.push({ event, got });
        }
    }
    let plain = 0;
    let sharded = 0;
    await Promise.all(numbers(3).map(async publisher => {
        const client = connect();
        for (const n of numbers(messages)) {
            const message = [channels[n % 3], `${publisher}:${n}`];
            const counts = await Promise.all([client.publish(...message), client.spublish(...message)]);
            plain += counts[0];
            sharded += counts[1];
        }
    }));
    assert.deepEqual([plain, sharded], [3 * messages * 6, 3 * messages * 3]);
    for (const { event, got } of received) {
        await eventually(() => got.length, 3 * messages);
        for (const publisher of numbers(3)) {
            const own = got.filter(([, text]) => text.startsWith(`${publisher}:`));
            assert.deepEqual(own, numbers(messages).map(n => [channels[n % 3], `${publisher}:${n}`]), event);
        }
    }
    assert.deepEqual((await redis.pubsub('CHANNELS')).sort(), channels);
    assert.deepEqual(await redis.pubsub('NUMSUB', 'a', 'none'), ['a', 3, 'none', 0]);
    assert.deepEqual(await redis.pubsub('SHARDNUMSUB', 'c'), ['c', 3]);
    assert.equal(await redis.pubsub('NUMPAT'), 2);
}

async function aSubscriberLeavesItsMode(redis) {
    const subscriber = connect();
    assert.equal(await subscriber.subscribe('news', 'weather'), 2);
    await assert.rejects(subscriber.get('key'), /subscriber mode/);
    assert.equal(String(await subscriber.ping('hello')), 'pong,hello');
    assert.equal(await subscriber.unsubscribe('news'), 1);
    assert.equal(await redis.publish('news', 'x'), 0);
    assert.equal(await redis.publish('weather', 'x'), 1);
    assert.equal(await subscriber.unsubscribe(), 0);
    assert.equal(await subscriber.set('key', 'value'), 'OK');
    assert.equal(await subscriber.get('key'), 'value');
}

async function aLostSubscriberSubscribesAgain(redis) {
    const subscriber = connect({ connectionName: 'lost' });
    const got = [];
    subscriber.on('message', (channel, text) => got.push([channel, text]));
    subscriber.on('pmessage', (pattern, channel, text) => got.push([pattern, channel, text]));
    await subscriber.subscribe('news');
    await subscriber.psubscribe('n*');
    assert.equal(await redis.client('KILL', 'ID', await idOf(redis, 'lost')), 1);
    await eventually(async () => [(await redis.pubsub('NUMSUB', 'news'))[1], await redis.pubsub('NUMPAT')], [1, 1]);
    assert.equal(await redis.publish('news', 'again'), 2);
    await eventually(() => got, [['news', 'again'], ['n*', 'news', 'again']]);
}

async function execAnswersAll(redis) {
    const replies = await redis.multi().set('a', 1).incr('a').lpush('a', 'x').hset('h', 'f', 'v').hgetall('h').blpop('none', 5).exec();
    assert.match(replies[2][0].message, /^WRONGTYPE/);
    replies[2] = null;
    assert.deepEqual(replies, [[null, 'OK'], [null, 2], null, [null, 1], [null, { f: 'v' }], [null, null]]);
    const faulty = redis.multi().set('a', 'changed');
    faulty.call('nosuchcommand');
    await assert.rejects(faulty.exec(), /^ReplyError: EXECABORT Transaction discarded because of previous errors/);
    assert.equal(await redis.get('a'), '2');
    await redis.multi({ pipeline: false });
    assert.equal(await redis.set('a', 'changed'), 'QUEUED');
    assert.equal(await redis.discard(), 'OK');
    assert.equal(await redis.get('a'), '2');
    await redis.multi({ pipeline: false });
    assert.equal(await redis.incr('a'), 'QUEUED');
    assert.deepEqual(await redis.exec(), [[null, 3]]);
}

async function noUpdateIsLostUnderContention(redis) {
    const workers = 6;
    const updates = 100;
    let conflicts = 0;
    await Promise.all(numbers(workers).map(async () => {
        const client = connect();
        for (let done = 0; done < updates;) {
            await client.watch('counter');
            const value = Number(await client.get('counter'));
            const replies = await client.multi().set('counter', value + 1).rpush('log', value).exec();
            if (replies === null) {
                conflicts++;
            } else {
                assert.deepEqual(replies, [[null, 'OK'], [null, value + 1]]);
                done++;
            }
        }
    }));
    assert.equal(await redis.get('counter'), String(workers * updates));
    assert.deepEqual(await redis.lrange('log', 0, -1), numbers(workers * updates).map(String));
    assert.ok(conflicts > 0, 'nobody contended');
}

async function noTransactionIsSeenHalf(redis) {
    const rounds = 300;
    let writing = true;
    const writers = Promise.all(numbers(3).map(async () => {
        const client = connect();
        for (const _ of numbers(rounds)) await client.multi().incr('first').rpush('list', 'x').incr('second').exec();
    })).finally(() => (writing = false));
    const readers = numbers(3).map(async () => {
        const client = connect();
        while (writing) {
            const [first, second] = await client.mget('first', 'second');
            assert.equal(first, second);
        }
    });
    await Promise.all([writers, ...readers]);
    assert.deepEqual(await redis.mget('first', 'second'), [String(3 * rounds), String(3 * rounds)]);
    assert.equal(await redis.llen('list'), 3 * rounds);
}

async function pipelinesAnswerInOrder(redis) {
    const commands = 2500;
    await Promise.all(numbers(8).map(async worker => {
        const pipeline = connect().pipeline();
        for (const n of numbers(commands)) pipeline.set(`${worker}:${n % 100}`, n).get(`${worker}:${n % 100}`).incr('all');
        const replies = await pipeline.exec();
        assert.equal(replies.length, 3 * commands);
        for (const n of numbers(commands)) {
            assert.deepEqual([replies[3 * n], replies[3 * n + 1]], [[null, 'OK'], [null, String(n)]]);
        }
    }));
    assert.equal(await redis.get('all'), String(8 * commands));
    const automatic = connect({ enableAutoPipelining: true });
    assert.deepEqual(await Promise.all(numbers(5000).map(() => automatic.incr('n'))), numbers(5000).map(n => n + 1));
    const [good, bad] = await redis.pipeline().set('s', 'x').lpush('s', 1).exec();
    assert.deepEqual(good, [null, 'OK']);
    assert.match(bad[0].message, /^WRONGTYPE/);
}

async function everyKeyspaceEventArrives(redis) {
    const keys = 250;
    await redis.config('SET', 'notify-keyspace-events', 'KEA');
    const subscriber = connect();
    const events = [];
    const ofKey = [];
    subscriber.on('pmessage', (_, channel, key) => events.push(`${channel.split(':')[1]} ${key}`));
    subscriber.on('message', (_, event) => ofKey.push(event));
    await subscriber.psubscribe('__keyevent@0__:*');
    await subscriber.subscribe('__keyspace@0__:key');
    await Promise.all(numbers(4).map(async worker => {
        const client = connect();
        for (const n of numbers(keys)) await client.set(`${worker}:${n}`, n);
    }));
    await eventually(() => events.length, 4 * keys);
    for (const worker of numbers(4)) {
        assert.deepEqual(events.filter(event => event.startsWith(`set ${worker}:`)), numbers(keys).map(n => `set ${worker}:${n}`));
    }
    events.length = 0;
    await redis.set('key', 1, 'PX', 30);
    await eventually(() => events, ['set key', 'expire key', 'expired key']);
    await eventually(() => ofKey, ['set', 'expire', 'expired']);
    await redis.config('SET', 'notify-keyspace-events', '');
}

// Client-side caching by hand: a subscriber is told which keys that another connection has read were changed.
async function invalidationsAreRedirected(redis) {
    const subscriber = connect({ connectionName: 'invalidations' });
    const told = [];
    subscriber.on('messageBuffer', (_, keys) => told.push(keys === null ? null : keys.map(String).join(' ')));
    await subscriber.subscribe('__redis__:invalidate');
    const target = await idOf(redis, 'invalidations');
    const cached = connect();
    await cached.client('TRACKING', 'ON', 'REDIRECT', target);
    assert.equal(await cached.client('GETREDIR'), target);
    await redis.mset('a', 1, 'b', 2);
    await cached.mget('a', 'b', 'none');
    await redis.set('a', 2);
    await redis.set('a', 3);
    await redis.del('b');
    await redis.set('none', 1);
    await eventually(() => told, ['a', 'b', 'none']);
    await cached.set('gone', 1, 'PX', 30);
    await cached.get('gone');
    await eventually(() => told.at(-1), 'gone');
    await cached.get('a');
    await redis.flushall();
    await eventually(() => told.at(-1), null);
    told.length = 0;
    await cached.client('TRACKING', 'OFF');
    await cached.client('TRACKING', 'ON', 'REDIRECT', target, 'BCAST', 'PREFIX', 'w:', 'NOLOOP');
    await cached.set('w:own', 1);
    await Promise.all(numbers(4).map(async worker => {
        const client = connect();
        for (const n of numbers(200)) await client.mset(`w:${worker}:${n}`, n, `other:${n}`, n);
    }));
    const expected = numbers(4).flatMap(worker => numbers(200).map(n => `w:${worker}:${n}`)).sort();
    await eventually(() => told.flatMap(keys => keys.split(' ')).sort(), expected);
}

const sessions = [
    everySubscriberGetsEveryMessageInOrder, aSubscriberLeavesItsMode, aLostSubscriberSubscribesAgain, execAnswersAll,
    noUpdateIsLostUnderContention, noTransactionIsSeenHalf, pipelinesAnswerInOrder, everyKeyspaceEventArrives, invalidationsAreRedirected,
];
let passed = 0;
let failed = 0;
try {
    for (const session of sessions.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
        const redis = connect();
        try {
            await redis.flushall();
            await session(redis);
            passed++;
        } catch (error) {
            failed++;
            console.log(`FAIL: ${session.name}: ${error.stack}`);
        } finally {
            server.disconnect();
        }
    }
} finally {
    const code = await server.stop();
    if (code !== 0) {
        failed++;
        console.log(`FAIL: the server ended with ${code}`);
    }
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed === 0 ? 0 : 1;
