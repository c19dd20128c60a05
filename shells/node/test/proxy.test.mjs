// ProxyAgent, EnvHttpProxyAgent, Socks5ProxyAgent against proxies that are real.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { connect, createServer } from 'node:net';
import { request as httpRequest } from 'node:http';
import { createServer as createTls } from 'node:tls';
import { answering, certs, forebay, httpServer, httpsServer, OK, rawServer, run, undici, using } from './support.mjs';

const { EnvHttpProxyAgent, Pool, ProxyAgent, Socks5ProxyAgent, errors } = forebay;
const { ca } = certs;

/** A proxy that forwards and tunnels; tells what it was asked. */
async function proxy(t, { status = 200, secure = false, auth } = {}) {
  const asked = [];
  const handler = (request, response) => {
    asked.push([request.method, request.url, request.headers]);
    if (auth && request.headers['proxy-authorization'] !== auth) {
      response.writeHead(407).end();
      return;
    }
    const { 'proxy-authorization': _, ...headers } = request.headers;
    const onward = httpRequest(request.url, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward.on('error', () => response.destroy()));
  };
  const server = await (secure ? httpsServer(t, handler) : httpServer(t, handler));
  server.server.on('connect', (request, socket) => {
    asked.push([request.method, request.url, request.headers]);
    if (status !== 200) {
      socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      return;
    }
    const [host, port] = request.url.split(':');
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy()).on('close', () => onward.destroy());
    t.after(() => onward.destroy());
  });
  return { ...server, asked };
}

test('http is forwarded with an absolute target', async (t) => {
  const server = await httpServer(t, (request, response) => response.end(`${request.url} ${request.headers.host}`));
  const via = await proxy(t);
  const agent = using(t, new ProxyAgent({ uri: via.origin, headers: { 'x-proxy': 'p' } }));
  const got = await run(agent, { origin: server.origin, path: '/a?b' });
  assert.equal(got.body.toString(), `/a?b 127.0.0.1:${server.port}`);
  assert.equal(via.asked[0][1], `${server.origin}/a?b`);
  assert.equal(via.asked[0][2]['x-proxy'], 'p');
});

test('https is tunnelled, http with proxyTunnel too', async (t) => {
  const secure = await httpsServer(t, (_, response) => response.end('secret'));
  const plain = await httpServer(t, (_, response) => response.end('plain'));
  const via = await proxy(t);
  const agent = using(t, new ProxyAgent({ uri: via.origin, requestTls: { ca } }));
  assert.equal((await run(agent, { origin: secure.named })).body.toString(), 'secret');
  assert.deepEqual(via.asked[0].slice(0, 2), ['CONNECT', `localhost:${secure.port}`]);
  const tunnel = using(t, new ProxyAgent({ uri: via.origin, proxyTunnel: true }));
  assert.equal((await run(tunnel, { origin: plain.origin })).body.toString(), 'plain');
  assert.deepEqual(via.asked[1].slice(0, 2), ['CONNECT', `127.0.0.1:${plain.port}`]);
});

test('undici:proxy:connected tells of a tunnel, before the connection to the origin', async (t) => {
  const secure = await httpsServer(t, (_, response) => response.end('secret'));
  const via = await proxy(t);
  const seen = [];
  for (const name of ['undici:proxy:connected', 'undici:client:connected']) {
    const listener = (message) => seen.push([name, message]);
    subscribe(name, listener);
    t.after(() => unsubscribe(name, listener));
  }
  await run(using(t, new ProxyAgent({ uri: via.origin, requestTls: { ca } })), { origin: secure.named });
  assert.deepEqual(seen.map(([name]) => name), ['undici:proxy:connected', 'undici:client:connected']);
  const { socket, connectParams } = seen[0][1];
  assert.equal(socket.remotePort, via.port);
  const host = `localhost:${secure.port}`;
  assert.deepEqual(connectParams, {
    origin: via.origin, port: String(via.port), path: host, servername: '127.0.0.1', headers: { host, 'proxy-connection': 'keep-alive' },
  });
});

test('clientFactory makes the client that opens tunnels', { skip: process.platform === 'win32' }, async (t) => {
  const secure = await httpsServer(t, (request, response) => response.end(`secret ${request.socket.servername}`));
  const plain = await httpServer(t, (_, response) => response.end('plain'));
  const via = await proxy(t);
  for (const make of [Pool, undici.Pool]) {
    const made = [];
    const clientFactory = (origin, options) => {
      made.push(origin.origin);
      return new make(origin, options);
    };
    const agent = using(t, new ProxyAgent({ uri: via.origin, clientFactory, requestTls: { ca }, proxyTunnel: true, token: 'x' }));
    assert.equal((await run(agent, { origin: secure.named })).body.toString(), 'secret localhost');
    assert.equal((await run(agent, { origin: plain.origin })).body.toString(), 'plain');
    assert.deepEqual(made, [via.origin]);
    assert.deepEqual(via.asked.splice(0).map(([method, url, headers]) => [method, url, headers['proxy-authorization']]), [
      ['CONNECT', `localhost:${secure.port}`, 'x'], ['CONNECT', `127.0.0.1:${plain.port}`, 'x'],
    ]);
    await agent.close();
  }
  const refusing = using(t, new ProxyAgent({
    uri: (await proxy(t, { status: 403 })).origin, clientFactory: (origin, options) => new Pool(origin, options), proxyTunnel: true,
  }));
  assert.equal((await run(refusing, { origin: plain.origin })).error.message, 'Proxy response (403) !== 200 when HTTP Tunneling');
  const silent = await rawServer(t, () => {});
  const waiting = using(t, new ProxyAgent({ uri: via.origin, clientFactory: (origin, options) => new Pool(origin, options), connectTimeout: 50 }));
  const { error } = await run(waiting, { origin: `https://127.0.0.1:${silent.port}` });
  assert.equal(error.message, `Connect Timeout Error (attempted address: 127.0.0.1:${silent.port}, timeout: 50ms)`);
  assert.throws(() => new ProxyAgent({ uri: via.origin, clientFactory: 1 }), { message: 'Proxy opts.clientFactory must be a function.' });
});

test('credentials: of the URI, as a token, as auth', async (t) => {
  const secure = await httpsServer(t, (_, response) => response.end());
  const via = await proxy(t);
  const { host } = new URL(via.origin);
  for (const [options, expected] of [
    [{ uri: `http://us%40er:pass@${host}` }, `Basic ${Buffer.from('us@er:pass').toString('base64')}`],
    [{ uri: via.origin, token: 'Bearer x' }, 'Bearer x'], [{ uri: via.origin, auth: 'eA==' }, 'Basic eA=='],
  ]) {
    const agent = using(t, new ProxyAgent({ ...options, requestTls: { ca } }));
    await run(agent, { origin: secure.named });
    assert.equal(via.asked.pop()[2]['proxy-authorization'], expected);
  }
});

test('a proxy that refuses', async (t) => {
  const secure = await httpsServer(t, (_, response) => response.end());
  const refusing = using(t, new ProxyAgent((await proxy(t, { status: 403 })).origin));
  const tunnel = await run(refusing, { origin: secure.named });
  assert.ok(tunnel.error instanceof errors.RequestAbortedError, String(tunnel.error));
  assert.equal(tunnel.error.message, 'Proxy response (403) !== 200 when HTTP Tunneling');
  const plain = await httpServer(t, (_, response) => response.end());
  const asking = using(t, new ProxyAgent((await proxy(t, { auth: 'x' })).origin));
  const forward = await run(asking, { origin: plain.origin });
  assert.ok(forward.error instanceof errors.InvalidArgumentError);
  assert.equal(forward.error.message, 'Proxy Authentication Required (407)');
});

test('a proxy that breaks off: with the code that is retried, or as the proxy\'s own failure', async (t) => {
  const failed = async (answer, origin = 'http://a.example') => {
    const via = await answering(t, answer);
    const { error } = await run(using(t, new ProxyAgent({ uri: via.origin, proxyTunnel: true })), { origin });
    return [error.name, error.code, error.cause?.code];
  };
  assert.deepEqual(await failed((socket) => socket.resetAndDestroy()), ['Error', 'ECONNRESET', undefined]);
  assert.deepEqual(await failed((socket) => socket.end()), ['ProxyConnectionError', 'UND_ERR_PRX_CONN', 'UND_ERR_SOCKET']);
  assert.equal((await failed('SSH-2.0-x\r\n\r\n'))[0], 'HTTPParserError');
  assert.equal((await failed(`HTTP/1.1 200 OK\r\na: ${'b'.repeat(20_000)}\r\n\r\n`))[0], 'HeadersOverflowError');
});

test('a proxy that is silent: who has not answered is named', async (t) => {
  const silent = await rawServer(t, () => {});
  const failed = async (agent) => (await run(using(t, agent), { origin: 'http://a.example' })).error.message;
  const late = (address, ms) => `Connect Timeout Error (attempted address: ${address}, timeout: ${ms}ms)`;
  const proxyTunnel = true;
  assert.equal(await failed(new ProxyAgent({ uri: silent.origin, proxyTunnel, connectTimeout: 60 })), late('a.example:80', 60));
  const uri = `https://127.0.0.1:${silent.port}`;
  const proxy = late(`127.0.0.1:${silent.port}`, 50);
  assert.equal(await failed(new ProxyAgent({ uri, proxyTunnel, connectTimeout: 50 })), proxy);
  assert.equal(await failed(new ProxyAgent({ uri, proxyTunnel, proxyTls: { timeout: 50 } })), proxy);
});

test('a proxy spoken to over TLS', async (t) => {
  const secure = await httpsServer(t, (_, response) => response.end('twice'));
  const via = await proxy(t, { secure: true });
  const agent = using(t, new ProxyAgent({ uri: via.named, proxyTls: { ca }, requestTls: { ca } }));
  assert.equal((await run(agent, { origin: secure.named })).body.toString(), 'twice');
});

test('a proxy whose certificate is for another name, forwarding or tunnelling', async (t) => {
  const plain = await httpServer(t, (_, response) => response.end());
  const via = await proxy(t, { secure: true });
  for (const proxyTunnel of [false, true]) {
    const agent = using(t, new ProxyAgent({ uri: via.named, proxyTls: { ca, servername: 'other.example' }, proxyTunnel }));
    const { error } = await run(agent, { origin: plain.origin });
    assert.ok(error instanceof errors.SecureProxyConnectionError, String(error));
    assert.equal(error.cause.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  }
});

test('what ProxyAgent refuses', () => {
  const refused = (options) => {
    try {
      new ProxyAgent(options);
    } catch (error) {
      return error.message;
    }
    return null;
  };
  assert.equal(refused(undefined), 'Proxy uri is mandatory');
  assert.equal(refused({}), 'Proxy uri is mandatory');
  assert.equal(refused({ uri: 'http://a', auth: 'b', token: 'c' }), 'opts.auth cannot be used in combination with opts.token');
});

test('a proxy has an origin: a forgotten scheme, a path or another protocol is refused', () => {
  const protocol = 'Invalid URL protocol: the URL must start with `http:` or `https:`.';
  for (const [uri, message] of [
    ['localhost:8080', protocol], ['ftp://a', protocol], ['socks4://a', protocol], ['http://a/b', 'invalid url'], ['nowhere', 'Invalid URL'],
  ]) {
    assert.throws(() => new ProxyAgent(uri), { message });
    assert.throws(() => new ProxyAgent({ uri }), { message });
  }
  assert.throws(() => new Socks5ProxyAgent('socks5://a', { connect() {} }), { message: 'connect is not supported' });
});

test('headers for the proxy go with CONNECT, checked as those of a request', async (t) => {
  const via = await answering(t, 'HTTP/1.1 403 No\r\n\r\n');
  const asked = async (headers) => {
    const { error } = await run(using(t, new ProxyAgent({ uri: via.origin, headers, proxyTunnel: true })), { origin: 'http://a.example:81' });
    return via.requests.pop()?.split('\r\n').slice(1, -2) ?? error.message;
  };
  const own = ['host: a.example:81', 'connection: close'];
  const kept = ['proxy-connection: keep-alive'];
  assert.deepEqual(await asked({ 'X-A': '1', b: ['2', '3'], c: undefined, d: null, e: 4 }),
    [...own, 'X-A: 1', 'b: 2', 'b: 3', 'd: ', 'e: 4', ...kept]);
  assert.deepEqual(await asked({ host: 'other', connection: 'close', 'content-length': '5' }), [...own, ...kept]);
  assert.equal(await asked({ a: 'b\r\nc: d' }), 'invalid a header');
  assert.equal(await asked({ 'a b': 'c' }), 'invalid header key');
  assert.equal(await asked({ 'Transfer-Encoding': 'chunked' }), 'invalid transfer-encoding header');
});

test('forwarded: the host is the origin\'s or the request\'s, not one among the headers for the proxy', async (t) => {
  const via = await answering(t, OK);
  const agent = using(t, new ProxyAgent({ uri: via.origin, headers: { Host: 'proxy.example', 'X-P': 'p' } }));
  const asked = async (headers) => {
    const { error } = await run(agent, { origin: 'http://a.example', headers });
    return error?.message ?? via.requests.pop().split('\r\n').slice(1, -2).join();
  };
  assert.equal(await asked(), 'host: a.example,connection: keep-alive,X-P: p');
  assert.equal(await asked({ HOST: 'b.example' }), 'host: b.example,connection: keep-alive,X-P: p');
  assert.equal(await asked(['a']), 'headers array must be even');
});

test('with requestTls it says whom a tunnel leads to, whatever host a request asks for', async (t) => {
  const secure = await httpsServer(t, (request, response) => response.end(`${request.socket.servername} ${request.headers.host}`));
  const via = await proxy(t);
  for (const [requestTls, origin] of [[{ ca }, secure.named], [{ ca, servername: 'localhost' }, secure.origin]]) {
    const agent = using(t, new ProxyAgent({ uri: via.origin, requestTls }));
    const got = await run(agent, { origin, headers: { Host: 'other.example' } });
    assert.equal(got.body.toString(), 'localhost other.example', String(got.error));
  }
});

test('proxy-authorization among the headers is refused', async (t) => {
  const agent = using(t, new ProxyAgent('http://localhost:1'));
  for (const headers of [{ 'Proxy-Authorization': 'x' }, ['proxy-authorization', 'x'], new Map([['proxy-authorization', 'x']])]) {
    const got = await run(agent, { origin: 'http://a', headers });
    assert.equal(got.error.message, 'Proxy-Authorization should be sent in ProxyAgent constructor');
  }
});

test('EnvHttpProxyAgent: the variables, small letters first, and who is exempt', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const via = await proxy(t);
  const NAMES = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'];
  const before = Object.fromEntries(NAMES.map((name) => [name, process.env[name]]));
  t.after(() => NAMES.forEach((name) => (before[name] === undefined ? delete process.env[name] : (process.env[name] = before[name]))));
  NAMES.forEach((name) => delete process.env[name]);
  process.env.HTTP_PROXY = 'http://127.0.0.1:1';
  process.env.http_proxy = via.origin;
  const agent = using(t, new EnvHttpProxyAgent());
  const asked = async (noProxy) => {
    process.env.no_proxy = noProxy;
    via.asked.length = 0;
    assert.equal((await run(agent, { origin: server.named })).status, 200);
    return via.asked.length;
  };
  assert.equal(await asked(''), 1);
  assert.equal(await asked('other.example'), 1);
  assert.equal(await asked('localhost'), 0);
  assert.equal(await asked('.localhost'), 0);
  assert.equal(await asked(`a, localhost:${server.port}`), 0);
  assert.equal(await asked('localhost:1'), 1);
  assert.equal(await asked('*'), 0);
});

/** A SOCKS5 proxy, with a name and password if `auth`; by TLS if `secure`. */
async function socksProxy(t, auth, secure = false) {
  const asked = [];
  const talk = (socket) => {
    let state = 'greeting';
    socket.on('error', () => {}).on('data', (chunk) => {
      if (state === 'greeting') {
        state = auth ? 'auth' : 'request';
        socket.write(Buffer.from([5, auth ? 2 : 0]));
      } else if (state === 'auth') {
        const name = chunk.subarray(2, 2 + chunk[1]).toString();
        const password = chunk.subarray(3 + chunk[1]).toString();
        const good = `${name}:${password}` === auth;
        state = 'request';
        socket.write(Buffer.from([1, good ? 0 : 1]));
      } else if (state === 'request') {
        state = 'open';
        const name = chunk[3] === 3 ? chunk.subarray(5, 5 + chunk[4]).toString() : [...chunk.subarray(4, 8)].join('.');
        const port = chunk.readUInt16BE(chunk.length - 2);
        asked.push([name, port]);
        const onward = connect(port, name, () => {
          socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          onward.pipe(socket).pipe(onward);
        });
        onward.on('error', () => socket.end(Buffer.from([5, 5, 0, 1, 0, 0, 0, 0, 0, 0])));
        socket.on('close', () => onward.destroy());
        t.after(() => onward.destroy());
      }
    });
    t.after(() => socket.destroy());
  };
  const server = secure ? createTls(certs.of('localhost'), talk) : createServer(talk);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { port: server.address().port, asked };
}

test('SOCKS5: with and without credentials, http and https, by ProxyAgent too', async (t) => {
  const plain = await httpServer(t, (_, response) => response.end('plain'));
  const secure = await httpsServer(t, (_, response) => response.end('secret'));
  for (const auth of [undefined, 'name:word']) {
    const via = await socksProxy(t, auth);
    const uri = `socks5://${auth ? `${auth}@` : ''}127.0.0.1:${via.port}`;
    for (const agent of [new Socks5ProxyAgent(uri, { requestTls: { ca } }), new ProxyAgent({ uri, requestTls: { ca } })]) {
      using(t, agent);
      assert.equal((await run(agent, { origin: plain.named })).body.toString(), 'plain');
      assert.equal((await run(agent, { origin: secure.named })).body.toString(), 'secret');
      assert.deepEqual(via.asked.splice(0), [['localhost', plain.port], ['localhost', secure.port]]);
    }
  }
  assert.throws(() => new Socks5ProxyAgent('http://a'), { message: 'Proxy URL must use socks5:// or socks:// protocol' });
});

test('SOCKS5: a password is what is offered first, and needed where it is asked for', async (t) => {
  const greetings = [];
  const via = await rawServer(t, (socket) => socket.once('data', (chunk) => {
    greetings.push(chunk.toString('hex'));
    socket.end(Buffer.from([5, 2]));
  }));
  const failed = async (who) => (await run(using(t, new ProxyAgent(`socks5://${who}127.0.0.1:${via.port}`)), { origin: 'http://a.example' })).error;
  await failed('a:b@');
  const { code, message } = await failed('');
  assert.deepEqual([code, message], ['UND_ERR_INVALID_ARG', 'Username and password required for authentication']);
  assert.deepEqual(greetings, ['05020200', '050100']);
});

test('SOCKS5 over TLS', async (t) => {
  const secure = await httpsServer(t, (_, response) => response.end('twice'));
  const via = await socksProxy(t, 'name:word', true);
  const uri = `socks5://name:word@localhost:${via.port}`;
  const good = using(t, new Socks5ProxyAgent(uri, { proxyTls: { ca }, requestTls: { ca } }));
  assert.equal((await run(good, { origin: secure.named })).body.toString(), 'twice');
  const wary = using(t, new ProxyAgent({ uri, proxyTls: {}, requestTls: { ca } }));
  assert.equal((await run(wary, { origin: secure.named })).error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('SOCKS5: a proxy that refuses', async (t) => {
  const via = await socksProxy(t, 'a:b');
  const wrong = using(t, new Socks5ProxyAgent(`socks5://a:c@127.0.0.1:${via.port}`));
  const got = await run(wrong, { origin: 'http://127.0.0.1:1' });
  assert.ok(got.error instanceof errors.Socks5ProxyError, String(got.error));
  const open = await socksProxy(t);
  const agent = using(t, new Socks5ProxyAgent(`socks5://127.0.0.1:${open.port}`));
  const refused = await run(agent, { origin: 'http://127.0.0.1:1' });
  assert.ok(refused.error instanceof errors.Socks5ProxyError, String(refused.error));
});
