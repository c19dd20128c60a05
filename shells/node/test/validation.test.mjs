// Bad input gives the same class and message as undici gives: undici itself is asked.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { OK, answering, forebay, recorder, root, undici, using } from './support.mjs';
import { node } from './nodes.mjs';

const thrown = (make) => {
  try {
    make();
  } catch (error) {
    return error;
  }
  return null;
};

const bad = (name, ...values) => values.map((value) => ({ [name]: value }));

const CLIENT_OPTIONS = [
  ...['headersTimeout', 'bodyTimeout'].flatMap((name) => bad(name, -1, 1.5, '1', NaN)),
  ...bad('connectTimeout', -1, Infinity, '1'),
  ...['keepAliveTimeout', 'keepAliveMaxTimeout'].flatMap((name) => bad(name, 0, -1, Infinity, 'x')),
  ...bad('keepAliveTimeoutThreshold', Infinity, 'x'),
  ...bad('maxHeaderSize', 0, 1.5, 'x'),
  ...bad('maxResponseSize', -2, 1.5, 'x'),
  ...bad('maxRequestsPerClient', -1, 1.5, 'x'),
  ...bad('localAddress', 'nope', 1),
  ...bad('socketPath', 1, {}),
  ...bad('connect', 1, 'x'),
  ...bad('autoSelectFamilyAttemptTimeout', -2, 1.5),
  ...bad('allowH2', 1, 'x'),
  ...bad('keepAlive', true), ...bad('socketTimeout', 1), ...bad('requestTimeout', 1), ...bad('idleTimeout', 1),
  ...bad('maxKeepAliveTimeout', 1),
];

for (const options of CLIENT_OPTIONS) {
  test(`Client: ${JSON.stringify(options)}`, () => {
    const expected = thrown(() => new undici.Client('http://localhost', options));
    const error = thrown(() => new forebay.Client('http://localhost', options));
    assert.ok(expected, 'undici refuses it');
    assert.equal(error?.message, expected.message);
    assert.ok(error instanceof undici.errors.InvalidArgumentError);
    assert.ok(expected instanceof forebay.errors.InvalidArgumentError);
  });
}

for (const origin of [
  'http://localhost/a', 'http://localhost?b', 'http://localhost#c', 'ftp://localhost', null, 1, {}, { protocol: 'http:', port: 'x' },
  { protocol: 'http:', hostname: 1 }, { origin: 1 },
]) {
  test(`Client and Pool: origin ${JSON.stringify(origin)}`, () => {
    for (const name of ['Client', 'Pool']) {
      const expected = thrown(() => new undici[name](origin));
      const error = thrown(() => new forebay[name](origin));
      assert.equal(error?.message, expected?.message);
      assert.equal(error?.code, expected?.code);
    }
  });
}

test('origins that are good', () => {
  for (const origin of [
    'http://localhost', 'https://localhost:1', new URL('http://a.example'), { protocol: 'http:', hostname: 'a', port: 80 },
    { protocol: 'https:', hostname: 'a' },
  ]) {
    assert.ok(new forebay.Client(origin));
  }
});

for (const [name, options] of [
  ['Pool', { connections: -1 }], ['Pool', { connections: 'x' }], ['Pool', { factory: 1 }], ['Pool', { connect: 1 }],
  ['Agent', { factory: 1 }], ['Agent', { connect: 1 }], ['Agent', { maxOrigins: 0 }], ['Agent', { maxOrigins: 'x' }],
  ['Agent', { maxOrigins: NaN }],
]) {
  test(`${name}: ${JSON.stringify(options)}`, () => {
    const make = (from) => () => (name === 'Agent' ? new from.Agent(options) : new from.Pool('http://localhost', options));
    assert.equal(thrown(make(forebay))?.message, thrown(make(undici)).message);
  });
}

/** What only undici 8 knows, or has words of its own for; Node.js 20 does not run that. */
const UNDICI_8 = [
  ...['', 'h2Options'].flatMap((under) => [
    ...bad('useH2c', 1, 'x'), ...bad('maxConcurrentStreams', 0, -1, 'x'), ...bad('connectionWindowSize', 0, 1.5, 'x'),
    ...bad('pingInterval', -1, 1.5, 'x'),
    ...(under ? bad('settings', { initialWindowSize: 0 }, { initialWindowSize: 'x' }) : bad('initialWindowSize', 0, 1.5, 'x')),
  ].map((options) => ['Client', 'http://localhost', under ? { [under]: options } : options])),
  ['Client', 'http://localhost', { connect: { maxCachedSessions: -1 } }], ['Client', 'http://localhost', { maxCachedSessions: 1.5 }],
  ...['Pool', 'RoundRobinPool'].flatMap((name) => [
    [name, 'http://localhost', { connections: -1 }], [name, 'http://localhost', { factory: 1 }], [name, 'http://localhost', { connect: 1 }],
  ]),
  ['Agent', { factory: 1 }], ['Agent', { connect: 1 }], ['Agent', { maxOrigins: 0 }], ['BalancedPool', [], { factory: 1 }],
  ['H2CClient', 'https://localhost', {}], ['H2CClient', 'http://localhost', { maxConcurrentStreams: 0 }],
  ['H2CClient', 'http://localhost', { maxConcurrentStreams: 1, pipelining: 2 }],
  ['ProxyAgent', {}], ['ProxyAgent', { uri: 'http://a', clientFactory: 1 }], ['ProxyAgent', { uri: 'http://a', auth: 'b', token: 'c' }],
  ['Socks5ProxyAgent', ''], ['Socks5ProxyAgent', 'http://a'], ['Socks5ProxyAgent', 'socks5://a', { connectTimeout: -1 }],
  ['Socks5ProxyAgent', 'socks5://a', { requestTls: { timeout: -1 } }], ['Socks5ProxyAgent', 'socks5://a', { proxyTls: { timeout: 'x' } }],
];

test('constructors refuse what undici 8 refuses, in its words', async () => {
  const { stdout } = await promisify(execFile)(await node(24), ['-e', `
    const undici = require('undici8');
    const forebay = require(${JSON.stringify(root)});
    process.removeAllListeners('warning').on('warning', () => {});
    const said = (from, [name, ...given]) => {
      try {
        new from[name](...given);
      } catch (error) {
        return [error.name, error.code, error.message].join(': ');
      }
      return null;
    };
    console.log(JSON.stringify(JSON.parse(process.argv[1]).map((of) => [said(undici, of), said(forebay, of)])));
  `, JSON.stringify(UNDICI_8)], { cwd: root });
  for (const [i, [expected, got]] of JSON.parse(stdout).entries()) {
    assert.ok(expected, `undici refuses ${JSON.stringify(UNDICI_8[i])}`);
    assert.equal(got, expected, JSON.stringify(UNDICI_8[i]));
  }
});

const DISPATCH_OPTIONS = [
  { path: 1 }, { path: 'a' }, { path: '/a b' }, { path: '/\u0100' }, { path: '/a\r\nb' },
  { method: 1 }, { method: 'G T' }, { method: '' }, { method: 'GET\r\n' },
  { upgrade: 1 }, { upgrade: 'a\nb' },
  { headersTimeout: -1 }, { headersTimeout: 'x' }, { bodyTimeout: -1 }, { bodyTimeout: Infinity },
  { reset: 1 }, { expectContinue: 1 }, { throwOnError: false }, { maxRedirections: 1 },
  { body: 1 }, { body: true }, { body: Symbol.iterator.description.length },
  { headers: ['a'] }, { headers: 1 }, { headers: 'x' }, { headers: [['a', 'b'], ['c', 'd'], 1] },
  { headers: new Set(['ab']) }, { headers: new Map([['a', {}]]) },
  { headers: { 'a b': 'c' } }, { headers: { '': 'c' } }, { headers: { a: 'b\nc' } }, { headers: { a: '\u0100' } },
  { headers: { a: {} } }, { headers: { a: [{}] } }, { headers: { a: ['b\0'] } },
  { headers: { 'transfer-encoding': 'chunked' } }, { headers: { 'Keep-Alive': 'x' } }, { headers: { upgrade: 'x' } },
  { headers: { connection: 'a b' } }, { headers: { connection: ['a', 'b'] } }, { headers: { expect: '100-continue' } },
  { headers: ['host', 'a', 'Host', 'b'] }, { headers: { host: ['a'] } },
  { headers: ['content-length', '1', 'Content-Length', '1'] }, { headers: { 'content-length': 'x' } },
  { headers: { 'content-length': '-1' } },
];

for (const options of DISPATCH_OPTIONS) {
  test(`dispatch: ${JSON.stringify(options)}`, async (t) => {
    const server = await answering(t, OK);
    const outcome = (from) => {
      const client = using(t, new from.Client(server.origin));
      let error = null;
      const handler = recorder({ onResponseError: (_, given) => { error ??= given; } });
      const returned = client.dispatch({ path: '/', method: 'GET', ...options }, handler);
      return { error, returned, controller: handler.log[0]?.[1] };
    };
    const expected = outcome(undici);
    const got = outcome(forebay);
    assert.ok(expected.error, 'undici refuses it at once');
    assert.equal(got.error?.message, expected.error.message);
    assert.equal(got.error.name, expected.error.name);
    assert.equal(got.error.code, expected.error.code);
    assert.equal(got.returned, false);
    assert.equal(got.controller, null);
    assert.equal(server.requests.length, 0);
  });
}

test('dispatch: handlers that are none', () => {
  const client = new forebay.Client('http://localhost');
  for (const handler of [undefined, null, 1, 'x']) {
    assert.throws(() => client.dispatch({ path: '/', method: 'GET' }, handler), {
      name: 'InvalidArgumentError', message: 'handler must be an object',
    });
  }
  const refused = (handler) => thrown(() => client.dispatch({ path: '/', method: 'GET' }, handler))?.message;
  assert.equal(refused({}), 'invalid onRequestStart method');
  const nothing = () => {};
  let message;
  const onResponseError = (_, error) => { message = error.message; };
  for (const [lacking, handler] of [
    ['onResponseStart', { onRequestStart: nothing }],
    ['onResponseData', { onRequestStart: nothing, onResponseStart: nothing }],
    ['onResponseEnd', { onRequestStart: nothing, onResponseStart: nothing, onResponseData: nothing }],
    ['onBodySent', {
      onRequestStart: nothing, onResponseStart: nothing, onResponseData: nothing, onResponseEnd: nothing, onBodySent: 1,
    }],
  ]) {
    client.dispatch({ path: '/', method: 'GET' }, { ...handler, onResponseError });
    assert.equal(message, `invalid ${lacking} method`);
  }
  client.dispatch({ path: '/', method: 'CONNECT' }, { onRequestStart: nothing, onResponseError });
  assert.equal(message, 'invalid onRequestUpgrade method');
});

test('dispatch: legacy handlers are checked by their own names', () => {
  const client = new forebay.Client('http://localhost');
  let message;
  const nothing = () => {};
  const onError = (error) => { message = error.message; };
  const check = (handler, method = 'GET') => {
    client.dispatch({ path: '/', method }, { onError, ...handler });
    return message;
  };
  assert.equal(check({}), 'invalid onConnect method');
  assert.equal(check({ onConnect: nothing }), 'invalid onHeaders method');
  assert.equal(check({ onConnect: nothing, onHeaders: nothing }), 'invalid onData method');
  assert.equal(check({ onConnect: nothing, onHeaders: nothing, onData: nothing }), 'invalid onComplete method');
  assert.equal(check({ onConnect: nothing }, 'CONNECT'), 'invalid onUpgrade method');
});

test('Agent: the origin', async (t) => {
  const agent = using(t, new forebay.Agent());
  for (const origin of [undefined, '', 1, {}]) {
    let error;
    agent.dispatch({ origin, path: '/', method: 'GET' }, recorder({ onResponseError: (_, given) => { error = given; } }));
    assert.equal(error.message, 'opts.origin must be a non-empty string or URL.');
  }
  let error;
  agent.dispatch({ origin: 'nope', path: '/', method: 'GET' }, recorder({ onResponseError: (_, given) => { error = given; } }));
  assert.equal(error.code, 'ERR_INVALID_URL');
});

test('maxRedirections 0 and unknown options are accepted', async (t) => {
  const server = await answering(t, OK);
  const agent = using(t, new forebay.Agent());
  const handler = recorder();
  agent.dispatch({ origin: server.origin, path: '/', method: 'GET', maxRedirections: 0, __mockAgentBodyForDispatch: 1 }, handler);
  await handler.done;
  assert.equal(handler.status, 200);
});

test('what only OpenSSL can is refused, not ignored', () => {
  for (const name of ['ciphers', 'session', 'secureContext']) {
    assert.throws(() => new forebay.Client('https://localhost', { connect: { [name]: 'x' } }), {
      name: 'InvalidArgumentError', message: `connect.${name} is not supported`,
    });
  }
  for (const name of ['lookup', 'checkServerIdentity']) {
    assert.throws(() => new forebay.Client('https://localhost', { connect: { [name]: 'x' } }), {
      name: 'InvalidArgumentError', message: `connect.${name} must be a function`,
    });
  }
  assert.throws(() => new forebay.Client('https://localhost', { connect: { pfx: Buffer.alloc(1) } }), {
    name: 'InvalidArgumentError', message: 'connect.pfx is not supported: give cert and key as PEM',
  });
});
