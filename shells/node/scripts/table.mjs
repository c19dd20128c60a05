// The table of what is supported, in README.md: made from the results of a test run, so that no line is there that no
// test stands behind.
//
//   node scripts/table.mjs RESULTS            fails when README.md says something else
//   node scripts/table.mjs RESULTS --write    puts the table there

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const readme = join(dirname(dirname(fileURLToPath(import.meta.url))), 'README.md');
const [START, END] = ['<!-- supported -->', '<!-- end of supported -->'];

/** A feature of undici, and the tests that show it: a file, or a part of the names in it. */
const FEATURES = [
  ['`Agent`, `Pool`, `Client`: `dispatch()`', 'agent.test'],
  ['options of 6, 7 and 8, the same validation errors', 'validation.test'],
  ['handlers of undici 7 and 8: order, exactly once, controller', 'handler.test'],
  ['handlers of undici 6 and before', 'handler.test', 'legacy'],
  ['random requests, servers and handlers: the same callbacks, the same bytes on the wire', 'differential.test'],
  ['backpressure: pause, resume, bounded memory', 'handler.test|life.test', 'pause'],
  ['request bodies of every kind, streamed', 'body.test'],
  ['FormData of any origin', 'body.test', 'FormData'],
  ['`request`, `stream`, `pipeline`, `connect`, `upgrade`', 'api.test', 'request|stream|pipeline|connect'],
  ['`compose` and undici 7\'s interceptors', 'api.test', 'compose|redirect|cache'],
  ['`close`, `destroy`, in all call forms', 'api.test', 'close|destroy'],
  ['events, `stats`, `drain`', 'agent.test', 'events|stats|drain|connectionError'],
  ['pipelining, keep-alive hints, `maxRequestsPerClient`', 'agent.test', 'ipelining|keep-alive|maxRequests'],
  ['informational responses, trailers', 'agent.test', 'informational|trailers'],
  ['CONNECT and upgrades; WebSocket', 'handler.test|fetch.test', 'CONNECT|upgrade|fetch'],
  ['errors: classes, codes, messages', 'error.test'],
  ['malformed responses: refused, and named, as by Node.js\'s parser', 'parity.test'],
  ['HTTPS: own roots, lists of revoked certificates, client certificates, encrypted keys, session resumption', '^tls.test'],
  ['`connect.lookup`, `connect.checkServerIdentity`', 'agent.test|^tls.test', 'lookup|checkServerIdentity'],
  ['`connect` as a function (not on Windows)', 'connector.test'],
  ['TLS failures with OpenSSL\'s codes', 'tls-error.test'],
  ['HTTP/2 by ALPN, `allowH2`, `H2CClient`', 'h2.test'],
  ['`ProxyAgent`, `EnvHttpProxyAgent`, `Socks5ProxyAgent`', 'proxy.test|proxy-env.test'],
  ['`clientFactory` of `ProxyAgent` (not on Windows)', 'proxy.test', 'clientFactory'],
  ['`BalancedPool`, `RoundRobinPool`', 'api.test', 'BalancedPool'],
  ['`RetryAgent`', 'retry.test'],
  ['built-in fetch of Node.js 20, 22, 24 and 26; `setGlobalDispatcher`', 'fetch.test', 'built-in'],
  ['undici 6, 7 and 8 as callers', 'api.test|fetch.test', '^undici|built-in'],
  ['diagnostics channels; OpenTelemetry', 'diagnostics.test|telemetry.test'],
  ['worker threads, process life, shutdown', 'life.test', 'worker|process'],
  ['types of undici 7 and 8', 'types.test'],
  ['ESM, CJS, prebuilt addons, build from source', 'life.test|pack.test', 'ESM|prebuilt|source'],
];
/** What undici has and this package has not, with what happens instead. */
const MISSING = [
  ['`pfx`, `ciphers` and other options of OpenSSL alone', '`InvalidArgumentError`'],
  ['`MockAgent`, `SnapshotAgent`, cookies, `fetch`, `WebSocket`, `EventSource`', 'undici\'s own work with these dispatchers'],
];

const results = readFileSync(process.argv[2], 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const rows = FEATURES.map(([feature, file, name]) => {
  const of = results.filter((result) => new RegExp(file).test(result.file ?? '') && new RegExp(name ?? '').test(result.name));
  if (of.length === 0) {
    throw new Error(`no test stands behind "${feature}"`);
  }
  const failed = of.filter((result) => !result.passed).length;
  return `| ${feature} | ${failed === 0 ? 'yes' : `${failed} of ${of.length} tests fail`} |`;
});
const table = [
  '| feature | supported |', '| --- | --- |', ...rows, ...MISSING.map(([feature, instead]) => `| ${feature} | no: ${instead} |`),
].join('\n');
const text = readFileSync(readme, 'utf8');
const [before, rest] = text.split(START);
const after = rest.split(END)[1];
const expected = `${before}${START}\n${table}\n${END}${after}`;
if (process.argv.includes('--write')) {
  writeFileSync(readme, expected);
} else if (expected !== text) {
  console.error('README.md: the table of what is supported is not what the tests show; npm test -- --write-table');
  process.exit(1);
}
