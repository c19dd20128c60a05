// What the crossing itself costs: `node benches/node/ffi.mjs`. Nanoseconds of the main thread's own CPU time.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../shells/node/package.json', import.meta.url));
const { load } = require('./dist/native.js');
const { profileOf } = require('./dist/options.js');

const BATCH = 64;
const cpu = () => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]);
let woken = null;
const engine = load().start(() => woken?.());
const options = engine.define(profileOf(new URL('http://localhost'), {}));
const slab = Buffer.allocUnsafeSlow(256 * 1024);
const words = new Uint32Array(slab.buffer);
const nothing = new Uint8Array(0);

function measure(what, count, run) {
  run(count / 10);
  const start = cpu();
  run(count);
  console.log(`| ${what} | ${((cpu() - start) / count).toFixed(0)} |`);
}

console.log('| one | ns |\n| --- | ---: |');
measure('call without arguments for the engine (drain of an empty queue)', 1e6, (count) => {
  for (let i = 0; i < count; i++) engine.drain(slab);
});
measure('submission of nothing', 1e6, (count) => {
  for (let i = 0; i < count; i++) engine.submit(nothing, 0);
});

// 64 clients that are opened and destroyed at once are 128 commands in one call, and 64 events.
const commands = new Uint32Array(BATCH * 5);
for (let i = 0; i < BATCH; i++) {
  commands.set([9, i, options, 12, i], i * 5);
}
const bytes = new Uint8Array(commands.buffer);
let seen = 0;
let wakes = 0;
async function rounds(count) {
  for (let round = 0; round < count; round++) {
    await new Promise((resolve) => {
      let left = BATCH;
      woken = () => {
        wakes++;
        const end = (engine.drain(slab) >> 1) >> 2;
        for (let i = 0; i < end; i += 3) {
          if ((words[i] & 0xff) !== 15) throw new Error('another event');
          left--;
          seen++;
        }
        if (left === 0) resolve();
      };
      engine.submit(bytes, bytes.length);
    });
  }
}
engine.hold(true);
await rounds(2_000);
[seen, wakes] = [0, 0];
const start = cpu();
await rounds(20_000);
const used = cpu() - start;
console.log(`| event in a batch of ${BATCH}, with its two commands, submission and wake-up | ${(used / seen).toFixed(0)} |`);
console.log(`\n${(seen / wakes).toFixed(1)} events per wake-up`);
process.exit();
