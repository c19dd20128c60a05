// A response's fields arrive as one block of text, as the server wrote them. Which form a handler reads is
// not known before it does: the object is made always, the raw array on demand.

import type { IncomingHttpHeaders } from './types';

/** Names as received to names in small letters; bounded, since servers choose the names. */
const lowered = new Map<string, string>();
const LOWERED_MAX = 1024;

function lower(name: string): string {
  let known = lowered.get(name);
  if (known === undefined) {
    known = name.toLowerCase();
    if (lowered.size < LOWERED_MAX) {
      lowered.set(name, known);
    }
  }
  return known;
}

const SPACE = 0x20;
const TAB = 0x09;

/** Calls `each` with the name and the value, white space around it removed, of every field. */
function forEach(block: string, each: (name: string, value: string) => void): void {
  let at = 0;
  while (at < block.length) {
    const colon = block.indexOf(':', at);
    const eol = block.indexOf('\r\n', colon);
    if (colon < 0 || eol < 0) {
      return;
    }
    let start = colon + 1;
    let end = eol;
    let code;
    while (start < end && ((code = block.charCodeAt(start)) === SPACE || code === TAB)) start++;
    while (end > start && ((code = block.charCodeAt(end - 1)) === SPACE || code === TAB)) end--;
    each(block.slice(at, colon), block.slice(start, end));
    at = eol + 2;
  }
}

/** Names in small letters; a name that occurs more than once has an array. */
export function parse(block: string): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  forEach(block, (name, value) => add(headers, lower(name), value));
  return headers;
}

function add(headers: IncomingHttpHeaders, name: string, value: string): void {
  if (name === '__proto__') {
    addOwn(headers, name, value);
    return;
  }
  const before = headers[name];
  if (before === undefined || !Object.hasOwn(headers, name)) {
    headers[name] = value;
  } else if (typeof before === 'string') {
    headers[name] = [before, value];
  } else {
    before.push(value);
  }
}

/** `__proto__` as a property like any other. */
function addOwn(headers: IncomingHttpHeaders, name: string, value: string): void {
  const before = Object.getOwnPropertyDescriptor(headers, name)?.value as string | string[] | undefined;
  const all = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  Object.defineProperty(headers, name, {
    value: all, enumerable: true, configurable: true, writable: true,
  });
}

/** Name, value, name, value as Buffers, as received. */
export function raw(block: string): Buffer[] {
  const flat: Buffer[] = [];
  const bytes = Buffer.from(block, 'latin1');
  let at = 0;
  while (at < block.length) {
    const colon = block.indexOf(':', at);
    const eol = block.indexOf('\r\n', colon);
    if (colon < 0 || eol < 0) {
      break;
    }
    let start = colon + 1;
    let end = eol;
    while (start < end && (bytes[start] === SPACE || bytes[start] === TAB)) start++;
    while (end > start && (bytes[end - 1] === SPACE || bytes[end - 1] === TAB)) end--;
    flat.push(bytes.subarray(at, colon), bytes.subarray(start, end));
    at = eol + 2;
  }
  return flat;
}

/** Name, value, name, value as strings: what `responseHeaders: 'raw'` asks for. */
export function rawStrings(flat: readonly (Buffer | string)[] | null | undefined): string[] {
  return (flat ?? []).map((item) => (typeof item === 'string' ? item : item.toString('latin1')));
}
