// Failures of TLS, with certificates that are real.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { certs, forebay, httpsServer, rawServer, rawTlsServer, run, undici, using } from './support.mjs';

const { Client, errors } = forebay;

const outcome = (t, from, origin, options = {}, request = {}) => run(using(t, new from.Client(origin, options)), request);

test('a connection that takes too long', async (t) => {
  // TLS towards a server that says nothing: the limit covers the handshake.
  const server = await rawServer(t, () => {});
  const origin = server.origin.replace('http:', 'https:');
  const { error } = await outcome(t, forebay, origin, { connectTimeout: 100 });
  assert.ok(error instanceof errors.ConnectTimeoutError, String(error));
  assert.match(error.message, new RegExp(`^Connect Timeout Error \\(attempted address(es)?: 127.0.0.1:${server.port}, timeout: 100ms\\)$`));
});

test('TLS: each failure has OpenSSL\'s code', async (t) => {
  const tls = (name) => httpsServer(t, (_, response) => response.end('x'), certs.of(name));
  const code = async (server, connect) => {
    const got = await outcome(t, forebay, server.named, { connect });
    return got.error?.code ?? got.status;
  };
  const { ca } = certs;
  assert.equal(await code(await tls('localhost'), { ca }), 200);
  assert.equal(await code(await tls('localhost'), {}), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.equal(await code(await tls('selfsigned'), { ca }), 'DEPTH_ZERO_SELF_SIGNED_CERT');
  assert.equal(await code(await tls('expired'), { ca }), 'CERT_HAS_EXPIRED');
  assert.equal(await code(await tls('early'), { ca }), 'CERT_NOT_YET_VALID');
  assert.equal(await code(await tls('selfsigned'), { rejectUnauthorized: false }), 200);
  const elsewhere = await tls('elsewhere');
  const { error } = await outcome(t, forebay, elsewhere.named, { connect: { ca } });
  assert.equal(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  assert.match(error.message, /^Hostname\/IP does not match certificate's altnames: /);
  assert.equal(error.host, 'localhost');
  assert.ok(error.reason);
  const theirs = await outcome(t, undici, elsewhere.named, { connect: { ca } });
  const { code: theirCode, reason, host, message } = theirs.error;
  assert.deepEqual([error.code, error.reason, error.host, error.message], [theirCode, reason, host, message]);
  const { subject, subjectaltname, fingerprint256 } = theirs.error.cert;
  assert.deepEqual([{ ...error.cert.subject }, error.cert.subjectaltname, error.cert.fingerprint256], [{ ...subject }, subjectaltname, fingerprint256]);
  assert.equal(await code(elsewhere, { ca, servername: 'elsewhere.example' }), 200);
});

test('TLS: a server that speaks plain text, or hangs up', async (t) => {
  const plain = await rawServer(t, (socket) => socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')));
  const first = await outcome(t, forebay, plain.origin.replace('http', 'https'));
  assert.equal(first.error.code, 'ERR_SSL_WRONG_VERSION_NUMBER');
  const rude = await rawServer(t, (socket) => socket.once('data', () => socket.end()));
  const second = await outcome(t, forebay, rude.origin.replace('http', 'https'));
  assert.equal(second.error.code, 'ECONNRESET');
  assert.equal(second.error.message, 'Client network socket disconnected before secure TLS connection was established');
});

test('TLS: chains that lead nowhere have the words of Node.js, and so has a reset', async (t) => {
  const serve = (pair) => httpsServer(t, (_, response) => response.end('x'), pair);
  const { cert, key } = certs.of('localhost');
  const rude = await rawServer(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
  const cases = [
    ['SELF_SIGNED_CERT_IN_CHAIN', (await serve({ cert: `${cert}\n${certs.ca}`, key })).named],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', (await serve(certs.of('forgotten'))).named],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', (await serve({ cert, key })).named],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', (await serve(certs.of('selfsigned'))).named],
    ['ECONNRESET', rude.named.replace('http:', 'https:')],
  ];
  for (const [code, origin] of cases) {
    const [ours, theirs] = [await outcome(t, forebay, origin), await outcome(t, undici, origin)].map(({ error }) => (
      [error.code, error.message, error.errno, error.syscall]
    ));
    assert.equal(ours[0], code);
    assert.deepEqual(ours, theirs);
  }
});

test('TLS: an alert of the server', async (t) => {
  const server = await rawTlsServer(t, () => {}, { minVersion: 'TLSv1.3' });
  const { error } = await outcome(t, forebay, server.named, { connect: { ca: certs.ca, maxVersion: 'TLSv1.2' } });
  assert.match(error.code, /^ERR_SSL_/);
});
