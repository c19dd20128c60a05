// Random scenarios that are played with our library and with undici, side by side.
//
//   FOREBAY_SEED=7 FOREBAY_COUNT=1000 npm test -- differential

import assert from 'node:assert/strict';

const SEED = Number(process.env.FOREBAY_SEED ?? 1);
/** Scenarios that run side by side: most of their time is waiting. */
const LANES = 6;

/** Numbers that the seed decides (mulberry32). */
class Random {
  constructor(seed) { this.state = seed; }
  below(limit) {
    this.state = (this.state + 0x6D2B79F5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(of) { return this.below(of) === 0; }
  pick(list) { return list[this.below(list.length)]; }
}

/** Plays what `scenario` makes of each seed, `play(all, ours)`, with both libraries: the same must come of it. */
export async function besideUndici(usual, scenario, play) {
  const end = SEED + Number(process.env.FOREBAY_COUNT ?? usual);
  let seed = SEED;
  const lane = async () => {
    while (seed < end) {
      const mine = seed++;
      const all = scenario(new Random(mine));
      const [ours, theirs] = await Promise.all([play(all, true), play(all, false)]);
      assert.deepEqual(ours, theirs, `seed ${mine}: ${JSON.stringify(all).replace(/x{100,}/g, 'x…')}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}
