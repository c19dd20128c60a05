// Starting and ending a worker.

import { once } from "node:events";

import { Module, ModuleManager } from "@procwire/core";
import { msgpackCodec, rawCodec } from "@procwire/codecs";

/** A name that a careless writer of `$init` would cut in two. */
export const SEPARATORS = "line\u2028and\u2029paragraph";

const result = ["echo", "person", "through_context", "later", "null", "signed", "unsigned",
  "float", "fail", "fail_structured", "panic", "panic_at_once", "forget", "twice", "release",
  "waiting", "cancelled", "busy", "crash"];
const stream = ["count", "counted", "fail_midway", "panic_midway"];
const ack = ["ack_empty", "ack_data", "ack_late"];
const none = ["note", "unknown_event"];

/** The worker `everything`, as a module that knows all its methods. */
export function everything(path, { env = {}, policy = {}, args = [] } = {}) {
  const module = new Module("everything").executable(path, args, { env }).spawnPolicy({
    initTimeout: 10_000,
    maxRetries: 0,
    ...policy,
  });
  for (const name of result) module.method(name);
  for (const name of stream) module.method(name, { response: "stream", cancellable: true });
  for (const name of ack) module.method(name, { response: "ack" });
  for (const name of none) module.method(name, { response: "none" });
  return module
    .method("park", { cancellable: true })
    .method("echo_raw", { codec: rawCodec })
    .method("pieces", { codec: rawCodec })
    .method("later_raw", { codec: rawCodec })
    .method("ack_raw", { response: "ack", codec: rawCodec })
    .method("note_raw", { response: "none", codec: rawCodec })
    .method("flood", {
      response: "stream",
      requestCodec: msgpackCodec,
      responseCodec: rawCodec,
    })
    .event("progress")
    .event("raw_progress", { codec: rawCodec })
    .event(SEPARATORS);
}

/** Runs `use` with a worker that is ready, then ends it and looks at how it ended. */
export async function withWorker(path, options, use) {
  const manager = new ModuleManager();
  const module = everything(path, options);
  manager.register(module);
  await manager.spawn("everything");
  const child = module.process;
  const exit = once(child, "exit");
  try {
    await use(module, manager);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  if (module.state === "ready") {
    await manager.shutdown();
    const [code, signal] = await exit;
    if (code !== 0) throw new Error(`the worker ended with ${code ?? signal}`);
  }
}

/** The next `count` values of an event. */
export function events(module, name, count) {
  const seen = [];
  return new Promise((resolve) => {
    const stop = module.onEvent(name, (data) => {
      seen.push(data);
      if (seen.length === count) {
        stop();
        resolve(seen);
      }
    });
  });
}

/** All chunks of a stream. */
export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Asks until `ready` says yes; at most ten seconds. */
export async function until(what, ready) {
  const deadline = Date.now() + 10_000;
  while (!(await ready())) {
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
