// Whatever a server answers and a caller does: built-in fetch with our Agent is as with undici's of its line.
//
//   FOREBAY_SEED=7 FOREBAY_COUNT=1000 npm test -- fetch-differential

import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { besideUndici } from './random.mjs';
import { forebay, httpServer, require, within } from './support.mjs';

const [major] = process.versions.node.split('.').map(Number);
const undici = require(major >= 26 ? 'undici8' : major >= 24 ? 'undici7' : 'undici6');

const web = (end) => new ReadableStream({
  async start(controller) {
    controller.enqueue(Buffer.from('he'));
    await sleep(1);
    controller.enqueue(Buffer.from('llo'));
    end(controller);
  },
});

const BODIES = {
  string: () => 'hellö',
  buffer: () => Buffer.from('hello'),
  params: () => new URLSearchParams({ a: 'b c' }),
  blob: () => new Blob(['blob'], { type: 'x/y' }),
  stream: () => web((controller) => controller.close()),
  failing: () => web((controller) => controller.error(new RangeError('the body fails'))),
  generator: async function* () { yield Buffer.from('he'); yield Buffer.from('llo'); },
};

const TAKE = {
  text: (response) => response.text(),
  json: (response) => response.json(),
  blob: async (response) => { const { size, type } = await response.blob(); return [size, type]; },
  iterate: async (response) => { let length = 0; for await (const chunk of response.body ?? []) length += chunk.length; return length; },
  cancel: (response) => response.body?.cancel(),
  twice: async (response) => [await response.text(), await response.text()],
  clone: async (response) => { const copy = response.clone(); return Promise.all([response.text(), copy.text()]); },
  // One branch's cancelling is over with the other's.
  cloneCancel: async (response) => { const copy = response.clone(); response.body?.cancel().catch(() => {}); return copy.text(); },
  tee: async (response) => { const [a, b] = response.body?.tee() ?? []; b?.cancel().catch(() => {}); return new Response(a).text(); },
  nothing: () => null,
};

const RAW = [
  'nonsense\r\n\r\n',
  'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n',
  'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\ncut',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ncut',
  'HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  '',
];

function answer(random) {
  if (random.chance(4)) {
    return { raw: random.pick(RAW) };
  }
  const headers = { 'content-type': random.pick(['text/plain', 'application/json']) };
  let status = random.pick([200, 200, 200, 201, 204, 304, 404, 500]);
  if (random.chance(3)) {
    status = random.pick([301, 302, 303, 307, 308]);
    headers.location = random.pick(['/0', '/1', '/2', '../2?x=y#f', '//', 'http://[', 'data:text/plain,x']);
  }
  const coding = random.chance(4) ? random.pick(['gzip', 'GZIP', 'identity', 'nonsense', 'broken']) : null;
  if (coding !== null) {
    headers['content-encoding'] = coding === 'broken' ? 'gzip' : coding;
  }
  if (random.chance(4)) {
    headers['set-cookie'] = ['a=b', 'c=d'];
  }
  return { status, headers, coding, length: random.pick([0, 7, 7, 70_000]), chunked: random.chance(3) };
}

function request(random) {
  const method = random.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH']);
  return {
    path: `/${random.below(3)}${random.pick(['', '?a=b', '#f', '/ö'])}`,
    method,
    body: method.startsWith('P') && !random.chance(4) ? random.pick(Object.keys(BODIES)) : null,
    redirect: random.pick(['follow', 'follow', 'manual', 'error']),
    headers: random.pick([{}, { 'x-a': 'ä' }, [['a', '1'], ['a', '2']], { authorization: 'x' }, { expect: '100-continue' }, { upgrade: 'x' }]),
    abort: random.chance(8) ? random.pick(['before', 'head']) : null,
    take: random.pick(Object.keys(TAKE)),
  };
}

const scenario = (random) => ({
  answers: Array.from({ length: 3 }, () => answer(random)),
  requests: Array.from({ length: 1 + random.below(3) }, () => request(random)),
});

function serve({ raw, status, headers, coding, length, chunked }, asked, response) {
  if (raw !== undefined) {
    asked.socket.end(raw);
    return;
  }
  const plain = Buffer.alloc(length, 'x');
  const body = /gzip|broken/i.test(coding) ? gzipSync(plain) : plain;
  const sent = coding === 'broken' ? body.subarray(0, -4) : body;
  response.writeHead(status, { ...headers, ...(chunked || status === 204 ? {} : { 'content-length': sent.length }) });
  response.end(sent);
}

/** Node.js 20 has undici 6, whose parser has codes, and words of its own for one reason. */
const words = (error) => error && [
  error.name, String(error.code).replace(/HPE_.*/, undefined), String(error.message).replace('HTTP/)', 'HTTP/, RTSP/ or ICE/)'), words(error.cause),
];

async function ask(origin, dispatcher, { path, method, body, redirect, headers, abort, take }) {
  const controller = new AbortController();
  if (abort === 'before') {
    controller.abort(new RangeError('before'));
  }
  const response = await fetch(origin + path, {
    method, redirect, headers, signal: controller.signal, dispatcher, duplex: 'half', ...(body ? { body: BODIES[body]() } : {}),
  });
  const { status, statusText, type, redirected, url } = response;
  const told = [status, statusText, type, redirected, url.replace(origin, ''), response.body === null];
  const fields = [...response.headers].filter(([name]) => name !== 'date');
  if (abort === 'head') {
    controller.abort();
  }
  const taken = await Promise.resolve(TAKE[take](response)).catch(words);
  return [told, fields, taken, response.bodyUsed];
}

async function play(t, library, { answers, requests }) {
  const seen = [];
  const { origin, close } = await httpServer(t, (asked, response) => {
    const { method, url, rawHeaders } = asked;
    let length = 0;
    // How much comes of an upload that fails is a matter of time.
    asked.on('data', (chunk) => { length += chunk.length; }).on('end', () => {
      const fields = rawHeaders.map((field) => field.replace(origin, '').replace(/^127.*/, 'host'));
      seen.push([method, url, fields, length]);
      serve(answers[Number(url[1]) || 0], asked, response);
    }).on('error', () => {});
  });
  const dispatcher = new library.Agent();
  const told = [];
  for (const one of requests) {
    told.push(await within(ask(origin, dispatcher, one).catch(words), 20_000, JSON.stringify(one)));
    // A connection that its server leaves is gone before the next.
    await sleep(5);
  }
  await dispatcher.destroy();
  await close();
  return { told, seen };
}

test('built-in fetch: the same answers and errors as with undici, whatever happens', (t) => (
  besideUndici(100, scenario, (all, ours) => play(t, ours ? forebay : undici, all))
));
