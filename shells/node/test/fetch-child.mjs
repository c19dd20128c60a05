// Run by fetch.test.mjs in several versions of Node.js: `fetch-child.mjs ORIGIN CLOSED`. Prints what it found as JSON.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { Agent, setGlobalDispatcher } = require('..');
const origin = process.argv[2];
const agent = new Agent();
const found = { node: process.versions.node };

async function check(name, run) {
  try {
    found[name] = await run();
  } catch (error) {
    found[name] = `${error.name}: ${error.message}${error.cause ? ` (${error.cause.code ?? error.cause.message})` : ''}`;
  }
}

const get = (path, options = {}) => fetch(origin + path, { dispatcher: agent, ...options });

await check('text', async () => (await get('/hello')).text());
await check('status', async () => {
  const response = await get('/status');
  return [response.status, response.statusText, response.headers.get('x-two'), response.headers.getSetCookie()];
});
await check('json', async () => (await get('/json')).json());
await check('string', async () => (await get('/echo', { method: 'POST', body: 'text' })).json());
await check('form', async () => {
  const form = new FormData();
  form.set('a', 'b');
  return (await (await get('/echo', { method: 'POST', body: form })).json()).body.includes('name="a"');
});
await check('search', async () => (await (await get('/echo', { method: 'POST', body: new URLSearchParams('a=b') })).json()).body);
await check('stream', async () => {
  const body = new Blob(['streamed']).stream();
  return (await (await get('/echo', { method: 'POST', body, duplex: 'half' })).json()).coding;
});
await check('large', async () => (await (await get('/large')).arrayBuffer()).byteLength);
await check('chunks', async () => {
  let length = 0;
  for await (const chunk of (await get('/large')).body) length += chunk.length;
  return length;
});
await check('gzip', async () => (await get('/gzip')).text());
await check('redirect', async () => {
  const response = await get('/moved');
  return [response.redirected, await response.text()];
});
await check('abort', () => get('/never', { signal: AbortSignal.timeout(50) }));
await check('abortBody', async () => {
  const controller = new AbortController();
  const response = await get('/half', { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  return response.text();
});
await check('refused', () => fetch(process.argv[3], { dispatcher: agent }));
await check('closed', () => get('/close'));
await check('cut', async () => (await get('/cut', { signal: AbortSignal.timeout(5000) })).text());
await check('parallel', async () => (await Promise.all(Array.from({ length: 50 }, async (_, i) => (await get(`/${i}`)).text()))).length);
setGlobalDispatcher(agent);
await check('global', async () => {
  const before = agent.stats[origin].connected;
  return [await (await fetch(`${origin}/hello`)).text(), before > 0];
});
const [major, minor] = process.versions.node.split('.').map(Number);
if (major > 22 || (major === 22 && minor >= 19)) {
  const undici = require('undici8');
  await check('undici8', async () => [
    await (await undici.fetch(`${origin}/hello`, { dispatcher: agent })).text(),
    await (await undici.request(`${origin}/hello`, { dispatcher: agent })).body.text(),
    await (await agent.compose(undici.interceptors.redirect({ maxRedirections: 2 })).request({
      origin, path: '/moved', method: 'GET',
    })).body.text(),
  ]);
  undici.setGlobalDispatcher(agent);
  await check('undici8Global', async () => (await fetch(`${origin}/hello`)).text());
}
if (globalThis.WebSocket) {
  await check('websocket', () => new Promise((resolve, reject) => {
    const socket = new WebSocket(origin.replace('http', 'ws'));
    socket.onopen = () => socket.send('over the wire');
    socket.onerror = (event) => reject(event.error ?? new Error('websocket'));
    socket.onmessage = ({ data }) => {
      resolve(data);
      socket.close();
    };
  }));
}
console.log(JSON.stringify(found));
await agent.close();
