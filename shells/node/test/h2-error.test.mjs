// Failures of HTTP/2, made for real, and what is sent again.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { forebay, h2cServer, rawServer, recorder, run, until, using } from './support.mjs';

const { Client, errors } = forebay;

/** A server that does what `acts` say, one after the other, and then answers with "done". */
function acting(t, ...acts) {
  const bodies = [];
  return h2cServer(t, (request, response) => {
    const act = acts.shift();
    if (act) {
      act(request.stream, request.stream.session);
      return;
    }
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
      bodies.push(String(Buffer.concat(chunks)));
      response.end('done');
    });
  }).then((server) => ({ ...server, bodies }));
}

const h2 = (t, origin, options) => using(t, new Client(origin, { useH2c: true, ...options }));
const refuse = (stream) => stream.close(7);

/** Like {@link acting}, behind somebody who says to its first connection that it leaves, serving streams up to `last`. */
async function leaving(t, code, last) {
  const server = await acting(t);
  let first = true;
  // Settings, that the client's were seen, and the farewell.
  const said = Buffer.from([
    0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, last, 0, 0, 0, code,
  ]);
  const front = await rawServer(t, (socket) => {
    if (first) {
      let length = 0;
      // The preface and settings come first, the request then.
      socket.on('data', (chunk) => { length += chunk.length; length > 80 && first && (first = false, socket.write(said)); });
    } else {
      const back = connect(server.port, '127.0.0.1').on('error', () => {});
      socket.pipe(back).pipe(socket);
    }
  });
  return { ...server, origin: front.origin };
}

for (const [what, make] of [
  ['REFUSED_STREAM', (t) => acting(t, refuse)],
  ['GOAWAY without an error, the request untouched', (t) => leaving(t, 0, 0)],
  ['GOAWAY with an error, the request untouched', (t) => leaving(t, 2, 0)],
]) {
  test(`HTTP/2: ${what}: sent again with a new controller, whatever the method`, async (t) => {
    for (const [request, body] of [[{}, ''], [{ method: 'POST', body: 'twice' }, 'twice']]) {
      const server = await make(t);
      const got = await run(h2(t, server.origin), request);
      assert.equal(got.body.toString(), 'done', String(got.error));
      const [[first], [second], ...more] = got.calls('onRequestStart');
      assert.equal(more.length, 0);
      assert.notEqual(first, second);
      assert.equal(got.calls('onResponseStart')[0][0], second);
      assert.deepEqual(server.bodies, [body]);
    }
  });
}

test('HTTP/2: what was refused twice fails', async (t) => {
  const server = await acting(t, refuse, refuse);
  const { error } = await run(h2(t, server.origin), {});
  assert.deepEqual([error.code, error.http2ErrorCode], ['ERR_HTTP2_STREAM_ERROR', 7]);
});

test('HTTP/2: GOAWAY: what runs goes on to its end, and what comes next has another connection', async (t) => {
  let finish;
  const server = await acting(t, (stream, session) => {
    stream.respond({ ':status': 200 });
    stream.write('half');
    session.goaway(0);
    finish = () => stream.end(' and half');
  });
  const client = h2(t, server.origin);
  const gone = new Promise((resolve) => client.once('disconnect', (origin, targets, error) => resolve(error)));
  const first = run(client, {});
  const error = await gone;
  assert.deepEqual([error.name, error.message], ['InformationalError', 'HTTP/2: "GOAWAY" frame received with code 0']);
  assert.equal((await run(client, {})).body.toString(), 'done');
  finish();
  assert.equal((await first).body.toString(), 'half and half');
});

test('HTTP/2: destroy() ends what still runs on a connection that the server leaves', async (t) => {
  const closed = [];
  const server = await acting(t, (stream, session) => {
    stream.respond({ ':status': 200 });
    stream.write('half');
    stream.on('close', () => closed.push(stream.rstCode));
    session.goaway(0);
  });
  const client = h2(t, server.origin);
  const gone = new Promise((resolve) => client.once('disconnect', resolve));
  const first = run(client, {});
  await gone;
  await client.destroy();
  assert.ok((await first).error instanceof errors.ClientDestroyedError);
  await until(() => closed.length === 1);
});

test('HTTP/2: until the server has said how many streams it takes, one is opened', async (t) => {
  const server = await h2cServer(t, (request, response) => request.on('end', () => response.end('x')).resume(), {
    settings: { maxConcurrentStreams: 1 },
  });
  const client = h2(t, server.origin);
  // Bodies that could not be sent again.
  const all = await Promise.all(Array.from({ length: 5 }, () => run(client, { method: 'POST', body: (async function* () { yield 'once'; }()) })));
  all.forEach((got) => assert.equal(got.body.toString(), 'x', String(got.error)));
});

test('HTTP/2: a refused request whose body is a stream fails: it cannot be sent twice', async (t) => {
  const server = await acting(t, refuse);
  const { error } = await run(h2(t, server.origin), { method: 'POST', body: (async function* () { yield 'once'; }()) });
  assert.deepEqual([error.code, error.message], ['ERR_HTTP2_STREAM_ERROR', 'Stream closed with error code NGHTTP2_REFUSED_STREAM']);
});

test('HTTP/2: GOAWAY with an error: what the server had begun with fails at once', async (t) => {
  const server = await leaving(t, 2, 1);
  const client = h2(t, server.origin);
  const { error } = await run(client, { method: 'POST', body: 'x' });
  assert.ok(error instanceof errors.SocketError, String(error));
  assert.equal(error.message, 'HTTP/2: "GOAWAY" frame received with code 2');
  assert.equal((await run(client, {})).body.toString(), 'done', 'the next request has a connection of its own');
});

test('HTTP/2: a stream that is reset before and within its response', async (t) => {
  const server = await acting(t, (stream) => stream.close(2), (stream) => {
    stream.respond({ ':status': 200 });
    stream.on('error', () => {}).write('some', () => setTimeout(() => stream.destroy(new Error('broken')), 20));
  });
  const client = h2(t, server.origin);
  const before = await run(client, {});
  assert.deepEqual([before.error.code, before.error.message], ['ERR_HTTP2_STREAM_ERROR', 'Stream closed with error code NGHTTP2_INTERNAL_ERROR']);
  const within = await run(client, {});
  assert.equal(within.body.toString(), 'some');
  assert.deepEqual([within.error.code, within.error.message], ['ERR_HTTP2_STREAM_ERROR', 'Stream closed with error code NGHTTP2_INTERNAL_ERROR']);
});

test('HTTP/2: timeouts say so', async (t) => {
  const server = await acting(t, () => {}, (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('half');
  });
  const client = h2(t, server.origin);
  const head = await run(client, { headersTimeout: 80 });
  assert.ok(head.error instanceof errors.HeadersTimeoutError);
  assert.equal(head.error.message, 'HTTP/2: "headers timeout after 80"');
  const body = await run(client, { bodyTimeout: 80 });
  assert.ok(body.error instanceof errors.BodyTimeoutError);
  assert.equal(body.error.message, 'HTTP/2: "stream timeout after 80"');
  assert.equal(body.body.toString(), 'half');
  assert.equal((await run(client, {})).body.toString(), 'done', 'the connection goes on');
});

test('HTTP/2: a connection that has died silently is given up after a timeout, the next request has another', async (t) => {
  const server = await acting(t);
  let count = 0;
  let isDead = false;
  const front = await rawServer(t, (socket) => {
    const isFirst = count++ === 0;
    const back = connect(server.port, '127.0.0.1').on('error', () => {});
    back.on('data', (chunk) => socket.write(chunk));
    socket.on('data', (chunk) => (isFirst && isDead) || back.write(chunk)).on('close', () => back.destroy());
  });
  const client = h2(t, front.origin);
  const gone = new Promise((resolve) => client.once('disconnect', (origin, targets, error) => resolve(error)));
  assert.equal((await run(client, {})).body.toString(), 'done');
  isDead = true;
  assert.ok((await run(client, { headersTimeout: 50 })).error instanceof errors.HeadersTimeoutError);
  assert.equal((await run(client, {})).body.toString(), 'done');
  const error = await gone;
  assert.ok(error instanceof errors.SocketError);
  assert.equal(error.message, 'HTTP/2: connection unresponsive');
  assert.equal(count, 2);
});

test('HTTP/2: a body of another length than declared', async (t) => {
  const respond = (stream) => {
    stream.respond({ ':status': 200, 'content-length': 9 });
    stream.end('half');
  };
  const server = await acting(t, respond);
  const { error } = await run(h2(t, server.origin), {});
  assert.ok(error, 'refused');
});

test('HTTP/2: a response that is too large', async (t) => {
  const server = await acting(t);
  const { error } = await run(h2(t, server.origin, { maxResponseSize: 3 }), {});
  assert.ok(error instanceof errors.ResponseExceededMaxSizeError, String(error));
});

test('HTTP/2: a server that leaves, and one that talks nonsense', async (t) => {
  const gone = await acting(t, (_, session) => session.destroy());
  const left = await run(h2(t, gone.origin), { method: 'POST', body: 'x' });
  assert.ok(left.error instanceof errors.SocketError, String(left.error));
  assert.equal(left.error.message, 'other side closed');
  const { remotePort, bytesWritten, bytesRead } = left.error.socket;
  assert.deepEqual([remotePort, bytesWritten > 0, bytesRead > 0], [gone.port, true, true]);
  const noise = await rawServer(t, (socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')));
  const handler = recorder();
  h2(t, noise.origin).dispatch({ path: '/', method: 'GET' }, handler);
  await handler.done;
  assert.match(String(handler.error.code), /^(ERR_HTTP2_|UND_ERR_)/);
});
