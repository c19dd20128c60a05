// Our types against undici's.

import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './support.mjs';

test('our dispatchers are undici 7\'s and 8\'s to the compiler', () => {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '--project', join(root, 'test', 'types')], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
