// What all dispatchers have in common: composing, closing, events, and the promise API.

import { EventEmitter } from 'node:events';
import { constants } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { refuseDispatcher } from './api/signal';
import { connect } from './api/connect';
import { pipeline } from './api/pipeline';
import { request } from './api/request';
import { stream } from './api/stream';
import { upgrade } from './api/upgrade';
import { ClientClosedError, ClientDestroyedError, InvalidArgumentError } from './errors';
import { refuse } from './handler';
import type * as types from './types';

type Done = (error: Error | null, data: null) => void;

/** Methods are called with a Proxy of the dispatcher as `this` after `compose()`: no `#private` fields. */
export class Dispatcher extends EventEmitter {
  dispatch(_options: types.DispatchOptions, _handler: types.DispatchHandler): boolean {
    throw new Error('not implemented');
  }

  close(): Promise<void>;
  close(callback: () => void): void;
  close(_callback?: unknown): Promise<void> | void {
    throw new Error('not implemented');
  }

  destroy(): Promise<void>;
  destroy(error: Error | null): Promise<void>;
  destroy(callback: () => void): void;
  destroy(error: Error | null, callback: () => void): void;
  destroy(_error?: unknown, _callback?: unknown): Promise<void> | void {
    throw new Error('not implemented');
  }

  /** @internal The origin of a dispatcher that has one. */
  get _origin(): string | undefined {
    return undefined;
  }

  /** The same dispatcher with interceptors around `dispatch`; the last is the outermost. */
  compose(...given: (types.Interceptor | readonly types.Interceptor[] | null | undefined)[]): this {
    const interceptors: readonly any[] = Array.isArray(given[0]) ? given[0] : given;
    const origin = this._origin;
    let dispatch: types.Dispatch = this.dispatch.bind(this);
    for (const interceptor of interceptors) {
      if (interceptor == null) {
        continue;
      }
      if (typeof interceptor !== 'function') {
        throw new TypeError(`invalid interceptor, expected function received ${typeof interceptor}`);
      }
      dispatch = interceptor(dispatch, origin);
      if (dispatch == null || typeof dispatch !== 'function' || dispatch.length !== 2) {
        throw new TypeError('invalid interceptor');
      }
    }
    const composed = (options: any, handler: any): boolean => {
      const lacks = options && typeof options === 'object' && !options.origin && origin;
      return dispatch(lacks ? { ...options, origin } : options, handler);
    };
    return new Proxy(this, {
      get: (target, key) => (key === 'dispatch' ? composed : (target as any)[key]),
    });
  }

  request<T = null>(options: types.RequestOptions<T>): Promise<types.ResponseData<T>>;
  request<T = null>(options: types.RequestOptions<T>, callback: types.Callback<types.ResponseData<T>>): void;
  request(options: any, callback?: any): any {
    return request(this, options, callback);
  }

  stream<T = null>(options: types.RequestOptions<T>, factory: types.StreamFactory<T>): Promise<types.StreamData<T>>;
  stream<T = null>(
    options: types.RequestOptions<T>, factory: types.StreamFactory<T>, callback: types.Callback<types.StreamData<T>>,
  ): void;
  stream(options: any, factory: any, callback?: any): any {
    return stream(this, options, factory, callback);
  }

  pipeline<T = null>(options: types.PipelineOptions<T>, handler: types.PipelineHandler<T>): Duplex {
    return pipeline(this, options, handler);
  }

  connect<T = null>(options: types.ConnectOptions<T>): Promise<types.ConnectData<T>>;
  connect<T = null>(options: types.ConnectOptions<T>, callback: types.Callback<types.ConnectData<T>>): void;
  connect(options: any, callback?: any): any {
    return connect(this, options, callback);
  }

  upgrade(options: types.UpgradeOptions): Promise<types.UpgradeData>;
  upgrade(options: types.UpgradeOptions, callback: types.Callback<types.UpgradeData>): void;
  upgrade(options: any, callback?: any): any {
    return upgrade(this, options, callback);
  }

  override listeners(event: any): any[] {
    return super.listeners(event);
  }

  override rawListeners(event: any): any[] {
    return super.rawListeners(event);
  }
}

/** A dispatcher that can be closed and destroyed. */
export abstract class DispatcherBase extends Dispatcher {
  /** @internal */
  _closed = false;
  /** @internal */
  _destroyed = false;
  /** @internal */
  _closers: Done[] | null = null;
  /** @internal */
  _destroyers: Done[] | null = null;
  /** @internal */
  readonly _webSocket: any;
  /** @internal */
  readonly _eventSource: any;

  constructor(options?: any) {
    super();
    this._webSocket = options?.webSocket ?? {};
    this._eventSource = options?.eventSource ?? {};
  }

  /** What undici's WebSocket reads. */
  get webSocketOptions(): { maxFragments: number; maxPayloadSize: number } {
    const { maxFragments = 131_072, maxPayloadSize = 128 * 1024 * 1024 } = this._webSocket;
    return { maxFragments, maxPayloadSize };
  }

  /** What undici's EventSource reads. */
  get eventSourceOptions(): { maxEventSize: number } {
    return { maxEventSize: this._eventSource.maxEventSize ?? constants.MAX_STRING_LENGTH };
  }

  get closed(): boolean {
    return this._closed;
  }

  get destroyed(): boolean {
    return this._destroyed;
  }

  /** @internal Resolves when all requests are over. */
  abstract _close(): Promise<unknown>;
  /** @internal Resolves when all connections are gone. */
  abstract _destroy(error: Error): Promise<unknown>;
  /** @internal */
  abstract _dispatch(options: any, handler: any): boolean;

  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: any): any {
    if (callback === undefined) {
      return new Promise((resolve, reject) => {
        this.close(((error: Error | null) => (error ? reject(error) : resolve(null))) as any);
      });
    }
    if (typeof callback !== 'function') {
      throw new InvalidArgumentError('invalid callback');
    }
    if (this._destroyed) {
      queueMicrotask(() => callback(new ClientDestroyedError(), null));
    } else if (this._closed) {
      this._closers!.push(callback);
    } else {
      this._closed = true;
      this._closers = [callback];
      void this._close()
        .then(() => this.destroy())
        .then(() => queueMicrotask(() => {
          const all = this._closers!;
          this._closers = null;
          all.forEach((done) => done(null, null));
        }));
    }
  }

  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(error?: any, callback?: any): any {
    if (typeof error === 'function') {
      callback = error;
      error = null;
    }
    if (callback === undefined) {
      return new Promise((resolve, reject) => {
        this.destroy(error, ((e: Error | null) => (e ? reject(e) : resolve(null))) as any);
      });
    }
    if (typeof callback !== 'function') {
      throw new InvalidArgumentError('invalid callback');
    }
    if (this._destroyed) {
      if (this._destroyers) {
        this._destroyers.push(callback);
      } else {
        queueMicrotask(() => callback(null, null));
      }
      return;
    }
    this._destroyed = true;
    this._destroyers = [callback];
    void this._destroy(error ?? new ClientDestroyedError()).then(() => queueMicrotask(() => {
      const all = this._destroyers!;
      this._destroyers = null;
      all.forEach((done) => done(null, null));
    }));
  }

  override dispatch(options: types.DispatchOptions, handler: types.DispatchHandler): boolean {
    if (!handler || typeof handler !== 'object') {
      throw new InvalidArgumentError('handler must be an object');
    }
    try {
      if (!options || typeof options !== 'object') {
        throw new InvalidArgumentError('opts must be an object.');
      }
      refuseDispatcher(options, false);
      if (this._destroyed) {
        throw new ClientDestroyedError();
      }
      if (this._closed) {
        throw new ClientClosedError();
      }
      return this._dispatch(options, handler);
    } catch (error) {
      refuse(handler, error);
      return false;
    }
  }
}
