// Options that change what goes over the wire, or what others read off a dispatcher.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { certs, forebay, h2cServer, httpServer, httpsServer, rawServer, rawTlsServer, run, using } from './support.mjs';

const { Agent, Client, Pool, errors } = forebay;
const { ca } = certs;

test('webSocketOptions and eventSourceOptions: what undici\'s WebSocket and EventSource read', (t) => {
  const plain = using(t, new Agent());
  assert.deepEqual(plain.webSocketOptions, { maxFragments: 131_072, maxPayloadSize: 128 * 1024 * 1024 });
  assert.deepEqual(plain.eventSourceOptions, { maxEventSize: constants.MAX_STRING_LENGTH });
  const given = { webSocket: { maxFragments: 3, maxPayloadSize: 4 }, eventSource: { maxEventSize: 5 } };
  for (const dispatcher of [new Agent(given), new Pool('http://localhost', given), new Client('http://localhost', given)]) {
    using(t, dispatcher);
    assert.deepEqual(dispatcher.webSocketOptions, given.webSocket);
    assert.deepEqual(dispatcher.eventSourceOptions, given.eventSource);
  }
});

test('clientTtl: a Pool gives its clients up with time', async (t) => {
  const sockets = new Set();
  const server = await httpServer(t, (request, response) => {
    sockets.add(request.socket);
    response.end('x');
  });
  const pool = using(t, new Pool(server.origin, { clientTtl: 50 }));
  await run(pool, {});
  await run(pool, {});
  assert.equal(sockets.size, 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await run(pool, {});
  assert.equal(sockets.size, 2);
});

test('ALPN offers what allowH2 and preferH2 say, in their order', async (t) => {
  let offered;
  const server = await rawTlsServer(t, (socket) => {
    socket.on('error', () => {}).on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
  }, {
    ALPNCallback: ({ protocols }) => {
      offered = protocols;
      return 'http/1.1';
    },
  });
  for (const [options, expected] of [
    [{}, ['http/1.1', 'h2']], [{ allowH2: false }, ['http/1.1']], [{ connect: { preferH2: true } }, ['h2', 'http/1.1']],
  ]) {
    const client = using(t, new Client(server.named, { ...options, connect: { ca, ...options.connect } }));
    await run(client, {});
    assert.deepEqual(offered, expected);
  }
});

test('minVersion and maxVersion of TLS', async (t) => {
  const server = await httpsServer(t, (request, response) => response.end(request.socket.getProtocol()));
  for (const [connect, expected] of [[{}, 'TLSv1.3'], [{ maxVersion: 'TLSv1.2' }, 'TLSv1.2'], [{ minVersion: 'TLSv1.3' }, 'TLSv1.3']]) {
    const client = using(t, new Client(server.named, { connect: { ca, ...connect } }));
    assert.equal((await run(client, {})).body.toString(), expected);
  }
});

test('maxConcurrentStreams, in both spellings, bounds what is in flight', async (t) => {
  let most = 0;
  let now = 0;
  const server = await h2cServer(t, (_, response) => {
    most = Math.max(most, ++now);
    setTimeout(() => { now--; response.end(); }, 5);
  });
  for (const options of [{ maxConcurrentStreams: 2, useH2c: true }, { h2Options: { maxConcurrentStreams: 2, useH2c: true } }]) {
    most = 0;
    const client = using(t, new Client(server.origin, { pipelining: 10, ...options }));
    await Promise.all(Array.from({ length: 8 }, () => run(client, {})));
    assert.equal(most, 2);
  }
});

test('pingInterval: a server that answers no ping loses its connection', async (t) => {
  // Settings, and that the client's were seen; nothing more ever.
  const settings = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
  const server = await rawServer(t, (socket) => socket.once('data', () => socket.write(Buffer.from(settings))));
  const client = using(t, new Client(server.origin, { h2Options: { useH2c: true, pingInterval: 50 } }));
  const gone = new Promise((resolve) => client.once('disconnect', (origin, targets, error) => resolve(error)));
  const { error } = await run(client, {});
  assert.ok(error, 'the request failed');
  assert.deepEqual([(await gone).name, (await gone).message], ['InformationalError', 'HTTP/2: "PING" was not answered']);
});

test('timeouts of a request come before those of its client', async (t) => {
  const server = await httpServer(t, () => {});
  const client = using(t, new Client(server.origin, { headersTimeout: 60_000 }));
  const start = Date.now();
  assert.ok((await run(client, { headersTimeout: 100 })).error instanceof errors.HeadersTimeoutError);
  assert.ok(Date.now() - start < 20_000);
});
