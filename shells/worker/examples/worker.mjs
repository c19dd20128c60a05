// The path of an example's worker, which cargo builds first if need be.

import { execFileSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export function worker(name) {
  const profile = process.env.EXAMPLE_PROFILE ?? "release";
  const messages = execFileSync(
    "cargo",
    ["build", "--package", "forebay-worker", "--example", name, "--profile", profile,
      "--message-format", "json-render-diagnostics"],
    {
      cwd: dirname(fileURLToPath(import.meta.url)),
      encoding: "utf8",
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const built = messages.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return built.find(({ executable, target }) => executable && target.name === name).executable;
}
