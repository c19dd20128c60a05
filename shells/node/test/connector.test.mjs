// `connect` as a function: the caller makes the sockets.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { connect as netConnect } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { promisify } from 'node:util';
import { certs, forebay, h2Server, httpServer, httpsServer, rawServer, root, run, undici, until, using } from './support.mjs';

const { Agent, Client, Pool } = forebay;
const { ca } = certs;
const execute = promisify(execFile);
/** Connects as node:net does, and keeps what it made. */
const plain = (made = []) => ({ hostname, port }, callback) => {
  const socket = netConnect({ host: hostname, port }).once('connect', () => callback(null, socket)).once('error', callback);
  made.push(socket);
};

test('the socket that connect gives is used, for one request after the other', async (t) => {
  const server = await httpServer(t, (request, response) => response.end(`${request.url} ${request.socket.remotePort}`));
  const given = [];
  const sockets = [];
  const client = using(t, new Client(server.origin, {
    connect(params, callback) {
      given.push(params);
      plain(sockets)(params, callback);
    },
  }));
  const info = new Promise((resolve) => client.once('connect', (origin, targets) => resolve([origin.origin, targets[0] === client])));
  for (let i = 0; i < 100; i++) {
    assert.equal((await run(client, { path: `/${i}` })).body.toString(), `/${i} ${sockets[0].localPort}`);
  }
  assert.deepEqual(await info, [server.origin, true]);
  assert.equal(given.length, 1);
  const { host, hostname, protocol, port } = given[0];
  assert.deepEqual([host, hostname, protocol, port], [`127.0.0.1:${server.port}`, '127.0.0.1', 'http:', String(server.port)]);
  await client.close();
  await until(() => sockets[0].destroyed, 'the socket to be closed');
});

test('TLS is the connector\'s: undici\'s own, with a look at the certificate', async (t) => {
  const server = await httpsServer(t, (_, response) => response.end('secret'));
  const connector = undici.buildConnector({ ca, allowH2: false });
  const seen = [];
  const agent = using(t, new Agent({
    connect: (params, callback) => connector(params, (error, socket) => {
      seen.push(socket?.getPeerCertificate().fingerprint256);
      callback(error, socket);
    }),
  }));
  assert.equal((await run(agent, { origin: server.named })).body.toString(), 'secret');
  assert.match(seen[0], /^[0-9A-F:]+$/);
});

test('HTTP/2, if the connector has negotiated it', async (t) => {
  const server = await h2Server(t, (request, response) => response.end(request.httpVersion));
  const pool = using(t, new Pool(server.named, {
    connections: 1,
    connect({ hostname, port }, callback) {
      const socket = tlsConnect({ host: hostname, port, ca, servername: 'localhost', ALPNProtocols: ['h2'] }, () => callback(null, socket));
    },
  }));
  const all = await Promise.all([1, 2, 3].map(() => run(pool, {})));
  assert.deepEqual(all.map((got) => got.body.toString()), ['2.0', '2.0', '2.0']);
});

test('what connect refuses fails the request with the same error', async (t) => {
  const refusal = new Error('no');
  for (const connect of [(_, callback) => callback(refusal), (_, callback) => setImmediate(callback, refusal), () => { throw refusal; }]) {
    const client = using(t, new Client('http://localhost:1', { connect }));
    const failed = new Promise((resolve) => client.once('connectionError', (origin, targets, error) => resolve(error)));
    assert.equal((await run(client, {})).error, refusal);
    assert.equal(await failed, refusal);
  }
  const gone = using(t, new Client('http://localhost:1', { connect: (_, callback) => callback(null, new PassThrough().destroy()) }));
  assert.equal((await run(gone, {})).error.message, 'other side closed');
  const nothing = using(t, new Client('http://localhost:1', { connect: (_, callback) => callback(null) }));
  assert.equal((await run(nothing, {})).error.message, 'connect gave no socket');
});

test('an error of the socket is the request\'s, and the next request gets another socket', async (t) => {
  const server = await httpServer(t, (request, response) => request.url === '/never' || response.end('x'));
  const sockets = [];
  const client = using(t, new Client(server.origin, { connect: plain(sockets) }));
  const failure = Object.assign(new Error('cut'), { code: 'ECONNRESET' });
  const running = run(client, { path: '/never' });
  await until(() => sockets[0]?.bytesWritten > 0, 'the request');
  sockets[0].destroy(failure);
  assert.equal((await running).error, failure);
  assert.equal((await run(client, {})).body.toString(), 'x');
  assert.equal(sockets.length, 2);
});

test('a server that leaves, and one that ends its response by leaving', async (t) => {
  const server = await rawServer(t, (socket) => socket.once('data', (chunk) => {
    /never/.test(chunk) ? socket.end() : socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end');
  }));
  const client = using(t, new Client(server.origin, { connect: plain() }));
  assert.equal((await run(client, { path: '/never' })).error.message, 'other side closed');
  assert.equal((await run(client, {})).body.toString(), 'until the end');
});

test('large bodies go both ways, unchanged and with backpressure', async (t) => {
  const server = await httpServer(t, (request, response) => request.pipe(response));
  const client = using(t, new Client(server.origin, { connect: plain() }));
  const body = Buffer.alloc(20_000_000, 'forebay ');
  const got = await run(client, { method: 'POST', body }, {
    onResponseData(controller) {
      controller.pause();
      setImmediate(() => controller.resume());
    },
  });
  assert.ok(got.body.equals(body));
});

test('any Duplex will do', async (t) => {
  const requests = new PassThrough();
  const answers = new PassThrough();
  const client = using(t, new Client('http://mocked', {
    connect: (_, callback) => callback(null, Duplex.from({ readable: answers, writable: requests })),
  }));
  requests.once('data', () => answers.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nmock'));
  assert.equal((await run(client, {})).body.toString(), 'mock');
});

test('a socket that comes too late is destroyed', async (t) => {
  const server = await httpServer(t, (_, response) => response.end());
  let give;
  const client = using(t, new Client(server.origin, { connect: (_, callback) => { give = callback; } }));
  const running = run(client, {});
  await until(() => give);
  await client.destroy();
  await running;
  const socket = netConnect(server.port, '127.0.0.1');
  give(null, socket);
  assert.ok(socket.destroyed);
});

test('an idle socket of the caller\'s keeps no process alive', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const { stdout } = await execute(process.execPath, ['-e', `
    const { Client } = require(${JSON.stringify(root)});
    const { connect } = require('node:net');
    const client = new Client(process.argv[1], {
      connect({ hostname, port }, callback) { const socket = connect(port, hostname, () => callback(null, socket)); },
    });
    client.request({ path: '/', method: 'GET' }).then(async ({ body }) => console.log(await body.text()));
  `, server.origin], { timeout: 10_000 });
  assert.equal(stdout.trim(), 'x');
});
