// One request from dispatch to its last callback.

import { Upload, measure, type UploadTarget } from './body';
import type { Client } from './client';
import { Controller } from './controller';
import { channels } from './diagnostics';
import { RequestContentLengthMismatchError } from './errors';
import { KIND_CONNECT, errorOf } from './failure';
import * as headers from './headers';
import * as link from './link';
import type { Failure, RequestEnd } from './records';
import type { Request } from './request';
import type { IncomingHttpHeaders } from './types';
import { RawSocket } from './upgrade';

/** Response bytes that may be on their way to a handler that has not taken any. */
const WINDOW = 256 * 1024;

/** `Waiting`: the engine has it, and no connection for it. */
const enum State { Queued, Waiting, Started, Responding, Upgraded, Over }

/** What waits for a handler that rests. */
type Held =
  | { kind: 'data'; chunk: Buffer }
  | { kind: 'end'; trailers: string }
  | { kind: 'failure'; error: unknown };

export class Exchange implements RequestEnd, UploadTarget {
  readonly _slot: number;
  readonly _generation: number;
  /** Order of dispatch. */
  readonly _number: number;
  private state: State = State.Queued;
  private controller: Controller | null = null;
  private upload: Upload | null = null;
  private held: Held[] | null = null;
  private taken = 0;
  private pauseSent = false;
  private pauseListed = false;
  private delivering = false;
  /** The batch in which the response's head came. */
  private headBatch = -1;
  private socket: RawSocket | null = null;

  private static count = 0;

  constructor(readonly _client: Client, readonly request: Request) {
    this._number = Exchange.count++;
    this._slot = link.openSlot(this);
    this._generation = link.generationOf(this._slot);
  }

  get strictContentLength(): boolean {
    return this._client._settings.strictContentLength;
  }

  /** Hands the request to the engine; if it can be written at once, the handler hears of it before. */
  _send(): void {
    if (!this.isLive) {
      return;
    }
    const { request, _client: client } = this;
    const body = request._body;
    if (body !== null) {
      measure(body);
    }
    const { length, mismatch } = request._framing();
    if (mismatch) {
      if (this.strictContentLength) {
        queueMicrotask(() => this._fail(new RequestContentLengthMismatchError()));
        return;
      }
      process.emitWarning(new RequestContentLengthMismatchError());
    }
    let kind = link.BODY_NONE;
    if (body !== null && body.whole === null) {
      kind = link.BODY_STREAM;
      this.upload = new Upload(body.source!, length, this);
    } else if (body !== null && body.whole!.length > 0) {
      kind = link.BODY_WHOLE;
    } else if (length === 0) {
      kind = link.BODY_EMPTY;
    }
    const starts = client._takes(request);
    if (starts && !this.start()) {
      return;
    }
    link.dispatch({
      slot: this._slot,
      generation: this._generation,
      client: client._number,
      flags: this.flags(kind) | Number(starts) << 16,
      headersTimeout: milliseconds(request.headersTimeout ?? client._settings.headersTimeout),
      bodyTimeout: milliseconds(request.bodyTimeout ?? client._settings.bodyTimeout),
      credit: WINDOW,
      method: request.method,
      path: request.path,
      host: request.host ?? client._authority,
      upgrade: request.upgrade ?? '',
      fields: request._fields,
      servername: client._isTls ? request.servername : null,
      bodyKind: kind,
      body: kind === link.BODY_WHOLE ? body!.whole : null,
      plain: client._isPlain,
      length,
    });
    if (starts) {
      this.started();
    } else {
      this.state = State.Waiting;
      client._waiting++;
    }
  }

  private flags(kind: number): number {
    const { request } = this;
    const { method } = request;
    // A body on a method that has none may confuse what comes next on the connection.
    const odd = kind >= link.BODY_WHOLE && !request._expectsPayload;
    const reset = request.reset ?? (method === 'HEAD' || odd);
    return Number(request.idempotent)
      | Number(request.blocking) << 1
      | Number(reset) << 2
      | Number(method === 'CONNECT') << 3
      | Number(method === 'HEAD') << 4
      | Number(request.expectContinue) << 5
      | Number(!request.allowH2) << 6
      | Number(request.typeOfService !== null) << 7
      | (request.typeOfService ?? 0) << 8;
  }

  _onOffer(): void {
    if (this.start()) {
      link.go(this._slot, this._generation);
      this.started();
    }
  }

  /** There is a connection, and nothing was written yet; returns whether something is to be. */
  private start(): boolean {
    if (this.controller !== null) {
      // Sent once more: the controller of the first attempt is void.
      this.controller._exchange = null;
    } else {
      this._client._running++;
      this.leaveWaiting();
    }
    this.state = State.Started;
    const controller = (this.controller = new Controller(this));
    const { request } = this;
    if (request._bodyError !== null) {
      controller.abort(request._bodyError.error);
      return false;
    }
    try {
      request._handler.onRequestStart(controller, null);
    } catch (error) {
      this._abort(error);
    }
    return this.isLive;
  }

  /** The engine writes it now. */
  private started(): void {
    if (channels.sendHeaders.hasSubscribers) {
      this.publishHead();
    }
    const { _body: body } = this.request;
    if (body === null || body.whole?.length === 0) {
      this.requestSent();
    }
  }

  private leaveWaiting(): void {
    if (this.state === State.Waiting) {
      this._client._waiting--;
    }
  }

  private publishHead(): void {
    const { request, _client: client } = this;
    const { method, path, _fields: fields } = request;
    const host = request.host ?? client._authority;
    const connection = request.upgrade ? `upgrade\r\nupgrade: ${request.upgrade}`
      : this.flags(0) & 4 || client._settings.pipelining === 0 ? 'close' : 'keep-alive';
    const { length } = request._framing();
    const text = client._isH2
      ? `${fields}:authority: ${host}\r\n:method: ${method}\r\n:path: ${path}\r\n:scheme: ${client._isTls ? 'https' : 'http'}\r\n`
        + (length === null ? '' : `content-length: ${length}\r\n`)
      : `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: ${connection}\r\n${fields}`;
    channels.sendHeaders.publish({ request, headers: text, socket: client._socketInfo });
  }

  _onBodyCredit(bytes: number): void {
    if (this.state === State.Upgraded) {
      this.socket!._grant(bytes);
    } else {
      this.upload?.grant(bytes);
    }
  }

  write(chunk: Uint8Array, given: unknown): void {
    link.bodyChunk(this._slot, this._generation, chunk, this._client._isPlain);
    this.bodySent(given);
  }

  finish(): void {
    link.bodyEnd(this._slot, this._generation);
  }

  fail(error: unknown): void {
    this._abort(error);
  }

  /** Whether anybody hears of {@link bodySent}. */
  private get tellsChunks(): boolean {
    return channels.bodyChunkSent.hasSubscribers || this.request._handler.onBodySent != null;
  }

  private bodySent(chunk: unknown): void {
    const { request } = this;
    if (channels.bodyChunkSent.hasSubscribers) {
      channels.bodyChunkSent.publish({ request, chunk });
    }
    if (request._handler.onBodySent) {
      try {
        request._handler.onBodySent(chunk);
      } catch (error) {
        this._abort(error);
      }
    }
  }

  private requestSent(): void {
    const { request } = this;
    if (channels.bodySent.hasSubscribers) {
      channels.bodySent.publish({ request });
    }
    if (request._handler.onRequestSent) {
      try {
        request._handler.onRequestSent();
      } catch (error) {
        this._abort(error);
      }
    }
  }

  _onBodySent(): void {
    if (this.state === State.Upgraded) {
      this.socket!._sent();
      return;
    }
    const { _body: body } = this.request;
    const whole = body?.whole;
    if (whole && whole.length !== body.length && this._client._isPlain) {
      this._abort(new TypeError('the body was detached while it was sent'));
    } else if (whole && whole.length > 0 && this.tellsChunks) {
      this.bodySent(Buffer.from(whole.buffer, whole.byteOffset, whole.byteLength));
    }
    if (this.isLive) {
      this.requestSent();
    }
  }

  _onInformational(status: number, reason: string, fields: string): void {
    this.head(status, reason, fields);
  }

  _onHead(status: number, reason: string, fields: string): void {
    this.state = State.Responding;
    this.headBatch = link.batch;
    this.head(status, reason, fields);
  }

  private head(status: number, reason: string, fields: string): void {
    const { request } = this;
    const handler = request._handler;
    const controller = this.controller!;
    controller.rawHeaders = null;
    controller._headerBlock = fields;
    if (channels.headers.hasSubscribers) {
      const response = { statusCode: status, headers: controller.rawHeaders, statusText: reason };
      channels.headers.publish({ request, response });
    }
    try {
      handler.onResponseStarted?.();
      if (this.isLive) {
        handler.onResponseStart!(controller, status, headers.parse(fields), reason);
      }
    } catch (error) {
      this._abort(error);
    }
  }

  _onResponse(status: number, reason: string, fields: string, body: Buffer | null, trailers: string): void {
    this._onHead(status, reason, fields);
    if (body !== null && this.isLive) {
      this._onData(body);
    }
    if (this.isLive) {
      this._onEnd(trailers);
    }
  }

  /** Whether callbacks may still come. */
  private get isLive(): boolean {
    return this.state !== State.Over;
  }

  _onData(chunk: Buffer): void {
    if (this.state === State.Upgraded) {
      this.consumed(this.socket!._receive(chunk) ? chunk.length : 0);
    } else if (this.controller!.paused || this.held !== null) {
      this.hold({ kind: 'data', chunk });
    } else {
      this.deliver(chunk);
    }
  }

  private hold(what: Held): void {
    (this.held ??= []).push(what);
  }

  private deliver(chunk: Buffer): void {
    const { request } = this;
    this.consumed(chunk.length);
    if (channels.bodyChunkReceived.hasSubscribers) {
      channels.bodyChunkReceived.publish({ request, chunk });
    }
    try {
      request._handler.onResponseData!(this.controller, chunk);
    } catch (error) {
      this._abort(error);
    }
  }

  /** So many bytes have left our hands: the engine may read as many more. */
  private consumed(bytes: number): void {
    this.taken += bytes;
    if (this.taken >= WINDOW / 2) {
      link.credit(this._slot, this._generation, this.taken);
      this.taken = 0;
    }
  }

  /** @internal A socket's reader took what was held for it. */
  _socketTook(bytes: number): void {
    if (this.state === State.Upgraded) {
      this.consumed(bytes);
    }
  }

  _onEnd(trailers: string): void {
    if (this.state === State.Upgraded) {
      this.socket!._ended();
    } else if (this.controller!.paused || this.held !== null) {
      this.hold({ kind: 'end', trailers });
    } else {
      this.end(trailers);
    }
  }

  private end(trailers: string): void {
    const { request } = this;
    const controller = this.controller!;
    this.close();
    // An answer that came before the whole body was sent: the rest is not wanted.
    this.upload?.destroy(undefined);
    request.completed = true;
    controller._trailerBlock = trailers;
    if (channels.trailers.hasSubscribers) {
      channels.trailers.publish({ request, trailers: controller.rawTrailers });
    }
    try {
      request._handler.onResponseEnd!(controller, trailers === '' ? {} : headers.parse(trailers));
    } catch (error) {
      this.report(error);
    }
  }

  _onUpgrade(status: number, reason: string, fields: string): void {
    const { request } = this;
    const controller = this.controller!;
    const socket = (this.socket = new RawSocket(this, this._client._socketInfo, this._client._isH2));
    this.state = State.Upgraded;
    this.headBatch = link.batch;
    controller._exchange = null;
    controller._headerBlock = fields;
    this._client._finished(true);
    request.completed = true;
    if (channels.headers.hasSubscribers) {
      const response = { statusCode: status, headers: controller.rawHeaders, statusText: reason };
      channels.headers.publish({ request, response });
    }
    try {
      request._handler.onRequestUpgrade!(controller, status, headers.parse(fields), socket);
    } catch (error) {
      // Nobody has taken it, nor listens to it.
      socket.on('error', () => {}).destroy(error as Error);
      this.report(error);
      return;
    }
    if (channels.trailers.hasSubscribers) {
      channels.trailers.publish({ request, trailers: [] });
    }
  }

  /** @internal The socket writes. */
  _socketWrite(chunk: Uint8Array): void {
    if (this.state === State.Upgraded) {
      link.bodyChunk(this._slot, this._generation, chunk, this._client._isPlain);
    }
  }

  /** @internal The socket's writing side ends. */
  _socketEnd(): void {
    if (this.state === State.Upgraded) {
      link.bodyEnd(this._slot, this._generation);
    }
  }

  /** @internal The socket is gone. */
  _socketClose(): void {
    if (this.state === State.Upgraded) {
      this.state = State.Over;
      link.abort(this._slot, this._generation);
      link.closeSlot(this._slot);
    }
  }

  _onFailure(failure: Failure): void {
    const error = failure.kind === KIND_CONNECT
      ? this._client._connectError ?? errorOf(failure) : this._client._errorOf(failure);
    // Who awaits a head listens for errors only then: a fetch would wait for ever.
    const tell = this.headBatch === link.batch ? setImmediate : (now: () => void) => now();
    if (this.state === State.Upgraded) {
      tell(() => this.socket!.destroy(error));
    } else if (this.held !== null) {
      // What came before the failure is delivered before it.
      this.hold({ kind: 'failure', error });
    } else {
      this.close();
      tell(() => this.report(error));
    }
  }

  /** The handler wants to rest. */
  _rest(): void {
    if (!this.pauseListed && !this.pauseSent && this.state < State.Upgraded) {
      this.pauseListed = true;
      link.settleLater(this);
    }
  }

  _settlePause(): void {
    this.pauseListed = false;
    if (this.controller?.paused && this.state < State.Upgraded) {
      this.pauseSent = true;
      link.pause(this._slot, this._generation);
    }
  }

  /** The handler goes on: what was held comes first, and not before `resume()` has returned. */
  _goOn(): void {
    if (this.pauseSent) {
      this.pauseSent = false;
      link.resume(this._slot, this._generation);
    }
    if (this.held !== null && !this.delivering) {
      this.delivering = true;
      queueMicrotask(() => {
        this.delivering = false;
        this.deliverHeld();
      });
    }
  }

  private deliverHeld(): void {
    while (this.held !== null && this.isLive && !this.controller!.paused) {
      const next = this.held.shift()!;
      if (this.held.length === 0) {
        this.held = null;
      }
      if (next.kind === 'data') {
        this.deliver(next.chunk);
      } else if (next.kind === 'end') {
        this.end(next.trailers);
      } else {
        this.close();
        this.report(next.error);
      }
    }
  }

  /** Ends the request on our side: callbacks of it that are on their way will be dropped. */
  _abort(reason: unknown): void {
    if (this.isLive && this.state !== State.Upgraded) {
      if (this.state !== State.Queued) {
        link.abort(this._slot, this._generation);
      }
      this._fail(reason);
    }
  }

  /** Ends the request with an error of our own. */
  _fail(error: unknown): void {
    if (this.isLive) {
      this.close();
      this.report(error);
    }
  }

  /** @internal As {@link _fail}, but the handler hears of it a little later. */
  _failLater(error: unknown): void {
    if (this.isLive) {
      this.close();
      queueMicrotask(() => this.report(error));
    }
  }

  /** @internal */
  get _isUpgraded(): boolean {
    return this.state === State.Upgraded;
  }

  /** @internal */
  get _isRunning(): boolean {
    return this.state === State.Started || this.state === State.Responding;
  }

  /** Gives the slot back. */
  private close(): void {
    const running = this._isRunning;
    this.leaveWaiting();
    this.state = State.Over;
    this.held = null;
    link.closeSlot(this._slot);
    this._client._finished(running);
  }

  private report(error: unknown): void {
    const { request } = this;
    if (this.upload !== null) {
      this.upload.destroy(error);
    } else {
      request._body?.source?.destroy(error);
    }
    if (channels.error.hasSubscribers) {
      channels.error.publish({ request, error });
    }
    request.aborted = true;
    try {
      request._handler.onResponseError(this.controller, error as Error);
    } catch (thrown) {
      this._client._reportThrown(thrown);
    }
  }
}

/** The engine counts whole milliseconds, and 0 is no limit. */
function milliseconds(value: number): number {
  return value === 0 ? 0 : Math.min(Math.max(1, Math.ceil(value)), 0x7fffffff);
}

export type { IncomingHttpHeaders };
