// Puts together what is published: `forebay`, and one package with the addon for this platform.
//
//   node scripts/pack.mjs FOLDER     FOLDER/forebay and FOLDER/@forebay/PLATFORM, ready for `npm pack` or `npm publish`
//
// `npm run build` comes first. The package has the addon's sources in `native`, for platforms without a prebuilt one.

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const workspace = dirname(dirname(root));
const target = resolve(process.argv[2] ?? join(root, 'pack'));
const { platform } = createRequire(import.meta.url)('../dist/native.js');
const read = (path) => readFileSync(path, 'utf8');
const manifest = JSON.parse(read(join(root, 'package.json')));

/** What addons are built for. */
const PLATFORMS = {
  'linux-x64-gnu': { os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
  'linux-arm64-gnu': { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] },
  'linux-x64-musl': { os: ['linux'], cpu: ['x64'], libc: ['musl'] },
  'darwin-x64': { os: ['darwin'], cpu: ['x64'] },
  'darwin-arm64': { os: ['darwin'], cpu: ['arm64'] },
  'win32-x64': { os: ['win32'], cpu: ['x64'] },
};
/** The crates that the addon is made of. */
const CRATES = ['core/time', 'core/http1', 'shells/node'];

const LICENCES = ['LICENSE-MIT', 'LICENSE-APACHE'];

function write(folder, name, value) {
  writeFileSync(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
}

function main() {
  const folder = join(target, 'forebay');
  mkdirSync(folder, { recursive: true });
  const { devDependencies, scripts, ...published } = manifest;
  write(folder, 'package.json', {
    ...published,
    scripts: { install: 'node scripts/install.mjs' },
    optionalDependencies: Object.fromEntries(Object.keys(PLATFORMS).map((name) => [`@forebay/${name}`, manifest.version])),
  });
  for (const name of ['dist', 'index.mjs', 'index.d.mts', 'README.md']) {
    cpSync(join(root, name), join(folder, name), { recursive: true });
  }
  cpSync(join(root, 'scripts', 'install.mjs'), join(folder, 'scripts', 'install.mjs'));
  LICENCES.forEach((name) => cpSync(join(workspace, name), join(folder, name)));
  sources(join(folder, 'native'));
}

/** A workspace of the crates that are needed, with the versions that were tested. */
function sources(folder) {
  for (const crate of CRATES) {
    for (const name of ['Cargo.toml', 'README.md', 'src']) {
      cpSync(join(workspace, crate, name), join(folder, crate, name), { recursive: true });
    }
    const path = join(folder, crate, 'Cargo.toml');
    // Tests stay behind, and what only they need.
    writeFileSync(path, without(read(path), ['dev-dependencies', '[test]', '[bench]']));
  }
  const members = `members = ${JSON.stringify(CRATES)}`;
  const own = without(read(join(workspace, 'Cargo.toml')), ['profile.sim', 'profile.bench', 'profile.dev.package.blake3'])
    .replace(/^members = .*$/m, members)
    .replace(/^(# Workspaces of their own.*\n)?exclude = .*$/m, '')
    .replace(/^default-members = .*$/m, '')
    .replace(/^forebay-.*path = "(.*?)".*\n/gm, (line, path) => (CRATES.includes(path) ? line : ''));
  writeFileSync(join(folder, 'Cargo.toml'), own);
  cpSync(join(workspace, 'Cargo.lock'), join(folder, 'Cargo.lock'));
}

/** A manifest without these sections. */
function without(text, sections) {
  const parts = text.split(/^(?=\[)/m);
  return parts.filter((part) => !sections.some((name) => part.startsWith(`[${name}]`))).join('');
}

function addon() {
  const name = platform();
  const folder = join(target, '@forebay', name);
  mkdirSync(folder, { recursive: true });
  const { version, license, author } = manifest;
  write(folder, 'package.json', {
    name: `@forebay/${name}`, version, description: `The addon of the package forebay for ${name}`, license, author,
    main: 'forebay.node', files: ['forebay.node'], ...PLATFORMS[name],
  });
  cpSync(join(root, 'forebay.node'), join(folder, 'forebay.node'));
  LICENCES.forEach((licence) => cpSync(join(workspace, licence), join(folder, licence)));
}

rmSync(target, { recursive: true, force: true });
main();
addon();
