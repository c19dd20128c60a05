// Events come on their own; a job is accepted first and reports later.

import { Module, ModuleManager } from "@procwire/core";

import { worker } from "./worker.mjs";

const events = new Module("events")
  .executable(worker("events"))
  .method("start_job", { response: "ack" })
  .event("progress")
  .event("heartbeat");

const manager = new ModuleManager();
manager.register(events);
await manager.spawn();

const beat = new Promise((resolve) => events.onEvent("heartbeat", resolve));
const done = new Promise((resolve) => {
  events.onEvent("progress", ({ job, percent }) => {
    console.log(`job ${job}: ${percent} %`);
    if (percent === 100) resolve();
  });
});
await events.send("start_job", 7);
console.log("accepted");
await done;
console.log("heartbeat at a Date:", (await beat).at instanceof Date);

await manager.shutdown();
