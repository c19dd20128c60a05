// The server of the rows, in a process of its own: as little work per request as Node.js allows.
//
//   node server.mjs     prints a JSON line with the ports

import { createServer } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { createSecureServer } from 'node:http2';
import { createServer as createHttp } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BODY, GIGABYTE, LARGE } from './bodies.mjs';

const certs = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../../shells/node/test/certs');
const secure = { key: readFileSync(join(certs, 'localhost.key')), cert: readFileSync(join(certs, 'localhost.pem')) };

const FIELDS = 'date: Sat, 21 Nov 2026 10:00:00 GMT\r\nserver: bench\r\ncontent-type: text/plain\r\nx-request-id: 0123456789abcdef\r\n'
  + 'cache-control: no-store\r\nvary: accept\r\nconnection: keep-alive\r\n';
const answer = (body) => Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${FIELDS}content-length: ${body.length}\r\n\r\n`), body]);
const SMALL_ANSWER = answer(BODY);
const LARGE_ANSWER = answer(LARGE);
const REPEATED = new Map();

function small(count) {
  let all = REPEATED.get(count);
  if (!all) {
    all = Buffer.concat(Array.from({ length: count }, () => SMALL_ANSWER));
    REPEATED.set(count, all);
  }
  return all;
}

/** Requests without a body, of which only the end is looked for. */
function serve(socket) {
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    if (chunk.length > 4 && chunk[5] === 0x6c) {
      // GET /l...
      socket.write(LARGE_ANSWER);
      return;
    }
    let count = 0;
    for (let at = chunk.indexOf('\r\n\r\n'); at >= 0; at = chunk.indexOf('\r\n\r\n', at + 4)) {
      count++;
    }
    socket.write(count === 1 ? SMALL_ANSWER : small(count));
  });
}

const servers = {
  plain: createServer(serve),
  tls: createTls({ ...secure, ALPNProtocols: ['http/1.1'] }, serve),
  h2: createSecureServer(secure, (_, response) => response.end(BODY)),
  http: createHttp((request, response) => {
    if (request.method === 'POST') {
      let length = 0;
      request.on('data', (chunk) => { length += chunk.length; }).on('end', () => response.end(String(length)));
      return;
    }
    response.setHeader('content-length', GIGABYTE);
    const piece = Buffer.alloc(1 << 20, 0x67);
    let left = GIGABYTE;
    const go = () => {
      while (left > 0) {
        left -= piece.length;
        if (!response.write(piece)) {
          response.once('drain', go);
          return;
        }
      }
      response.end();
    };
    go();
  }),
};

const ports = {};
for (const [name, server] of Object.entries(servers)) {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  ports[name] = server.address().port;
}
console.log(JSON.stringify(ports));
process.stdin.on('end', () => process.exit()).resume();
