// Other versions of Node.js, installed beside the tests when they are first asked for.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { here } from './support.mjs';

export const VERSIONS = [22, 24, 26];
const execute = promisify(execFile);

/** The program, or why there is none. */
export async function node(version) {
  const folder = join(here, 'nodes', String(version));
  const program = join(folder, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    await execute('npm', ['install', '--no-save', '--no-package-lock', `node@${version}`], {
      cwd: folder, timeout: 120_000, shell: process.platform === 'win32',
    });
  }
  return program;
}
