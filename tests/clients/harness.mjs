// What the sessions of ioredis share: the server under test in a folder of its own, and its clients.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

// The packages may have been installed elsewhere than beside this file: NODE_MODULES names that folder.
export const require = createRequire(path.join(path.resolve(process.env.NODE_MODULES ?? import.meta.dirname), 'x.js'));
const Redis = require('ioredis');

async function freePort() {
    const probe = net.createServer();
    await new Promise(resolve => probe.listen(0, '127.0.0.1', resolve));
    const { port } = probe.address();
    await new Promise(resolve => probe.close(resolve));
    return port;
}

// A server that runs until stop(); connect() gives a client, which waits for the server to come up, until disconnect() ends all.
export async function start(binary) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'clients-'));
    const port = await freePort();
    const server = spawn(path.resolve(binary), ['--port', String(port), '--save', '', '--dir', folder, '--logfile', `${folder}/log`],
        { cwd: folder, stdio: 'ignore' });
    const ended = new Promise(resolve => server.once('exit', resolve));
    const clients = [];
    return {
        port,
        connect(options = {}) {
            const client = new Redis({
                port, retryStrategy: times => (times < 100 ? 50 : null), maxRetriesPerRequest: null, ...options,
            });
            client.on('error', () => {});
            clients.push(client);
            return client;
        },
        disconnect() {
            for (const client of clients.splice(0)) client.disconnect();
        },
        // The server's exit code; null if a signal ended it.
        async stop() {
            this.disconnect();
            server.kill();
            const code = await ended;
            fs.rmSync(folder, { recursive: true, force: true });
            return code;
        },
    };
}
