// JavaScript's end of the crossing; `src/ffi` is the other and describes the commands.
//
// Commands are packed into one buffer and submitted once per turn: at the end of a batch of events, or as a
// microtask. Events come in batches (`records.ts`).

import { load, type Environment } from './native';
import { allocate, grow, read, rethrow, slab, type ClientEnd, type Ends, type RequestEnd } from './records';

export interface Answer {
  addresses: string[];
  /** What {@link pair} gave, when the engine's end of it leads to the server. */
  socket: number | null;
  /** HTTP/2 is spoken there. */
  h2: boolean;
}

/** Bodies up to this size are written into the commands. */
const INLINE_LEN = 16 * 1024;
const NONE = 0xffffffff;

const native = load();
let environment: Environment | null = null;

let commands = allocate(64 * 1024);
let words = new Uint32Array(commands.buffer);
/** The next free word. */
let at = 0;
let bodies: Uint8Array[] | undefined;
let scheduled = false;
let draining = false;
/** Batches of events so far: within one no promise settles. */
export let batch = 0;

const requests: (RequestEnd | undefined)[] = [];
const generations: number[] = [];
const freeSlots: number[] = [];
const clients: (ClientEnd | undefined)[] = [];
const freeClients: number[] = [];
/** Those that were dispatched in this turn. */
let fresh: RequestEnd[] = [];
const pausing: RequestEnd[] = [];
/** Requests in flight and clients that are closing: what keeps the process alive. */
let alive = 0;
let held = false;

const ends: Ends = {
  request(slot, generation) {
    const request = requests[slot];
    return request !== undefined && request._generation === generation ? request : undefined;
  },
  client: (number) => clients[number],
  release(number) {
    clients[number] = undefined;
    freeClients.push(number);
  },
  take(into) {
    start().take(into);
  },
};

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
  // Their callbacks may dispatch more.
  while (fresh.length > 0) {
    const all = fresh;
    fresh = [];
    for (const request of all) {
      request._send();
    }
  }
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
  batch++;
  const length = start().look(slab());
  if (length > 0) {
    draining = true;
    read(length, ends);
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

/** Lets `request` be sent at the end of the turn. */
export function sendLater(request: RequestEnd): void {
  fresh.push(request);
  schedule();
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
  batch++;
  let drained = 0;
  try {
    drained = start().drain(slab());
    while (drained < 0) {
      drained = start().drain(grow(-drained));
    }
    read(drained >> 1, ends);
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
