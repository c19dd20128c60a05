// Requests through Agent, Pool and Client: what a user of dispatch() sees.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { OK, answering, forebay, httpServer, rawServer, recorder, run, undici, until, using } from './support.mjs';

const { Agent, Client, Pool, errors } = forebay;

test('a GET arrives as written and its response as sent', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 200 Fine By Me\r\nX-One: a\r\nx-two: b \r\nX-ONE: c\r\nSet-Cookie: d\r\ncontent-length: 5\r\n\r\nhello');
  const agent = using(t, new Agent());
  const got = await run(agent, {
    origin: server.origin, path: '/a?b=c', headers: { 'X-Asked': 'yes', accept: '*/*' },
  });
  assert.deepEqual(got.names(), ['onRequestStart', 'onResponseStart', 'onResponseData', 'onResponseEnd']);
  assert.equal(got.status, 200);
  assert.equal(got.text, 'Fine By Me');
  assert.deepEqual(got.headers, { 'x-one': ['a', 'c'], 'x-two': 'b', 'set-cookie': 'd', 'content-length': '5' });
  assert.equal(got.body.toString(), 'hello');
  assert.deepEqual(got.trailers, {});
  assert.equal(server.requests[0],
    `GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\nconnection: keep-alive\r\nX-Asked: yes\r\naccept: */*\r\n\r\n`);
});

test('raw headers keep spelling, order and duplicates, in Buffers', async (t) => {
  const server = await answering(t, 'HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n');
  const agent = using(t, new Agent());
  const got = await run(agent, { origin: server.origin });
  const { rawHeaders } = got.calls('onResponseStart')[0][0];
  assert.ok(rawHeaders.every(Buffer.isBuffer));
  assert.deepEqual(rawHeaders.map(String), ['X-A', '1', 'x-a', '2', 'Content-Length', '0']);
});

test('header values are latin1, and __proto__ is a name like any other', async (t) => {
  const server = await answering(t, 'HTTP/1.1 200 OK\r\nx: caf\xe9\r\n__proto__: y\r\ncontent-length: 0\r\n\r\n');
  const got = await run(using(t, new Agent()), { origin: server.origin, headers: { name: 'caf\xe9' } });
  assert.equal(got.headers.x, 'caf\xe9');
  assert.equal(Object.getOwnPropertyDescriptor(got.headers, '__proto__').value, 'y');
  assert.match(server.requests[0], /name: caf\xe9\r\n/);
});

test('trailers come with the end', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nx-sum: 7\r\n\r\n');
  const got = await run(using(t, new Agent()), { origin: server.origin });
  assert.equal(got.body.toString(), 'abc');
  assert.deepEqual(got.trailers, { 'x-sum': ['6', '7'] });
  assert.deepEqual(got.calls('onResponseEnd')[0][0].rawTrailers.map(String), ['X-Sum', '6', 'x-sum', '7']);
});

test('HEAD, 204 and 304 have no data', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n');
  const client = using(t, new Client(server.origin));
  for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304]]) {
    const got = await run(client, { method });
    assert.deepEqual(got.names(), ['onRequestStart', 'onResponseStart', 'onResponseEnd'], String(status));
    assert.equal(got.status, status);
  }
});

test('informational responses come first', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n' + OK);
  const got = await run(using(t, new Agent()), { origin: server.origin }, { optional: true });
  assert.deepEqual(got.names(), [
    'onRequestStart', 'onRequestSent', 'onResponseStarted', 'onResponseStart', 'onResponseStarted', 'onResponseStart',
    'onResponseStarted', 'onResponseStart', 'onResponseData', 'onResponseEnd',
  ]);
  assert.deepEqual(got.calls('onResponseStart').map(([, status, headers]) => [status, headers.link]),
    [[102, undefined], [103, '</a>'], [200, undefined]]);
});

test('a redirect is delivered as it is', async (t) => {
  const server = await answering(t, 'HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n');
  const got = await run(using(t, new Agent()), { origin: server.origin });
  assert.equal(got.status, 302);
  assert.equal(got.headers.location, '/b');
});

test('one connection serves one request after another', async (t) => {
  let connections = 0;
  const server = await httpServer(t, (request, response) => response.end(request.url));
  server.server.on('connection', () => connections++);
  const agent = using(t, new Agent());
  for (let i = 0; i < 5; i++) {
    const got = await run(agent, { origin: server.origin, path: `/${i}` });
    assert.equal(got.body.toString(), `/${i}`);
  }
  assert.equal(connections, 1);
});

test('requests at once have connections of their own, up to the limit', async (t) => {
  let most = 0;
  let now = 0;
  const server = await httpServer(t, (_, response) => {
    most = Math.max(most, ++now);
    setTimeout(() => { now--; response.end('x'); }, 30);
  });
  for (const [connections, expected] of [[undefined, 8], [3, 3]]) {
    most = 0;
    const pool = using(t, new Pool(server.origin, { connections }));
    const all = await Promise.all(Array.from({ length: 8 }, () => run(pool, {})));
    assert.ok(all.every((got) => got.body.toString() === 'x'));
    assert.equal(most, expected);
  }
});

test('pipelining sends idempotent requests ahead, in order', async (t) => {
  const seen = [];
  const server = await rawServer(t, (socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
      if (text.split('\r\n\r\n').length > 3) {
        seen.push(...text.match(/GET \S+/g));
        socket.write(OK + OK + OK);
      }
    });
  });
  const client = using(t, new Client(server.origin, { pipelining: 3 }));
  const all = await Promise.all([1, 2, 3].map((n) => run(client, { path: `/${n}`, blocking: false })));
  assert.deepEqual(seen, ['GET /1', 'GET /2', 'GET /3']);
  assert.ok(all.every((got) => got.body.toString() === 'ok'));
});

test('pipelining 0 closes the connection behind each request', async (t) => {
  const connections = new Set();
  const server = await httpServer(t, (request, response) => {
    connections.add(request.socket);
    response.end(request.headers.connection);
  });
  const client = using(t, new Client(server.origin, { pipelining: 0 }));
  for (let i = 0; i < 3; i++) {
    assert.equal((await run(client, {})).body.toString(), 'close');
  }
  assert.equal(connections.size, 3);
});

test('maxRequestsPerClient: the last request of a connection says close', async (t) => {
  const seen = [];
  const server = await httpServer(t, (request, response) => {
    seen.push(request.headers.connection);
    response.end();
  });
  const client = using(t, new Client(server.origin, { maxRequestsPerClient: 2 }));
  for (let i = 0; i < 4; i++) {
    await run(client, {});
  }
  assert.deepEqual(seen, ['keep-alive', 'close', 'keep-alive', 'close']);
});

test('reset closes, a connection header of close too', async (t) => {
  const server = await answering(t, OK);
  const client = using(t, new Client(server.origin));
  await run(client, { reset: true });
  await run(client, { headers: { Connection: 'close' } });
  await run(client, { headers: { connection: 'keep-alive, x-y' } });
  assert.deepEqual(server.requests.map((text) => text.match(/connection: (.*)\r/i)[1]), ['close', 'close', 'keep-alive']);
});

test('a host header replaces the origin\'s', async (t) => {
  const server = await answering(t, OK);
  await run(using(t, new Agent()), { origin: server.origin, headers: ['Host', 'other.example', 'a', 'b'] });
  assert.match(server.requests[0], /^GET \/ HTTP\/1.1\r\nhost: other.example\r\n/);
  assert.equal(server.requests[0].match(/host:/gi).length, 1);
});

test('query is put behind the path', async (t) => {
  const server = await answering(t, OK);
  const agent = using(t, new Agent());
  await run(agent, { origin: server.origin, path: '/a', query: { b: 1, c: ['x', 'y z'] } });
  assert.match(server.requests[0], /^GET \/a\?b=1&c=x&c=y%20z HTTP/);
  const got = await run(agent, { origin: server.origin, path: '/a?b', query: { c: 1 } });
  assert.equal(got.error.message, 'Query params cannot be passed when url already contains "?" or "#".');
});

test('headers in every form', async (t) => {
  const server = await answering(t, OK);
  const agent = using(t, new Agent());
  const forms = [
    { a: '1', b: ['2', '3'], c: 4, d: true, e: null, f: undefined },
    ['a', '1', 'b', ['2', '3'], 'c', 4, 'd', true, 'e', null, 'f', undefined],
    new Map([['a', '1'], ['b', ['2', '3']], ['c', 4], ['d', true], ['e', null], ['f', undefined]]),
  ];
  for (const headers of forms) {
    await run(agent, { origin: server.origin, headers });
    assert.match(server.requests.pop(), /\r\na: 1\r\nb: 2\r\nb: 3\r\nc: 4\r\nd: true\r\ne: \r\n\r\n$/);
  }
  await run(agent, { origin: server.origin, headers: new Headers({ a: '1' }) });
  assert.match(server.requests.pop(), /\r\na: 1\r\n\r\n$/);
});

test('events name the targets from outer to inner', async (t) => {
  const server = await httpServer(t, (_, response) => response.end());
  const agent = using(t, new Agent());
  const events = [];
  for (const name of ['connect', 'disconnect', 'connectionError']) {
    agent.on(name, (origin, targets, error) => events.push([name, String(origin), targets, error]));
  }
  await run(agent, { origin: server.origin });
  const [name, origin, targets] = events[0];
  assert.equal(name, 'connect');
  assert.equal(origin, `${server.origin}/`);
  assert.equal(targets[0], agent);
  assert.ok(targets[1] instanceof Pool);
  assert.ok(targets[2] instanceof Client);
  server.sockets.forEach((socket) => socket.destroy());
  await until(() => events.length === 2, 'disconnect');
  assert.equal(events[1][0], 'disconnect');
  assert.ok(events[1][3] instanceof errors.SocketError);
  assert.deepEqual(agent.stats, {}, 'an origin without a connection is forgotten');
});

test('connectionError, and the request fails with the same error', async (t) => {
  const server = await httpServer(t, () => {});
  await server.close();
  const agent = using(t, new Agent());
  let seen;
  agent.on('connectionError', (_, __, error) => { seen = error; });
  const got = await run(agent, { origin: server.origin });
  assert.deepEqual(got.names(), ['onResponseError']);
  await until(() => seen, 'connectionError');
  assert.equal(got.error, seen);
  assert.equal(got.error.code, 'ECONNREFUSED');
});

test('dispatch tells whether more is welcome, and drain when it is again', async (t) => {
  const server = await httpServer(t, (_, response) => setTimeout(() => response.end(), 10));
  const client = using(t, new Client(server.origin));
  const handler = recorder();
  let drained = 0;
  client.on('drain', (origin) => {
    assert.equal(String(origin), `${server.origin}/`);
    drained++;
  });
  assert.equal(client.dispatch({ path: '/', method: 'GET' }, handler), false);
  await handler.done;
  await until(() => drained === 1, 'drain');
  const pool = using(t, new Pool(server.origin));
  const free = recorder();
  assert.equal(pool.dispatch({ path: '/', method: 'GET' }, free), true);
  await free.done;
  const single = using(t, new Pool(server.origin, { connections: 1 }));
  const handlers = [recorder(), recorder()];
  let poolDrained = 0;
  single.on('drain', () => poolDrained++);
  assert.deepEqual(handlers.map((each) => single.dispatch({ path: '/', method: 'GET' }, each)), [false, false]);
  assert.equal(single.stats.queued, 1);
  await Promise.all(handlers.map((each) => each.done));
  await until(() => poolDrained > 0, 'drain of the pool');
});

test('drain comes behind the end of the request that made room, names who did, and comes no more after close', async (t) => {
  const server = await httpServer(t, (_, response) => response.end());
  for (const make of [(from) => new from.Client(server.origin), (from) => new from.Pool(server.origin, { connections: 1 }),
    (from) => new from.Agent({ connections: 1 }), (from) => new from.BalancedPool(server.origin, { connections: 1 })]) {
    const of = async (from) => {
      const log = [];
      const dispatcher = using(t, make(from));
      dispatcher.on('drain', (origin, targets) => log.push(`drain ${targets.map((target) => target.constructor.name)}`));
      for (let i = 0; i < 2; i++) {
        await run(dispatcher, { origin: server.origin }, { onResponseEnd: () => log.push('end') });
        await until(() => log.length === 2 * i + 2, 'drain');
      }
      const last = run(dispatcher, { origin: server.origin }, { onResponseEnd: () => log.push('end') });
      await dispatcher.close();
      await last;
      return log;
    };
    assert.deepEqual(await of(forebay), await of(undici));
  }
});

test('disconnect tells the error that destroy was given', async (t) => {
  const server = await answering(t, OK);
  const reason = new Error('enough');
  for (const [given, is] of [[reason, (error) => error === reason], [undefined, (error) => error instanceof errors.ClientDestroyedError]]) {
    const agent = new Agent();
    await run(agent, { origin: server.origin });
    const gone = new Promise((resolve) => agent.once('disconnect', (origin, targets, error) => resolve(error)));
    await agent.destroy(given);
    assert.ok(is(await gone));
  }
});

test('stats of client, pool and agent', async (t) => {
  const waiting = [];
  const server = await httpServer(t, (_, response) => { waiting.push(response); });
  const answer = async () => {
    await until(() => waiting.length === 1, 'the request');
    waiting.pop().end();
  };
  const client = using(t, new Client(server.origin));
  assert.deepEqual(client.stats, { connected: false, pending: 0, running: 0, size: 0 });
  const handlers = [recorder(), recorder()];
  handlers.forEach((each) => client.dispatch({ path: '/', method: 'GET' }, each));
  await until(() => client.stats.running === 1, 'the start');
  assert.deepEqual(client.stats, { connected: true, pending: 1, running: 1, size: 2 });
  await answer();
  await handlers[0].done;
  await until(() => client.stats.running === 1 && client.stats.size === 1, 'the second');
  await answer();
  await handlers[1].done;
  const agent = using(t, new Agent());
  const running = run(agent, { origin: server.origin });
  await until(() => agent.stats[server.origin]?.running === 1, 'the agent');
  assert.deepEqual(agent.stats[server.origin], { connected: 1, free: 0, pending: 0, queued: 0, running: 1, size: 1 });
  await answer();
  await running;
});

test('a Client goes on after its connection was closed', async (t) => {
  const server = await answering(t, 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  const client = using(t, new Client(server.origin));
  for (let i = 0; i < 3; i++) {
    assert.equal((await run(client, {})).status, 200);
  }
});

test('keep-alive hints of the server are followed', async (t) => {
  let connections = 0;
  const server = await rawServer(t, (socket) => {
    connections++;
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n'));
  });
  const client = using(t, new Client(server.origin, { keepAliveTimeoutThreshold: 2000 }));
  await run(client, {});
  await run(client, {});
  assert.equal(connections, 2, 'a hint below the threshold: not used again');
});

test('an idle connection is closed after keepAliveTimeout, with the cause', async (t) => {
  const server = await answering(t, OK);
  const client = using(t, new Client(server.origin, { keepAliveTimeout: 50 }));
  const gone = new Promise((resolve) => client.on('disconnect', (_, __, error) => resolve(error)));
  await run(client, {});
  const error = await gone;
  assert.ok(error instanceof errors.InformationalError);
  assert.equal(error.message, 'socket idle timeout');
});

test('Agent: maxOrigins', async (t) => {
  const server = await answering(t, OK);
  const agent = using(t, new Agent({ maxOrigins: 1 }));
  await run(agent, { origin: server.origin });
  const got = await run(agent, { origin: server.named });
  assert.ok(got.error instanceof errors.MaxOriginsReachedError);
});

test('Agent: a Client for connections 1, and a factory\'s otherwise', async (t) => {
  const server = await answering(t, OK);
  const agent = using(t, new Agent({ connections: 1 }));
  let target;
  agent.on('connect', (_, targets) => { target = targets[1]; });
  await run(agent, { origin: server.origin });
  assert.ok(target instanceof Client);
  const made = [];
  const other = using(t, new Agent({ factory: (origin, options) => { made.push(origin); return new Pool(origin, options); } }));
  await run(other, { origin: server.origin });
  assert.deepEqual(made, [server.origin]);
});

test('an IPv6 origin and a Unix socket', async (t) => {
  const { mkdtempSync, rmSync } = await import('node:fs');
  const { createServer } = await import('node:http');
  const { join } = await import('node:path');
  const { tmpdir } = await import('node:os');
  const folder = mkdtempSync(join(tmpdir(), 'forebay-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const where of [{ path: join(folder, 'socket') }, { host: '::1', port: 0 }]) {
    const server = createServer((_, response) => response.end('there'));
    await new Promise((resolve) => server.listen(where, resolve));
    t.after(() => server.close());
    const { port } = server.address();
    const origin = where.path ? 'http://localhost' : `http://[::1]:${port}`;
    const client = using(t, new Client(origin, { socketPath: where.path }));
    assert.equal((await run(client, {})).body.toString(), 'there');
  }
});

test('typeOfService is accepted', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const client = using(t, new Client(server.origin));
  assert.equal((await run(client, { typeOfService: 0x48 })).status, 200);
  assert.equal((await run(client, { typeOfService: null })).status, 200);
});

test('lookup: the caller\'s function gives the addresses, in either form', async (t) => {
  const server = await httpServer(t, (request, response) => response.end(request.headers.host));
  const asked = [];
  const forms = [
    (callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
    (callback) => callback(null, '127.0.0.1', 4),
    // The first of them does not answer: nobody listens there.
    (callback) => setImmediate(callback, null, [{ address: '127.0.0.2', family: 4 }, { address: '127.0.0.1', family: 4 }]),
  ];
  for (const form of forms) {
    const lookup = (host, options, callback) => { asked.push([host, options.all]); form(callback); };
    const agent = using(t, new Agent({ connect: { lookup } }));
    const origin = `http://made.up.example:${server.port}`;
    assert.equal((await run(agent, { origin })).body.toString(), `made.up.example:${server.port}`);
    assert.equal((await run(agent, { origin: server.origin })).status, 200);
  }
  assert.deepEqual(asked, forms.map(() => ['made.up.example', true]), 'addresses are not looked up');
});

test('lookup: what it refuses fails the request with the same error', async (t) => {
  const refusal = Object.assign(new Error('private address'), { code: 'EBLOCKED' });
  const cases = [
    [(host, options, callback) => callback(refusal), (error) => error === refusal],
    [() => { throw refusal; }, (error) => error === refusal],
    [(host, options, callback) => callback(null, 'nonsense'), (error) => error.code === 'ERR_INVALID_IP_ADDRESS'],
    [(host, options, callback) => callback(null), (error) => error.code === 'ERR_INVALID_IP_ADDRESS'],
    [(host, options, callback) => callback(null, []), (error) => error.code === 'ENOTFOUND' && error.hostname === 'made.up.example'],
    [() => {}, (error) => error.code === 'UND_ERR_CONNECT_TIMEOUT'],
  ];
  for (const [lookup, is] of cases) {
    const client = using(t, new Client('http://made.up.example', { connect: { lookup }, connectTimeout: 200 }));
    const failed = new Promise((resolve) => client.once('connectionError', (origin, targets, error) => resolve(error)));
    const { error } = await run(client, {});
    assert.ok(is(error), String(error?.stack));
    assert.equal(await failed, error);
  }
});

test('lookup: an answer that is late is nobody\'s', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const callbacks = [];
  const client = using(t, new Client(`http://made.up.example:${server.port}`, {
    connect: { lookup: (host, options, callback) => callbacks.push(callback) }, connectTimeout: 100,
  }));
  assert.equal((await run(client, {})).error.code, 'UND_ERR_CONNECT_TIMEOUT');
  const second = run(client, {});
  await until(() => callbacks.length === 2);
  callbacks[0](new Error('late'));
  callbacks[1](null, '127.0.0.1', 4);
  assert.equal((await second).body?.toString(), 'x');
});

test('connect.family: addresses of one family', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const four = using(t, new Client(server.named, { connect: { family: 4 } }));
  assert.equal((await run(four, {})).body.toString(), 'x');
});

test('localAddress', async (t) => {
  const server = await httpServer(t, (request, response) => response.end(request.socket.remoteAddress));
  const client = using(t, new Client(server.origin, { localAddress: '127.0.0.2' }));
  assert.equal((await run(client, {})).body.toString(), '127.0.0.2');
});

test('requests one at a time from a server that answers at once: every kind of answer comes as it was sent', async (t) => {
  const answers = {
    '/plain': 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain',
    '/split': 'HTTP/1.1 200 OK\r\ncontent-le|ngth: 5\r\n\r\nsp|lit',
    '/early': 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly',
    '/trailers': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\ntrailers\r\n0\r\nt: u\r\n\r\n',
    '/close': 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nclose',
    '/wrong': 'nonsense\r\n\r\n',
  };
  const server = await rawServer(t, (socket) => socket.setNoDelay().on('data', async (chunk) => {
    const path = String(chunk).split(' ')[1];
    for (const [i, part] of answers[path].split('|').entries()) {
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, 2));
      socket.write(part);
    }
    if (path === '/close') socket.end();
  }));
  const client = using(t, new Client(server.origin));
  const paths = Object.keys(answers);
  for (let i = 0; i < 1_500; i++) {
    // Long rows of quick ones, so that they are taken for granted, and then another.
    const path = i % 50 === 49 ? paths[(i / 50 | 0) % paths.length] : '/plain';
    const got = await run(client, { path, method: i % 3 ? 'GET' : 'POST', body: i % 3 ? null : 'x' }, { optional: true });
    if (path === '/wrong') {
      assert.ok(got.error instanceof forebay.errors.HTTPParserError, String(got.error));
      continue;
    }
    assert.equal(got.body.toString(), path.slice(1));
    assert.deepEqual(got.trailers, path === '/trailers' ? { t: 'u' } : {});
    const events = got.names().filter((name) => name !== 'onResponseData');
    assert.deepEqual(events, [
      'onRequestStart', ...(i % 3 ? [] : ['onBodySent']), 'onRequestSent',
      ...(path === '/early' ? ['onResponseStarted', 'onResponseStart'] : []), 'onResponseStarted', 'onResponseStart', 'onResponseEnd',
    ]);
  }
});

test('between requests one at a time, timers and other work have their turns', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const client = using(t, new Client(server.origin));
  let ticks = 0;
  const timer = setInterval(() => { ticks++; }, 1);
  t.after(() => clearInterval(timer));
  const end = Date.now() + 300;
  while (Date.now() < end) {
    await run(client, {});
  }
  assert.ok(ticks > 20, `${ticks} ticks in 300 ms`);
});

test('abort, pause and destroy in the middle of a row of quick answers', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('body'));
  const client = using(t, new Client(server.origin));
  for (let i = 0; i < 600; i++) {
    const reason = new Error('enough');
    const which = i % 60;
    const got = await run(client, {}, which === 58
      ? { onResponseStart: (controller) => controller.abort(reason) }
      : which === 59 ? { onResponseStart: (controller) => { controller.pause(); setTimeout(() => controller.resume(), 2); } } : {});
    assert.equal(got.error, which === 58 ? reason : undefined);
    assert.equal(got.body.toString(), which === 58 ? '' : 'body');
  }
  const last = recorder();
  client.dispatch({ path: '/', method: 'GET' }, last);
  await client.destroy();
  await last.done;
  assert.ok(last.error instanceof forebay.errors.ClientDestroyedError);
});

test('a pool with pipelining fills a connection before it opens another', async (t) => {
  const server = await httpServer(t, (_, response) => setTimeout(() => response.end(), 20));
  const pool = using(t, new Pool(server.origin, { pipelining: 2 }));
  await run(pool, {});
  await Promise.all([run(pool, {}), run(pool, {})]);
  assert.equal(pool.stats.connected, 1);
  await Promise.all([run(pool, {}), run(pool, {}), run(pool, {})]);
  assert.equal(pool.stats.connected, 2);
});
