// What a handler is given with each callback.

import { RequestAbortedError } from './errors';
import type { Exchange } from './exchange';
import * as headers from './headers';

/** What a handler holds: the ways to rest, go on, and give up. */
export class Controller {
  /** @internal */
  _exchange: Exchange | null;
  /** @internal The block that raw headers are made of when somebody reads them. */
  _headerBlock: string | null = null;
  /** @internal */
  _trailerBlock: string | null = null;
  private isPaused = false;
  private isAborted = false;
  private why: any = null;
  private rawHeaderList: any = null;
  private rawTrailerList: any = null;

  constructor(exchange: Exchange) {
    this._exchange = exchange;
  }

  get paused(): boolean {
    return this.isPaused;
  }

  get aborted(): boolean {
    return this.isAborted;
  }

  get reason(): any {
    return this.why;
  }

  /** Name, value, name, value, as Buffers with what the server wrote; null before the head came. */
  get rawHeaders(): any {
    if (this._headerBlock !== null) {
      this.rawHeaderList = headers.raw(this._headerBlock);
      this._headerBlock = null;
    }
    return this.rawHeaderList;
  }

  set rawHeaders(value: any) {
    this._headerBlock = null;
    this.rawHeaderList = value;
  }

  get rawTrailers(): any {
    if (this._trailerBlock !== null) {
      this.rawTrailerList = headers.raw(this._trailerBlock);
      this._trailerBlock = null;
    }
    return this.rawTrailerList;
  }

  set rawTrailers(value: any) {
    this._trailerBlock = null;
    this.rawTrailerList = value;
  }

  pause(): void {
    this.isPaused = true;
    this._exchange?._rest();
  }

  resume(): void {
    if (this.isPaused) {
      this.isPaused = false;
      this._exchange?._goOn();
    }
  }

  abort(reason?: any): void {
    if (!this.isAborted) {
      this.isAborted = true;
      this.why = reason;
      this._exchange?._abort(reason ?? new RequestAbortedError());
    }
  }
}
