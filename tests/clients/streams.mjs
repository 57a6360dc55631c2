#!/usr/bin/env node
// A job queue on streams by ioredis: a producer and two groups of three consumers each, one of which ends with its work
// undone. Every entry must reach every group, whole, once and in order, but for what the lost consumer was given: that is
// claimed by another one. Starts the server in a folder of its own. The last line is 'N passed, N failed, N skipped'.
//
//   usage: streams.mjs --server BINARY [--entries N]
import { parseArgs } from 'node:util';

import { start } from './harness.mjs';

const GROUPS = ['billing', 'audit'];
const CONSUMERS = ['one', 'two', 'three'];
const LOST = 'three';
const LOST_AFTER = 5;
const BATCH = 100;
const IDLE_MS = 300;

const faults = [];
const sent = new Map();
const done = new Map(GROUPS.map(group => [group, new Map()]));
const left = new Map();
let produced = false;

const { values } = parseArgs({ options: { server: { type: 'string' }, entries: { type: 'string', default: '100000' } } });
const entries = Number(values.entries);

async function produce(redis) {
    for (let start = 0; start < entries; start += BATCH) {
        const pipeline = redis.pipeline();
        const batch = [];
        for (let n = start; n < Math.min(start + BATCH, entries); n++) {
            const fields = ['job', String(n), 'kind', n % 2 === 0 ? 'even' : 'odd', 'text', 'x'.repeat(n % 70)];
            batch.push(fields);
            pipeline.xadd('jobs', '*', ...fields);
        }
        (await pipeline.exec()).forEach(([error, id], n) => {
            if (error) throw error;
            sent.set(id, batch[n].join('\n'));
        });
    }
    produced = true;
}

async function consume(redis, group, name) {
    let batches = 0;
    let last = [0n, 0n];
    for (;;) {
        const reply = await redis.xreadgroup('GROUP', group, name, 'COUNT', BATCH, 'BLOCK', 100, 'STREAMS', 'jobs', '>');
        const found = reply ? reply[0][1] : [];
        for (const [id] of found) {
            const at = id.split('-').map(BigInt);
            if (at[0] < last[0] || (at[0] === last[0] && at[1] <= last[1])) faults.push(`${group}/${name}: ${id} after ${last}`);
            last = at;
        }
        batches++;
        if (name === LOST && batches >= LOST_AFTER && reply) {
            left.set(group, found.length);
            redis.disconnect();
            return;
        }
        await workOff(redis, group, found);
        // One consumer looks after what others have left, as soon as there is nothing new.
        if (!reply && name === CONSUMERS[0]) await claim(redis, group, name);
        if (!reply && produced && await isFinished(redis, group)) return;
    }
}

async function claim(redis, group, name) {
    let cursor = '0-0';
    do {
        const [next, found, deleted] = await redis.xautoclaim('jobs', group, name, IDLE_MS, cursor, 'COUNT', BATCH);
        if (deleted.length > 0) faults.push(`${group}: ${deleted} are said to be deleted`);
        await workOff(redis, group, found);
        cursor = next;
    } while (cursor !== '0-0');
}

async function workOff(redis, group, found) {
    if (found.length === 0) return;
    for (const [id, fields] of found) {
        const times = done.get(group).get(id) ?? [];
        done.get(group).set(id, [...times, fields.join('\n')]);
    }
    const acknowledged = await redis.xack('jobs', group, ...found.map(([id]) => id));
    if (acknowledged !== found.length) faults.push(`${group}: ${acknowledged} of ${found.length} acknowledged`);
}

async function groupInfo(redis, group) {
    const all = (await redis.xinfo('GROUPS', 'jobs')).map(flat => {
        const info = {};
        for (let i = 0; i < flat.length; i += 2) info[flat[i]] = flat[i + 1];
        return info;
    });
    return all.find(info => info.name === group);
}

async function isFinished(redis, group) {
    const info = await groupInfo(redis, group);
    return info.pending === 0 && info.lag === 0;
}

async function check(redis) {
    if (sent.size !== entries || await redis.xlen('jobs') !== entries) faults.push(`${sent.size} entries sent`);
    for (const group of GROUPS) {
        const worked = done.get(group);
        if (!left.get(group)) faults.push(`${group}: the consumer that is to be lost was given nothing`);
        for (const [id, fields] of sent) {
            const times = worked.get(id) ?? [];
            if (times.length !== 1 || times[0] !== fields) faults.push(`${group}: ${id} worked off as ${JSON.stringify(times)}`);
        }
        for (const id of worked.keys()) if (!sent.has(id)) faults.push(`${group}: ${id} was never sent`);
        const info = await groupInfo(redis, group);
        if (info.consumers !== CONSUMERS.length || info.pending !== 0 || info['entries-read'] !== entries || info.lag !== 0) {
            faults.push(`${group}: ${JSON.stringify(info)}`);
        }
    }
}

const server = await start(values.server);
const connect = server.connect;
try {
    const redis = connect();
    await redis.flushall();
    for (const group of GROUPS) await redis.xgroup('CREATE', 'jobs', group, '0', 'MKSTREAM');
    const started = Date.now();
    await Promise.all([produce(connect()), ...GROUPS.flatMap(group => CONSUMERS.map(name => consume(connect(), group, name)))]);
    console.log(`${entries} entries to ${GROUPS.length} groups in ${(Date.now() - started) / 1000} s`);
    await check(redis);
} catch (error) {
    faults.push(String(error));
} finally {
    const code = await server.stop();
    if (code !== 0) faults.push(`the server ended with ${code}`);
}
for (const fault of faults.slice(0, 20)) console.log(`FAIL: ${fault}`);
console.log(`${faults.length === 0 ? 1 : 0} passed, ${faults.length === 0 ? 0 : 1} failed, 0 skipped`);
process.exitCode = faults.length === 0 ? 0 : 1;
