// From the first moment of a worker to its last, and what it leaves behind.

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { readdir, unlink } from "node:fs/promises";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { Module, ModuleManager } from "@procwire/core";

import { everything, until, withWorker } from "./worker.mjs";

const SOCKETS = process.env.XDG_RUNTIME_DIR;

export async function shutdownEndsAtOnce(path) {
  await withWorker(path, {}, async (module, manager) => {
    assert.deepEqual(await readdir(SOCKETS), [], "the file goes when the parent has come");
    const parked = assert.rejects(module.send("park", null), /disconnected/);
    const exit = once(module.process, "exit");
    const start = Date.now();
    await manager.shutdown();
    assert.deepEqual(await exit, [0, null]);
    assert.ok(Date.now() - start < 3000, "not by force after five seconds");
    await parked;
  });
}

/** A stranger connects first and stays silent; another sends rubbish. */
export async function authKeepsStrangersOut(path) {
  const policy = { auth: true };
  const strangers = [];
  const intrude = async () => {
    // The npm parent looks at stdout only after 100 ms.
    for (let turn = 0; turn < 1000; turn++) {
      const [name] = await readdir(SOCKETS);
      if (name) {
        for (const bytes of ["", "rubbish that is no proof of anything"]) {
          const socket = net.connect(`${SOCKETS}/${name}`);
          socket.on("error", () => {});
          if (bytes) socket.write(bytes);
          strangers.push(once(socket.resume(), "close"));
        }
        return;
      }
      await sleep(1);
    }
  };
  const intruded = intrude();
  await withWorker(path, { policy }, async (module) => {
    await intruded;
    assert.equal(strangers.length, 2);
    assert.equal(await module.send("echo", "proved"), "proved");
    await Promise.all(strangers);
    assert.equal(await module.send("echo", "still"), "still");
  });
}

/** A handler that computes for long is not taken for a dead process. */
export async function heartbeatGoesOnBesideBusyHandlers(path) {
  const heartbeat = { intervalMs: 50, timeoutMs: 400 };
  await withWorker(path, { policy: { heartbeat } }, async (module, manager) => {
    manager.on("module:error", (_, error) => assert.fail(error));
    const before = module.process.pid;
    await module.send("busy", 1500);
    assert.equal(module.process.pid, before);
  });
}

export async function heartbeatFindsAStoppedWorker(path) {
  const policy = { heartbeat: { intervalMs: 50, timeoutMs: 300 }, restartOnCrash: true };
  await withWorker(path, { policy }, async (module, manager) => {
    const first = module.process;
    const errors = [];
    manager.on("module:error", (_, error) => errors.push(error.message));
    const ready = once(manager, "module:ready");
    // Not `first.kill`, which would have Node.js believe that it was killed.
    process.kill(first.pid, "SIGSTOP");
    await ready;
    assert.match(errors[0], /heartbeat/);
    assert.notEqual(module.process.pid, first.pid);
    assert.equal(await module.send("echo", "again"), "again");
    await manager.shutdown();
  });
}

export async function aCrashIsFollowedByARestart(path) {
  await withWorker(path, { policy: { restartOnCrash: true } }, async (module, manager) => {
    const first = module.process.pid;
    const restarting = once(manager, "module:restarting");
    const ready = once(manager, "module:ready");
    manager.on("module:error", () => {});
    const parked = assert.rejects(module.send("park", null), /disconnected/);
    await assert.rejects(module.send("crash", null), /disconnected/);
    await Promise.all([parked, restarting, ready]);
    assert.notEqual(module.process.pid, first);
    assert.equal(await module.send("waiting", null), 0);
    await manager.shutdown();
  });
}

/** What a worker says before it gives up reaches the parent, in time. */
export async function aFailedStartIsTold(path) {
  const manager = new ModuleManager();
  const module = everything("/bin/sh", {
    args: ["-c", 'PROCWIRE_TOKEN= exec "$0"', path],
  });
  manager.register(module);
  const start = Date.now();
  await assert.rejects(manager.spawn("everything"), /PROCWIRE_TOKEN is set but empty/);
  assert.ok(Date.now() - start < 3000);
}

/** The parent's view of the schema is another: it kills the worker. */
export async function aMismatchIsTheEnd(path) {
  for (const [declare, message] of [
    [(module) => module.method("missing"), /did not register expected method "missing"/],
    [(module) => module.method("echo", { response: "stream" }), /response type mismatch/],
    [(module) => module.method("echo").event("missing"), /expected event "missing"/],
  ]) {
    const manager = new ModuleManager();
    const module = new Module("everything").executable(path).spawnPolicy({ maxRetries: 0 });
    manager.register(declare(module));
    await assert.rejects(manager.spawn("everything"), message);
  }
  // Killed without a word, it could not remove its file; but nobody listens there.
  for (const name of await readdir(SOCKETS)) {
    await until("it is dead", () => refused(`${SOCKETS}/${name}`));
    await unlink(`${SOCKETS}/${name}`);
  }
}

/** The data socket goes while the process lives: the parent kills and restarts it. */
export async function aLostConnectionIsFollowedByARestart(path) {
  await withWorker(path, { policy: { restartOnCrash: true } }, async (module, manager) => {
    manager.on("module:error", () => {});
    const first = module.process.pid;
    const ready = once(manager, "module:ready");
    // A header that no parent sends: the worker must close.
    module._socket.write(Buffer.from("0000000000000100000000", "hex"));
    await ready;
    assert.notEqual(module.process.pid, first);
    assert.equal(await module.send("echo", 1), 1);
    await manager.shutdown();
  });
}

/** Dies while requests run. */
export async function killed(path) {
  await withWorker(path, { policy: { auth: true } }, async (module) => {
    module.send("park", null).catch(() => {});
    await until("it waits", async () => (await module.send("waiting", null)) === 1);
    await module.stream("count", 1e12).next();
    die(module);
  });
}

/** Dies before it has connected to its worker. */
export async function killedBeforeReady(path) {
  const manager = new ModuleManager();
  const module = everything(path, {});
  manager.register(module);
  // Not awaited: the socket file is there, the parent has not looked at stdout yet.
  manager.spawn("everything").catch(() => {});
  await until("the worker listens", async () => (await readdir(SOCKETS)).length > 0);
  die(module);
}

function refused(path) {
  const socket = net.connect(path);
  return new Promise((resolve) => {
    socket.on("error", (error) => resolve(error.code === "ECONNREFUSED"));
    socket.on("connect", () => resolve(false));
  }).finally(() => socket.destroy());
}

/** Tells who the worker is, and leaves it without a word. */
function die(module) {
  writeSync(1, `worker ${module.process.pid}\n`);
  process.kill(process.pid, "SIGKILL");
}
