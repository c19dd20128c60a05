// Finding the addon: the package of this platform first, then the one built from source.

import { join } from 'node:path';

/** One engine. */
export interface Environment {
  roots(pem: readonly string[]): void;
  define(json: string): number;
  forget(number: number): void;
  submit(commands: Uint8Array, length: number, bodies?: Uint8Array[]): boolean;
  look(slab: Uint8Array): number;
  drain(slab: Uint8Array): number;
  take(into: Uint8Array): void;
  pair(): number;
  hold(on: boolean): void;
}

export interface Native {
  start(wake: () => void): Environment;
}

/** `linux-x64-gnu`, `darwin-arm64`, `win32-x64`: the end of the platform package's name. */
export function platform(): string {
  const { platform, arch } = process;
  if (platform !== 'linux') {
    return `${platform}-${arch}`;
  }
  const header = (process.report?.getReport() as any)?.header;
  return `${platform}-${arch}-${header?.glibcVersionRuntime ? 'gnu' : 'musl'}`;
}

export function load(): Native {
  const built = join(__dirname, '..', 'forebay.node');
  const failures: string[] = [];
  const candidates = process.env.FOREBAY_ADDON
    ? [process.env.FOREBAY_ADDON]
    : [built, `@forebay/${platform()}`];
  for (const candidate of candidates) {
    try {
      return require(candidate) as Native;
    } catch (error) {
      failures.push(`${candidate}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  throw new Error(
    `forebay has no addon for ${platform()}; "npm run build" in the package builds it from source `
      + `with Rust. Tried: ${failures.join('; ')}`,
  );
}
