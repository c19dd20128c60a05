// One command for each example, from any folder:
//
//     node shells/worker/examples/run.mjs echo
//
// installs the npm packages beside this file, builds the worker, and starts the parent of that
// name, on Node.js 22 if this one is older.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const parent = join(here, `${process.argv[2]}.mjs`);
if (!process.argv[2] || !existsSync(parent)) {
  console.error("usage: node run.mjs echo | streaming | events | primes | tables");
  process.exit(2);
}

const windows = process.platform === "win32";
function run(command, args, cwd) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit", shell: windows });
  if (status !== 0) {
    console.error(`${command} ${args.join(" ")} failed: ${error?.message ?? status}`);
    process.exit(1);
  }
}

if (!existsSync(join(here, "node_modules"))) run("npm", ["ci"], here);
const modern = Number(process.versions.node.split(".")[0]) >= 22;
if (modern) run(process.execPath, [parent], here);
else run("npx", ["--yes", "node@22", parent], here);
