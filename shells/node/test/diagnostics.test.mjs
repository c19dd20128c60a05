// undici's diagnostics channels, as tracing products listen to them.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { answering, certs, forebay, h2cServer, httpServer, httpsServer, run, undici, using } from './support.mjs';

const { Client } = forebay;

function listen(t, ...names) {
  const seen = [];
  for (const name of names) {
    const listener = (message) => seen.push([name.split(':').slice(1).join(':'), message]);
    subscribe(name, listener);
    t.after(() => unsubscribe(name, listener));
  }
  return seen;
}

test('a request from create to trailers, with a header added on the way', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 200 Yes\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nt: u\r\n\r\n');
  const add = ({ request }) => request.addHeader('traceparent', '00-1-2-03');
  subscribe('undici:request:create', add);
  t.after(() => unsubscribe('undici:request:create', add));
  const seen = listen(t, 'undici:request:create', 'undici:client:beforeConnect', 'undici:client:connected',
    'undici:client:sendHeaders', 'undici:request:bodySent', 'undici:request:bodyChunkSent', 'undici:request:headers',
    'undici:request:bodyChunkReceived', 'undici:request:trailers', 'undici:request:error');
  const client = using(t, new Client(server.origin));
  await run(client, { path: '/p?q', method: 'POST', headers: { a: 'b' }, body: 'x' });
  assert.deepEqual(seen.map(([name]) => name), [
    'request:create', 'client:beforeConnect', 'client:connected', 'client:sendHeaders', 'request:bodyChunkSent',
    'request:bodySent', 'request:headers', 'request:bodyChunkReceived', 'request:trailers',
  ]);
  const of = Object.fromEntries(seen);
  const { request } = of['request:create'];
  assert.ok(Object.values(of).every((message) => !message.request || message.request === request));
  assert.equal(request.origin, server.origin);
  assert.equal(request.path, '/p?q');
  assert.equal(request.method, 'POST');
  assert.deepEqual(request.headers, ['a', 'b', 'traceparent', '00-1-2-03']);
  assert.equal(request.completed, true);
  assert.match(server.requests[0], /\r\ntraceparent: 00-1-2-03\r\n/);
  assert.match(of['client:sendHeaders'].headers, /^POST \/p\?q HTTP\/1.1\r\nhost: .*\r\n(.*\r\n)*a: b\r\n/);
  assert.equal(of['client:sendHeaders'].socket.remotePort, server.port);
  const { response } = of['request:headers'];
  assert.equal(response.statusCode, 200);
  assert.equal(response.statusText, 'Yes');
  assert.deepEqual(response.headers.slice(0, 2).map(String), ['X', 'y']);
  assert.deepEqual(of['request:trailers'].trailers.map(String), ['t', 'u']);
  const { connectParams } = of['client:beforeConnect'];
  assert.equal(connectParams.hostname, '127.0.0.1');
  assert.equal(connectParams.port, String(server.port));
  assert.equal(connectParams.protocol, 'http:');
});

test('an error, and a connection that fails', async (t) => {
  const server = await httpServer(t, () => {});
  await server.close();
  const seen = listen(t, 'undici:request:error', 'undici:client:connectError');
  const got = await run(using(t, new Client(server.origin)), {});
  assert.deepEqual(seen.map(([name]) => name).sort(), ['client:connectError', 'request:error']);
  assert.ok(seen.every(([, { error }]) => error === got.error));
});

test('HTTP/2: the head as undici tells it', async (t) => {
  const server = await h2cServer(t, (request, response) => request.resume().on('end', () => response.end()));
  const seen = listen(t, 'undici:client:sendHeaders');
  const of = async (from) => {
    seen.length = 0;
    const client = using(t, new from.Client(server.origin, { allowH2: true, useH2c: true }));
    await run(client, { path: '/p?q', headers: { 'X-A': 'b' } });
    await run(client, { method: 'POST', headers: { host: 'other' }, body: 'hello' });
    return seen.map(([, { headers, socket }]) => [headers, socket.remotePort]);
  };
  assert.deepEqual(await of(forebay), await of(undici));
  assert.equal(seen.length, 2);
});

/** What a message of a channel says, apart from what each library has of its own: the socket and its maker. */
function said({ request, response, headers, trailers, chunk, error, connectParams }) {
  const about = ({ origin, path, method, headers, host, contentType, contentLength, idempotent, upgrade, completed, aborted }) => (
    { origin, path, method, headers: [...headers], host, contentType, contentLength, idempotent, upgrade, completed, aborted }
  );
  return structuredClone({
    request: request && about(request), response: response && { ...response, headers: response.headers.map(String) },
    headers, trailers: trailers?.map(String), chunk: chunk && [chunk.constructor.name, String(chunk)], error: error?.code, connectParams,
  });
}

test('every message comes when undici\'s comes, and says the same', async (t) => {
  const server = await httpsServer(t, (request, response) => request.resume().on('end', () => {
    response.writeHead(200, { x: 'y', date: 'today' });
    response.end('body');
  }));
  const closed = await httpServer(t, () => {});
  await closed.close();
  const seen = listen(t, ...[
    'request:create', 'request:bodySent', 'request:bodyChunkSent', 'request:bodyChunkReceived', 'request:headers', 'request:trailers',
    'request:error', 'client:sendHeaders', 'client:beforeConnect', 'client:connected', 'client:connectError',
  ].map((name) => `undici:${name}`));
  seen.push = (message) => Array.prototype.push.call(seen, [message[0], said(message[1])]);
  const of = async (from) => {
    seen.length = 0;
    const client = using(t, new from.Client(server.named, { connect: { ca: certs.ca }, allowH2: false }));
    const pieces = async function* () { yield 'one'; yield Buffer.from('two'); };
    await run(client, { path: '/a', method: 'POST', body: 'hello', headers: { a: 'b', 'content-type': 'text/x' } });
    // Another server name needs another connection.
    await run(client, { path: '/b', servername: 'localhost', headers: ['h', '1', 'i', '2'] });
    await run(client, { path: '/c', method: 'PUT', headers: { host: 'localhost' }, body: pieces() });
    await run(client, { path: '/d', method: 'HEAD' });
    await run(using(t, new from.Client(closed.origin, { localAddress: '127.0.0.1' })), {});
    return [...seen];
  };
  const expected = await of(undici);
  assert.equal(expected.length, 36);
  assert.deepEqual(await of(forebay), expected);
});
