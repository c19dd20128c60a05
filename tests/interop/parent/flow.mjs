// Many requests, slow readers, requests that are given up.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { collect, until, withWorker } from "./worker.mjs";

export async function aThousandParkedRequests(path) {
  await withWorker(path, {}, async (module) => {
    const given = new AbortController();
    const parked = Array.from({ length: 1000 }, (_, n) =>
      module.send("park", null, n < 300 ? { signal: given.signal } : {}),
    );
    const outcomes = Promise.allSettled(parked);
    await until("all wait", async () => (await module.send("waiting", null)) === 1000);
    given.abort();
    await until("the aborts arrive", async () => (await module.send("cancelled", null)) === 300);
    await module.send("release", null);
    const settled = await outcomes;
    assert.ok(settled.slice(0, 300).every(({ reason }) => reason?.name === "AbortError"));
    assert.ok(settled.slice(300).every(({ value }) => value === "released"));
  });
}

export async function tenThousandRequestsAtOnce(path) {
  await withWorker(path, { env: { MAX_CONCURRENCY: "20000" } }, async (module) => {
    const sent = Array.from({ length: 10_000 }, (_, n) => module.send("later", n % 50));
    assert.deepEqual([...new Set(await Promise.all(sent))], ["later"]);
  });
}

export async function overloadIsAnError(path) {
  await withWorker(path, { env: { MAX_CONCURRENCY: "10" } }, async (module) => {
    const parked = Array.from({ length: 15 }, () => module.send("park", null));
    const outcomes = Promise.allSettled(parked);
    await assert.rejects(parked[14], { name: "ProcwireError" });
    assert.equal(module.state, "ready");
    // Nothing more is taken, so the release comes as the end of the connection does.
    module.process.kill("SIGTERM");
    const settled = await outcomes;
    const busy = settled.slice(10).map(({ reason }) => reason.message);
    assert.deepEqual(new Set(busy).size, 1);
    assert.match(busy[0], /too many|busy|limit/i);
  });
}

export async function anAbortEndsAStream(path) {
  await withWorker(path, {}, async (module) => {
    const given = new AbortController();
    const seen = [];
    await assert.rejects(async () => {
      for await (const n of module.stream("count", 1e12, { signal: given.signal })) {
        seen.push(n);
        if (n === 100) given.abort();
      }
    }, { name: "AbortError" });
    assert.deepEqual(seen.slice(0, 101), Array.from({ length: 101 }, (_, n) => n));
    assert.equal(await module.send("echo", "alive"), "alive");
    await until("the handler has stopped", async () => {
      const before = await cpuTicks(module.process.pid);
      await sleep(200);
      return (await cpuTicks(module.process.pid)) - before < 5;
    });
  });
}

/** Ten seconds in which a stream is not read, and with it nothing else of the connection is. */
export async function aReaderThatPausesLosesNothing(path) {
  const heartbeat = { intervalMs: 200, timeoutMs: 2000 };
  await withWorker(path, { policy: { heartbeat } }, async (module, manager) => {
    const trouble = [];
    manager.on("module:error", (_, error) => trouble.push(error));
    const numbers = module.stream("count", 300_000);
    const bytes = collect(module.stream("flood", [400, 65_536]));
    for (let n = 0; n < 10; n++) assert.equal((await numbers.next()).value, n);
    await sleep(10_000);
    assert.ok((await residentBytes(module.process.pid)) < 64e6, "waiting costs little memory");
    for (let n = 10; n < 300_000; n++) assert.equal((await numbers.next()).value, n);
    assert.equal((await numbers.next()).done, true);
    const chunks = await bytes;
    assert.equal(chunks.length, 400);
    assert.ok(chunks.every((chunk) => chunk.length === 65_536 && chunk.every((byte) => byte === 120)));
    assert.deepEqual(trouble, []);
  });
}

async function cpuTicks(pid) {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

async function residentBytes(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024;
}
