// HTTPS.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { checkServerIdentity } from 'node:tls';
import { certs, forebay, httpsServer, run, undici, using } from './support.mjs';

const { Client } = forebay;
const { ca } = certs;

test('HTTPS with a root of one\'s own, sessions resumed', async (t) => {
  const resumed = [];
  const server = await httpsServer(t, (request, response) => {
    resumed.push(request.socket.isSessionReused());
    response.setHeader('connection', 'close').end('secret');
  });
  const client = using(t, new Client(server.named, { connect: { ca } }));
  for (let i = 0; i < 3; i++) {
    assert.equal((await run(client, {})).body.toString(), 'secret');
  }
  assert.equal(resumed[0], false);
  assert.ok(resumed[2], 'the session was resumed');
});

test('lists of revoked certificates: the verdicts of OpenSSL', async (t) => {
  const [root, list, all, between, old, forged] = ['ca', 'list', 'list-all', 'list-between', 'list-old', 'list-forged']
    .map((name) => certs.pem(`crl/${name}.pem`));
  const serve = (name) => httpsServer(t, (_, response) => response.end('x'), certs.of(name));
  const good = await serve('crl/good');
  const bad = await serve('crl/bad');
  const deep = await serve('crl/deep');
  const own = await serve('selfsigned');
  const known = certs.of('selfsigned').cert;
  for (const [server, crl, expected, roots = root] of [
    [bad, undefined, 200],
    [bad, [], 200],
    [good, list, 200],
    [good, Buffer.from(list), 200],
    [good, [between, Buffer.from(list)], 200],
    [bad, list, 'CERT_REVOKED'],
    [bad, [Buffer.from(list)], 'CERT_REVOKED'],
    [good, between, 'UNABLE_TO_GET_CRL'],
    [good, old, 'CRL_HAS_EXPIRED'],
    [good, forged, 'CRL_SIGNATURE_FAILURE'],
    [deep, [list, between], 200],
    [deep, list, 'UNABLE_TO_GET_CRL'],
    [deep, between, 'UNABLE_TO_GET_CRL'],
    [deep, [all, between], 'CERT_REVOKED'],
    [own, undefined, 200, known],
    [own, list, 'UNABLE_TO_GET_CRL', known],
  ]) {
    const [ours, theirs] = await Promise.all([forebay, undici].map(async (from) => {
      const connect = { ca: roots, ...(crl && { crl }) };
      const { error, status } = await run(using(t, new from.Client(server.named, { connect })), {});
      return [error?.code ?? status, error?.message];
    }));
    assert.equal(ours[0], expected);
    assert.deepEqual(ours, theirs);
  }
  const loose = using(t, new Client(bad.named, { connect: { ca: root, crl: list, rejectUnauthorized: false } }));
  assert.equal((await run(loose, {})).status, 200);
  for (const crl of ['no list', root, list.replace('MI', 'AA')]) {
    const { error } = await run(using(t, new Client(good.named, { connect: { ca: root, crl } })), {});
    assert.ok(error instanceof forebay.errors.InvalidArgumentError, String(error));
  }
});

test('a client certificate', async (t) => {
  const server = await httpsServer(t, (request, response) => response.end(request.socket.getPeerCertificate().subject?.CN ?? 'none'), {
    requestCert: true, rejectUnauthorized: false, ca,
  });
  const { cert, key } = certs.of('client');
  const known = using(t, new Client(server.named, { connect: { ca, cert, key } }));
  assert.equal((await run(known, {})).body.toString(), 'client');
  const unknown = using(t, new Client(server.named, { connect: { ca } }));
  assert.equal((await run(unknown, {})).body.toString(), 'none');
});

test('a client certificate whose key is encrypted', async (t) => {
  const server = await httpsServer(t, (request, response) => response.end(request.socket.getPeerCertificate().subject?.CN ?? 'none'), {
    requestCert: true, rejectUnauthorized: false, ca,
  });
  const { cert, key } = certs.of('client');
  const encrypted = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' });
  for (const connect of [{ key: encrypted, passphrase: 'secret' }, { key: [{ pem: Buffer.from(encrypted), passphrase: 'secret' }] }]) {
    const client = using(t, new Client(server.named, { connect: { ca, cert, ...connect } }));
    assert.equal((await run(client, {})).body.toString(), 'client');
  }
  for (const passphrase of [undefined, 'wrong']) {
    assert.throws(() => new Client(server.named, { connect: { ca, cert, key: encrypted, passphrase } }), {
      name: 'InvalidArgumentError', message: /^invalid key: /,
    });
  }
});

test('checkServerIdentity decides about names, and sees the certificate', async (t) => {
  const server = await httpsServer(t, (_, response) => response.end('x'));
  const asked = [];
  const checkServerIdentity = (...args) => { asked.push(args); };
  const origin = `https://127.0.0.1:${server.port}`;
  const named = using(t, new Client(origin, { connect: { ca, servername: 'other.example', checkServerIdentity } }));
  assert.equal((await run(named, {})).body.toString(), 'x');
  const [[host, cert], ...more] = asked;
  assert.equal(more.length, 0);
  assert.equal(host, 'other.example');
  const own = new X509Certificate(certs.of('localhost').cert);
  assert.equal(cert.fingerprint256, own.fingerprint256);
  assert.equal(cert.subjectaltname, own.subjectAltName);
  assert.ok(cert.raw.equals(own.raw));
  assert.ok(cert.issuerCertificate);
});

test('checkServerIdentity may refuse, by an error of its own or an exception', async (t) => {
  const server = await httpsServer(t, (_, response) => response.end('x'));
  const refusal = new Error('not pinned');
  for (const checkServerIdentity of [() => refusal, () => { throw refusal; }]) {
    const client = using(t, new Client(server.named, { connect: { ca, checkServerIdentity } }));
    const failed = new Promise((resolve) => client.once('connectionError', (origin, targets, error) => resolve(error)));
    assert.equal((await run(client, {})).error, refusal);
    assert.equal(await failed, refusal);
  }
  // It is Node.js's own function that is called here, with what it needs.
  const strict = using(t, new Client(server.named, {
    connect: { ca, servername: 'other.example', checkServerIdentity: (...args) => checkServerIdentity(...args) },
  }));
  assert.equal((await run(strict, {})).error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  const never = () => assert.fail('a chain that is not trusted comes first');
  const unknown = using(t, new Client(server.named, { connect: { checkServerIdentity: never } }));
  assert.match((await run(unknown, {})).error.code, /SIGNED|VERIFY/);
  const careless = using(t, new Client(server.named, { connect: { rejectUnauthorized: false, checkServerIdentity: () => refusal } }));
  assert.equal((await run(careless, {})).body.toString(), 'x');
});

test('what one checkServerIdentity has accepted is not resumed by another', async (t) => {
  const server = await httpsServer(t, (_, response) => response.setHeader('connection', 'close').end('x'));
  const make = (check) => using(t, new Client(server.named, { connect: { ca, checkServerIdentity: check } }));
  const lax = make(() => undefined);
  for (let i = 0; i < 3; i++) {
    assert.equal((await run(lax, {})).body.toString(), 'x');
  }
  const refusal = new Error('no');
  assert.equal((await run(make(() => refusal), {})).error, refusal);
});

test('the server name: from the origin, a host header, the option', async (t) => {
  const server = await httpsServer(t, (request, response) => response.end(String(request.socket.servername)));
  const client = using(t, new Client(server.named, { connect: { rejectUnauthorized: false } }));
  assert.equal((await run(client, {})).body.toString(), 'localhost');
  assert.equal((await run(client, { headers: { host: 'other.example' } })).body.toString(), 'other.example');
  const named = using(t, new Client(server.named, { connect: { rejectUnauthorized: false, servername: 'named.example' } }));
  assert.equal((await run(named, {})).body.toString(), 'named.example');
});
