// request, stream, pipeline, connect, upgrade, compose: without undici, and with its interceptors.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { OK, answering, forebay, httpServer, rawServer, require, run, undici, until, using, within } from './support.mjs';

const { Agent, Client, Pool, errors } = forebay;

const json = (t) => httpServer(t, (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method: request.method, url: request.url, body: String(Buffer.concat(chunks)) }));
  });
});

test('request: the ways to take a body', async (t) => {
  const server = await json(t);
  const agent = using(t, new Agent());
  const get = async () => (await agent.request({ origin: server.origin, path: '/p', method: 'GET' })).body;
  const expected = { method: 'GET', url: '/p', body: '' };
  assert.deepEqual(await (await get()).json(), expected);
  assert.deepEqual(JSON.parse(await (await get()).text()), expected);
  assert.deepEqual(JSON.parse(Buffer.from(await (await get()).arrayBuffer())), expected);
  assert.deepEqual(JSON.parse(Buffer.from(await (await get()).bytes())), expected);
  const blob = await (await get()).blob();
  assert.equal(blob.type, 'application/json');
  assert.deepEqual(JSON.parse(await blob.text()), expected);
  await assert.rejects((await get()).formData(), errors.NotSupportedError);
  let text = '';
  for await (const chunk of await get()) text += chunk;
  assert.deepEqual(JSON.parse(text), expected);
  text = '';
  for await (const chunk of (await get()).body) text += Buffer.from(chunk);
  assert.deepEqual(JSON.parse(text), expected);
  const body = await get();
  assert.equal(body.bodyUsed, false);
  await body.text();
  assert.equal(body.bodyUsed, true);
  await assert.rejects(body.text(), TypeError);
});

test('request: what the data has', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 103 Hints\r\na: 1\r\n\r\nHTTP/1.1 200 Good\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nt: u\r\n\r\n');
  const client = using(t, new Client(server.origin));
  const infos = [];
  const opaque = { o: 1 };
  const data = await client.request({ path: '/', method: 'GET', opaque, onInfo: (info) => infos.push(info) });
  assert.equal(data.statusCode, 200);
  assert.equal(data.statusText, 'Good');
  assert.equal(data.headers.x, 'y');
  assert.equal(data.opaque, opaque);
  assert.deepEqual(infos, [{ statusCode: 103, headers: { a: '1' } }]);
  assert.equal(await data.body.text(), 'ok');
  assert.deepEqual(data.trailers, { t: 'u' });
  const raw = await client.request({ path: '/', method: 'GET', responseHeaders: 'raw' });
  assert.deepEqual(raw.headers, ['X', 'y', 'transfer-encoding', 'chunked']);
  await raw.body.dump();
});

test('request: a callback instead of a promise', async (t) => {
  const server = await json(t);
  const client = using(t, new Client(server.origin));
  const data = await new Promise((resolve, reject) => {
    const returned = client.request({ path: '/', method: 'GET' }, (error, given) => (error ? reject(error) : resolve(given)));
    assert.equal(returned, undefined);
  });
  await data.body.dump();
  assert.throws(() => client.request({ path: '/', method: 'GET' }, 1), { message: 'invalid callback' });
});

for (const [options, message] of [
  [undefined, 'invalid opts'], [1, 'invalid opts'], [{ path: '/', method: 'CONNECT' }, 'invalid method'],
  [{ path: '/', method: 'GET', signal: {} }, 'signal must be an EventEmitter or EventTarget'],
  [{ path: '/', method: 'GET', onInfo: 1 }, 'invalid onInfo callback'],
  [{ path: '/', method: 'GET', highWaterMark: -1 }, 'invalid highWaterMark'],
  [{ path: 1, method: 'GET' }, 'path must be a string'],
]) {
  test(`request: ${JSON.stringify(options)} is refused`, async () => {
    const client = new Client('http://localhost');
    await assert.rejects(client.request(options), { name: 'InvalidArgumentError', message });
  });
}

test('request: an AbortSignal before, during, and after', async (t) => {
  const server = await httpServer(t, (_, response) => response.write('a'));
  const agent = using(t, new Agent());
  const options = { origin: server.origin, path: '/', method: 'GET' };
  await assert.rejects(agent.request({ ...options, signal: AbortSignal.abort() }), { name: 'AbortError', code: 20 });
  const reason = new Error('mine');
  const early = new AbortController();
  const waiting = agent.request({ ...options, signal: early.signal });
  early.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  const late = new AbortController();
  const { body } = await agent.request({ ...options, signal: late.signal });
  const text = body.text();
  late.abort(reason);
  await assert.rejects(text, (error) => error === reason);
  await assert.rejects(agent.request({ ...options, signal: AbortSignal.timeout(50) }).then((data) => data.body.text()), { name: 'TimeoutError' });
  const emitter = new EventEmitter();
  const listening = agent.request({ ...options, signal: emitter });
  emitter.emit('abort');
  await assert.rejects(listening, errors.RequestAbortedError);
});

test('what was given up before it had a connection is never sent', async (t) => {
  const seen = [];
  let release;
  const server = await httpServer(t, (request, response) => {
    seen.push(request.url);
    request.url === '/first' ? (release = () => response.end()) : response.end();
  });
  const reason = new Error('mine');
  const given = AbortSignal.abort(reason);
  const ways = {
    request: (of, signal) => of.request({ path: '/request', method: 'GET', signal }),
    stream: (of, signal) => of.stream({ path: '/stream', method: 'GET', signal }, () => new Writable()),
    pipeline: (of, signal) => new Promise((_, reject) => of.pipeline({ path: '/pipeline', method: 'GET', signal }, () => {}).on('error', reject).end()),
    connect: (of, signal) => of.connect({ path: 'connect:1', signal }),
    upgrade: (of, signal) => of.upgrade({ path: '/upgrade', signal }),
  };
  for (const [name, make] of Object.entries(ways)) {
    const client = using(t, new Client(server.origin));
    const is = (error) => error === reason || error.name === 'AbortError';
    await assert.rejects(make(client, given), is, name);
    release = undefined;
    const first = client.request({ path: '/first', method: 'GET' });
    await until(() => release, 'the first request');
    // The connection is taken: this one waits.
    const controller = new AbortController();
    const waiting = make(client, controller.signal);
    waiting.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort(reason);
    await assert.rejects(waiting, is, name);
    release();
    await (await first).body.dump();
    await (await client.request({ path: '/last', method: 'GET' })).body.dump();
  }
  assert.deepEqual(seen, Object.keys(ways).flatMap(() => ['/first', '/last']));
});

test('request: a body nobody reads stops the server; dump and destroy free the connection', async (t) => {
  const server = await httpServer(t, (_, response) => response.end(Buffer.alloc(1_000_000)));
  const client = using(t, new Client(server.origin));
  const options = { path: '/', method: 'GET' };
  const first = await client.request(options);
  await first.body.dump({ limit: 10 }).catch(() => {});
  const second = await client.request(options);
  second.body.on('error', () => {}).destroy();
  const third = await client.request(options);
  assert.equal((await third.body.arrayBuffer()).byteLength, 1_000_000);
});

test('stream writes into what the factory returns', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'.repeat(500_000)));
  const agent = using(t, new Agent());
  let length = 0;
  const { opaque, trailers } = await agent.stream(
    { origin: server.origin, path: '/', method: 'GET', opaque: { a: 1 } },
    ({ statusCode, opaque: given }) => {
      assert.equal(statusCode, 200);
      assert.deepEqual(given, { a: 1 });
      return new Writable({ highWaterMark: 1000, write(chunk, _, done) { length += chunk.length; setImmediate(done); } });
    },
  );
  assert.equal(length, 500_000);
  assert.deepEqual(opaque, { a: 1 });
  assert.deepEqual(trailers, {});
  await assert.rejects(
    agent.stream({ origin: server.origin, path: '/', method: 'GET' }, () => ({})), errors.InvalidReturnValueError);
  await assert.rejects(agent.stream({ origin: server.origin, path: '/', method: 'GET' }), { message: 'invalid factory' });
  const failure = new Error('full');
  await assert.rejects(
    agent.stream({ origin: server.origin, path: '/', method: 'GET' }, () => new Writable({ write(_, __, done) { done(failure); } })),
    (error) => error === failure);
});

test('pipeline is a Duplex', async (t) => {
  const server = await httpServer(t, (request, response) => request.pipe(response));
  const client = using(t, new Client(server.origin));
  const duplex = client.pipeline({ path: '/', method: 'POST' }, ({ statusCode, body }) => {
    assert.equal(statusCode, 200);
    return body.pipe(new PassThrough());
  });
  duplex.end('through the pipeline');
  let text = '';
  for await (const chunk of duplex) text += chunk;
  assert.equal(text, 'through the pipeline');
  const refused = client.pipeline({ path: '/', method: 'GET' }, 1);
  await assert.rejects(new Promise((_, reject) => refused.on('error', reject)), { message: 'invalid handler' });
});

test('connect and upgrade', async (t) => {
  const server = await rawServer(t, (socket) => socket.once('data', (chunk) => {
    socket.write(/^CONNECT/.test(chunk) ? 'HTTP/1.1 200 OK\r\n\r\n' : 'HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: y\r\n\r\n');
    socket.pipe(socket);
  }));
  const client = using(t, new Client(server.origin));
  const connected = await client.connect({ path: 'a:1' });
  assert.equal(connected.statusCode, 200);
  connected.socket.end('echo');
  assert.equal(String(await new Promise((resolve) => connected.socket.once('data', resolve))), 'echo');
  const upgraded = await client.upgrade({ path: '/', protocol: 'y' });
  assert.equal(upgraded.headers.upgrade, 'y');
  upgraded.socket.end('again');
  assert.equal(String(await new Promise((resolve) => upgraded.socket.once('data', resolve))), 'again');
  const plain = await answering(t, OK);
  const other = using(t, new Client(plain.origin));
  await assert.rejects(other.upgrade({ path: '/' }), { name: 'SocketError', message: 'bad upgrade' });
});

test('functions with a URL', async (t) => {
  const server = await json(t);
  const dispatcher = using(t, new Agent());
  const { body } = await forebay.request(`${server.origin}/a?b=c`, { dispatcher, method: 'POST', body: 'd' });
  assert.deepEqual(await body.json(), { method: 'POST', url: '/a?b=c', body: 'd' });
  assert.throws(() => forebay.request('nope'), TypeError);
  assert.throws(() => forebay.request('ftp://a'), errors.InvalidArgumentError);
});

test('functions with a URL: what the options may be, and the dispatcher', async (t) => {
  const server = await json(t);
  const dispatcher = using(t, new Agent());
  const url = async ({ body }) => (await body.json()).url;
  assert.equal(await url(await forebay.request(server.origin, { dispatcher, path: 'a b?c#d' })), '/a%20b?c');
  assert.throws(() => forebay.request(`${server.origin}/a`, { dispatcher, path: '/b' }), { message: 'invalid url' });
  assert.throws(() => forebay.request(server.origin, { agent: dispatcher }), { message: /unsupported opts.agent/ });
  const like = { protocol: 'http:', hostname: '127.0.0.1', port: server.port, path: '/like', method: 'DELETE', dispatcher };
  const answer = await forebay.request(like);
  assert.deepEqual(await answer.body.json(), { method: 'DELETE', url: '/like', body: '' });
  const least = { dispatch: (options, handler) => dispatcher.dispatch(options, handler) };
  assert.equal(await url(await forebay.request(`${server.origin}/least`, { dispatcher: least })), '/least');
  const before = forebay.getGlobalDispatcher();
  t.after(() => forebay.setGlobalDispatcher(before));
  forebay.setGlobalDispatcher(dispatcher);
  const data = await new Promise((resolve, reject) => {
    forebay.request(`${server.origin}/callback`, (error, given) => (error ? reject(error) : resolve(given)));
  });
  assert.equal(await url(data), '/callback');
});

test('a body that has ended by the time it is sent tells its length', async (t) => {
  const server = await httpServer(t, (request, response) => {
    request.resume().on('end', () => response.end(request.headers['content-length'] ?? 'chunked'));
  });
  const client = using(t, new Client(server.origin));
  const length = async (given, end) => {
    const { body } = await new Promise((resolve, reject) => {
      client.request(given, (error, data) => (error ? reject(error) : resolve(data)));
      end();
    });
    return body.text();
  };
  const body = new PassThrough();
  assert.equal(await length({ path: '/', method: 'PUT', body }, () => body.end('written')), '7');
  const late = new PassThrough();
  assert.equal(await length({ path: '/', method: 'PUT', body: late }, () => setTimeout(() => late.end('late'), 20)), 'chunked');
  const pipelined = client.pipeline({ path: '/', method: 'PUT' }, (answer) => answer.body).end('four');
  assert.equal(String(await new Promise((resolve, reject) => pipelined.on('data', resolve).on('error', reject))), '4');
});

test('compose: order, this, nulls, bad interceptors', async (t) => {
  const server = await answering(t, OK);
  const client = using(t, new Client(server.origin));
  const order = [];
  const layer = (name) => (dispatch) => function (options, handler) {
    order.push(name);
    return dispatch(options, handler);
  };
  const composed = client.compose(layer('inner'), null, layer('outer'));
  assert.equal((await run(composed, {})).status, 200);
  assert.deepEqual(order, ['outer', 'inner']);
  assert.equal((await composed.request({ path: '/', method: 'GET' })).statusCode, 200);
  assert.ok(composed instanceof Client);
  assert.deepEqual(composed.stats, client.stats);
  assert.equal(composed.pipelining, 1);
  assert.equal(composed.closed, false);
  assert.throws(() => client.compose(1), { name: 'TypeError', message: 'invalid interceptor, expected function received number' });
  assert.throws(() => client.compose(() => 1), { name: 'TypeError', message: 'invalid interceptor' });
  assert.throws(() => client.compose(() => () => true), { name: 'TypeError', message: 'invalid interceptor' });
  const twice = client.compose([layer('a')]).compose(layer('b'));
  order.length = 0;
  await run(twice, {});
  assert.deepEqual(order, ['b', 'a']);
  await composed.close();
  assert.equal(client.closed, true);
});

for (const [version, from] of [['6', require('undici6')], ['7', require('undici7')]]) {
  test(`undici ${version}: request, stream and fetch through our Agent, an origin from undici's`, async (t) => {
    const server = await json(t);
    const dispatcher = using(t, new Agent());
    const { body } = await from.request(server.origin, { dispatcher, method: 'POST', body: 'x' });
    assert.equal((await body.json()).body, 'x');
    const response = await from.fetch(`${server.origin}/f`, { dispatcher });
    assert.deepEqual(await response.json(), { method: 'GET', url: '/f', body: '' });
  });
}

const { interceptors } = undici;

test('redirect, retry, dump, responseError and decompress of undici 7', async (t) => {
  const { gzipSync } = await import('node:zlib');
  let failures = 2;
  const server = await httpServer(t, (request, response) => {
    switch (request.url) {
      case '/moved': response.writeHead(302, { location: '/there' }).end(); break;
      case '/flaky': response.writeHead(failures-- > 0 ? 503 : 200).end('at last'); break;
      case '/error': response.writeHead(400, { 'content-type': 'text/plain' }).end('no'); break;
      case '/zip': response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('unzipped')); break;
      default: response.end(`at ${request.url}`);
    }
  });
  const agent = using(t, new Agent());
  const get = (composed, path) => composed.request({ origin: server.origin, path, method: 'GET' });
  const text = async (composed, path) => (await get(composed, path)).body.text();
  assert.equal(await text(agent.compose(interceptors.redirect({ maxRedirections: 2 })), '/moved'), 'at /there');
  assert.equal(await text(agent.compose(interceptors.retry({ minTimeout: 1 })), '/flaky'), 'at last');
  await assert.rejects(get(agent.compose(interceptors.responseError()), '/error'), { statusCode: 400 });
  assert.equal(await text(agent.compose(interceptors.dump({ maxSize: 100 })), '/x'), '');
  if (interceptors.decompress) {
    assert.equal(await text(agent.compose(interceptors.decompress()), '/zip'), 'unzipped');
  }
});

test('cache, dns and deduplicate of undici 7', async (t) => {
  let count = 0;
  const server = await httpServer(t, (_, response) => {
    response.writeHead(200, { 'cache-control': 'max-age=100' }).end(`answer ${++count}`);
  });
  const text = async (composed, origin = server.origin) =>
    (await composed.request({ origin, path: '/', method: 'GET' })).body.text();
  const cached = using(t, new Agent()).compose(interceptors.cache());
  assert.equal(await text(cached), 'answer 1');
  assert.equal(await text(cached), 'answer 1');
  const named = using(t, new Agent()).compose(interceptors.dns({ affinity: 4, dualStack: false }));
  assert.equal(await text(named, server.named), 'answer 2');
  if (interceptors.deduplicate) {
    const shared = using(t, new Agent()).compose(interceptors.deduplicate());
    const all = await Promise.all([text(shared), text(shared)]);
    assert.deepEqual(all, ['answer 3', 'answer 3']);
  }
});

test('RetryAgent: connection errors, statuses, and the rest of a body that broke off', async (t) => {
  let attempts = 0;
  const whole = 'abcdefghij';
  const server = await rawServer(t, (socket) => socket.on('data', (chunk) => {
    attempts++;
    const range = /range: bytes=(\d+)-/i.exec(chunk);
    if (attempts === 1) {
      socket.end('HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n');
    } else if (attempts === 2) {
      socket.destroy();
    } else if (!range) {
      socket.end(`HTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 10\r\n\r\n${whole.slice(0, 4)}`);
    } else {
      const from = Number(range[1]);
      socket.write(`HTTP/1.1 206 Partial\r\netag: "e"\r\ncontent-range: bytes ${from}-9/10\r\ncontent-length: ${10 - from}\r\n\r\n${whole.slice(from)}`);
    }
  }));
  const agent = new forebay.RetryAgent(using(t, new Agent()), { minTimeout: 1 });
  const { statusCode, body } = await agent.request({ origin: server.origin, path: '/', method: 'GET' });
  assert.equal(statusCode, 200);
  assert.equal(await body.text(), whole);
  assert.equal(attempts, 4);
  const never = new forebay.RetryAgent(using(t, new Agent()), { minTimeout: 1, maxRetries: 2 });
  const gone = await httpServer(t, () => {});
  await gone.close();
  await assert.rejects(never.request({ origin: gone.origin, path: '/', method: 'GET' }), { code: 'ECONNREFUSED' });
});

test('close: graceful, in all forms', async (t) => {
  const server = await httpServer(t, (_, response) => setTimeout(() => response.end('late'), 50));
  for (const make of [() => new Client(server.origin), () => new Pool(server.origin, { connections: 1 }), () => new Agent()]) {
    const dispatcher = make();
    const running = [run(dispatcher, { origin: server.origin }), run(dispatcher, { origin: server.origin })];
    const closing = dispatcher.close();
    assert.equal(dispatcher.closed, true);
    assert.equal(dispatcher.destroyed, false);
    const refused = await run(dispatcher, { origin: server.origin });
    assert.ok(refused.error instanceof errors.ClientClosedError);
    let joined = false;
    dispatcher.close((error, data) => { joined = error === null && data === null; });
    assert.equal(await within(closing), null);
    assert.equal(dispatcher.destroyed, true);
    await until(() => joined, 'the second close');
    for (const got of await Promise.all(running)) {
      assert.equal(got.body.toString(), 'late');
    }
    await assert.rejects(dispatcher.close(), errors.ClientDestroyedError);
    assert.equal(await dispatcher.destroy(), null);
    assert.throws(() => dispatcher.close(1), { message: 'invalid callback' });
    assert.throws(() => dispatcher.destroy(null, 1), { message: 'invalid callback' });
  }
});

test('destroy: abrupt, in all forms', async (t) => {
  const server = await httpServer(t, () => {});
  for (const make of [() => new Client(server.origin), () => new Pool(server.origin, { connections: 1 }), () => new Agent()]) {
    for (const how of [(d) => d.destroy(), (d) => d.destroy(null), (d) => new Promise((resolve) => d.destroy(resolve)), (d) => new Promise((resolve) => d.destroy(null, resolve))]) {
      const dispatcher = make();
      const running = [run(dispatcher, { origin: server.origin }), run(dispatcher, { origin: server.origin })];
      await new Promise((resolve) => setTimeout(resolve, 20));
      const destroying = how(dispatcher);
      assert.equal(dispatcher.destroyed, true);
      assert.equal(await within(destroying), null);
      for (const got of await Promise.all(running)) {
        assert.ok(got.error instanceof errors.ClientDestroyedError);
      }
      const refused = await run(dispatcher, { origin: server.origin });
      assert.ok(refused.error instanceof errors.ClientDestroyedError);
    }
  }
});

test('BalancedPool and RoundRobinPool', async (t) => {
  const counts = [0, 0];
  const servers = await Promise.all(counts.map((_, i) => httpServer(t, (__, response) => {
    counts[i]++;
    response.end(String(i));
  })));
  const balanced = using(t, new forebay.BalancedPool(servers.map((server) => server.origin)));
  assert.deepEqual(balanced.upstreams, servers.map((server) => server.origin));
  for (let i = 0; i < 10; i++) {
    await run(balanced, {});
  }
  assert.deepEqual(counts, [5, 5]);
  balanced.removeUpstream(servers[0].origin);
  for (let i = 0; i < 4; i++) {
    await run(balanced, {});
  }
  assert.deepEqual(counts, [5, 9]);
  balanced.addUpstream(servers[0].origin);
  assert.ok(balanced.getUpstream(servers[0].origin));
  const none = new forebay.BalancedPool();
  assert.ok((await run(none, {})).error instanceof errors.BalancedPoolMissingUpstreamError);
  const sockets = new Set();
  const server = await httpServer(t, (request, response) => {
    sockets.add(request.socket);
    setTimeout(() => response.end(), 5);
  });
  const robin = using(t, new forebay.RoundRobinPool(server.origin, { connections: 3 }));
  await Promise.all(Array.from({ length: 9 }, () => run(robin, {})));
  assert.equal(sockets.size, 3);
});
