// Run when the package is installed: builds the addon from its sources if this platform has no prebuilt one.

import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { load } = createRequire(import.meta.url)('../dist/native.js');

const LIBRARIES = { darwin: 'libforebay_node.dylib', win32: 'forebay_node.dll' };

function build() {
  const native = join(root, 'native');
  const cargo = (args) => execFileSync('cargo', args, { cwd: native, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 });
  cargo(['build', '--release', '--package', 'forebay-node', '--lib']);
  const { target_directory: target } = JSON.parse(cargo(['metadata', '--format-version', '1', '--no-deps']));
  copyFileSync(join(target, 'release', LIBRARIES[process.platform] ?? 'libforebay_node.so'), join(root, 'forebay.node'));
}

try {
  load();
} catch {
  try {
    build();
  } catch (error) {
    // The package says what is missing when it is loaded: an installation of many does not fail for it.
    console.error(`forebay: no prebuilt addon for this platform, and building it failed: ${error.message}`);
  }
}
