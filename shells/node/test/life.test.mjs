// The crossing: process life, worker threads, shutdown, memory, buffers that may not be external.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { forebay, here, httpServer, httpsServer, recorder, root, run, until, using, within } from './support.mjs';

const { Agent } = forebay;
const execute = promisify(execFile);
const child = (code, ...args) => execute(process.execPath, ['--expose-gc', '-e', `const { Agent, Client, Pool } = require(${JSON.stringify(root)}); ${code}`, ...args], {
  timeout: 30_000, env: process.env,
});

test('a process with nothing in flight ends by itself, with idle connections too', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const start = Date.now();
  const { stdout } = await child(`
    new Agent({ keepAliveTimeout: 60_000 }).request({ origin: process.argv[1], path: '/', method: 'GET' }).then(async ({ body }) => console.log(await body.text()));
  `, server.origin);
  assert.equal(stdout.trim(), 'x');
  assert.ok(Date.now() - start < 20_000, 'it did not wait for the keep-alive timeout');
  await child('new Agent()');
});

test('a process that rests uses no CPU, whatever came before', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const { stdout } = await child(`
    (async () => {
      const agent = new Agent();
      for (let i = 0; i < 2_000; i++) await (await agent.request({ origin: process.argv[1], path: '/', method: 'GET' })).body.text();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const before = process.cpuUsage();
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const { user, system } = process.cpuUsage(before);
      console.log((user + system) / 1000);
    })();
  `, server.origin);
  assert.ok(Number(stdout) < 50, `${stdout} ms of CPU in a second of rest`);
});

test('a request in flight keeps the process alive', async (t) => {
  const server = await httpServer(t, (_, response) => setTimeout(() => response.end('late'), 300));
  const { stdout } = await child(`
    const handler = { onRequestStart() {}, onResponseStart() {}, onResponseData(_, chunk) { console.log(String(chunk)); }, onResponseEnd() {}, onResponseError() {} };
    new Agent().dispatch({ origin: process.argv[1], path: '/', method: 'GET' }, handler);
  `, server.origin);
  assert.equal(stdout.trim(), 'late');
});

test('process.exit with requests in flight', async (t) => {
  const server = await httpServer(t, (_, response) => response.write('some'));
  const { stdout } = await child(`
    const agent = new Agent();
    for (let i = 0; i < 50; i++) agent.request({ origin: process.argv[1], path: '/', method: 'GET' }).then(({ body }) => body.resume().on('error', () => {}), () => {});
    setTimeout(() => { console.log('exit'); process.exit(0); }, 100);
  `, server.origin);
  assert.equal(stdout.trim(), 'exit');
});

test('process.exit while large bodies are sent from memory of its own', async (t) => {
  const server = await httpServer(t, (request) => request.pause());
  const { stdout } = await child(`
    const agent = new Agent();
    const handler = { onRequestStart() {}, onResponseStart() {}, onResponseData() {}, onResponseEnd() {}, onResponseError() {} };
    for (let i = 0; i < 20; i++) agent.dispatch({ origin: process.argv[1], path: '/', method: 'POST', body: Buffer.alloc(8_000_000, i) }, handler);
    setTimeout(() => { gc(); console.log('exit'); process.exit(0); }, 200);
  `, server.origin);
  assert.equal(stdout.trim(), 'exit');
});

test('a large body is let go once it is answered or given up, and told to be sent before, though nothing else happens', async (t) => {
  const server = await httpServer(t, (request, response) => request.resume().on('end', () => request.url === '/' && response.end()));
  const { stdout } = await child(`
    const agent = new Agent();
    const send = (path, log) => {
      const body = Buffer.alloc(1_000_000);
      agent.dispatch({ origin: process.argv[1], path, method: 'POST', body }, {
        onRequestStart(controller) { log.abort = () => controller.abort(new Error('enough')); },
        onRequestSent() { log.push('sent'); }, onResponseStart() {}, onResponseData() {},
        onResponseEnd() { log.push('end'); }, onResponseError() { log.push('error'); },
      });
      log.body = new WeakRef(body);
      return log;
    };
    const logs = [send('/', []), send('/never', [])];
    const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    (async () => {
      while (!logs[0].includes('end') || !logs[1].includes('sent')) await rest(5);
      logs[1].abort();
      const deadline = Date.now() + 10_000;
      while (logs.some((log) => log.body.deref()) && Date.now() < deadline) {
        await rest(20);
        gc();
      }
      console.log(JSON.stringify(logs), logs.map((log) => log.body.deref() === undefined).join());
      process.exit();
    })();
  `, server.origin);
  assert.equal(stdout.trim(), '[["sent","end"],["sent","error"]] true,true');
});

for (const [scheme, make] of [['http', httpServer], ['https', httpsServer]]) {
  test(`a body that is given away while it is sent costs its request at most: ${scheme}`, async (t) => {
    let resume;
    let sum = 0;
    const server = await make(t, (request, response) => {
      request.pause().on('data', (chunk) => { for (const byte of chunk) sum += byte; }).on('end', () => response.end(String(sum)));
      resume = () => request.resume();
    });
    const running = child(`
      const agent = new Agent({ connect: { rejectUnauthorized: false } });
      const log = [];
      const handler = {
        onRequestStart() {}, onResponseStart() {}, onResponseData(_, chunk) { log.push(String(chunk)); },
        onResponseEnd() { log.push('end'); }, onResponseError(_, error) { log.push('error'); },
      };
      let body = Buffer.from(new ArrayBuffer(40_000_000)).fill(1);
      agent.dispatch({ origin: process.argv[1], path: '/', method: 'POST', body }, handler);
      process.stdin.once('data', async () => {
        structuredClone(body.buffer, { transfer: [body.buffer] });
        body = null;
        let freed = false;
        for (const end = Date.now() + Number(process.argv[2]); !freed && Date.now() < end;) {
          await new Promise((resolve) => setTimeout(resolve, 10));
          gc();
          freed = process.memoryUsage().arrayBuffers < 40_000_000;
        }
        console.log(freed);
        setInterval(() => log.length > 0 && (console.log(log.join()), process.exit()), 20);
      });
    `, server.origin, scheme === 'http' ? '20000' : '0');
    await until(() => resume, 'the request');
    running.child.stdin.write('go');
    setTimeout(() => resume(), 800);
    const { stdout } = await running;
    const [freed, ended] = stdout.trim().split('\n');
    if (scheme === 'https') {
      assert.equal(ended, '40000000,end');
    } else {
      assert.equal(freed, 'true');
      assert.equal(ended, 'error');
    }
  });
}

test('an exception of a callback is uncaught, once', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const { stdout } = await child(`
    let count = 0;
    process.on('uncaughtException', (error) => { count++; console.log(error.message); });
    const handler = { onRequestStart() {}, onResponseStart() { throw new Error('first'); }, onResponseData() {}, onResponseEnd() {}, onResponseError() { throw new Error('second'); } };
    new Agent().dispatch({ origin: process.argv[1], path: '/', method: 'GET' }, handler);
    process.on('exit', () => console.log(count));
  `, server.origin);
  assert.equal(stdout.trim(), 'second\n1');
});

test('worker threads have engines of their own, and may be terminated in the middle', async (t) => {
  const server = await httpServer(t, (request, response) => (request.url === '/never' ? response.write('x') : response.end(request.url)));
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { Agent } = require(workerData.root);
    const agent = new Agent();
    (async () => {
      for (let i = 0; i < 20; i++) {
        const { body } = await agent.request({ origin: workerData.origin, path: '/' + i, method: 'GET' });
        if (await body.text() !== '/' + i) throw new Error('wrong');
      }
      for (let i = 0; i < 20; i++) agent.request({ origin: workerData.origin, path: '/never', method: 'GET' }).then(({ body }) => body.on('error', () => {}), () => {});
      parentPort.postMessage('done');
      if (workerData.stay) setInterval(() => {}, 1000);
      else setTimeout(() => agent.destroy(), 20);
    })();
  `;
  const start = (stay) => new Worker(code, { eval: true, workerData: { root, origin: server.origin, stay } });
  const workers = [true, false, true].map(start);
  const exited = new Promise((resolve) => workers[1].on('exit', resolve));
  await Promise.all(workers.map((worker) => within(new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject)))));
  const codes = await Promise.all([
    workers[0].terminate(), within(exited), workers[2].terminate(),
  ]);
  assert.equal(codes[1], 0, 'the one that destroyed its agent ended by itself');
});

test('a worker thread may be terminated at any moment', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'.repeat(1000)));
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { Agent } = require(workerData.root);
    const agent = new Agent({ connections: 20 });
    parentPort.postMessage('go');
    const go = () => agent.dispatch({ origin: workerData.origin, path: '/', method: 'GET' }, {
      onRequestStart() {}, onResponseStart() {}, onResponseData() {}, onResponseEnd() { go(); }, onResponseError() { go(); },
    });
    for (let i = 0; i < 30; i++) go();
  `;
  for (let i = 0; i < 40; i++) {
    const worker = new Worker(code, { eval: true, workerData: { root, origin: server.origin } });
    await within(new Promise((resolve, reject) => worker.once('message', resolve).on('error', reject)));
    await new Promise((resolve) => setTimeout(resolve, i));
    await within(worker.terminate());
  }
});

test('every chunk is in memory that V8 owns: nothing to refuse in Electron, and it may be transferred', async (t) => {
  const server = await httpServer(t, (_, response) => response.end(Buffer.alloc(5_000_000, 7)));
  const got = await run(using(t, new Agent()), { origin: server.origin });
  assert.ok(got.body.equals(Buffer.alloc(5_000_000, 7)));
  const large = got.calls('onResponseData').map(([, chunk]) => chunk).find((chunk) => chunk.length >= 65_536 / 2);
  const { length } = large;
  assert.equal(structuredClone(large.buffer, { transfer: [large.buffer] }).byteLength, length);
});

test('ESM and CJS are one package', async () => {
  const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', `
    import * as all from ${JSON.stringify(join(root, 'index.mjs'))};
    import forebay, { Agent } from ${JSON.stringify(join(root, 'index.mjs'))};
    import { createRequire } from 'node:module';
    const required = createRequire(import.meta.url)(${JSON.stringify(root)});
    console.log(Agent === required.Agent, forebay === required, Object.keys(required).every((name) => name in all));
  `]);
  assert.equal(stdout.trim(), 'true true true');
});

test('a soak leaves nothing behind', async () => {
  // A young generation that may not grow: what grows is a leak. FOREBAY_SOAK=1000000 for the long run.
  const requests = process.env.FOREBAY_SOAK ?? '200000';
  const { stdout } = await execute(process.execPath, [
    '--expose-gc', '--max-semi-space-size=2', join(here, 'soak-child.mjs'), requests,
  ], { timeout: 170_000 });
  const [before, after] = JSON.parse(stdout);
  assert.ok(after.heapUsed - before.heapUsed < 1_000_000, `heap ${before.heapUsed} -> ${after.heapUsed}`);
  assert.ok(after.rss - before.rss < 8_000_000, `resident ${before.rss} -> ${after.rss}`);
});

test('clients that come and go leave nothing behind', async (t) => {
  const server = await httpServer(t, (_, response) => response.end('x'));
  const once = async () => {
    const client = new forebay.Client(server.origin);
    await run(client, {});
    await client.close();
  };
  for (let i = 0; i < 300; i++) await once();
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 1_000; i++) await once();
  gc();
  assert.ok(process.memoryUsage().heapUsed - before < 4_000_000);
});

test('a paused response costs less than 2 MiB', async (t) => {
  const server = spawn(process.execPath, ['-e', `
    const chunk = Buffer.alloc(1 << 20, 1);
    const server = require('node:http').createServer((_, response) => {
      response.setHeader('content-length', 1 << 30);
      let left = 1 << 10;
      const go = () => { while (left > 0) { left--; if (!response.write(chunk)) { response.once('drain', go); return; } } response.end(); };
      go();
    }).listen(0, '127.0.0.1', () => console.log(server.address().port));
  `]);
  t.after(() => server.kill());
  const port = String(await new Promise((resolve) => server.stdout.once('data', resolve))).trim();
  const agent = using(t, new Agent());
  let controller;
  let seen = 0;
  const handler = recorder({
    onResponseStart: (given) => { controller = given; },
    onResponseData(given, chunk) {
      handler.log.pop();
      seen += chunk.length;
      if (seen > 1 << 20 && !controller.pausedOnce) {
        controller.pausedOnce = true;
        given.pause();
      }
    },
  });
  agent.dispatch({ origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' }, handler);
  await until(() => controller?.paused, 'the pause');
  await new Promise((resolve) => setTimeout(resolve, 200));
  gc();
  const before = process.memoryUsage().rss;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  gc();
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 2 << 20, `${grown} bytes more during a pause`);
  controller.resume();
  await handler.done;
  assert.equal(seen, 1 << 30);
});
