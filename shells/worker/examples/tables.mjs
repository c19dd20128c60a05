// Arrow tables both ways.

import { Module, ModuleManager } from "@procwire/core";
import { arrowCodec } from "@procwire/codecs/arrow";

import { worker } from "./worker.mjs";

const tables = new Module("tables")
  .executable(worker("tables"))
  .method("sums", { codec: arrowCodec })
  .method("echo_table", { codec: arrowCodec })
  .method("rows", { codec: arrowCodec, response: "stream" });

const manager = new ModuleManager();
manager.register(tables);
await manager.spawn();

const prices = { item: ["bread", "milk", null], price: [2.5, 1.25, 4], weight: new Float64Array([1, 2, 3]) };
const sums = await tables.send("sums", prices);
console.log("sums:", sums.toArray().map(({ column, sum }) => `${column} ${sum}`));
const back = await tables.send("echo_table", prices);
console.log("back:", back.toArray().map(({ item, price }) => `${item} ${price}`));
for await (const row of tables.stream("rows", prices)) console.log("row:", row.get(0).item);

await manager.shutdown();
