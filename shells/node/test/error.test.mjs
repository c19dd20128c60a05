// Every failure of the transport, made for real, and the error that undici's users expect.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { OK, answering, forebay, httpServer, rawServer, root, run, undici, until, using } from './support.mjs';

const { Agent, Client, errors } = forebay;

/** What `from` makes of a request to a server that behaves like this. */
async function outcome(t, from, origin, options = {}, request = {}) {
  return run(using(t, new from.Client(origin, options)), { ...request });
}

test('instanceof works both ways for every class', () => {
  for (const [name, Theirs] of Object.entries(undici.errors)) {
    const Ours = errors[name];
    if (!Ours) {
      continue;
    }
    const make = (Class) => (name === 'RequestRetryError' || name === 'ResponseError' ? new Class('m', 1, {}) : new Class());
    const ours = make(Ours);
    const theirs = make(Theirs);
    assert.ok(ours instanceof Theirs, name);
    assert.ok(theirs instanceof Ours, name);
    assert.ok(ours instanceof Error);
    assert.equal(ours.name, theirs.name);
    assert.equal(ours.code, theirs.code);
    assert.equal(ours.message, theirs.message, name);
    if (name !== 'HTTPParserError') {
      assert.ok(ours instanceof undici.errors.UndiciError, name);
    }
  }
  assert.ok(!(new errors.SocketError() instanceof undici.errors.AbortError));
  assert.ok(new errors.RequestAbortedError() instanceof undici.errors.AbortError);
  assert.ok(!(new Error() instanceof errors.UndiciError));
  assert.ok(!(null instanceof errors.UndiciError));
});

test('refused', async (t) => {
  const server = await httpServer(t, () => {});
  await server.close();
  const { error } = await outcome(t, forebay, server.origin);
  const { code, errno, syscall, address, port, message } = error;
  assert.deepEqual({ code, errno, syscall, address, port, message }, {
    code: 'ECONNREFUSED', errno: -111, syscall: 'connect', address: '127.0.0.1', port: server.port,
    message: `connect ECONNREFUSED 127.0.0.1:${server.port}`,
  });
  assert.ok(!(error instanceof errors.UndiciError));
});

test('a name with several addresses, all refused', async (t) => {
  const { lookup } = await import('node:dns/promises');
  const addresses = await lookup('localhost', { all: true });
  const server = await httpServer(t, () => {});
  await server.close();
  const { error } = await outcome(t, forebay, server.named);
  assert.equal(error.code, 'ECONNREFUSED');
  if (addresses.length > 1) {
    assert.ok(error instanceof AggregateError);
    assert.deepEqual(error.errors.map((each) => each.code), addresses.map(() => 'ECONNREFUSED'));
  } else {
    assert.equal(error.syscall, 'connect');
  }
});

test('no such name', async (t) => {
  const { error } = await outcome(t, forebay, 'http://does-not-exist.invalid');
  assert.equal(error.syscall, 'getaddrinfo');
  assert.equal(error.hostname, 'does-not-exist.invalid');
  // Without any resolver at all the answer is "try again".
  assert.ok(['ENOTFOUND', 'EAI_AGAIN'].includes(error.code), error.code);
  assert.equal(error.errno, error.code === 'ENOTFOUND' ? -3008 : -3001);
  assert.equal(error.message, `getaddrinfo ${error.code} does-not-exist.invalid`);
});

test('a name server that does not answer: try again', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'forebay-names-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'resolv.conf');
  writeFileSync(file, 'nameserver 127.0.0.1\noptions attempts:1 timeout:1\n');
  // The file takes the place of the system's for one process and its children.
  const inside = (...command) => spawnSync('unshare', [
    process.getuid() === 0 ? '-m' : '-rm', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', file, ...command,
  ], { encoding: 'utf8' });
  const allowed = inside('true');
  if (allowed.status !== 0) {
    t.skip(`no mount namespace on this machine: ${allowed.error?.message ?? allowed.stderr.trim()}`);
    return;
  }
  const child = inside(process.execPath, '-e', `
    require(process.argv[1]).request('http://name.test').catch((error) => {
      console.log(JSON.stringify({ ...error, name: error.name, message: error.message }));
    });
  `, root);
  assert.equal(child.status, 0, child.stderr);
  assert.deepEqual(JSON.parse(child.stdout), {
    name: 'Error', code: 'EAI_AGAIN', errno: -3001, syscall: 'getaddrinfo', hostname: 'name.test',
    message: 'getaddrinfo EAI_AGAIN name.test',
  });
});

/** The port of a server on every address of this machine whose queue is full: the system answers nobody who knocks. */
async function fullServer(t) {
  const worker = new Worker(`
    const { parentPort } = require('node:worker_threads');
    const server = require('node:net').createServer().listen({ port: 0, host: '0.0.0.0', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      // Nobody is accepted any more.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });
  `, { eval: true });
  const [port] = await once(worker, 'message');
  const queued = [];
  // As many as a backlog of one holds.
  for (let count = 0; count < 2; count++) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => {});
    queued.push(socket);
  }
  t.after(async () => {
    queued.forEach((socket) => socket.destroy());
    await worker.terminate();
  });
  return port;
}

test('nobody answers: ConnectTimeoutError, with the addresses as undici lists them', async (t) => {
  const port = await fullServer(t);
  const lookup = (_, options, callback) => callback(null, ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 })));
  for (const [host, connect, attempted] of [
    ['127.0.0.1', {}, `attempted address: 127.0.0.1:${port}`],
    ['several.test', { lookup, autoSelectFamilyAttemptTimeout: 10 }, `attempted addresses: 127.0.0.1:${port}, 127.0.0.2:${port}`],
  ]) {
    const [ours, theirs] = await Promise.all([forebay, undici].map(async (from) => {
      const { error } = await outcome(t, from, `http://${host}:${port}`, { connectTimeout: 100, connect });
      assert.ok(error instanceof errors.ConnectTimeoutError, String(error));
      return [error.name, error.code, error.message];
    }));
    assert.deepEqual(ours, ['ConnectTimeoutError', 'UND_ERR_CONNECT_TIMEOUT', `Connect Timeout Error (${attempted}, timeout: 100ms)`]);
    assert.deepEqual(ours, theirs);
  }
});

test('a Unix socket that is not there', async (t) => {
  const { error } = await outcome(t, forebay, 'http://localhost', { socketPath: '/nowhere/forebay.sock' });
  assert.equal(error.code, 'ENOENT');
  assert.equal(error.syscall, 'connect');
  assert.equal(error.address, '/nowhere/forebay.sock');
});

test('addresses that cannot be, connected from or to: the words of Node.js', async (t) => {
  const server = await httpServer(t, (_, response) => response.end());
  for (const [code, origin, options] of [
    ['EADDRNOTAVAIL', server.origin, { localAddress: '192.0.2.1' }],
    ['ECONNREFUSED', 'http://localhost', { socketPath: fileURLToPath(import.meta.url) }],
    ['ENOTDIR', 'http://localhost', { socketPath: join(fileURLToPath(import.meta.url), 'x') }],
  ]) {
    const [ours, theirs] = [await outcome(t, forebay, origin, options), await outcome(t, undici, origin, options)].map(({ error }) => {
      const { code: its, errno, syscall, address, port, message } = error;
      return { its, errno, syscall, address, port, message };
    });
    assert.equal(ours.its, code);
    assert.deepEqual(ours, theirs);
  }
  const far = await outcome(t, forebay, 'http://255.255.255.255:9');
  assert.deepEqual([far.error.syscall, far.error.address, far.error.port], ['connect', '255.255.255.255', 9]);
  assert.ok(['ENETUNREACH', 'EACCES', 'EPERM', 'EHOSTUNREACH'].includes(far.error.code), far.error.code);
  const long = await outcome(t, forebay, 'http://localhost', { socketPath: `/${'x'.repeat(200)}` });
  assert.deepEqual([long.error.code, long.error.errno], ['EINVAL', -22]);
});

test('reset', async (t) => {
  const server = await rawServer(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const { error } = await outcome(t, forebay, server.origin);
  assert.deepEqual([error.code, error.errno, error.syscall, error.message], ['ECONNRESET', -104, 'read', 'read ECONNRESET']);
});

/** The error of a request whose server goes away by `leave` while its body is written and nothing is read. */
async function writtenTo(t, leave) {
  let peer;
  const server = await rawServer(t, (socket) => {
    peer = socket;
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'));
  });
  const other = await httpServer(t, (_, response) => response.end());
  let pausing;
  const paused = new Promise((resolve) => { pausing = resolve; });
  async function* body() {
    yield 'one';
    await paused;
    // Commands are obeyed in turn: when this one is answered the pause holds, and only writing meets what `leave` does.
    assert.ifError((await outcome(t, forebay, other.origin)).error);
    await leave(peer);
    yield 'two';
  }
  const client = using(t, new Client(server.origin));
  const { error } = await run(client, { method: 'POST', body: body() }, {
    onResponseData(controller) {
      controller.pause();
      pausing();
    },
  });
  return error;
}

test('a body is written to a server that reset the connection, or closed it before', async (t) => {
  const reset = async (peer) => {
    peer.resetAndDestroy();
    await once(peer, 'close');
  };
  const endAndReset = async (peer) => {
    peer.end();
    await once(peer, 'finish');
    await reset(peer);
  };
  for (const [leave, expected] of [
    [reset, { code: 'ECONNRESET', errno: -104, syscall: 'write', message: 'write ECONNRESET' }],
    [endAndReset, { code: 'EPIPE', errno: -32, syscall: 'write', message: 'write EPIPE' }],
  ]) {
    const error = await writtenTo(t, leave);
    const { code, errno, syscall, message } = error;
    assert.deepEqual({ code, errno, syscall, message }, expected);
    assert.ok(!(error instanceof errors.UndiciError));
  }
});

test('a server resets in the midst of a large body', async (t) => {
  const server = await rawServer(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const body = Buffer.alloc(32 * 1024 * 1024);
  for (const each of [body, (async function* () { yield body; })()]) {
    const { error } = await outcome(t, forebay, server.origin, {}, { method: 'POST', body: each });
    const { code, errno, syscall, message } = error;
    // Reading or writing may meet it first; who writes once more gets the other code.
    assert.ok(['read ECONNRESET', 'write ECONNRESET', 'write EPIPE'].includes(message), String(error));
    assert.deepEqual([`${syscall} ${code}`, errno], [message, code === 'EPIPE' ? -32 : -104]);
    assert.ok(!(error instanceof errors.UndiciError));
  }
});

for (const [what, bytes] of [
  ['nothing', ''], ['half a head', 'HTTP/1.1 200 OK\r\ncontent-le'],
  ['half a body with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'],
  ['half a chunked body', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel'],
]) {
  test(`the server closes after ${what}: SocketError, with the socket's numbers`, async (t) => {
    const server = await rawServer(t, (socket) => socket.once('data', () => socket.end(bytes)));
    const { error } = await outcome(t, forebay, server.origin);
    assert.ok(error instanceof errors.SocketError, String(error));
    assert.equal(error.message, 'other side closed');
    assert.equal(error.code, 'UND_ERR_SOCKET');
    assert.equal(error.socket.remotePort, server.port);
    assert.equal(error.socket.remoteAddress, '127.0.0.1');
    assert.equal(error.socket.bytesRead, bytes.length);
    assert.ok(error.socket.bytesWritten > 0);
  });
}

test('with connection: close, a body that is too short is a length mismatch, a chunked one a parse error', async (t) => {
  const close = 'HTTP/1.1 200 OK\r\nconnection: close\r\n';
  const short = await rawServer(t, (socket) => socket.once('data', () => socket.end(`${close}content-length: 9\r\n\r\nhalf`)));
  const first = await outcome(t, forebay, short.origin);
  assert.ok(first.error instanceof errors.ResponseContentLengthMismatchError, String(first.error));
  assert.equal(first.body.toString(), 'half');
  const chunked = await rawServer(t, (socket) => socket.once('data', () => socket.end(`${close}transfer-encoding: chunked\r\n\r\n5\r\nhel`)));
  const second = await outcome(t, forebay, chunked.origin);
  assert.ok(second.error instanceof errors.HTTPParserError, String(second.error));
  assert.match(second.error.message, /Invalid EOF state/);
  const neither = await rawServer(t, (socket) => socket.once('data', () => socket.end(`${close}\r\nall of it`)));
  const third = await outcome(t, forebay, neither.origin);
  assert.ifError(third.error);
  assert.equal(third.body.toString(), 'all of it');
});

const MALFORMED = [
  ['no status line', 'GARBAGE\r\n\r\n'],
  ['a wrong version', 'HTTP/9.9 200 OK\r\n\r\n'],
  ['a bad header token', 'HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n'],
  ['a bad chunk size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  ['a bad content-length', 'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\ncontent-length: 0\n\n'],
];
for (const [what, bytes] of MALFORMED) {
  test(`malformed: ${what}`, async (t) => {
    const server = await rawServer(t, (socket) => socket.once('data', () => socket.write(bytes)));
    const expected = await outcome(t, undici, server.origin);
    const got = await outcome(t, forebay, server.origin);
    assert.ok(got.error instanceof undici.errors.HTTPParserError, String(got.error));
    assert.equal(got.error.message, expected.error.message);
    assert.equal(got.error.name, expected.error.name);
  });
}

for (const [what, head] of [
  ['two different content-lengths', 'content-length: 1\r\ncontent-length: 2\r\n'],
  ['content-length together with chunked', 'content-length: 1\r\ntransfer-encoding: chunked\r\n'],
]) {
  test(what, async (t) => {
    const server = await rawServer(t, (socket) => socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n`)));
    const got = await outcome(t, forebay, server.origin);
    assert.ok(got.error, 'refused');
    assert.ok(
      got.error instanceof errors.ResponseContentLengthMismatchError || got.error instanceof errors.HTTPParserError,
      String(got.error),
    );
  });
}

test('a head and trailers that are too large', async (t) => {
  const fields = `x: ${'y'.repeat(20_000)}\r\n`;
  for (const answer of [
    `HTTP/1.1 200 OK\r\n${fields}content-length: 0\r\n\r\n`,
    `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${fields}\r\n`,
  ]) {
    const server = await answering(t, answer);
    const small = await outcome(t, forebay, server.origin);
    assert.ok(small.error instanceof errors.HeadersOverflowError, String(small.error));
    const large = await outcome(t, forebay, server.origin, { maxHeaderSize: 65_536 });
    assert.ifError(large.error);
  }
});

test('a response that is too large', async (t) => {
  for (const answer of [
    'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n',
  ]) {
    const server = await answering(t, answer);
    const got = await outcome(t, forebay, server.origin, { maxResponseSize: 10 });
    assert.ok(got.error instanceof errors.ResponseExceededMaxSizeError, String(got.error));
    assert.ifError((await outcome(t, forebay, server.origin, { maxResponseSize: 11 })).error);
  }
});

test('headersTimeout and bodyTimeout, of client and request', async (t) => {
  const silent = await rawServer(t, () => {});
  const half = await rawServer(t, (socket) => socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')));
  for (const [options, request] of [[{ headersTimeout: 80 }, {}], [{}, { headersTimeout: 80 }]]) {
    const got = await outcome(t, forebay, silent.origin, options, request);
    assert.ok(got.error instanceof errors.HeadersTimeoutError, String(got.error));
    assert.equal(got.error.message, 'Headers Timeout Error');
  }
  for (const [options, request] of [[{ bodyTimeout: 80 }, {}], [{}, { bodyTimeout: 80 }]]) {
    const got = await outcome(t, forebay, half.origin, options, request);
    assert.ok(got.error instanceof errors.BodyTimeoutError, String(got.error));
    assert.equal(got.body.toString(), 'half');
  }
});

test('bodyTimeout stands still during a pause', async (t) => {
  const server = await httpServer(t, (_, response) => {
    response.write('a');
    setTimeout(() => response.end('b'), 20);
  });
  const got = await outcome(t, forebay, server.origin, { bodyTimeout: 150 }, {});
  assert.ifError(got.error);
  const paused = await run(using(t, new Client(server.origin, { bodyTimeout: 150 })), {}, {
    onResponseStart(controller) {
      controller.pause();
      setTimeout(() => controller.resume(), 500);
    },
  });
  assert.ifError(paused.error);
  assert.equal(paused.body.toString(), 'ab');
});

test('an unasked 101, an unasked 100', async (t) => {
  for (const [answer, message] of [
    ['HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 'bad upgrade'],
    [`HTTP/1.1 100 Continue\r\n\r\n${OK}`, 'bad response'],
  ]) {
    const server = await answering(t, answer);
    const { error } = await outcome(t, forebay, server.origin);
    assert.ok(error instanceof errors.SocketError, String(error));
    assert.equal(error.message, message);
  }
});

test('destroy: the default error, or the one given', async (t) => {
  const server = await httpServer(t, () => {});
  const client = new Client(server.origin);
  const first = run(client, {});
  const second = run(client, {});
  await until(() => client.stats.running === 1, 'the request');
  await client.destroy();
  assert.ok((await first).error instanceof errors.ClientDestroyedError);
  assert.equal((await second).error.message, 'The client is destroyed');
  const other = new Client(server.origin);
  const third = run(other, {});
  const own = new Error('own');
  await other.destroy(own);
  assert.equal((await third).error, own);
});

test('random bytes never bring the process down', async (t) => {
  let seed = 12345;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  const start = ['', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', 'HTTP/1.1 '];
  const server = await rawServer(t, (socket) => socket.once('data', () => {
    const noise = Buffer.from(Array.from({ length: random() * 200 | 0 }, () => (random() < 0.5 ? random() * 256 : '\r\n: 0a;'.charCodeAt(random() * 7))));
    socket.write(start[random() * 4 | 0]);
    socket.end(noise);
  }));
  const agent = using(t, new Agent());
  for (let i = 0; i < 300; i++) {
    const got = await run(agent, { origin: server.origin, headersTimeout: 1000, bodyTimeout: 1000 });
    assert.ok(['onResponseEnd', 'onResponseError'].includes(got.names().at(-1)), `seed 12345, request ${i}`);
  }
});
