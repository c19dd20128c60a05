// What is published installs into an empty folder and runs: with the prebuilt addon, and from source.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { httpServer, root } from './support.mjs';

const execute = promisify(execFile);

test('the packages', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'forebay-pack-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const server = await httpServer(t, (_, response) => response.end('packed'));
  execFileSync(process.execPath, [join(root, 'scripts', 'pack.mjs'), join(folder, 'packages')]);
  const tarball = async (name) => {
    const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', folder], { cwd: join(folder, 'packages', name) });
    const [packed] = Object.values(JSON.parse(stdout));
    return { path: join(folder, packed.filename.replace('@', '').replace('/', '-')), files: packed.files.map((file) => file.path) };
  };
  const [platform] = readdirSync(join(folder, 'packages', '@forebay'));
  const main = await tarball('forebay');
  const addon = await tarball(join('@forebay', platform));
  assert.ok(main.files.includes('native/core/http1/src/lib.rs'));
  assert.ok(main.files.every((file) => !file.startsWith('test/') && !file.endsWith('.node')));

  const install = async (name, tarballs, env) => {
    const into = join(folder, name);
    execFileSync(process.execPath, ['-e', 'require("fs").mkdirSync(process.argv[1])', into]);
    writeFileSync(join(into, 'package.json'), '{ "private": true }');
    await execute('npm', ['install', '--omit=optional', '--no-progress', ...tarballs], {
      cwd: into, env: { ...process.env, ...env }, timeout: 170_000, maxBuffer: 1 << 28,
    });
    for (const [type, code] of [
      ['commonjs', 'const { request, Agent } = require("forebay");'], ['module', 'import { request, Agent } from "forebay";'],
    ]) {
      const { stdout } = await execute(process.execPath, [`--input-type=${type}`, '-e', `${code}
        request(process.argv[1], { dispatcher: new Agent() }).then(({ body }) => body.text()).then(console.log);
      `, server.origin], { cwd: into });
      assert.equal(stdout.trim(), 'packed', `${name}, ${type}`);
    }
  };
  await t.test('with the prebuilt addon', () => install('prebuilt', [main.path, addon.path], { PATH: onlyNode() }));
  // The dependencies that this workspace has built are used again.
  const { target_directory: target } = JSON.parse(execFileSync('cargo', ['metadata', '--format-version', '1', '--no-deps'], { cwd: root, maxBuffer: 1 << 28 }));
  await t.test('from source', () => install('source', [main.path], { CARGO_TARGET_DIR: target }));
});

/** A path on which no cargo is found. */
function onlyNode() {
  return process.env.PATH.split(':').filter((folder) => !folder.includes('cargo')).join(':');
}
