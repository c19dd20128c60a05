// undici's diagnostics channels, as tracing products listen to them.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { answering, forebay, httpServer, run, using } from './support.mjs';

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
