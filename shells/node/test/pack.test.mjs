// What is published installs into an empty folder and runs: with the prebuilt addon, and from source.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { httpServer, root } from './support.mjs';

const execute = promisify(execFile);

/** A registry that has these packages and no others: `{ manifest, path }` each, the path that of its tarball. */
async function registry(t, packages) {
  const server = await httpServer(t, (request, response) => {
    const wanted = decodeURIComponent(request.url.slice(1));
    const { manifest, path } = packages.find(({ manifest: { name } }) => wanted === name || wanted === `${name}.tgz`) ?? {};
    if (!manifest) {
      response.writeHead(404).end('{}');
    } else if (wanted === manifest.name) {
      const dist = { tarball: `${server.origin}/${manifest.name}.tgz` };
      const { name, version } = manifest;
      response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions: { [version]: { ...manifest, dist } } }));
    } else {
      response.end(readFileSync(path));
    }
  });
  return server.origin;
}

test('the packages', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'forebay-pack-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const server = await httpServer(t, (_, response) => response.end('packed'));
  execFileSync(process.execPath, [join(root, 'scripts', 'pack.mjs'), join(folder, 'packages')]);
  const packed = async (name) => {
    const cwd = join(folder, 'packages', name);
    const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], { cwd });
    const [{ filename, files }] = Object.values(JSON.parse(stdout));
    const path = join(folder, filename.replace('@', '').replace('/', '-'));
    const manifest = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8'));
    return { manifest, path, files: files.map((file) => file.path) };
  };
  const [platform] = readdirSync(join(folder, 'packages', '@forebay'));
  const main = await packed('forebay');
  const addon = await packed(join('@forebay', platform));
  assert.ok(main.files.includes('native/core/http1/src/lib.rs'));
  assert.ok(main.files.every((file) => !file.startsWith('test/') && !file.endsWith('.node')));

  const origin = await registry(t, [main, addon]);
  const install = async (name, env, ...flags) => {
    const into = join(folder, name);
    mkdirSync(into);
    writeFileSync(join(into, 'package.json'), '{ "private": true }');
    await execute('npm', [
      'install', 'forebay', '--registry', origin, '--cache', join(folder, 'cache'), '--noproxy', '127.0.0.1', '--no-audit', '--no-progress',
      ...flags,
    ], { cwd: into, env: { ...process.env, ...env }, maxBuffer: 1 << 28 });
    for (const [type, code] of [
      ['commonjs', 'const { request, Agent } = require("forebay");'], ['module', 'import { request, Agent } from "forebay";'],
    ]) {
      const { stdout } = await execute(process.execPath, [`--input-type=${type}`, '-e', `${code}
        request(process.argv[1], { dispatcher: new Agent() }).then(({ body }) => body.text()).then(console.log);
      `, server.origin], { cwd: into });
      assert.equal(stdout.trim(), 'packed', `${name}, ${type}`);
    }
    return readdirSync(join(into, 'node_modules'));
  };
  await t.test('with the prebuilt addon', async () => {
    assert.ok((await install('prebuilt', { PATH: onlyNode() })).includes('@forebay'));
  });
  // The dependencies that this workspace has built are used again, from where cargo has them.
  const { target_directory: target } = JSON.parse(execFileSync('cargo', ['metadata', '--format-version', '1', '--no-deps'], { cwd: root, maxBuffer: 1 << 28 }));
  await t.test('from source', async () => {
    const env = { CARGO_TARGET_DIR: target, CARGO_NET_OFFLINE: 'true' };
    assert.ok(!(await install('source', env, '--omit=optional')).includes('@forebay'));
  });
});

/** A path on which no cargo is found. */
function onlyNode() {
  return process.env.PATH.split(':').filter((folder) => !folder.includes('cargo')).join(':');
}
