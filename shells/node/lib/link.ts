// JavaScript's end of the crossing; `src/ffi` is the other and describes the records.
//
// Commands are packed into one buffer and submitted once per turn: at the end of a batch of events, or as a
// microtask. Events are read in place from one buffer that the engine's batches are copied into.

import { load, type Environment } from './native';

/** What a number in an event's head names. */
export interface RequestEnd {
  readonly _generation: number;
  _onStart(): void;
  /** The same, before anything is sent: {@link go} is awaited. */
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
  /** The consumer is still resting at the end of the turn. */
  _settlePause(): void;
}

export interface ClientEnd {
  _onConnecting(servername: string | null): void;
  _onConnected(info: ConnectionInfo): void;
  _onAsked(question: Question): void;
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

export interface Answer {
  addresses: string[];
  /** What {@link pair} gave, when the engine's end of it leads to the server. */
  socket: number | null;
  /** HTTP/2 is spoken there. */
  h2: boolean;
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

/** Bodies up to this size are written into the commands. */
const INLINE_LEN = 16 * 1024;
/** Data below this size is copied into Node.js's pool, so that a small chunk keeps no big slab alive. */
const POOLED_LEN = 4 * 1024;
const NONE = 0xffffffff;
const NOTHING = new Uint8Array(0);

const native = load();
let environment: Environment | null = null;

/** Methods that Buffers have and types do not tell: the fast ways between bytes and text. */
interface Texts {
  latin1Write(text: string, offset: number): number;
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

function allocate(length: number): Buffer<ArrayBuffer> & Texts {
  return Buffer.allocUnsafeSlow(length) as any;
}

let commands = allocate(64 * 1024);
let words = new Uint32Array(commands.buffer);
/** The next free word. */
let at = 0;
let bodies: Uint8Array[] | undefined;
let scheduled = false;
let draining = false;

let slab = allocate(256 * 1024);
let slabWords = new Uint32Array(slab.buffer);

const requests: (RequestEnd | undefined)[] = [];
const generations: number[] = [];
const freeSlots: number[] = [];
const clients: (ClientEnd | undefined)[] = [];
const freeClients: number[] = [];
const pausing: RequestEnd[] = [];
/** Requests in flight and clients that are closing: what keeps the process alive. */
let alive = 0;
let held = false;

function start(): Environment {
  return (environment ??= native.start(wake));
}

/** Options that open clients have, by their text. */
const profiles = new Map<string, { number: number; users: number }>();

/** The number under which the engine knows these options, until as many calls of {@link forget}. */
export function define(text: string): number {
  let profile = profiles.get(text);
  if (profile === undefined) {
    profile = { number: start().define(text), users: 0 };
    profiles.set(text, profile);
  }
  profile.users++;
  return profile.number;
}

/** One client fewer has these options. */
export function forget(text: string): void {
  const profile = profiles.get(text);
  if (profile !== undefined && --profile.users === 0) {
    profiles.delete(text);
    // A client that has them may still have to be opened.
    flush();
    start().forget(profile.number);
  }
}

/** PEM of the roots that clients without their own trust. */
export function roots(pem: readonly string[]): void {
  start().roots(pem);
}

/** Room for so many words and bytes; returns the first word's index. */
function reserve(wordCount: number, byteCount: number): number {
  const needed = (at + wordCount) * 4 + byteCount + 4;
  if (needed > commands.length) {
    if (at > 0) {
      submit();
      return reserve(wordCount, byteCount);
    }
    commands = allocate(Math.ceil(needed / 65536) * 65536);
    words = new Uint32Array(commands.buffer);
  }
  schedule();
  return at;
}

/** With so few requests in flight latency counts, and there is little to gather. */
const FEW = 4;

/** What is gathered is handed over at the end of the turn. */
function schedule(): void {
  if (scheduled || draining) {
    return;
  }
  scheduled = true;
  if (alive <= FEW) {
    queueMicrotask(onScheduled);
  } else {
    // Behind all promises that settle one after the other in this turn.
    setImmediate(onScheduled);
  }
}

function onScheduled(): void {
  scheduled = false;
  flush();
}

/** Hands over what was gathered. */
function flush(): void {
  if (pausing.length > 0) {
    // What they write is handed over below.
    const all = pausing.splice(0);
    for (const request of all) {
      request._settlePause();
    }
  }
  if (at > 0) {
    submit();
  }
}

function submit(): void {
  const length = at * 4;
  const with_ = bodies;
  at = 0;
  bodies = undefined;
  if (start().submit(commands, length, with_)) {
    // The request is on its way already, and its answer likely to be here before this thread could be woken.
    setImmediate(look);
  }
}

/** Looks for the answer to a request that was sent from this thread. */
function look(): void {
  const length = start().look(slab);
  if (length > 0) {
    draining = true;
    read(length);
    settle();
  } else if (length === 0) {
    setImmediate(look);
  }
}

/** A large body crosses by itself. If `stays`, it remains where it is until the kernel has taken it. */
function attach(bytes: Uint8Array, stays: boolean): number {
  bodies ??= [];
  // Memory that can shrink, or be detached and freed, must not be read by another thread of ours. The kernel
  // finds out.
  const resizable = (bytes.buffer as { resizable?: boolean }).resizable;
  return bodies.push(stays && !resizable ? bytes : Uint8Array.from(bytes)) - 1;
}

export function openSlot(request: RequestEnd): number {
  const slot = freeSlots.pop() ?? requests.length;
  requests[slot] = request;
  generations[slot] ??= 0;
  keepAlive(1);
  return slot;
}

export function generationOf(slot: number): number {
  return generations[slot]!;
}

/** The slot's request is over: what still comes for it is dropped. */
export function closeSlot(slot: number): void {
  requests[slot] = undefined;
  generations[slot] = (generations[slot]! + 1) >>> 0;
  freeSlots.push(slot);
  keepAlive(-1);
}

/** All requests in flight for which `is` holds. */
export function* requestsWhere(is: (request: RequestEnd) => boolean): Generator<RequestEnd> {
  for (const request of requests) {
    if (request !== undefined && is(request)) {
      yield request;
    }
  }
}

export function keepAlive(change: number): void {
  alive += change;
  const wanted = alive > 0;
  if (wanted !== held) {
    // Within a batch the number may pass zero often: what holds is its value at the end.
    if (!wanted && draining) {
      return;
    }
    held = wanted;
    start().hold(wanted);
  }
}

/** The descriptor of one end of a local socket, to be closed; the engine gets the other by an answer. */
export function pair(): number {
  return start().pair();
}

export function openClient(client: ClientEnd, options: number): number {
  const number = freeClients.pop() ?? clients.length;
  clients[number] = client;
  const i = reserve(3, 0);
  words[i] = 9;
  words[i + 1] = number;
  words[i + 2] = options;
  at = i + 3;
  return number;
}

function clientCommand(kind: number, number: number): void {
  const i = reserve(2, 0);
  words[i] = kind;
  words[i + 1] = number;
  at = i + 2;
}

export function setPipelining(number: number, depth: number): void {
  const i = reserve(3, 0);
  words[i] = 10;
  words[i + 1] = number;
  words[i + 2] = depth;
  at = i + 3;
}

/** Answers {@link ClientEnd._onAsked}; null: there is no answer. */
export function answer(client: number, question: number, given: Answer | null): void {
  const text = JSON.stringify(given);
  const i = reserve(4, text.length);
  words[i] = 13;
  words[i + 1] = client;
  words[i + 2] = question;
  words[i + 3] = text.length;
  at = ((i + 4) * 4 + commands.latin1Write(text, (i + 4) * 4) + 3) >> 2;
}

export function closeClient(number: number): void {
  clientCommand(11, number);
}

export function destroyClient(number: number): void {
  clientCommand(12, number);
}

export const BODY_NONE = 0;
export const BODY_EMPTY = 1;
export const BODY_WHOLE = 2;
export const BODY_STREAM = 4;

export interface Dispatched {
  slot: number;
  generation: number;
  client: number;
  /** The bits that `src/ffi/commands.rs` names. */
  flags: number;
  headersTimeout: number;
  bodyTimeout: number;
  credit: number;
  method: string;
  path: string;
  host: string;
  upgrade: string;
  fields: string;
  servername: string | null;
  bodyKind: number;
  body: Uint8Array | null;
  /** Nobody but the kernel reads the body. */
  plain: boolean;
  /** Of a stream; null: not known. */
  length: number | null;
}

export function dispatch(of: Dispatched): void {
  const head = of.method + of.path + of.host + of.upgrade + of.fields;
  const body = of.body;
  const inline = body !== null && body.length <= INLINE_LEN ? body.length : 0;
  const name = of.servername;
  const nameLen = name === null ? 0 : Buffer.byteLength(name);
  const i = reserve(17, head.length + nameLen + inline);
  words[i] = 1 | (of.flags << 8);
  words[i + 1] = of.slot;
  words[i + 2] = of.generation;
  words[i + 3] = of.client;
  words[i + 4] = of.headersTimeout;
  words[i + 5] = of.bodyTimeout;
  words[i + 6] = of.credit;
  let end = of.method.length;
  words[i + 7] = end;
  words[i + 8] = end += of.path.length;
  words[i + 9] = end += of.host.length;
  words[i + 10] = end + of.upgrade.length;
  words[i + 11] = head.length;
  words[i + 12] = of.bodyKind;
  words[i + 13] = 0;
  words[i + 14] = 0;
  words[i + 15] = name === null ? NONE : nameLen;
  let offset = (i + 16) * 4;
  offset += commands.latin1Write(head, offset);
  if (name !== null) {
    offset += commands.write(name, offset);
  }
  if (of.bodyKind === BODY_WHOLE) {
    if (inline > 0) {
      words[i + 13] = inline;
      commands.set(body!, offset);
      offset += inline;
    } else {
      words[i + 12] = 3;
      words[i + 13] = attach(body!, of.plain);
    }
  } else if (of.bodyKind === BODY_STREAM && of.length !== null) {
    words[i + 12] = 5;
    words[i + 13] = of.length % 0x100000000;
    words[i + 14] = Math.floor(of.length / 0x100000000);
  }
  at = (offset + 3) >> 2;
}

export function bodyChunk(slot: number, generation: number, chunk: Uint8Array, plain: boolean): void {
  const inline = chunk.length <= INLINE_LEN;
  const i = reserve(4, inline ? chunk.length : 0);
  words[i] = inline ? 2 : 3;
  words[i + 1] = slot;
  words[i + 2] = generation;
  words[i + 3] = inline ? chunk.length : attach(chunk, plain);
  let offset = (i + 4) * 4;
  if (inline) {
    commands.set(chunk, offset);
    offset += chunk.length;
  }
  at = (offset + 3) >> 2;
}

function requestCommand(kind: number, slot: number, generation: number): void {
  const i = reserve(3, 0);
  words[i] = kind;
  words[i + 1] = slot;
  words[i + 2] = generation;
  at = i + 3;
}

export function bodyEnd(slot: number, generation: number): void {
  requestCommand(4, slot, generation);
}

export function credit(slot: number, generation: number, bytes: number): void {
  const i = reserve(4, 0);
  words[i] = 5;
  words[i + 1] = slot;
  words[i + 2] = generation;
  words[i + 3] = bytes;
  at = i + 4;
}

export function pause(slot: number, generation: number): void {
  requestCommand(6, slot, generation);
}

export function resume(slot: number, generation: number): void {
  requestCommand(7, slot, generation);
}

export function go(slot: number, generation: number): void {
  requestCommand(14, slot, generation);
}

export function abort(slot: number, generation: number): void {
  requestCommand(8, slot, generation);
}

/** Asks `request` at the end of the turn whether it still rests: most pauses are over by then. */
export function settleLater(request: RequestEnd): void {
  pausing.push(request);
  schedule();
}

/** The engine has told something. Nothing may be thrown from here. */
function wake(): void {
  if (draining) {
    return;
  }
  draining = true;
  let drained = 0;
  try {
    drained = start().drain(slab);
    while (drained < 0) {
      slab = allocate(Math.ceil(-drained / 4096) * 4096);
      slabWords = new Uint32Array(slab.buffer);
      drained = start().drain(slab);
    }
    read(drained >> 1);
  } catch (error) {
    rethrow(error);
  }
  settle();
  if ((drained & 1) === 1) {
    // Timers and other input have their turn in between.
    setImmediate(wake);
  }
}

/** All events were read: what they have led to is handed over. */
function settle(): void {
  draining = false;
  flush();
  if (held && alive === 0) {
    held = false;
    start().hold(false);
  }
}

function read(length: number): void {
  const end = length >> 2;
  let i = 0;
  while (i < end) {
    const first = slabWords[i]!;
    const kind = first & 0xff;
    const request = kind < 12 || kind === 18 ? current(slabWords[i + 1]!, slabWords[i + 2]!) : undefined;
    try {
      i = record(kind, first, i, request);
    } catch (error) {
      // A callback's: it must not cost the other records of the batch.
      i = next(kind, i);
      rethrow(error);
    }
  }
}

function current(slot: number, generation: number): RequestEnd | undefined {
  const request = requests[slot];
  return request !== undefined && request._generation === generation ? request : undefined;
}

function rethrow(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

/** Where the record behind the one at `i` starts. */
function next(kind: number, i: number): number {
  switch (kind) {
    case 1: case 9: case 15: case 18:
      return i + 3;
    case 2: case 3: case 10:
      return i + 5 + ((slabWords[i + 3]! + slabWords[i + 4]! + 3) >> 2);
    case 4: case 6: case 11: case 12: case 13: case 14: case 16: case 17:
      return i + 4 + ((slabWords[i + 3]! + 3) >> 2);
    case 5: case 8:
      return i + 4;
    default: {
      const bytes = slabWords[i + 3]! + slabWords[i + 4]! + slabWords[i + 5]! + slabWords[i + 6]!;
      return i + 7 + ((bytes + 3) >> 2);
    }
  }
}

/** Acts on the record at `i`; returns where the next one starts. */
function record(kind: number, first: number, i: number, request: RequestEnd | undefined): number {
  const after = next(kind, i);
  if (kind >= 12 && kind !== 18) {
    clientRecord(kind, i);
    return after;
  }
  if (request === undefined) {
    if (kind === 5) {
      start().take(NOTHING);
    }
    return after;
  }
  switch (kind) {
    case 1:
      request._onStart();
      break;
    case 18:
      request._onOffer();
      break;
    case 2: case 3: case 10:
      headRecord(kind, first >>> 16, i, request);
      break;
    case 4:
      request._onData(copy((i + 4) * 4, slabWords[i + 3]!));
      break;
    case 5:
      request._onData(taken(slabWords[i + 3]!));
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
  const head = slab.latin1Slice(offset, (offset += reasonLen + fieldsLen));
  const body = bodyLen === 0 ? null : copy(offset, bodyLen);
  const trailers = text(offset + bodyLen, slabWords[i + 6]!);
  request._onResponse(status, head.slice(0, reasonLen), head.slice(reasonLen), body, trailers);
}

function clientRecord(kind: number, i: number): void {
  const number = slabWords[i + 1]!;
  const client = clients[number];
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
  } else {
    clients[number] = undefined;
    freeClients.push(number);
    client._onClosed();
  }
}

function text(offset: number, length: number): string {
  return length === 0 ? '' : slab.latin1Slice(offset, offset + length);
}

function json(i: number): unknown {
  const offset = (i + 4) * 4;
  return JSON.parse(slab.utf8Slice(offset, offset + slabWords[i + 3]!));
}

/** A large piece, in memory of its own. */
function taken(length: number): Buffer {
  const chunk = Buffer.allocUnsafeSlow(length);
  start().take(chunk);
  return chunk;
}

/** A copy that the handler may keep for ever. */
function copy(offset: number, length: number): Buffer {
  const chunk = length < POOLED_LEN ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length);
  slab.copy(chunk, 0, offset, offset + length);
  return chunk;
}
