// A Node.js parent under load: `node parent.mjs METHOD LEN DEPTH WARM SECONDS COMMAND...`. Says the
// worker's `pid` when it begins to count, and `end REQUESTS` when it has counted.

const packages = new URL("../../../tests/interop/node_modules/@procwire/", import.meta.url);
const { Module, ModuleManager } = await import(new URL("core/dist/index.js", packages));
const { msgpackCodec, rawCodec } = await import(new URL("codecs/dist/index.js", packages));

const [method, len, depth, warm, seconds, command, ...args] = process.argv.slice(2);
const codec = method === "echo_raw" ? rawCodec : msgpackCodec;
const worker = new Module("worker").executable(command, args).method(method, { codec });
const manager = new ModuleManager();
manager.register(worker);
await manager.spawn();

const payload = method === "echo_raw" ? Buffer.alloc(Number(len), 7) : new Uint8Array(Number(len)).fill(7);
let count = 0;
let ended = false;
async function caller() {
  while (!ended) {
    const answer = await worker.send(method, payload);
    if (answer.length !== payload.length || answer[0] !== 7) throw new Error("another answer");
    count += 1;
  }
}
const callers = Array.from({ length: Number(depth) }, caller);
const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time * 1000));
await sleep(Number(warm));
console.log(`pid ${worker.process.pid}`);
const before = count;
await sleep(Number(seconds));
console.log(`end ${count - before}`);
// Read meanwhile: the worker's memory.
await new Promise((resolve) => process.stdin.on("end", resolve).resume());
ended = true;
await Promise.all(callers);
await manager.shutdown();
