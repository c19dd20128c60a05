// Runs the tests, and holds the README's table of what is supported against their results.
//
//   npm test                        all
//   npm test -- handler body        the files whose names contain one of these
//   npm test -- --write-table       all, and puts the table into README.md

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const write = process.argv.includes('--write-table');
const named = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const files = readdirSync(join(root, 'test'))
  .filter((name) => name.endsWith('.test.mjs') && (named.length === 0 || named.some((part) => name.includes(part))))
  .map((name) => join('test', name));
if (files.length === 0) {
  console.error(`no file in test/ has a name with: ${named.join(', ')}`);
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'forebay-test-'));
const results = join(folder, 'results');
const node = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
let status = node(
  // What hangs is named, and ends. The slowest builds the addon from source.
  '--expose-gc', '--test', '--test-timeout=900000',
  '--test-reporter', 'spec', '--test-reporter-destination', 'stdout',
  '--test-reporter', './scripts/reporter.mjs', '--test-reporter-destination', results,
  ...files,
);
if (named.length === 0 && (status === 0 || write)) {
  status = node('scripts/table.mjs', results, ...(write ? ['--write'] : [])) || status;
}
rmSync(folder, { recursive: true });
process.exit(status);
