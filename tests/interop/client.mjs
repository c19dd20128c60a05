// A worker on the npm client, for a parent that is ours.

import { rawCodec } from "@procwire/codecs";
import { Client } from "@procwire/client";

let waiting = 0;

const client = new Client()
  .handle("echo", (data, context) => context.respond(data))
  .handle("echo_raw", (data, context) => context.respond(data), { codec: rawCodec })
  .handle("fail", (data) => {
    throw new Error(data);
  })
  .handle("fail_structured", (data, context) => context.error({ message: "bad", code: data }))
  .handle("fail_raw", (data, context) => context.error("raw"), { codec: rawCodec })
  .handle("count", async (to, context) => {
    for (let n = 0; n < to && !context.aborted; n++) await context.chunk(n);
    if (!context.aborted) await context.end();
  }, { response: "stream", cancellable: true })
  .handle("fail_midway", async (_, context) => {
    await context.chunk(1);
    throw new Error("mid");
  }, { response: "stream" })
  .handle("ack_data", (data, context) => context.ack(data), { response: "ack" })
  .handle("ack_empty", (_, context) => context.ack(), { response: "ack" })
  .handle("note", (data) => client.emitEvent("progress", data), { response: "none" })
  .handle("park", (_, context) => {
    waiting += 1;
    context.onAbort(() => {
      waiting -= 1;
      client.emitEvent("progress", "aborted");
    });
  }, { cancellable: true })
  .handle("waiting", (_, context) => context.respond(waiting))
  .handle("line\u2028separator", (data, context) => context.respond(data))
  .event("progress")
  .event("raw_progress", { codec: rawCodec });

await client.start();
