// The smallest parent: one worker, one call of each codec.

import { Module, ModuleManager } from "@procwire/core";
import { rawCodec } from "@procwire/codecs";

import { worker } from "./worker.mjs";

const echo = new Module("echo")
  .executable(worker("echo"))
  .method("echo")
  .method("echo_raw", { codec: rawCodec });

const manager = new ModuleManager();
manager.register(echo);
await manager.spawn();

const sent = { text: "hello", when: new Date(0), bytes: Buffer.from([1, 2, 3]) };
console.log("echo:", await echo.send("echo", sent));
console.log("echo_raw:", await echo.send("echo_raw", Buffer.from("only bytes")));

await manager.shutdown();
