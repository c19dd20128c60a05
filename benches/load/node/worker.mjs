// Peer: a worker on the npm client.

const packages = new URL("../../../tests/interop/node_modules/@procwire/", import.meta.url);
const { Client } = await import(new URL("client/dist/index.js", packages));
const { rawCodec } = await import(new URL("codecs/dist/index.js", packages));

const client = new Client()
  .handle("echo_raw", (data, context) => context.respond(data), { codec: rawCodec })
  .handle("echo", (data, context) => context.respond(data))
  .handle("flood", async ([count, len], context) => {
    const chunk = new Uint8Array(len).fill(7);
    for (let n = 0; n < count; n++) await context.chunk(chunk);
    await context.end();
  }, { response: "stream" });

await client.start();
