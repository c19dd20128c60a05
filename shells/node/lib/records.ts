// Events as the engine packs them (`src/ffi/events.rs`), read in place from the one buffer that its batches are copied into.

/** What a number in an event's head names. */
export interface RequestEnd {
  readonly _generation: number;
  /** It can be sent, and the engine waits for `go`. */
  _onOffer(): void;
  _onInformational(status: number, reason: string, fields: string): void;
  _onHead(status: number, reason: string, fields: string): void;
  _onData(chunk: Buffer): void;
  _onEnd(trailers: string): void;
  _onResponse(status: number, reason: string, fields: string, body: Buffer | null, trailers: string): void;
  _onBodyCredit(bytes: number): void;
  _onBodySent(): void;
  _onUpgrade(status: number, reason: string, fields: string): void;
  _onFailure(failure: Failure): void;
  /** The turn in which it was dispatched is over. */
  _send(): void;
  /** The consumer is still resting at the end of the turn. */
  _settlePause(): void;
}

export interface ClientEnd {
  _onConnecting(servername: string | null): void;
  _onConnected(info: ConnectionInfo): void;
  _onAsked(question: Question): void;
  _onStreams(max: number): void;
  _onPong(milliseconds: number): void;
  _onDisconnected(failure: Failure): void;
  _onConnectFailed(failure: Failure): void;
  _onClosed(): void;
}

/** What the engine cannot know. */
export interface Question {
  number: number;
  kind: 'lookup' | 'identity' | 'socket';
  /** Of `socket`: the name that a request wishes for, or null. */
  host: string;
  /** Of `identity`: certificates in hexadecimal DER. */
  chain?: string[];
}

export interface ConnectionInfo {
  version: number;
  localAddress: string | null;
  localPort: number | null;
  remoteAddress: string | null;
  remotePort: number | null;
}

export interface Failure {
  kind: number;
  code: string;
  message: string;
  errno: number;
  syscall: string;
  address: string;
  port: number;
  detail: string;
  certificate: string | null;
  socket: (ConnectionInfo & { bytesWritten: number; bytesRead: number }) | null;
  causes: Failure[];
}

/** Whom the numbers in records name. */
export interface Ends {
  /** Nobody, once the request is over. */
  request(slot: number, generation: number): RequestEnd | undefined;
  client(number: number): ClientEnd | undefined;
  /** The number is free for another client. */
  release(number: number): void;
  /** The next large piece is copied into this, or dropped if there is no room. */
  take(into: Uint8Array): void;
}

/** Data below this size is copied into Node.js's pool, so that a small chunk keeps no big slab alive. */
const POOLED_LEN = 4 * 1024;
/** From this kind on records are about clients, before it about requests. */
const FIRST_OF_CLIENTS = 12;
const NOTHING = new Uint8Array(0);

/** Methods that Buffers have and types do not tell: the fast ways between bytes and text. */
interface Texts {
  latin1Write(text: string, offset: number): number;
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

export function allocate(length: number): Buffer<ArrayBuffer> & Texts {
  return Buffer.allocUnsafeSlow(length) as any;
}

let memory = allocate(256 * 1024);
let slabWords = new Uint32Array(memory.buffer);

/** What batches are copied into. */
export function slab(): Uint8Array {
  return memory;
}

/** The same with room for so many bytes. */
export function grow(length: number): Uint8Array {
  memory = allocate(Math.ceil(length / 4096) * 4096);
  slabWords = new Uint32Array(memory.buffer);
  return memory;
}

/** Tells `ends` the records in the first `length` bytes of the slab. What they throw is thrown later. */
export function read(length: number, ends: Ends): void {
  const end = length >> 2;
  let i = 0;
  while (i < end) {
    const first = slabWords[i]!;
    const kind = first & 0xff;
    try {
      i = record(first, i, ends);
    } catch (error) {
      // A callback's: it must not cost the other records of the batch.
      i = next(kind, i);
      rethrow(error);
    }
  }
}

export function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/** Where the record behind the one at `i` starts. */
function next(kind: number, i: number): number {
  switch (kind) {
    case 1: case 9: case 15:
      return i + 3;
    case 2: case 3: case 10:
      return i + 5 + ((slabWords[i + 3]! + slabWords[i + 4]! + 3) >> 2);
    case 4: case 6: case 11: case 12: case 13: case 14: case 16: case 17:
      return i + 4 + ((slabWords[i + 3]! + 3) >> 2);
    case 5: case 8: case 18: case 19:
      return i + 4;
    default: {
      const bytes = slabWords[i + 3]! + slabWords[i + 4]! + slabWords[i + 5]! + slabWords[i + 6]!;
      return i + 7 + ((bytes + 3) >> 2);
    }
  }
}

/** Acts on the record at `i`; returns where the next one starts. */
function record(first: number, i: number, ends: Ends): number {
  const kind = first & 0xff;
  const after = next(kind, i);
  if (kind >= FIRST_OF_CLIENTS) {
    clientRecord(kind, i, ends);
    return after;
  }
  const request = ends.request(slabWords[i + 1]!, slabWords[i + 2]!);
  if (request === undefined) {
    if (kind === 5) {
      ends.take(NOTHING);
    }
    return after;
  }
  switch (kind) {
    case 1:
      request._onOffer();
      break;
    case 2: case 3: case 10:
      headRecord(kind, first >>> 16, i, request);
      break;
    case 4:
      request._onData(copy((i + 4) * 4, slabWords[i + 3]!));
      break;
    case 5:
      request._onData(taken(slabWords[i + 3]!, ends));
      break;
    case 6:
      request._onEnd(text((i + 4) * 4, slabWords[i + 3]!));
      break;
    case 7:
      responseRecord(first >>> 16, i, request);
      break;
    case 8:
      request._onBodyCredit(slabWords[i + 3]!);
      break;
    case 9:
      request._onBodySent();
      break;
    default:
      request._onFailure(json(i) as Failure);
  }
  return after;
}

function headRecord(kind: number, status: number, i: number, request: RequestEnd): void {
  const offset = (i + 5) * 4;
  const reason = text(offset, slabWords[i + 3]!);
  const fields = text(offset + slabWords[i + 3]!, slabWords[i + 4]!);
  if (kind === 2) {
    request._onInformational(status, reason, fields);
  } else if (kind === 3) {
    request._onHead(status, reason, fields);
  } else {
    request._onUpgrade(status, reason, fields);
  }
}

function responseRecord(status: number, i: number, request: RequestEnd): void {
  const reasonLen = slabWords[i + 3]!;
  const fieldsLen = slabWords[i + 4]!;
  const bodyLen = slabWords[i + 5]!;
  let offset = (i + 7) * 4;
  const head = memory.latin1Slice(offset, (offset += reasonLen + fieldsLen));
  const body = bodyLen === 0 ? null : copy(offset, bodyLen);
  const trailers = text(offset + bodyLen, slabWords[i + 6]!);
  request._onResponse(status, head.slice(0, reasonLen), head.slice(reasonLen), body, trailers);
}

function clientRecord(kind: number, i: number, ends: Ends): void {
  const number = slabWords[i + 1]!;
  const client = ends.client(number);
  if (client === undefined) {
    return;
  }
  if (kind === 12) {
    client._onConnected(json(i) as ConnectionInfo);
  } else if (kind === 13) {
    client._onDisconnected(json(i) as Failure);
  } else if (kind === 14) {
    client._onConnectFailed(json(i) as Failure);
  } else if (kind === 17) {
    client._onConnecting((json(i) as { servername: string | null }).servername);
  } else if (kind === 16) {
    client._onAsked(json(i) as Question);
  } else if (kind === 18) {
    client._onStreams(slabWords[i + 3]!);
  } else if (kind === 19) {
    client._onPong(slabWords[i + 3]! / 1000);
  } else {
    ends.release(number);
    client._onClosed();
  }
}

function text(offset: number, length: number): string {
  return length === 0 ? '' : memory.latin1Slice(offset, offset + length);
}

function json(i: number): unknown {
  const offset = (i + 4) * 4;
  return JSON.parse(memory.utf8Slice(offset, offset + slabWords[i + 3]!));
}

/** A large piece, in memory of its own. */
function taken(length: number, ends: Ends): Buffer {
  const chunk = Buffer.allocUnsafeSlow(length);
  ends.take(chunk);
  return chunk;
}

/** A copy that the handler may keep for ever. */
function copy(offset: number, length: number): Buffer {
  const chunk = length < POOLED_LEN ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  memory.copy(chunk, 0, offset, offset + length);
  return chunk;
}
