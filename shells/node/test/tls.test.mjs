// HTTPS.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { certs, forebay, httpsServer, run, using } from './support.mjs';

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

test('the server name: from the origin, a host header, the option', async (t) => {
  const server = await httpsServer(t, (request, response) => response.end(String(request.socket.servername)));
  const client = using(t, new Client(server.named, { connect: { rejectUnauthorized: false } }));
  assert.equal((await run(client, {})).body.toString(), 'localhost');
  assert.equal((await run(client, { headers: { host: 'other.example' } })).body.toString(), 'other.example');
  const named = using(t, new Client(server.named, { connect: { rejectUnauthorized: false, servername: 'named.example' } }));
  assert.equal((await run(named, {})).body.toString(), 'named.example');
});
