// Builds the addon with cargo and the JavaScript with TypeScript.
//
//   node scripts/build.mjs            both
//   node scripts/build.mjs --addon    the addon alone: what `npm install` does on a platform without a prebuilt one

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const LIBRARIES = { darwin: 'libforebay_node.dylib', win32: 'forebay_node.dll' };

function run(program, args) {
  execFileSync(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 });
}

/** Where cargo puts what it builds for this folder. */
function targetFolder() {
  const args = ['metadata', '--format-version', '1', '--no-deps'];
  return JSON.parse(execFileSync('cargo', args, { cwd: root, maxBuffer: 1 << 28 })).target_directory;
}

function addon() {
  run('cargo', ['build', '--release', '--package', 'forebay-node', '--lib']);
  const library = join(targetFolder(), 'release', LIBRARIES[process.platform] ?? 'libforebay_node.so');
  // A process may have the old one mapped: it is replaced, not written over.
  copyFileSync(library, join(root, 'forebay.node.new'));
  renameSync(join(root, 'forebay.node.new'), join(root, 'forebay.node'));
}

addon();
if (!process.argv.includes('--addon')) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) {
    throw new Error('run `npm install` first: TypeScript is not there');
  }
  run(process.execPath, [tsc, '--project', root]);
}
