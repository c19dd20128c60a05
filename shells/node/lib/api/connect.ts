import { AsyncResource } from 'node:async_hooks';
import { InvalidArgumentError, SocketError } from '../errors';
import type { Queued } from '../handler';
import { rawStrings } from '../headers';
import { Abortable, attempt, checkSignal, promised } from './signal';

/** What `connect()` and `upgrade()` share: a request that ends in a socket. */
export class SocketHandler extends AsyncResource {
  protected readonly abortable: Abortable;
  protected context: any = null;

  constructor(protected readonly options: any, protected callback: any, kind: 'CONNECT' | 'UPGRADE') {
    if (!options || typeof options !== 'object') {
      throw new InvalidArgumentError('invalid opts');
    }
    if (typeof callback !== 'function') {
      throw new InvalidArgumentError('invalid callback');
    }
    checkSignal(options.signal);
    super(`FOREBAY_${kind}`);
    this.abortable = new Abortable(options.signal);
  }

  /** @internal */
  _onQueued(request: Queued): void {
    this.abortable.queue(request);
  }

  onRequestStart(controller: any, context: any): void {
    if (this.abortable.start(controller)) {
      this.context = context;
    }
  }

  onResponseStart(): void {
    throw new SocketError('bad connect', null);
  }

  onResponseData(): void {}

  onResponseEnd(): void {}

  onRequestUpgrade(controller: any, statusCode: number, headers: any, socket: any): void {
    const { callback, options, context } = this;
    this.abortable.release();
    this.callback = null;
    const given = options.responseHeaders === 'raw' ? rawStrings(controller?.rawHeaders) : headers;
    const opaque = options.opaque || null;
    this.runInAsyncScope(callback, null, null, { statusCode, headers: given, socket, opaque, context });
  }

  onResponseError(_controller: any, error: Error): void {
    const { callback, options } = this;
    this.abortable.release();
    if (callback) {
      this.callback = null;
      queueMicrotask(() => this.runInAsyncScope(callback, null, error, { opaque: options.opaque || null }));
    }
  }
}

export function connect(dispatcher: any, options: any, given: any): Promise<any> | void {
  return promised(given, (callback) => attempt(options, callback, () => {
    const handler = new SocketHandler(options, callback, 'CONNECT');
    dispatcher.dispatch({ ...options, method: 'CONNECT' }, handler);
  }));
}
