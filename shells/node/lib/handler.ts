// Handlers come in two dialects: the one of undici 7 and 8, and the one of undici 6 and before, which
// built-in fetch of Node.js up to 24 speaks.

import { InvalidArgumentError } from './errors';
import type { DispatchHandler, IncomingHttpHeaders } from './types';
import type { Duplex } from 'node:stream';

interface LegacyHandler {
  onConnect?(abort: (reason?: any) => void, context: any): void;
  onResponseStarted?(): void;
  onHeaders?(status: number, headers: any[], resume: () => void, statusText: string): boolean | void;
  onData?(chunk: Buffer): boolean | void;
  onComplete?(trailers: any[]): void;
  onError?(error: Error): void;
  onUpgrade?(status: number, headers: any[], socket: Duplex): void;
  onBodySent?(chunk: any): void;
  onRequestSent?(): void;
}

/** The new dialect, as it is called here. */
export interface Handler extends DispatchHandler {
  /** @internal Of our own: how to give the request up before it has started. */
  _onQueued?(request: Queued): void;
  onRequestStart(controller: any, context: any): void;
  onResponseError(controller: any, error: Error): void;
}

/** A request that may wait for a connection. */
export interface Queued {
  /** Ends it: a connection that comes is not used for it. */
  _abort(reason: unknown): void;
  /** The same, not before its dispatch has returned. */
  _failLater(reason: unknown): void;
}

export function isLegacy(handler: any): boolean {
  return typeof handler.onRequestStart !== 'function'
    && (typeof handler.onConnect === 'function' || typeof handler.onError === 'function'
      || typeof handler.onHeaders === 'function' || typeof handler.onUpgrade === 'function');
}

/** The handlers of undici 6 know 101 as the answer to an upgrade, and no other. */
export function wantsHttp1(upgrade: unknown, handler: any): boolean {
  return Boolean(upgrade) && isLegacy(handler);
}

/** Checks that `handler` has what this kind of request calls; returns it in the new dialect. */
export function accept(handler: any, upgrading: boolean): Handler {
  const legacy = isLegacy(handler);
  const required = legacy
    ? ['onConnect', 'onError', ...(upgrading ? ['onUpgrade'] : ['onHeaders', 'onData', 'onComplete'])]
    : ['onRequestStart', 'onResponseError',
      ...(upgrading ? ['onRequestUpgrade'] : ['onResponseStart', 'onResponseData', 'onResponseEnd'])];
  for (const name of required) {
    if (typeof handler[name] !== 'function') {
      throw new InvalidArgumentError(`invalid ${name} method`);
    }
  }
  for (const name of ['onBodySent', 'onRequestSent']) {
    if (handler[name] !== undefined && typeof handler[name] !== 'function') {
      throw new InvalidArgumentError(`invalid ${name} method`);
    }
  }
  return legacy ? new LegacyAdapter(handler) : handler;
}

/** Tells a handler of either dialect of an error before anything has started. */
export function refuse(handler: any, error: unknown): void {
  if (isLegacy(handler) && typeof handler.onError === 'function') {
    handler.onError(error);
  } else if (typeof handler.onResponseError === 'function') {
    handler.onResponseError(null, error);
  } else {
    throw error;
  }
}

class LegacyAdapter implements Handler {
  onBodySent: ((chunk: any) => void) | undefined;
  onRequestSent: (() => void) | undefined;
  onResponseStarted: (() => void) | undefined;

  constructor(private readonly handler: LegacyHandler) {
    // Left out when the handler lacks them, since calling them costs something.
    this.onBodySent = handler.onBodySent && ((chunk) => handler.onBodySent!(chunk));
    this.onRequestSent = handler.onRequestSent && (() => handler.onRequestSent!());
    this.onResponseStarted = handler.onResponseStarted && (() => handler.onResponseStarted!());
  }

  onRequestStart(controller: any, context: any): void {
    this.handler.onConnect!((reason) => controller.abort(reason), context ?? undefined);
  }

  onResponseStart(controller: any, status: number, _: IncomingHttpHeaders, text = ''): void {
    const go = () => controller.resume();
    const more = this.handler.onHeaders!(status, controller.rawHeaders ?? [], go, text);
    if (more === false && status >= 200) {
      controller.pause();
    }
  }

  onResponseData(controller: any, chunk: Buffer): void {
    if (this.handler.onData!(chunk) === false) {
      controller.pause();
    }
  }

  onResponseEnd(controller: any): void {
    this.handler.onComplete!(controller.rawTrailers ?? []);
  }

  onRequestUpgrade(controller: any, status: number, _: IncomingHttpHeaders, socket: Duplex): void {
    this.handler.onUpgrade!(status, controller.rawHeaders ?? [], socket);
  }

  onResponseError(_: any, error: Error): void {
    this.handler.onError!(error);
  }
}
