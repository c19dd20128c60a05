// A computation on every core, and one that is given up.

import { Module, ModuleManager } from "@procwire/core";

import { worker } from "./worker.mjs";

const primes = new Module("primes")
  .executable(worker("primes"))
  .method("count_primes", { cancellable: true });

const manager = new ModuleManager();
manager.register(primes);
await manager.spawn();

const small = [100, 1000, 100_000].map((below) => primes.send("count_primes", below));
console.log("primes below 100, 1000, 100000:", await Promise.all(small));

const given = new AbortController();
const huge = primes.send("count_primes", 1e12, { signal: given.signal });
setTimeout(() => given.abort(), 100);
console.log("below 10^12:", await huge.catch((error) => error.name));
console.log("and the worker goes on:", await primes.send("count_primes", 10));

await manager.shutdown();
