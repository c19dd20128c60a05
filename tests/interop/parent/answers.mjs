// Every response type, and every way in which a request can fail.

import assert from "node:assert/strict";

import { SEPARATORS, collect, events, withWorker } from "./worker.mjs";

export async function everyResponseType(path) {
  await withWorker(path, {}, async (module) => {
    assert.deepEqual(await module.send("echo", { text: "hello", n: 3 }), { text: "hello", n: 3 });
    assert.equal(await module.send("through_context", "context"), "context");
    assert.equal(await module.send("later", 20), "later");
    assert.equal(await module.send("null", null), null);
    assert.deepEqual(await collect(module.stream("count", 5)), [0, 1, 2, 3, 4]);
    assert.deepEqual(await collect(module.stream("counted", 3)), [0, 1, 2]);
    assert.deepEqual(await collect(module.stream("count", 0)), []);
    assert.equal(await module.send("ack_empty", 1), null);
    assert.equal(await module.send("ack_late", 1), null);
    assert.deepEqual(await module.send("ack_data", { ok: true }), { ok: true });
    assert.equal(await module.send("note", 1), undefined);
  });
}

export async function rawPayloads(path) {
  await withWorker(path, {}, async (module) => {
    const large = Buffer.alloc(10_000_000);
    for (let at = 0; at < large.length; at += 4096) large.writeUInt32LE(at, at);
    for (const bytes of [Buffer.alloc(0), Buffer.from("abc"), large]) {
      assert.ok(bytes.equals(await module.send("echo_raw", bytes)));
      assert.ok(bytes.equals(await module.send("pieces", bytes)));
      assert.ok(bytes.equals(await module.send("ack_raw", bytes)));
    }
    const flooded = await collect(module.stream("flood", [10, 100_000]));
    assert.deepEqual(flooded.map((chunk) => chunk.length), Array(10).fill(100_000));
  });
}

export async function eventsOfEveryCodec(path) {
  await withWorker(path, {}, async (module) => {
    const progress = events(module, "progress", 3);
    for (const data of [{ percent: 50 }, Buffer.from([1, 2]), null]) await module.send("note", data);
    assert.deepEqual(await progress, [{ percent: 50 }, Buffer.from([1, 2]), null]);

    const raw = events(module, "raw_progress", 1);
    await module.send("note_raw", Buffer.from("raw"));
    assert.deepEqual(await raw, [Buffer.from("raw")]);

    const separators = events(module, SEPARATORS, 1);
    await module.send("note", SEPARATORS);
    assert.deepEqual(await separators, [SEPARATORS]);

    const refused = events(module, "progress", 1);
    await module.send("unknown_event", null);
    assert.deepEqual(await refused, [{ Err: "unknown event" }]);
  });
}

export async function everyFailureIsAnError(path) {
  await withWorker(path, {}, async (module) => {
    const rejects = (method, data, message) =>
      assert.rejects(module.send(method, data), (error) => {
        assert.equal(error.name, "ProcwireError");
        assert.match(error.message, message);
        return true;
      });
    await rejects("fail", "boom", /^boom$/);
    await rejects("panic", null, /^the handler panicked$/);
    await rejects("panic_at_once", null, /^the handler panicked$/);
    await rejects("forget", null, /without/);
    await rejects("person", { name: 1 }, /./);
    await assert.rejects(module.send("fail_structured", 42), (error) => {
      assert.equal(error.message, "bad");
      assert.deepEqual(error.data, { code: 42, message: "bad" });
      return true;
    });
    for (const [method, message] of [["fail_midway", "mid"], ["panic_midway", "the handler panicked"]]) {
      const seen = [];
      await assert.rejects(async () => {
        for await (const chunk of module.stream(method, null)) seen.push(chunk);
      }, { message });
      assert.deepEqual(seen, [1], method);
    }
    // All of it cost nobody else anything.
    assert.equal(await module.send("echo", "alive"), "alive");
  });
}

export async function onlyTheFirstAnswerCounts(path) {
  await withWorker(path, {}, async (module) => {
    const told = events(module, "progress", 1);
    assert.equal(await module.send("twice", null), "first");
    assert.deepEqual(await told, [{ Err: "the response was already sent" }]);
  });
}
