// RetryAgent and RetryHandler: what is asked again, what is passed on, and what the handler is told meanwhile.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { forebay, httpServer, run, undici, using } from './support.mjs';

const QUICK = { minTimeout: 1, maxTimeout: 5 };

/** A server whose answers come one after the other; the last is repeated. */
async function answers(t, ...list) {
  const asked = [];
  const server = await httpServer(t, async (request, response) => {
    const answer = list[Math.min(asked.length, list.length - 1)];
    const one = { method: request.method, range: request.headers.range, body: '' };
    asked.push(one);
    for await (const chunk of request) {
      one.body += chunk;
    }
    answer(response, request);
  });
  return { ...server, asked };
}

const status = (code, headers = {}) => (response) => response.writeHead(code, headers).end('x');
const fine = status(200);
/** Three bytes, then the connection ends. */
const broken = (headers) => (response, request) => {
  response.writeHead(200, headers).write('abc');
  setTimeout(() => request.socket.destroy(), 20);
};

/** What a handler is told by both; that it is the same. */
async function told(t, list, { retry = {}, ...options } = {}) {
  const all = [];
  for (const { Agent, RetryAgent } of [forebay, undici]) {
    const server = await answers(t, ...list);
    const agent = new RetryAgent(using(t, new Agent()), { ...QUICK, ...retry });
    const got = await run(agent, { origin: server.origin, ...options, ...(options.body ? { body: options.body() } : {}) });
    all.push([...got.names().filter((name) => name !== 'onResponseData'), got.error?.message ?? `${got.status} ${got.body}`, server.asked]);
  }
  assert.deepEqual(all[0], all[1]);
  return all[0];
}

test('a status that is none to retry is passed on', async (t) => {
  for (const code of [302, 404, 418]) {
    const [first, , , text] = await told(t, [status(code), fine]);
    assert.deepEqual([first, text], ['onRequestStart', `${code} x`]);
  }
  await told(t, [status(503), fine], { retry: { statusCodes: [404] } });
  await told(t, [status(404), fine], { retry: { statusCodes: [404] } });
  await told(t, [status(404), fine], { retry: { throwOnError: false } });
});

test('each attempt is told, until there is a response', async (t) => {
  const names = (await told(t, [status(503), status(503), fine])).slice(0, 5);
  assert.deepEqual(names, ['onRequestStart', 'onRequestStart', 'onRequestStart', 'onResponseStart', 'onResponseEnd']);
  await told(t, [status(503)], { retry: { maxRetries: 2 } });
  await told(t, [status(503)], { retry: { maxRetries: 1, throwOnError: false } });
  await told(t, [status(429, { 'retry-after': '0' }), fine]);
  await told(t, [(_, request) => request.socket.destroy(), fine]);
  await told(t, [status(503), fine], { method: 'POST', body: () => 'b' });
});

test('options that are undefined or null are those by default', async (t) => {
  const retry = { maxRetries: undefined, statusCodes: null, methods: undefined, retry: null };
  await told(t, [status(503), fine], { retry });
});

test('a body that broke off goes on, with a length or without; never with other bytes', async (t) => {
  const rest = (headers = {}) => (response) => response.writeHead(206, { etag: '"a"', 'content-range': 'bytes 3-5/6', ...headers }).end('def');
  for (const headers of [{ etag: '"a"', 'content-length': '6' }, { etag: '"a"' }]) {
    assert.equal((await told(t, [broken(headers), rest()])).at(-2), '200 abcdef');
    await told(t, [broken(headers), status(503), rest()]);
    await told(t, [broken(headers), rest({ etag: '"b"' })]);
    await told(t, [broken(headers), rest({ 'content-range': 'bytes 2-5/6' })]);
    await told(t, [broken(headers), fine]);
  }
});

test('a body that was read is not sent a second time', async (t) => {
  const stream = () => Readable.from([Buffer.from('abc')]);
  assert.equal((await told(t, [status(503), fine], { method: 'PUT', body: stream })).at(-1).length, 1);
  await told(t, [status(503), fine], { method: 'PUT', body: stream, retry: { throwOnError: false } });
  // undici sends an empty body here.
  const server = await answers(t, status(503), fine);
  const agent = new forebay.RetryAgent(using(t, new forebay.Agent()), QUICK);
  const body = (async function* () { yield 'abc'; })();
  assert.equal((await run(agent, { origin: server.origin, method: 'PUT', body })).error.message, 'Request failed');
  assert.deepEqual(server.asked.map((one) => one.body), ['abc']);
});

test('`retry` that throws fails the request', async (t) => {
  const server = await answers(t, status(503), fine);
  const retry = () => {
    throw new Error('of the caller');
  };
  const agent = new forebay.RetryAgent(using(t, new forebay.Agent()), { ...QUICK, retry });
  assert.equal((await run(agent, { origin: server.origin })).error.message, 'of the caller');
});
