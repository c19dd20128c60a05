// HTTP/2.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { certs, forebay, h2Server, h2cServer, recorder, require, run, until, using, within } from './support.mjs';

const { Agent, Client, H2CClient, Pool, errors } = forebay;
const { ca } = certs;

test('HTTP/2 by ALPN: names in small letters, no reason, trailers', async (t) => {
  const server = await h2Server(t, (request, response) => {
    response.writeHead(201, { 'X-Custom': 'y', version: request.httpVersion });
    response.addTrailers({ sum: '1' });
    response.end('two');
  });
  const agent = using(t, new Agent({ connect: { ca } }));
  const got = await run(agent, { origin: server.named, headers: { 'X-Asked': 'z' } });
  assert.equal(got.status, 201);
  assert.equal(got.text, '');
  assert.equal(got.headers['x-custom'], 'y');
  assert.equal(got.headers.version, '2.0');
  assert.equal(got.body.toString(), 'two');
  assert.deepEqual(got.trailers, { sum: '1' });
});

test('allowH2 false, of client and request, speaks HTTP/1.1', async (t) => {
  const server = await h2Server(t, (request, response) => response.end(request.httpVersion));
  const version = async (options, request) => {
    const agent = using(t, new Agent({ connect: { ca }, ...options }));
    return (await run(agent, { origin: server.named, ...request })).body.toString();
  };
  assert.equal(await version({}, {}), '2.0');
  assert.equal(await version({ allowH2: false }, {}), '1.1');
  assert.equal(await version({}, { allowH2: false }), '1.1');
});

test('many streams share one HTTP/2 connection', async (t) => {
  const sessions = new Set();
  const server = await h2Server(t, (request, response) => {
    sessions.add(request.stream.session);
    setTimeout(() => response.end(request.url), 5);
  });
  const pool = using(t, new Pool(server.named, { connect: { ca } }));
  const all = await Promise.all(Array.from({ length: 60 }, (_, i) => run(pool, { path: `/${i}` })));
  all.forEach((got, i) => assert.equal(got.body.toString(), `/${i}`));
  assert.equal(sessions.size, 1);
});

test('HTTP/2: a pool opens another connection when the server takes no more streams', async (t) => {
  const sessions = new Set();
  const server = await h2Server(t, (request, response) => {
    sessions.add(request.stream.session);
    setTimeout(() => response.end(), 20);
  }, { settings: { maxConcurrentStreams: 2 } });
  const pool = using(t, new Pool(server.named, { connect: { ca } }));
  await run(pool, {});
  await Promise.all(Array.from({ length: 4 }, () => run(pool, {})));
  assert.equal(sessions.size, 2);
});

test('HTTP/2: characters that no URI has are sent encoded', async (t) => {
  const server = await h2Server(t, (request, response) => response.end(request.url));
  const client = using(t, new Client(server.named, { connect: { ca } }));
  assert.equal((await run(client, { path: '/{a}|^<é`?"\\[b]|{c}' })).body.toString(), '/{a}|^%3C%E9%60?%22\\[b]|{c}');
  assert.equal((await run(client, { path: '/{a}|^?\\[b]|{c}`' })).body.toString(), '/{a}|^?\\[b]|{c}`');
});

test('HTTP/2: a ping event for each answer to a ping', async (t) => {
  const server = await h2Server(t, (_, response) => setTimeout(() => response.end(), 100));
  const client = using(t, new Client(server.named, { connect: { ca }, pingInterval: 20 }));
  const took = [];
  client.on('ping', (milliseconds) => took.push(milliseconds));
  await run(client, {});
  assert.ok(took.length >= 1 && took.every((ms) => ms > 0 && ms < 1_000), took.join());
});

test('HTTP/2 uploads, with and without a length', async (t) => {
  const server = await h2Server(t, (request, response) => {
    let length = 0;
    request.on('data', (chunk) => { length += chunk.length; })
      .on('end', () => response.end(`${length} ${request.headers['content-length']}`));
  });
  const agent = using(t, new Agent({ connect: { ca } }));
  const post = async (body) => (await run(agent, { origin: server.named, method: 'POST', body })).body.toString();
  assert.equal(await post(Buffer.alloc(1_000_000)), '1000000 1000000');
  assert.equal(await post((async function* () { for (let i = 0; i < 20; i++) yield Buffer.alloc(50_000); }())), '1000000 undefined');
});

test('HTTP/2 downloads with pauses', async (t) => {
  const server = await h2Server(t, (_, response) => response.end(Buffer.alloc(3_000_000, 3)));
  const agent = using(t, new Agent({ connect: { ca } }));
  const got = await run(agent, { origin: server.named }, {
    onResponseData(controller) {
      controller.pause();
      setTimeout(() => controller.resume(), 1);
    },
  });
  assert.equal(got.body.length, 3_000_000);
  assert.ok(got.body.every((byte) => byte === 3));
});

test('HTTP/2 abort resets the stream and keeps the connection', async (t) => {
  const sessions = new Set();
  const codes = [];
  const server = await h2Server(t, (request, response) => {
    sessions.add(request.stream.session);
    request.stream.on('close', () => codes.push(request.stream.rstCode));
    request.url === '/never' ? response.write('x') : response.end('y');
  });
  const client = using(t, new Client(server.named, { connect: { ca } }));
  const reason = new Error('enough');
  const got = await run(client, { path: '/never' }, { onResponseData: (controller) => controller.abort(reason) });
  assert.equal(got.error, reason);
  assert.equal((await run(client, {})).body.toString(), 'y');
  assert.equal(sessions.size, 1);
});

test('H2CClient: HTTP/2 over plain TCP', async (t) => {
  const server = await h2cServer(t, (request, response) => response.end(request.httpVersion));
  const client = using(t, new H2CClient(server.origin));
  assert.equal((await run(client, {})).body.toString(), '2.0');
  assert.throws(() => new H2CClient('https://a'), { message: 'h2c-client: Only h2c protocol is supported' });
  assert.throws(() => new H2CClient('http://a', { maxConcurrentStreams: 10, pipelining: 20 }), {
    message: 'h2c-client: pipelining cannot be greater than maxConcurrentStreams',
  });
});

test('HTTP/2: an upgrade token other than websocket is refused', async (t) => {
  const server = await h2Server(t, (_, response) => response.end());
  const client = using(t, new Client(server.named, { connect: { ca } }));
  await run(client, {});
  const handler = recorder();
  client.dispatch({ path: '/', method: 'GET', upgrade: 'other' }, handler);
  await handler.done;
  assert.equal(handler.error?.message, 'Custom upgrade "other" not supported over HTTP/2');
});

test('HTTP/2: a stream that is reset', async (t) => {
  const server = await h2Server(t, (request) => request.stream.close(2));
  const { error } = await run(using(t, new Client(server.named, { connect: { ca } })), {});
  assert.match(`${error.code} ${error.message}`, /ERR_HTTP2_STREAM_ERROR|HTTP\/2|NGHTTP2_INTERNAL_ERROR/);
});

/** A server whose websockets are played by `play`. */
async function websockets(t, play) {
  const server = await h2Server(t, () => {}, { settings: { enableConnectProtocol: true } });
  server.server.removeAllListeners('stream').on('stream', (stream) => {
    stream.on('error', () => {}).respond({ ':status': 200 });
    play(stream);
  });
  return server;
}

test('HTTP/2: a websocket is an extended CONNECT, its socket a Duplex', async (t) => {
  const server = await h2Server(t, () => {}, { settings: { enableConnectProtocol: true } });
  server.server.removeAllListeners('stream').on('stream', (stream, headers) => {
    assert.deepEqual([headers[':method'], headers[':protocol'], headers[':path'], headers['x-a']], ['CONNECT', 'websocket', '/chat', 'b']);
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'p' });
    stream.on('data', (chunk) => stream.write(`echo ${chunk}`)).on('end', () => stream.end('bye'));
  });
  const client = using(t, new Client(server.named, { connect: { ca } }));
  const { headers, socket } = await client.upgrade({ path: '/chat', protocol: 'websocket', headers: { 'x-a': 'b' } });
  assert.equal(headers['sec-websocket-protocol'], 'p');
  assert.ok(socket.session, 'by which undici\'s WebSocket knows HTTP/2');
  socket.write('one');
  assert.equal(String(await within(new Promise((resolve) => socket.once('data', resolve)))), 'echo one');
  socket.end();
  assert.equal(String(await within(new Promise((resolve) => socket.once('data', resolve)))), 'bye');
});

test('an upgrade for a handler of undici 6 is made by HTTP/1.1: it knows no other', async (t) => {
  const server = await h2Server(t, () => {}, { settings: { enableConnectProtocol: true } });
  server.server.on('upgrade', (request, socket) => {
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Yes\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
  });
  for (const dispatcher of [new Agent({ connect: { ca } }), new Client(server.named, { connect: { ca, preferH2: true } })]) {
    const socket = new (require('undici6').WebSocket)(`wss://localhost:${server.port}`, { dispatcher: using(t, dispatcher) });
    await within(new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', (event) => reject(event.error ?? event));
    }));
    socket.close();
  }
});

for (const [what, ends, unsent] of [
  ['is reset', (stream) => stream.close(2), 0],
  ['has ended, and is reset', (stream) => stream.end().close(2), 0],
  ['is reset with much to be sent', (stream) => stream.close(2), 1 << 20],
]) {
  test(`HTTP/2: the socket of a stream that ${what} fails`, async (t) => {
    const server = await websockets(t, (stream) => setTimeout(ends, 20, stream));
    const client = using(t, new Client(server.named, { connect: { ca } }));
    const { socket } = await client.upgrade({ path: '/', protocol: 'websocket' });
    const failed = new Promise((resolve) => socket.once('error', resolve).resume());
    socket.write(Buffer.alloc(unsent));
    const error = await within(failed);
    assert.deepEqual([error.code, error.http2ErrorCode], ['ERR_HTTP2_STREAM_ERROR', 2]);
  });
}

test('HTTP/2: destroy() ends sockets too', async (t) => {
  const server = await websockets(t, (stream) => stream.write('x'));
  const client = new Client(server.named, { connect: { ca } });
  const { socket } = await client.upgrade({ path: '/', protocol: 'websocket' });
  const failed = new Promise((resolve) => socket.once('error', resolve));
  await client.destroy();
  assert.ok((await within(failed)) instanceof errors.ClientDestroyedError);
});

test('HTTP/2: what a socket writes last arrives, although the server has ended before', async (t) => {
  let all = '';
  const server = await websockets(t, (stream) => {
    stream.on('data', (chunk) => { all += chunk; });
    stream.end('bye');
  });
  const client = using(t, new Client(server.named, { connect: { ca } }));
  const { socket } = await client.upgrade({ path: '/', protocol: 'websocket' });
  const last = 'x'.repeat(500_000);
  socket.once('data', () => socket.end(last));
  await within(new Promise((resolve) => socket.once('close', resolve)));
  await until(() => all.length === last.length);
});

test('HTTP/2: expectContinue: the body is sent when it is wanted, and not to who refuses it', async (t) => {
  const server = await h2Server(t, (request, response) => {
    let length = 0;
    request.on('data', (chunk) => { length += chunk.length; }).on('end', () => response.end(String(length)));
  });
  const stayed = [];
  server.server.on('checkContinue', (request, response) => {
    request.on('data', () => stayed.push('sent'));
    response.writeHead(417).end('no');
  });
  const client = using(t, new Client(server.named, { connect: { ca } }));
  const refused = await run(client, { method: 'POST', body: 'hello', expectContinue: true }, { optional: true });
  assert.deepEqual([refused.status, refused.body.toString(), refused.names().includes('onRequestSent')], [417, 'no', false]);
  server.server.removeAllListeners('checkContinue');
  const taken = await run(client, { method: 'POST', body: 'hello', expectContinue: true });
  assert.equal(taken.body.toString(), '5');
  assert.deepEqual(taken.calls('onResponseStart').map(([, status]) => status), [100, 200]);
  assert.deepEqual(stayed, []);
});

test('HTTP/2: an idle connection is closed after keepAliveTimeout, with the cause', async (t) => {
  const server = await h2Server(t, (_, response) => response.end('x'));
  const client = using(t, new Client(server.named, { connect: { ca }, keepAliveTimeout: 100 }));
  const gone = new Promise((resolve) => client.once('disconnect', (origin, targets, error) => resolve(error)));
  await run(client, {});
  const error = await gone;
  assert.deepEqual([error.name, error.message], ['InformationalError', 'socket idle timeout']);
  assert.equal((await run(client, {})).body.toString(), 'x');
});

test('HTTP/2: more fields than maxHeaderSize', async (t) => {
  const server = await h2Server(t, (_, response) => response.writeHead(200, { long: 'x'.repeat(5_000) }).end());
  const small = using(t, new Client(server.named, { connect: { ca }, maxHeaderSize: 4_096 }));
  assert.ok((await run(small, {})).error instanceof errors.HeadersOverflowError);
  const large = using(t, new Client(server.named, { connect: { ca } }));
  assert.equal((await run(large, {})).status, 200);
});
