// Requests that failed are sent again, and responses that broke off go on where they were.

import { Dispatcher } from './dispatcher';
import { RetryHandler, replayable, type RetryOptions } from './retry-handler';

export class RetryAgent extends Dispatcher {
  /** @internal */
  readonly _inner: any;
  /** @internal */
  readonly _retryOptions: RetryOptions;

  constructor(dispatcher: any, options: RetryOptions = {}) {
    super();
    this._inner = dispatcher;
    this._retryOptions = options;
  }

  override get _origin(): string | undefined {
    return this._inner._origin;
  }

  get webSocketOptions(): any {
    return this._inner.webSocketOptions;
  }

  get eventSourceOptions(): any {
    return this._inner.eventSourceOptions;
  }

  override dispatch(options: any, handler: any): boolean {
    const inner = this._inner;
    const request = { ...options, body: replayable(options.body) };
    const retry = new RetryHandler(
      { ...request, retryOptions: this._retryOptions },
      { dispatch: inner.dispatch.bind(inner), handler },
    );
    return inner.dispatch(request, retry);
  }

  override close(callback?: any): any {
    return callback === undefined ? this._inner.close() : this._inner.close(callback);
  }

  override destroy(...args: any[]): any {
    return this._inner.destroy(...args);
  }
}
