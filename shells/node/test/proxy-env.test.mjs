// What `no_proxy` exempts.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { answering, forebay, OK, run, using } from './support.mjs';

const { EnvHttpProxyAgent } = forebay;

/** Nobody listens at port 1: who is exempt fails, who is not has the proxy's answer. */
const HOSTS = {
  ip: 'http://127.0.0.1:1', name: 'http://LOCALHOST:1', full: 'http://localhost.:1', below: 'http://a.localhost:1', ipv6: 'http://[::1]:1',
};
const ALL = Object.keys(HOSTS);
const NAMES = ['name', 'full', 'below'];

const RULES = [
  ['', []], ['*', ALL], [' * ', ALL], ['x,*', ALL], ['*:1', ALL], ['*:2', []],
  ['localhost', NAMES], ['LocalHost.', NAMES], ['.localhost', NAMES], ['*.localhost', ['below']], ['calhost', []],
  ['localhost:1', NAMES], ['localhost:2', []], ['x, localhost,', NAMES], ['x\tlocalhost', NAMES], ['x;localhost', []],
  ['127.0.0.1', ['ip']], ['.0.0.1', ['ip']], ['127.', []], ['127.0.0.0/8', []],
  ['::1', ['ipv6']], ['[::1]', ['ipv6']], ['[::1]:1', ['ipv6']], ['[::1]:2', []], ['::1:1', []],
];

test('no_proxy: stars, suffixes, ports, lists, IPv6', async (t) => {
  const proxy = await answering(t, OK);
  for (const [noProxy, exempt] of RULES) {
    const agent = using(t, new EnvHttpProxyAgent({ httpProxy: proxy.origin, noProxy }));
    const direct = [];
    for (const [label, origin] of Object.entries(HOSTS)) {
      const { error } = await run(agent, { origin });
      if (error) {
        direct.push(label);
      }
    }
    assert.deepEqual(direct, exempt, JSON.stringify(noProxy));
  }
});
