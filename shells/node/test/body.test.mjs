// Request bodies of every kind: framing, backpressure, lengths that do not match, errors.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { createHash } from 'node:crypto';
import { forebay, httpServer, rawServer, require, run, until, using, within } from './support.mjs';

const { Agent, Client, errors } = forebay;

/** Answers with what arrived. */
const echo = (t) => httpServer(t, (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
    const { 'content-length': length, 'transfer-encoding': coding, 'content-type': type } = request.headers;
    response.end(JSON.stringify({ length, coding, type, body: Buffer.concat(chunks).toString('latin1') }));
  }).on('error', () => {});
});

async function post(t, options) {
  const server = await echo(t);
  const got = await run(using(t, new Agent()), { origin: server.origin, method: 'POST', ...options });
  assert.ifError(got.error);
  return JSON.parse(got.body.toString());
}

async function* generate(...chunks) {
  for (const chunk of chunks) {
    await new Promise((resolve) => setImmediate(resolve));
    yield chunk;
  }
}

const bytes = new Uint8Array([104, 105]);
for (const [what, body] of [
  ['a string', 'hi'], ['a Buffer', Buffer.from('hi')], ['a Uint8Array', bytes], ['an ArrayBuffer', bytes.buffer],
  ['a DataView', new DataView(bytes.buffer)], ['a Uint16Array', new Uint16Array(bytes.buffer)],
  ['a part of a buffer', new Uint8Array([0, 104, 105, 0]).subarray(1, 3)], ['a Blob', new Blob(['h', 'i'])],
]) {
  test(`${what} is sent with its length`, async (t) => {
    const got = await post(t, { body });
    assert.deepEqual([got.length, got.coding, got.body], ['2', undefined, 'hi']);
  });
}

for (const [what, make] of [
  ['a Readable', () => new Readable({ read() { setImmediate(() => { this.push('hi'); this.push(null); }); } })],
  ['a PassThrough', () => { const s = new PassThrough(); s.write('h'); setTimeout(() => s.end('i'), 10); return s; }],
  ['an async generator', () => generate('h', Buffer.from('i'))],
  ['a sync iterable', () => ['h', Buffer.from('i')]],
  ['an iterable of promises', () => [Promise.resolve('h'), Promise.resolve('i')]],
  ['a web stream', () => new Blob(['hi']).stream()],
]) {
  test(`${what} is chunked`, async (t) => {
    const got = await post(t, { body: make() });
    assert.deepEqual([got.length, got.coding, got.body], [undefined, 'chunked', 'hi']);
  });
  test(`${what} with a declared length is not`, async (t) => {
    const got = await post(t, { body: make(), headers: { 'content-length': '2' } });
    assert.deepEqual([got.length, got.coding, got.body], ['2', undefined, 'hi']);
  });
}

test('a stream that has ended is sent with its length', async (t) => {
  const stream = new PassThrough();
  stream.end('hello');
  const got = await post(t, { body: stream });
  assert.deepEqual([got.length, got.coding, got.body], ['5', undefined, 'hello']);
});

for (const body of [null, undefined, '', Buffer.alloc(0), new Blob([])]) {
  test(`no body: ${body === null ? 'null' : JSON.stringify(body) ?? 'undefined'}`, async (t) => {
    for (const [method, length] of [['POST', '0'], ['PUT', '0'], ['PATCH', '0'], ['GET', undefined], ['DELETE', undefined]]) {
      const got = await post(t, { method, body });
      assert.deepEqual([got.length, got.coding, got.body], [length, undefined, ''], method);
    }
  });
}

test('an empty iterable', async (t) => {
  const got = await post(t, { body: generate() });
  assert.equal(got.body, '');
});

test('Blob and FormData bring their type, unless the caller has one', async (t) => {
  const blob = new Blob(['x'], { type: 'text/x-own' });
  assert.equal((await post(t, { body: blob })).type, 'text/x-own');
  assert.equal((await post(t, { body: blob, headers: { 'Content-Type': 'a/b' } })).type, 'a/b');
});

for (const [what, source] of [
  ['Node.js', globalThis], ['undici 6', require('undici6')], ['undici 7', require('undici7')],
]) {
  test(`FormData of ${what}`, async (t) => {
    const form = new source.FormData();
    form.append('plain', 'a\nb');
    form.append('qu"ote\r\n', 'ü');
    form.append('file', new Blob(['content'], { type: 'text/plain' }), 'na"me.txt');
    const got = await post(t, { body: form });
    const [, boundary] = got.type.match(/^multipart\/form-data; boundary=(.+)$/);
    const text = Buffer.from(got.body, 'latin1').toString();
    assert.equal(got.coding, undefined);
    assert.equal(Number(got.length), Buffer.byteLength(text));
    assert.equal(text, [
      `--${boundary}`, 'Content-Disposition: form-data; name="plain"', '', 'a\r\nb',
      `--${boundary}`, 'Content-Disposition: form-data; name="qu%22ote%0D%0A"', '', 'ü',
      `--${boundary}`, 'Content-Disposition: form-data; name="file"; filename="na%22me.txt"', 'Content-Type: text/plain', '',
      'content', `--${boundary}--`, '',
    ].join('\r\n'));
    const parsed = await new Response(Buffer.from(text), { headers: { 'content-type': got.type } }).formData();
    assert.equal(await parsed.get('file').text(), 'content');
  });
}

test('10 MB as a whole and as a stream arrive unchanged', async (t) => {
  const whole = Buffer.alloc(10_000_000);
  for (let i = 0; i < whole.length; i += 4) whole.writeUInt32LE(i * 2654435761 >>> 0, i);
  const expected = createHash('sha256').update(whole).digest('hex');
  const server = await httpServer(t, (request, response) => {
    const hash = createHash('sha256');
    request.on('data', (chunk) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')));
  });
  const agent = using(t, new Agent());
  const pieces = Array.from({ length: 100 }, (_, i) => whole.subarray(i * 100_000, (i + 1) * 100_000));
  for (const body of [whole, Readable.from(pieces), generate(...pieces), new Blob([whole])]) {
    const got = await run(agent, { origin: server.origin, method: 'POST', body });
    assert.equal(got.body.toString(), expected);
  }
});

test('a body on a GET is sent, and the connection is not used again', async (t) => {
  const sockets = new Set();
  const server = await httpServer(t, (request, response) => {
    sockets.add(request.socket);
    request.resume().on('end', () => response.end());
  });
  const client = using(t, new Client(server.origin));
  await run(client, { body: 'x' });
  await run(client, {});
  assert.equal(sockets.size, 2);
  await run(client, { body: 'x', reset: false });
  await run(client, {});
  assert.equal(sockets.size, 2);
});

for (const [what, body, length] of [
  ['a Buffer that is longer', Buffer.from('abc'), '2'], ['a Buffer that is shorter', Buffer.from('a'), '2'],
  ['a Blob that is longer', new Blob(['abc']), '2'],
]) {
  test(`${what} than declared is refused before anything is written`, async (t) => {
    let seen = 0;
    const server = await rawServer(t, (socket) => socket.on('data', () => seen++));
    const got = await run(using(t, new Client(server.origin)), { method: 'POST', body, headers: { 'content-length': length } });
    assert.ok(got.error instanceof errors.RequestContentLengthMismatchError);
    assert.equal(got.error.message, 'Request body length does not match content-length header');
    assert.equal(seen, 0);
  });
}

test('an iterable or stream that is longer or shorter than declared', async (t) => {
  const server = await echo(t);
  const client = using(t, new Client(server.origin));
  for (const make of [(text) => generate(...text), (text) => Readable.from([...text])]) {
    for (const text of ['a', 'abc']) {
      const got = await run(client, { method: 'POST', body: make(text), headers: { 'content-length': '2' } });
      assert.ok(got.error instanceof errors.RequestContentLengthMismatchError, text);
    }
  }
});

test('strictContentLength false: a warning, and never more bytes than declared', async (t) => {
  const server = await echo(t);
  const client = using(t, new Client(server.origin, { strictContentLength: false }));
  const warned = new Promise((resolve) => process.once('warning', resolve));
  const got = await run(client, { method: 'POST', body: generate('ab', 'c'), headers: { 'content-length': '2' } });
  assert.equal(JSON.parse(got.body).body, 'ab');
  assert.equal((await within(warned)).code, 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH');
});

test('an error of the body is the request\'s, the same object', async (t) => {
  const server = await echo(t);
  const client = using(t, new Client(server.origin));
  const failure = new Error('the disk is gone');
  const bodies = [
    new Readable({ read() { this.push('x'); setImmediate(() => this.destroy(failure)); } }),
    (async function* () { yield 'x'; throw failure; }()),
    { [Symbol.iterator]() { throw failure; } },
  ];
  for (const body of bodies) {
    const got = await run(client, { method: 'POST', body });
    assert.equal(got.error, failure);
  }
  const broken = new Readable({ read() {} });
  broken.destroy(failure);
  assert.equal((await run(client, { method: 'POST', body: broken })).error, failure);
});

test('a stream that is destroyed without an error aborts', async (t) => {
  const server = await echo(t);
  const body = new Readable({ read() { this.push('x'); setImmediate(() => this.destroy()); } });
  const got = await run(using(t, new Client(server.origin)), { method: 'POST', body });
  assert.ok(got.error instanceof errors.RequestAbortedError);
});

test('a request that fails destroys its body: a stream with the error, a generator by return', async (t) => {
  const server = await rawServer(t, (socket) => socket.once('data', () => socket.destroy()));
  const client = using(t, new Client(server.origin));
  let given;
  const body = new Readable({ read() { setTimeout(() => this.push('x'), 5); } });
  body.on('error', (error) => { given = error; });
  const got = await run(client, { method: 'POST', body });
  await until(() => body.destroyed && given, 'the stream to be destroyed');
  assert.equal(given, got.error);
  let returned = false;
  const forever = async function* () {
    try {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        yield 'x';
      }
    } finally {
      returned = true;
    }
  };
  await run(client, { method: 'POST', body: forever() });
  await until(() => returned, 'the generator to return');
});

test('a slow server holds the body back: nothing is gathered', async (t) => {
  let go;
  const server = await rawServer(t, (socket) => {
    socket.pause();
    go = () => socket.resume();
  });
  let read = 0;
  const body = new Readable({
    read() {
      read += 65_536;
      this.push(read > 200_000_000 ? null : Buffer.alloc(65_536));
    },
  });
  const client = using(t, new Client(server.origin));
  const running = run(client, { method: 'POST', body });
  let before = -1;
  await until(async () => {
    const still = read === before && read > 0;
    before = read;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return still;
  }, 'the body to stop');
  assert.ok(read < 16_000_000, `${read} bytes were read for a server that reads none`);
  go();
  await client.destroy();
  await running;
});

test('onBodySent tells the chunks, onRequestSent the end', async (t) => {
  const server = await echo(t);
  const agent = using(t, new Agent());
  const whole = await run(agent, { origin: server.origin, method: 'POST', body: 'abc' }, { optional: true });
  assert.deepEqual(whole.calls('onBodySent').map(([chunk]) => String(chunk)), ['abc']);
  assert.equal(whole.calls('onRequestSent').length, 1);
  const streamed = await run(agent, { origin: server.origin, method: 'POST', body: generate('ab', 'c') }, { optional: true });
  assert.deepEqual(streamed.calls('onBodySent').map(([chunk]) => String(chunk)), ['ab', 'c']);
  assert.equal(streamed.calls('onRequestSent').length, 1);
  const empty = await run(agent, { origin: server.origin, method: 'POST', body: new Blob([]) }, { optional: true });
  assert.deepEqual([empty.calls('onBodySent').length, empty.calls('onRequestSent').length], [0, 1]);
});

test('an answer before the whole body was sent', async (t) => {
  const server = await rawServer(t, (socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno'));
  });
  const body = new Readable({ read() { setTimeout(() => this.push(Buffer.alloc(1000)), 1); } });
  const got = await run(using(t, new Client(server.origin)), { method: 'POST', body });
  assert.equal(got.status ?? got.error.code, got.status ? 413 : got.error.code);
  await until(() => body.destroyed, 'the body to be given up');
});

test('a body whose method expects none: the server is told that the connection ends with it', async (t) => {
  const seen = [];
  const server = await httpServer(t, (request, response) => {
    seen.push(request.headers.connection);
    request.resume().on('end', () => response.end());
  });
  const client = using(t, new Client(server.origin));
  for (const options of [{ body: 'x' }, { body: 'x', reset: false }, { body: null }]) {
    assert.equal((await run(client, { method: 'DELETE', ...options })).status, 200);
  }
  assert.deepEqual(seen, ['close', 'keep-alive', 'keep-alive']);
});
