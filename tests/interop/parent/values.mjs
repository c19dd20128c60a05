// What JavaScript values become on their way through serde types, and back.

import assert from "node:assert/strict";

import { withWorker } from "./worker.mjs";

export async function buffersAndDates(path) {
  await withWorker(path, {}, async (module) => {
    const person = {
      name: "Zoë",
      age: 41,
      height: 2, // an integer where a float is declared
      born: new Date(-1),
      photo: Buffer.from([0, 255, 1]),
      nick: undefined,
      tags: ["a", ""],
      scores: { 1: 0.5, 20: 3 },
      unknown: "is skipped",
    };
    const echoed = await module.send("person", person);
    assert.ok(echoed.born instanceof Date);
    assert.equal(echoed.born.getTime(), -1);
    assert.ok(Buffer.isBuffer(echoed.photo));
    assert.deepEqual([...echoed.photo], [0, 255, 1]);
    const { unknown, ...known } = person;
    assert.deepEqual({ ...echoed, scores: { ...echoed.scores } }, { ...known, nick: null });

    const photos = [Buffer.alloc(0), new Uint8Array([7]), Buffer.alloc(70_000, 9)];
    for (const photo of photos) {
      const { photo: back } = await module.send("person", { ...person, photo });
      assert.ok(Buffer.from(photo).equals(back));
    }
    const times = [0, 1, 1.7e12, 1_700_000_000_123, 2 ** 34 * 1000, -8.64e15, 8.64e15];
    for (const time of times) {
      const { born } = await module.send("person", { ...person, born: new Date(time) });
      assert.equal(born.getTime(), time);
    }
  });
}

export async function valuesOfEveryKind(path) {
  await withWorker(path, {}, async (module) => {
    const deep = Array.from({ length: 98 }).reduce((inner) => [inner], 1);
    const values = [null, true, false, 0, 127, 128, 255, 65_536, -1, -32, -33, -32_769, 2 ** 32, 1.5,
      Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, 2 ** 64, -(2 ** 63), 1e300, NaN, -Infinity,
      "", "ż", "😀".repeat(100), "a".repeat(70_000), [], {}, [1, [2, [3]]], { a: { b: { c: null } } },
      Array(70_000).fill(7), Buffer.from("bytes"), new Date(1_700_000_000_123), deep];
    for (const value of values) assert.deepEqual(await module.send("echo", value), value);

    assert.equal(await module.send("echo", undefined), null);
    assert.deepEqual(await module.send("echo", { gone: undefined }), { gone: null });
    assert.deepEqual(await module.send("echo", new Uint8Array([1, 2])), Buffer.from([1, 2]));
    assert.deepEqual(
      await module.send("echo", new Float32Array([1])),
      Buffer.from(new Float32Array([1]).buffer),
    );
  });
}

export async function integersAtTheirLimits(path) {
  await withWorker(path, {}, async (module) => {
    const safe = Number.MAX_SAFE_INTEGER;
    for (const n of [0, -1, safe, -safe, 2 ** 53, -(2 ** 63)]) {
      assert.equal(await module.send("signed", n), n);
    }
    // Beyond 2^53 a number travels as a float; it is taken when it is an integer that fits.
    for (const n of [0, safe, 2 ** 53, 2 ** 63, 2 ** 64 - 2048]) {
      assert.equal(await module.send("unsigned", n), n);
    }
    for (const x of [0, -0, 1, 1.5, safe, 1e300]) assert.equal(await module.send("float", x), x + 0);
    const refused = [["signed", 2 ** 63], ["signed", 1.5], ["unsigned", -1], ["unsigned", 2 ** 64],
      ["unsigned", NaN], ["unsigned", "1"], ["float", "1"]];
    for (const [method, n] of refused) {
      await assert.rejects(module.send(method, n), { name: "ProcwireError" }, `${method} ${n}`);
    }
    // The codec of the parent has no form for a bigint; the connection does not mind.
    await assert.rejects(module.send("signed", 1n));
    assert.equal(await module.send("signed", 1), 1);
  });
}

export async function brokenText(path) {
  const lone = "\uD800";
  await withWorker(path, {}, async (module) => {
    await assert.rejects(module.send("echo", lone), /UTF-8/);
    assert.equal(await module.send("echo", "whole"), "whole");
  });
  await withWorker(path, { env: { LOSSY_TEXT: "1" } }, async (module) => {
    assert.equal(await module.send("echo", `a${lone}b`), "a\uFFFD\uFFFD\uFFFDb");
    assert.equal((await module.send("echo", { [lone]: 1 }))["\uFFFD\uFFFD\uFFFD"], 1);
  });
}
