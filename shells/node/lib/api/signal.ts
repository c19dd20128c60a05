// Aborting by an AbortSignal or an EventEmitter, and what the methods of the promise API have in common.

import { InvalidArgumentError, RequestAbortedError } from '../errors';
import type { Queued } from '../handler';

export function checkSignal(signal: any): void {
  if (signal && typeof signal.on !== 'function' && typeof signal.addEventListener !== 'function') {
    throw new InvalidArgumentError('signal must be an EventEmitter or EventTarget');
  }
}

export function reasonOf(signal: any): any {
  return signal.reason ?? new RequestAbortedError();
}

/** Calls `listener` once when `signal` aborts; returns what takes the listener away again. */
export function listen(signal: any, listener: () => void): () => void {
  if (typeof signal.addEventListener === 'function') {
    signal.addEventListener('abort', listener, { once: true });
    return () => signal.removeEventListener('abort', listener);
  }
  signal.once('abort', listener);
  return () => signal.removeListener('abort', listener);
}

/** What a handler of the promise API does with its signal. */
export class Abortable {
  reason: any = null;
  private abort: ((reason: any) => void) | null = null;
  private unlisten: (() => void) | null = null;

  constructor(signal: any) {
    if (!signal) {
      return;
    }
    if (signal.aborted) {
      this.reason = reasonOf(signal);
      return;
    }
    this.unlisten = listen(signal, () => {
      this.reason = reasonOf(signal);
      this.abort?.(this.reason);
      this.release();
    });
  }

  /** The request is on its way to a connection. */
  queue(request: Queued): void {
    if (this.reason !== null) {
      request._failLater(this.reason);
    } else {
      this.abort = (reason) => request._abort(reason);
    }
  }

  /** The request has started; returns whether it may go on. */
  start(controller: any): boolean {
    if (this.reason !== null) {
      controller.abort(this.reason);
      return false;
    }
    this.abort = (reason) => controller.abort(reason);
    return true;
  }

  give(up: unknown): void {
    this.abort?.(up);
  }

  release(): void {
    this.unlisten?.();
    this.unlisten = null;
  }
}

/** Runs `start` with a callback, or returns a promise when the caller gave none. */
export function promised(callback: any, start: (callback: any) => void): Promise<any> | void {
  if (callback !== undefined) {
    start(callback);
    return;
  }
  return new Promise((resolve, reject) => {
    start((error: Error | null, data: any) => (error ? reject(error) : resolve(data)));
  });
}

/** A dispatcher that is called is the dispatcher; undici 6 and 7 pass on which one it is. */
export function refuseDispatcher(options: any, always: boolean): void {
  const given = options?.dispatcher;
  if (given && (always || typeof given._origin === 'undefined' && !('_closed' in given))) {
    throw new InvalidArgumentError(
      'opts.dispatcher is not supported by instance methods. Pass opts.dispatcher to the top-level undici '
        + 'functions or call the dispatcher instance method directly.',
    );
  }
}

/** Makes a handler and dispatches it; what is thrown before that goes to the callback. */
export function attempt(options: any, callback: any, go: () => void): void {
  try {
    refuseDispatcher(options, true);
    go();
  } catch (error) {
    if (typeof callback !== 'function') {
      throw error;
    }
    queueMicrotask(() => callback(error, { opaque: options?.opaque }));
  }
}
