// Run by life.test.mjs: `soak-child.mjs REQUESTS`. Prints memory use after a tenth of the requests, and after all.

import { createRequire } from 'node:module';
import { spawn } from 'node:child_process';

const { Agent } = createRequire(import.meta.url)('..');
const total = Number(process.argv[2]);
const server = spawn(process.execPath, ['-e', `
  const server = require('node:net').createServer((socket) => socket.on('error', () => {}).on('data', (chunk) => {
    socket.write('HTTP/1.1 200 OK\\\\r\\\\ncontent-length: 4\\\\r\\\\n\\\\r\\\\nsoak');
  })).listen(0, '127.0.0.1', () => console.log(server.address().port));
`.replaceAll('\\\\', '\\')]);
const port = String(await new Promise((resolve) => server.stdout.once('data', resolve))).trim();
const agent = new Agent({ connections: 50 });
const options = { origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' };
const found = [];
let done = 0;
let active = 0;
await new Promise((resolve, reject) => {
  class Handler {
    onRequestStart() {}
    onResponseStart() {}
    onResponseData() {}
    onResponseEnd() {
      active--;
      done++;
      if (done === total / 10 || done === total) {
        gc();
        const { rss, heapUsed } = process.memoryUsage();
        found.push({ rss, heapUsed });
      }
      if (done + active < total) go();
      else if (done === total) resolve();
    }

    onResponseError(_, error) { reject(error); }
  }
  const go = () => {
    active++;
    agent.dispatch(options, new Handler());
  };
  for (let i = 0; i < 100; i++) go();
});
console.log(JSON.stringify(found));
server.kill();
await agent.close();
