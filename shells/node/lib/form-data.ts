// multipart/form-data as the fetch standard writes it.

import { randomInt } from 'node:crypto';

interface FormDataLike {
  entries(): Iterable<[string, string | Blob]>;
}

/** Recognised by shape: a FormData may come from another copy of undici, or from Node.js. */
export function isFormData(body: any): body is FormDataLike {
  return typeof body === 'object' && body !== null
    && body[Symbol.toStringTag] === 'FormData'
    && ['append', 'delete', 'get', 'getAll', 'has', 'set', 'entries'].every(
      (name) => typeof body[name] === 'function',
    );
}

const escape = (text: string): string =>
  text.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22');
const lineFeeds = (text: string): string => text.replace(/\r?\n|\r/g, '\r\n');

/** The body's type, its length, and its bytes: files are read when their turn comes. */
export function encode(form: FormDataLike): {
  type: string; length: number; chunks: AsyncIterable<Uint8Array>;
} {
  const boundary = `----formdata-forebay-0${String(randomInt(1e11)).padStart(11, '0')}`;
  const parts: (Uint8Array | Blob)[] = [];
  let length = 0;
  const add = (part: Uint8Array | Blob) => {
    parts.push(part);
    length += part instanceof Uint8Array ? part.byteLength : part.size;
  };
  for (const [name, value] of form.entries()) {
    const start = `--${boundary}\r\nContent-Disposition: form-data; name="${escape(lineFeeds(name))}"`;
    if (typeof value === 'string') {
      add(Buffer.from(`${start}\r\n\r\n${lineFeeds(value)}\r\n`));
    } else {
      const file = (value as any).name;
      const filename = file === undefined ? '' : `; filename="${escape(file)}"`;
      const type = value.type || 'application/octet-stream';
      add(Buffer.from(`${start}${filename}\r\nContent-Type: ${type}\r\n\r\n`));
      add(value);
      add(Buffer.from('\r\n'));
    }
  }
  add(Buffer.from(`--${boundary}--\r\n`));
  return { type: `multipart/form-data; boundary=${boundary}`, length, chunks: read(parts) };
}

async function* read(parts: (Uint8Array | Blob)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    if (part instanceof Uint8Array) {
      yield part;
    } else {
      yield* part.stream() as unknown as AsyncIterable<Uint8Array>;
    }
  }
}
