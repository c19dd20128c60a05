// Built-in fetch of every supported Node.js with our Agent: each speaks a dialect of its own.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { forebay, here, httpServer, root, using } from './support.mjs';
import { VERSIONS, node } from './nodes.mjs';

const execute = promisify(execFile);

function serve(request, response) {
  switch (request.url) {
    case '/hello': return response.end('hello');
    case '/status':
      response.writeHead(418, 'Short And Stout', [['X-Two', '1'], ['x-two', '2'], ['Set-Cookie', 'a=1'], ['set-cookie', 'b=2']]);
      return response.end();
    case '/json': return response.end('{"a":1}');
    case '/echo': {
      const chunks = [];
      return request.on('data', (chunk) => chunks.push(chunk)).on('end', () => response.end(JSON.stringify({
        body: String(Buffer.concat(chunks)), coding: request.headers['transfer-encoding'],
        length: request.headers['content-length'],
      })));
    }
    case '/large': return response.end(Buffer.alloc(3_000_000));
    case '/gzip': return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('unzipped'));
    case '/moved': return response.writeHead(302, { location: '/hello' }).end();
    case '/never': return undefined;
    case '/half': return response.writeHead(200, { 'content-length': 10 }).write('half');
    case '/close': return request.socket.destroy();
    case '/cut': return request.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\ncut');
    default: return response.end(request.url);
  }
}

/** A WebSocket server for one text message: enough to see it echoed. */
function upgrade(request, socket) {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
  socket.on('error', () => {}).on('data', (frame) => {
    if ((frame[0] & 15) === 8) {
      socket.end(Buffer.from([0x88, 0]));
      return;
    }
    const length = frame[1] & 127;
    const mask = frame.subarray(2, 6);
    const text = Buffer.from(frame.subarray(6, 6 + length).map((byte, i) => byte ^ mask[i % 4]));
    socket.write(Buffer.concat([Buffer.from([0x81, length]), text]));
  });
}

const EXPECTED = {
  text: 'hello',
  status: [418, 'Short And Stout', '1, 2', ['a=1', 'b=2']],
  json: { a: 1 },
  string: { body: 'text', length: '4' },
  form: true,
  search: 'a=b',
  stream: 'chunked',
  large: 3_000_000,
  chunks: 3_000_000,
  gzip: 'unzipped',
  redirect: [true, 'hello'],
  refused: 'TypeError: fetch failed (ECONNREFUSED)',
  closed: 'TypeError: fetch failed (UND_ERR_SOCKET)',
  cut: 'TypeError: terminated (UND_ERR_SOCKET)',
  parallel: 50,
  global: ['hello', true],
};

for (const version of ['here', ...VERSIONS]) {
  test(`built-in fetch of Node.js ${version === 'here' ? process.versions.node : version}`, async (t) => {
    const server = await httpServer(t, serve);
    server.server.on('upgrade', upgrade);
    const closed = await httpServer(t, () => {});
    await closed.close();
    const program = version === 'here' ? process.execPath : await node(version);
    const { stdout } = await execute(program, [join(here, 'fetch-child.mjs'), server.origin, closed.origin], { timeout: 30_000 });
    const found = JSON.parse(stdout);
    for (const [name, expected] of Object.entries(EXPECTED)) {
      assert.deepEqual(found[name], expected, name);
    }
    assert.match(found.abort, /^TimeoutError/);
    assert.match(found.abortBody, /^AbortError/);
    if (Number.parseInt(found.node, 10) >= 22) {
      assert.equal(found.websocket, 'over the wire');
      assert.deepEqual(found.undici8, ['hello', 'hello', 'hello']);
      assert.equal(found.undici8Global, 'hello');
    }
  });
}

test('a fetch that is aborted while it connects is never sent', async (t) => {
  const seen = [];
  const server = await httpServer(t, (request, response) => {
    seen.push(request.url);
    response.end();
  });
  const lookup = (host, options, callback) => setTimeout(callback, 60, null, [{ address: '127.0.0.1', family: 4 }]);
  const dispatcher = using(t, new forebay.Agent({ connect: { lookup }, connections: 1 }));
  const origin = `http://made.up.example:${server.port}`;
  const late = fetch(`${origin}/late`, { dispatcher, method: 'POST', body: 'x', signal: AbortSignal.timeout(20) });
  await assert.rejects(late, { name: 'TimeoutError' });
  assert.equal((await fetch(`${origin}/next`, { dispatcher })).status, 200);
  assert.deepEqual(seen, ['/next']);
});

test('dispatch and request in Node.js 18', async (t) => {
  const server = await httpServer(t, serve);
  const { stdout } = await execute(await node(18), ['-e', `
    const { Agent } = require(${JSON.stringify(root)});
    const agent = new Agent();
    agent.request({ origin: process.argv[1], path: '/echo', method: 'POST', body: 'eighteen' }).then(async ({ statusCode, body }) => {
      console.log(statusCode, JSON.stringify(await body.json()));
      await agent.close();
    });
  `, server.origin], { timeout: 30_000 });
  assert.equal(stdout.trim(), '200 {"body":"eighteen","length":"8"}');
});
