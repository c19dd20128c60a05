// One contender, in a process of its own: `node client.mjs NAME PORTS`. For each line of standard input, a row
// and a number of milliseconds, it makes requests for so long and prints what they cost.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import { BODY, GIGABYTE, LARGE, UPLOAD } from './bodies.mjs';

const require = createRequire(new URL('../../shells/node/package.json', import.meta.url));
const [, , name, given] = process.argv;
const ports = JSON.parse(given);
const [major, minor] = process.versions.node.split('.').map(Number);
const library = name === 'forebay' ? require('.')
  : name.startsWith('undici') ? require(major > 22 || (major === 22 && minor >= 19) ? 'undici8' : 'undici7') : null;
const insecure = { rejectUnauthorized: false };
const origins = {
  plain: `http://127.0.0.1:${ports.plain}`, tls: `https://localhost:${ports.tls}`, h2: `https://localhost:${ports.h2}`,
  http: `http://127.0.0.1:${ports.http}`,
};
const HEADERS = { accept: '*/*', 'user-agent': 'bench', 'accept-language': 'en' };

const pools = new Map();
function pool(where, options) {
  const key = where + JSON.stringify(options);
  if (!pools.has(key)) {
    pools.set(key, new library.Pool(origins[where], { connect: insecure, ...options }));
  }
  return pools.get(key);
}

function wrong(what) {
  process.stderr.write(`${name}: ${what}\n`);
  process.exit(1);
}

/** Compares a body that comes in pieces. */
class Check {
  constructor(expected) {
    this.expected = expected;
    this.at = 0;
  }

  take(chunk) {
    if (this.expected.compare(chunk, 0, chunk.length, this.at, this.at + chunk.length) !== 0) {
      wrong('wrong bytes');
    }
    this.at += chunk.length;
  }

  end() {
    if (this.at !== this.expected.length) {
      wrong('a body of another length');
    }
  }
}

class Handler {
  constructor(expected, done) {
    this.check = new Check(expected);
    this.done = done;
  }

  onRequestStart() {}
  onResponseStart(_, status) {
    if (status !== 200) wrong(`status ${status}`);
  }

  onResponseData(_, chunk) { this.check.take(chunk); }
  onResponseEnd() {
    this.check.end();
    this.done();
  }

  onResponseError(_, error) { wrong(error.stack); }
}

function dispatching(where, path, expected, options) {
  const target = library && pool(where, options);
  const request = { path, method: 'GET', headers: HEADERS };
  return (done) => target.dispatch(request, new Handler(expected, done));
}

const agents = { http: new HttpAgent({ keepAlive: true, maxSockets: 100 }), https: new HttpsAgent({ keepAlive: true, maxSockets: 100, ...insecure }) };
function nodeHttp(where, path, expected) {
  const url = new URL(path, origins[where]);
  const [make, agent] = url.protocol === 'http:' ? [httpRequest, agents.http] : [httpsRequest, agents.https];
  const options = { agent, host: url.hostname, port: url.port, path, headers: HEADERS };
  return (done) => make(options, (response) => {
    const check = new Check(expected);
    response.on('data', (chunk) => check.take(chunk)).on('end', () => { check.end(); done(); });
  }).on('error', (error) => wrong(error.stack)).end();
}

const get = (where, path, expected, options) => (library ? dispatching(where, path, expected, options) : nodeHttp(where, path, expected));
const many = name === 'undici, pipelining' ? { connections: 10, pipelining: 10 } : { connections: 100 };

/** A row: how many at a time, and how one request is made. */
const ROWS = {
  'dispatch-100': () => [100, get('plain', '/', BODY, many)],
  'dispatch-1': () => [1, get('plain', '/', BODY, { connections: 1 })],
  'request-100': () => {
    const target = pool('plain', many);
    return [100, async (done) => {
      const { statusCode, body } = await target.request({ path: '/', method: 'GET', headers: HEADERS });
      if (statusCode !== 200 || (await body.text()) !== String(BODY)) wrong('request()');
      done();
    }];
  },
  'fetch-100': () => {
    const options = name === 'node' ? { headers: HEADERS } : { headers: HEADERS, dispatcher: pool('plain', many) };
    return [100, async (done) => {
      const response = await fetch(`${origins.plain}/`, options);
      if (response.status !== 200 || (await response.text()) !== String(BODY)) wrong('fetch()');
      done();
    }];
  },
  'get-64k': () => [16, get('plain', '/large', LARGE, { connections: 16 })],
  'https-100': () => [100, get('tls', '/', BODY, { connections: 100, allowH2: false })],
  'h2-100': () => [100, get('h2', '/', BODY, { connections: 1, allowH2: true, pipelining: 100, maxConcurrentStreams: 100 })],
  'post-1m': () => {
    const target = library && pool('http', { connections: 4 });
    const url = new URL(origins.http);
    const expected = Buffer.from(String(UPLOAD.length));
    const request = { path: '/', method: 'POST', body: UPLOAD };
    const options = { agent: agents.http, host: url.hostname, port: url.port, method: 'POST', headers: { 'content-length': UPLOAD.length } };
    return [4, library ? (done) => target.dispatch(request, new Handler(expected, done)) : (done) => httpRequest(options, (response) => {
      const check = new Check(expected);
      response.on('data', (chunk) => check.take(chunk)).on('end', () => { check.end(); done(); });
    }).end(UPLOAD)];
  },
  'download-1g': () => {
    const piece = Buffer.alloc(1 << 20, 0x67);
    const take = (state, chunk) => {
      for (let at = 0; at < chunk.length; at += piece.length) {
        const part = chunk.subarray(at, at + piece.length);
        if (piece.compare(part, 0, part.length, 0, part.length) !== 0) wrong('wrong bytes');
      }
      state.length += chunk.length;
    };
    const target = library && pool('http', { connections: 1 });
    const url = new URL(origins.http);
    return [1, (done) => {
      const state = { length: 0 };
      const end = () => (state.length === GIGABYTE ? done() : wrong('a body of another length'));
      if (library) {
        target.dispatch({ path: '/', method: 'GET' }, {
          onRequestStart() {}, onResponseStart() {}, onResponseData: (_, chunk) => take(state, chunk), onResponseEnd: end,
          onResponseError: (_, error) => wrong(error.stack),
        });
      } else {
        httpRequest({ agent: agents.http, host: url.hostname, port: url.port }, (response) => {
          response.on('data', (chunk) => take(state, chunk)).on('end', end);
        }).end();
      }
    }];
  },
};

/** Nanoseconds that the main thread has run. */
const mainThread = () => {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    return NaN;
  }
};

function run(row, ms) {
  const [depth, make] = ROWS[row]();
  return new Promise((resolve) => {
    const latencies = [];
    let count = 0;
    let active = 0;
    const cpu = process.cpuUsage();
    const main = mainThread();
    const start = process.hrtime.bigint();
    const end = Number(start) + ms * 1e6;
    let peak = 0;
    const watch = setInterval(() => { peak = Math.max(peak, process.memoryUsage.rss()); }, 20);
    const one = () => {
      active++;
      const began = depth === 1 ? Number(process.hrtime.bigint()) : 0;
      make(() => {
        active--;
        count++;
        const now = Number(process.hrtime.bigint());
        if (depth === 1) latencies.push(now - began);
        if (now < end) {
          one();
        } else if (active === 0) {
          clearInterval(watch);
          const used = process.cpuUsage(cpu);
          const seconds = (now - Number(start)) / 1e9;
          latencies.sort((a, b) => a - b);
          resolve({
            count, seconds, cpu: (used.user + used.system) / count, main: (mainThread() - main) / 1000 / count,
            rate: count / seconds, p50: (latencies[latencies.length >> 1] ?? NaN) / 1000,
            rss: Math.max(peak, process.memoryUsage.rss()) / 1e6,
          });
        }
      });
    };
    for (let i = 0; i < depth; i++) one();
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const [row, ms] = line.split(' ');
  console.log(JSON.stringify(await run(row, Number(ms))));
}
process.exit();
