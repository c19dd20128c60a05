// The npm package beside its peers: rounds are interleaved, every body is compared byte by byte.
//
//   node benches/node/bench.mjs [--rounds 7] [--ms 1000] [--only dispatch-100,fetch-100] [--node PROGRAM]
//
// Run `npm install && npm run build` in shells/node first.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const options = { rounds: 7, ms: 1000, only: '', node: process.execPath };
for (let i = 2; i < process.argv.length; i += 2) {
  options[process.argv[i].slice(2)] = process.argv[i + 1];
}
const file = (name) => fileURLToPath(new URL(name, import.meta.url));

const ROWS = {
  'dispatch-100': ['forebay', 'undici', 'undici, pipelining', 'node:http'],
  'request-100': ['forebay', 'undici', 'undici, pipelining'],
  'fetch-100': ['forebay', 'undici', 'node'],
  'dispatch-1': ['forebay', 'undici', 'node:http'],
  'get-64k': ['forebay', 'undici', 'node:http'],
  'download-1g': ['forebay', 'undici', 'node:http'],
  'post-1m': ['forebay', 'undici', 'node:http'],
  'https-100': ['forebay', 'undici', 'node:http'],
  'h2-100': ['forebay', 'undici'],
};
const rows = options.only ? options.only.split(',') : Object.keys(ROWS);

/** A child that answers each line with a line. */
class Child {
  constructor(args) {
    this.child = spawn(options.node, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async read() {
    const { value, done } = await this.lines.next();
    if (done) {
      throw new Error('a process ended before its answer: see above');
    }
    return JSON.parse(value);
  }

  ask(line) {
    this.child.stdin.write(`${line}\n`);
    return this.read();
  }

  end() {
    this.child.stdin.end();
  }
}

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length % 2 ? sorted[sorted.length >> 1] : (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2;
};
const shuffled = (list) => list.map((item) => [Math.random(), item]).sort(([a], [b]) => a - b).map(([, item]) => item);

const server = new Child([file('server.mjs')]);
const ports = await server.read();
const clients = new Map();
const client = (name) => {
  if (!clients.has(name)) {
    clients.set(name, new Child([file('client.mjs'), name, JSON.stringify(ports)]));
  }
  return clients.get(name);
};

for (const row of rows) {
  const names = ROWS[row];
  const results = new Map(names.map((name) => [name, []]));
  for (let round = -1; round < options.rounds; round++) {
    for (const name of shuffled(names)) {
      const result = await client(name).ask(`${row} ${options.ms}`);
      // The first round warms up.
      if (round >= 0) {
        results.get(name).push(result);
      }
    }
  }
  console.log(`\n${row} (${options.rounds} rounds of ${options.ms} ms; us per request, medians; ratios: medians of the rounds')\n`);
  console.log('| who | CPU | main thread | requests/s | p50 us | MB resident | CPU to undici | main to undici |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const name of names) {
    const of = results.get(name);
    const value = (key, digits) => {
      const number = median(of.map((result) => result[key] ?? NaN));
      return Number.isFinite(number) ? number.toFixed(digits) : '';
    };
    const ratio = (key) => median(of.map((result, i) => result[key] / results.get('undici')[i][key])).toFixed(2);
    console.log(`| ${name} | ${value('cpu', 2)} | ${value('main', 2)} | ${value('rate', 0)} | ${value('p50', 1)} | ${value('rss', 0)} | ${ratio('cpu')} | ${ratio('main')} |`);
  }
}
clients.forEach((each) => each.end());
server.end();
