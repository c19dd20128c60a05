// The rules between dispatcher and handler: order, exactly once, pause, abort, exceptions.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';
import { OK, answering, forebay, h2cServer, httpServer, legacyRecorder, rawServer, recorder, run, until, using, within } from './support.mjs';

const { Agent, Client, H2CClient, errors } = forebay;
const GET = { path: '/', method: 'GET' };
const TERMINAL = ['onResponseEnd', 'onResponseError', 'onRequestUpgrade'];
const terminals = (handler) => handler.names().filter((name) => TERMINAL.includes(name));
/** Long enough for anything that is still on its way to arrive. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 60));

test('nothing is called before dispatch returns', async (t) => {
  const server = await answering(t, OK);
  const handler = recorder();
  using(t, new Client(server.origin)).dispatch(GET, handler);
  assert.deepEqual(handler.log, []);
  await handler.done;
});

test('callbacks have the handler as this, and the same controller', async (t) => {
  const server = await answering(t, OK);
  const controllers = new Set();
  class Handler {
    #own = 1;
    constructor(done) { this.done = done; }
    onRequestStart(controller, context) { assert.equal(context, null); controllers.add(controller); this.#own++; }
    onResponseStart(controller) { controllers.add(controller); this.#own++; }
    onResponseData(controller) { controllers.add(controller); this.#own++; }
    onResponseEnd(controller) { controllers.add(controller); this.done(++this.#own); }
    onResponseError(_, error) { this.done(error); }
  }
  const client = using(t, new Client(server.origin));
  assert.equal(await new Promise((resolve) => client.dispatch(GET, new Handler(resolve))), 5);
  assert.equal(controllers.size, 1);
});

test('the legacy dialect', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 103 Early Hints\r\na: b\r\n\r\nHTTP/1.1 200 Yes\r\nX-A: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nt: u\r\n\r\n');
  const handler = legacyRecorder();
  using(t, new Client(server.origin)).dispatch(GET, handler);
  await handler.done;
  assert.deepEqual(handler.names(), ['onConnect', 'onHeaders', 'onHeaders', 'onData', 'onComplete']);
  const [status, headers, resume, text] = handler.calls('onHeaders')[1];
  assert.equal(status, 200);
  assert.deepEqual(headers.map(String), ['X-A', '1', 'transfer-encoding', 'chunked']);
  assert.equal(typeof resume, 'function');
  assert.equal(text, 'Yes');
  assert.deepEqual(handler.calls('onComplete')[0][0].map(String), ['t', 'u']);
  const failed = legacyRecorder();
  const gone = await httpServer(t, () => {});
  await gone.close();
  using(t, new Client(gone.origin)).dispatch(GET, failed);
  await failed.done;
  assert.deepEqual(failed.names(), ['onError']);
});

test('the legacy dialect pauses by returning false, and aborts', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'.repeat(1000)));
  const client = using(t, new Client(server.origin));
  let resume;
  const handler = legacyRecorder({
    onHeaders: (_, __, given) => { resume = given; return false; },
    onData: () => undefined,
  });
  client.dispatch(GET, handler);
  await until(() => resume, 'the head');
  await settle();
  assert.deepEqual(handler.calls('onData'), []);
  resume();
  await handler.done;
  assert.equal(Buffer.concat(handler.calls('onData').map(([chunk]) => chunk)).length, 1000);
  const reason = new Error('enough');
  const aborted = legacyRecorder({ onConnect: (abort) => abort(reason) });
  client.dispatch(GET, aborted);
  await aborted.done;
  assert.deepEqual(aborted.log.at(-1), ['onError', reason]);
});

for (const where of ['onRequestStart', 'onResponseStart', 'onResponseData']) {
  test(`abort in ${where}: onResponseError at once, with that very reason, and nothing after`, async (t) => {
    const server = await httpServer(t, (_, response) => {
      response.write('x'.repeat(100_000));
      response.end('y');
    });
    const client = using(t, new Client(server.origin));
    const reason = { not: 'an Error' };
    let atOnce;
    const handler = recorder({
      [where](controller) {
        controller.abort(reason);
        controller.abort(new Error('the second does nothing'));
        atOnce = terminals(handler).length;
      },
    });
    client.dispatch(GET, handler);
    await handler.done;
    await settle();
    assert.equal(atOnce, 1);
    assert.deepEqual(terminals(handler), ['onResponseError']);
    assert.equal(handler.names().at(-1), 'onResponseError');
    assert.equal(handler.error, reason);
    const [controller] = handler.log[0].slice(1);
    assert.equal(controller.aborted, true);
    assert.equal(controller.reason, reason);
    // The client is free again.
    assert.equal((await run(client, {})).status, 200);
  });
}

test('abort from outside, at every moment of a response', async (t) => {
  const server = await httpServer(t, (_, response) => {
    response.write('a');
    setTimeout(() => response.write('b'), 2);
    setTimeout(() => response.end('c'), 4);
  });
  const agent = using(t, new Agent());
  for (let i = 0; i < 60; i++) {
    const reason = new Error(`reason ${i}`);
    let controller;
    const handler = recorder({ onRequestStart: (given) => { controller = given; } });
    agent.dispatch({ ...GET, origin: server.origin }, handler);
    await until(() => controller, 'the start');
    await new Promise((resolve) => (i % 2 ? setTimeout(resolve, i / 10) : setImmediate(resolve)));
    const over = terminals(handler).length;
    controller.abort(reason);
    assert.equal(terminals(handler).length, 1);
    if (!over) {
      assert.equal(handler.error, reason);
    }
  }
  await settle();
});

test('who gives up in onRequestStart sends nothing, and the connection stays', async (t) => {
  const seen = [];
  let answer;
  const other = await httpServer(t, (_, response) => response.end());
  for (const [make, Dispatcher, options] of [[httpServer, Client, {}], [h2cServer, H2CClient, { maxConcurrentStreams: 1, pipelining: 1 }]]) {
    const server = await make(t, (request, response) => {
      seen.push(request.url);
      answer = () => response.end();
      request.url === '/slow' || answer();
    });
    const client = using(t, new Dispatcher(server.origin, options));
    let connections = 0;
    client.on('connect', () => connections++);
    const reason = new Error('too late');
    const giving = (path) => run(client, { path, method: 'POST', body: 'x' }, { onRequestStart: (controller) => controller.abort(reason) });
    assert.equal((await giving('/connecting')).error, reason);
    const slow = run(client, { path: '/slow' });
    await until(() => seen.includes('/slow'), 'the slow one');
    const waiting = giving('/waiting');
    const next = run(client, { path: '/next' });
    // An answer to what was asked later: the engine has seen those two, and has nothing to send them on.
    await run(using(t, new Client(other.origin)), {});
    answer();
    assert.equal((await waiting).error, reason);
    assert.equal((await slow).status, 200);
    assert.equal((await next).status, 200);
    assert.equal((await giving('/free')).error, reason);
    assert.equal((await run(client, { path: '/last' })).status, 200);
    assert.deepEqual(seen.splice(0), ['/slow', '/next', '/last']);
    assert.equal(connections, 1);
  }
});

test('abort of a response that was read whole leaves the connection open', async (t) => {
  const server = await answering(t, OK);
  const client = using(t, new Client(server.origin));
  let connections = 0;
  client.on('connect', () => connections++);
  const reason = new Error('no more');
  assert.equal((await run(client, {}, { onResponseStart: (controller) => controller.abort(reason) })).error, reason);
  assert.equal((await run(client, {})).status, 200);
  assert.equal(connections, 1);
});

test('abort after the end changes flags only', async (t) => {
  const server = await answering(t, OK);
  const got = await run(using(t, new Client(server.origin)), {});
  const [controller] = got.log[0].slice(1);
  controller.abort(new Error('late'));
  assert.deepEqual(terminals(got), ['onResponseEnd']);
  assert.equal(controller.aborted, true);
});

test('abort without a reason is a RequestAbortedError', async (t) => {
  const server = await answering(t, OK);
  const got = await run(using(t, new Client(server.origin)), {}, { onRequestStart: (controller) => controller.abort() });
  assert.ok(got.error instanceof errors.RequestAbortedError);
  assert.equal(got.error.name, 'AbortError');
  assert.equal(got.error.code, 'UND_ERR_ABORTED');
});

test('pause in onResponseStart withholds the body until resume', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('z'.repeat(300_000)));
  let controller;
  const handler = recorder({ onResponseStart: (given) => { controller = given; given.pause(); } });
  using(t, new Client(server.origin)).dispatch(GET, handler);
  await until(() => controller, 'the head');
  await settle();
  assert.equal(controller.paused, true);
  assert.deepEqual(handler.names(), ['onRequestStart', 'onResponseStart']);
  controller.resume();
  assert.equal(controller.paused, false);
  await handler.done;
  assert.equal(handler.body.length, 300_000);
});

test('pause in onRequestStart does not withhold the head', async (t) => {
  const server = await answering(t, OK);
  const handler = recorder({
    onRequestStart: (controller) => controller.pause(),
    onResponseStart: (controller) => setTimeout(() => controller.resume(), 20),
  });
  using(t, new Client(server.origin)).dispatch(GET, handler);
  await handler.done;
  assert.equal(handler.body.toString(), 'ok');
});

test('pause and resume for every chunk: all bytes, in order', async (t) => {
  const whole = Buffer.alloc(2_000_000);
  for (let i = 0; i < whole.length; i++) whole[i] = i * 7 >> 3;
  const server = await httpServer(t, (_, response) => response.end(whole));
  const handler = recorder({
    onResponseData(controller) {
      controller.pause();
      setImmediate(() => controller.resume());
    },
  });
  using(t, new Client(server.origin)).dispatch(GET, handler);
  await handler.done;
  assert.ok(handler.body.equals(whole));
});

test('a paused response stops the server', async (t) => {
  let sent = 0;
  const server = await httpServer(t, (_, response) => {
    const chunk = Buffer.alloc(64 * 1024);
    const go = () => {
      while (sent < 200_000_000) {
        sent += chunk.length;
        if (!response.write(chunk)) {
          response.once('drain', go);
          return;
        }
      }
      response.end();
    };
    go();
  });
  let controller;
  const handler = recorder({ onResponseStart: (given) => { controller = given; given.pause(); } });
  using(t, new Client(server.origin)).dispatch(GET, handler);
  await until(() => controller, 'the head');
  let before = -1;
  await until(async () => {
    const still = sent === before;
    before = sent;
    await settle();
    return still;
  }, 'the server to stop');
  assert.ok(sent < 16_000_000, `the server wrote ${sent} bytes against a paused reader`);
  controller.abort(new Error('done'));
  await handler.done;
});

test('bytes that came before the peer closed are delivered to one who paused', async (t) => {
  const server = await rawServer(t, (socket) => {
    socket.on('data', () => socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${'q'.repeat(5000)}`));
  });
  const handler = recorder({
    onResponseStart(controller) {
      controller.pause();
      setTimeout(() => controller.resume(), 50);
    },
  });
  using(t, new Client(server.origin)).dispatch(GET, handler);
  await handler.done;
  assert.deepEqual(terminals(handler), ['onResponseEnd']);
  assert.equal(handler.body.length, 5000);
});

for (const where of ['onRequestStart', 'onResponseStart', 'onResponseData', 'onBodySent', 'onRequestSent']) {
  test(`a throw in ${where} aborts with what was thrown`, async (t) => {
    const server = await httpServer(t, (request, response) => {
      request.resume().on('end', () => response.end('x'.repeat(10)));
    });
    const client = using(t, new Client(server.origin));
    const thrown = new Error(where);
    const handler = await run(client, { method: 'POST', body: 'abc' }, { optional: true, [where]: () => { throw thrown; } });
    await settle();
    assert.equal(handler.error, thrown);
    assert.deepEqual(terminals(handler), ['onResponseError']);
    assert.equal((await run(client, {})).status, 200);
  });
}

test('an abort in onResponseStarted is the end: no onResponseStart follows', async (t) => {
  const server = await httpServer(t, (request, response) => response.end('x'));
  const client = using(t, new Client(server.origin));
  const handler = recorder({ optional: true, onResponseStarted: () => handler.calls('onRequestStart')[0][0].abort() });
  client.dispatch(GET, handler);
  await handler.done;
  await settle();
  assert.deepEqual(handler.names().slice(-2), ['onResponseStarted', 'onResponseError']);
});

test('a throw in onRequestUpgrade: onResponseError follows, the socket is closed', async (t) => {
  const server = await answering(t, 'HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
  const client = using(t, new Client(server.origin));
  const thrown = new Error('not taken');
  const handler = await run(client, { upgrade: 'x' }, { onRequestUpgrade: () => { throw thrown; } });
  await until(() => server.sockets.size === 0, 'the end of the connection');
  assert.deepEqual([terminals(handler), handler.error], [['onRequestUpgrade', 'onResponseError'], thrown]);
});

test('a throw in onResponseEnd: onResponseError follows, the connection stays', async (t) => {
  const connections = new Set();
  const server = await httpServer(t, (request, response) => {
    connections.add(request.socket);
    response.end();
  });
  const client = using(t, new Client(server.origin));
  const thrown = new Error('at the end');
  const handler = recorder({ onResponseEnd: () => { throw thrown; } });
  client.dispatch(GET, handler);
  await handler.done;
  await until(() => handler.error === thrown, 'the error');
  await run(client, {});
  assert.equal(connections.size, 1);
});

test('a throw in onResponseError is an error event of the Client, and costs no other request', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('fine'));
  const client = using(t, new Client(server.origin));
  const thrown = new Error('in the error');
  const seen = new Promise((resolve) => client.on('error', resolve));
  const handler = recorder({
    onRequestStart: (controller) => controller.abort(new Error('first')),
    onResponseError: () => { throw thrown; },
  });
  client.dispatch(GET, handler);
  const other = run(client, {});
  assert.equal(await within(seen), thrown);
  assert.equal((await other).body.toString(), 'fine');
});

test('callbacks may dispatch, abort, pause and close', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('r'));
  const agent = using(t, new Agent());
  const inner = [];
  await new Promise((resolve) => {
    const depth = (n) => recorder({
      onResponseData(controller) { controller.pause(); queueMicrotask(() => controller.resume()); },
      onResponseEnd() {
        inner.push(n);
        if (n < 50) {
          agent.dispatch({ ...GET, origin: server.origin }, depth(n + 1));
        } else {
          agent.close(resolve);
        }
      },
    });
    agent.dispatch({ ...GET, origin: server.origin }, depth(0));
  });
  assert.equal(inner.length, 51);
});

test('chunks are the handler\'s for ever', async (t) => {
  const server = await httpServer(t, (request, response) => response.end(request.url.slice(1).repeat(500)));
  const agent = using(t, new Agent({ connections: 2 }));
  const kept = await Promise.all(Array.from({ length: 200 }, (_, i) => run(agent, { origin: server.origin, path: `/${i % 10}` })));
  kept.forEach((got, i) => assert.equal(got.body.toString(), String(i % 10).repeat(500)));
});

test('the async context of a promise is that of its caller', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const storage = new AsyncLocalStorage();
  const agent = using(t, new Agent({ connections: 1 }));
  await Promise.all([1, 2, 3].map((n) => storage.run(n, async () => {
    await new Promise((resolve, reject) => {
      agent.request({ ...GET, origin: server.origin }, (error, data) => {
        try {
          assert.ifError(error);
          assert.equal(storage.getStore(), n);
          data.body.resume().on('end', resolve);
        } catch (failure) {
          reject(failure);
        }
      });
    });
    assert.equal(storage.getStore(), n);
  })));
});

test('CONNECT hands over a socket whatever the status, with what was read beyond the head', async (t) => {
  const server = await rawServer(t, (socket) => {
    let first = true;
    socket.on('data', (chunk) => {
      if (first) {
        first = false;
        assert.match(String(chunk), /^CONNECT a.example:1 HTTP\/1.1\r\n/);
        socket.write('HTTP/1.1 299 Fine\r\nx: y\r\n\r\nhello');
      } else {
        socket.write(chunk);
      }
    });
  });
  const client = using(t, new Client(server.origin));
  const left = new Promise((resolve) => client.on('disconnect', (_, __, error) => resolve(error)));
  const handler = recorder();
  client.dispatch({ path: 'a.example:1', method: 'CONNECT' }, handler);
  await handler.done;
  const [, status, headers, socket] = handler.calls('onRequestUpgrade')[0];
  assert.equal(status, 299);
  assert.equal(headers.x, 'y');
  assert.equal((await within(left)).message, 'upgrade');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  await until(() => text === 'hello', 'the leftover');
  socket.write(' and more');
  await until(() => text === 'hello and more', 'the echo');
  socket.destroy();
});

test('upgrade hands over a socket; a normal answer goes the ordinary way', async (t) => {
  const server = await answering(t,
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n', OK);
  const client = using(t, new Client(server.origin));
  const first = recorder();
  client.dispatch({ ...GET, upgrade: 'x' }, first);
  await first.done;
  assert.deepEqual(first.names(), ['onRequestStart', 'onRequestUpgrade']);
  assert.match(server.requests[0], /\r\nconnection: upgrade\r\nupgrade: x\r\n/i);
  first.calls('onRequestUpgrade')[0][3].destroy();
  const second = recorder();
  client.dispatch({ ...GET, upgrade: 'x' }, second);
  await second.done;
  assert.deepEqual(second.names(), ['onRequestStart', 'onResponseStart', 'onResponseData', 'onResponseEnd']);
});

test('an upgraded socket: much data both ways, with backpressure, and half closing', async (t) => {
  const server = await rawServer(t, (socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n');
      socket.pipe(socket);
    });
  });
  const { socket } = await using(t, new Client(server.origin)).upgrade({ path: '/', protocol: 'x' });
  const piece = Buffer.alloc(100_000, 'abcdefghij');
  let received = 0;
  const ended = new Promise((resolve) => socket.on('data', (chunk) => { received += chunk.length; }).on('end', resolve));
  Readable.from(Array.from({ length: 50 }, () => piece)).pipe(socket);
  await within(ended, 10_000);
  assert.equal(received, 5_000_000);
});
