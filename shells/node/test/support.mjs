// Servers, recorders and waits that the tests share.

import { createRequire } from 'node:module';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createSecureServer, createServer as createHttp2 } from 'node:http2';
import { createServer as createNet } from 'node:net';
import { createServer as createTls } from 'node:tls';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = dirname(fileURLToPath(import.meta.url));
export const root = dirname(here);
export const require = createRequire(import.meta.url);
export const forebay = require('..');
export const undici = require('undici7');

const pem = (name) => readFileSync(join(here, 'certs', name), 'utf8');
export const certs = {
  ca: pem('ca.pem'),
  pem,
  of: (name) => ({ cert: pem(`${name}.pem`), key: pem(`${name}.key`) }),
};

/** Starts `server` on a free port; it ends with the test. */
async function listen(t, server, scheme) {
  const sockets = new Set();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  await new Promise((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve));
  const close = () => new Promise((resolve) => {
    server.close(resolve);
    sockets.forEach((socket) => socket.destroy());
  });
  t.after(close);
  const { port } = server.address();
  return { server, sockets, port, close, origin: `${scheme}://127.0.0.1:${port}`, named: `${scheme}://localhost:${port}` };
}

export const httpServer = (t, handler) => listen(t, createHttp({ keepAliveTimeout: 60_000 }, handler), 'http');
export const httpsServer = (t, handler, options = {}) =>
  listen(t, createHttps({ ...certs.of('localhost'), ...options }, handler), 'https');
export const h2Server = (t, handler, options = {}) =>
  listen(t, createSecureServer({ ...certs.of('localhost'), allowHTTP1: true, ...options }, handler), 'https');
export const h2cServer = (t, handler, options = {}) => listen(t, createHttp2(options, handler), 'http');
/** `talk(socket)` says what a server says that is none of Node.js's. */
export const rawServer = (t, talk) => listen(t, createNet((socket) => {
  socket.on('error', () => {});
  talk(socket);
}), 'http');
export const rawTlsServer = (t, talk, options = {}) => listen(t, createTls({ ...certs.of('localhost'), ...options }, talk), 'https');

/** Answers every request on a raw connection with the next of `answers`; the last is repeated. */
export const answering = (t, ...answers) => {
  const requests = [];
  let count = 0;
  const server = rawServer(t, (socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        requests.push(text.slice(0, end + 4));
        text = text.slice(end + 4);
        const answer = answers[Math.min(count++, answers.length - 1)];
        typeof answer === 'function' ? answer(socket) : socket.write(answer, 'latin1');
      }
    });
  });
  return server.then((started) => ({ ...started, requests }));
};

export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** Resolves when `is()` holds; fails after `ms`. */
export async function until(is, what = 'the condition', ms = 20_000) {
  const deadline = Date.now() + ms;
  while (!(await is())) {
    if (Date.now() > deadline) {
      throw new Error(`${what} did not come about within ${ms} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Fails when `promise` has not settled after `ms`. */
export function within(promise, ms = 20_000, what = 'it') {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A handler of the new dialect that writes down what it is told; `hooks` may act on it. */
export function recorder(hooks = {}) {
  const log = [];
  let settle;
  const done = new Promise((resolve) => { settle = resolve; });
  const record = (name, last) => function (...args) {
    log.push([name, ...args]);
    handler.last = name;
    try {
      return hooks[name]?.apply(this, args);
    } finally {
      if (last) {
        settle(handler);
      }
    }
  };
  const handler = {
    log,
    done: within(done, 20_000, 'the request'),
    names: () => log.map(([name]) => name),
    calls: (name) => log.filter(([called]) => called === name).map(([, ...args]) => args),
    get error() { return log.find(([name]) => name === 'onResponseError')?.[2]; },
    get status() { return log.findLast(([name]) => name === 'onResponseStart')?.[2]; },
    get headers() { return log.findLast(([name]) => name === 'onResponseStart')?.[3]; },
    get text() { return log.findLast(([name]) => name === 'onResponseStart')?.[4]; },
    get body() { return Buffer.concat(log.filter(([name]) => name === 'onResponseData').map(([, , chunk]) => chunk)); },
    get trailers() { return log.find(([name]) => name === 'onResponseEnd')?.[2]; },
    onRequestStart: record('onRequestStart'),
    onResponseStart: record('onResponseStart'),
    onResponseData: record('onResponseData'),
    onResponseEnd: record('onResponseEnd', true),
    onResponseError: record('onResponseError', true),
    onRequestUpgrade: record('onRequestUpgrade', true),
    ...(hooks.optional ? {
      onResponseStarted: record('onResponseStarted'), onBodySent: record('onBodySent'), onRequestSent: record('onRequestSent'),
    } : {}),
  };
  handler.done.catch(() => {});
  return handler;
}

/** The same for the dialect of undici 6. */
export function legacyRecorder(hooks = {}) {
  const log = [];
  let settle;
  const done = new Promise((resolve) => { settle = resolve; });
  const record = (name, last, answer) => (...args) => {
    log.push([name, ...args]);
    try {
      return hooks[name] ? hooks[name](...args) : answer;
    } finally {
      if (last) {
        settle(handler);
      }
    }
  };
  const handler = {
    log,
    done: within(done, 20_000, 'the request'),
    names: () => log.map(([name]) => name),
    calls: (name) => log.filter(([called]) => called === name).map(([, ...args]) => args),
    onConnect: record('onConnect'),
    onHeaders: record('onHeaders', false, true),
    onData: record('onData', false, true),
    onComplete: record('onComplete', true),
    onError: record('onError', true),
    onUpgrade: record('onUpgrade', true),
  };
  handler.done.catch(() => {});
  return handler;
}

/** Dispatches and waits for the last callback. */
export async function run(dispatcher, options, hooks) {
  const handler = recorder(hooks);
  dispatcher.dispatch({ path: '/', method: 'GET', ...options }, handler);
  await handler.done;
  return handler;
}

/** Makes a dispatcher that is destroyed with the test. */
export function using(t, dispatcher) {
  t.after(() => dispatcher.destroy());
  return dispatcher;
}
