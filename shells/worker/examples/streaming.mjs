// Streams: read to the end, fail in the middle, or are given up.

import { Module, ModuleManager } from "@procwire/core";

import { worker } from "./worker.mjs";

const streaming = new Module("streaming")
  .executable(worker("streaming"))
  .method("countdown", { response: "stream", cancellable: true })
  .method("words", { response: "stream" });

const manager = new ModuleManager();
manager.register(streaming);
await manager.spawn();

for await (const n of streaming.stream("countdown", { from: 3 })) console.log("countdown:", n);

try {
  for await (const word of streaming.stream("words", "one two stop three")) console.log("word:", word);
} catch (error) {
  console.log("failed:", error.message);
}

// The worker is told, and its handler's next chunk fails.
const given = new AbortController();
try {
  const numbers = streaming.stream("countdown", { from: 1000, pause: 10 }, { signal: given.signal });
  for await (const n of numbers) {
    console.log("countdown:", n);
    if (n === 998) given.abort();
  }
} catch (error) {
  console.log("given up:", error.name);
}

await manager.shutdown();
