// Several clients behind one queue. Who is free is a list, not a search.

import { AsyncResource } from 'node:async_hooks';
import { DispatcherBase, type Dispatcher } from './dispatcher';
import { refuse } from './handler';

export interface PoolStats {
  connected: number;
  free: number;
  pending: number;
  queued: number;
  running: number;
  size: number;
}

/** A client of ours, or whatever a `factory` returned. */
export type Member = any;

/** A request without a client yet; it is dispatched in the caller's async context. */
class Waiting extends AsyncResource {
  constructor(readonly options: any, readonly handler: any) {
    super('FOREBAY_QUEUED_REQUEST');
  }

  dispatch(member: Member): boolean {
    return this.runInAsyncScope(member.dispatch, member, this.options, this.handler);
  }
}

export abstract class PoolBase extends DispatcherBase {
  /** @internal */
  readonly _members: Member[] = [];
  /** @internal */
  _needDrain = false;
  private readonly waiting: Waiting[] = [];
  private waitingStart = 0;
  private readonly retiring = new Map<Member, Promise<void>>();
  private drainScheduled = false;
  private onQueueEmpty: (() => void) | null = null;

  /** @internal The URL that events name. */
  abstract get _eventUrl(): URL | string;
  /** @internal A member that takes a request now; may make one. */
  abstract _pick(): Member | undefined;
  /** @internal Whether {@link _pick} would find or make one. */
  abstract _hasRoom(): boolean;
  /** @internal `member` takes requests again. */
  abstract _free(member: Member): void;

  get stats(): PoolStats {
    let [connected, free, pending, running, size] = [0, 0, this._queued, 0, this._queued];
    for (const member of this._members) {
      const is = Number(member._connected ?? 0);
      connected += is;
      free += is && !isBusy(member) ? 1 : 0;
      pending += member._pending ?? 0;
      running += member._running ?? 0;
      size += member._size ?? 0;
    }
    return { connected, free, pending, queued: this._queued, running, size };
  }

  /** @internal */
  get _queued(): number {
    return this.waiting.length - this.waitingStart;
  }

  /** @internal */
  get _busy(): boolean {
    return this._needDrain;
  }

  /** @internal */
  get _connected(): number {
    return this._members.reduce((sum, member) => sum + Number(member._connected ?? 0), 0);
  }

  /** @internal */
  get _pending(): number {
    return this._members.reduce((sum, member) => sum + (member._pending ?? 0), this._queued);
  }

  /** @internal */
  get _running(): number {
    return this._members.reduce((sum, member) => sum + (member._running ?? 0), 0);
  }

  /** @internal */
  get _size(): number {
    return this._members.reduce((sum, member) => sum + (member._size ?? 0), this._queued);
  }

  override _dispatch(options: any, handler: any): boolean {
    const member = this._pick();
    if (member === undefined) {
      this._needDrain = true;
      this.waiting.push(new Waiting(options, handler));
      return false;
    }
    const more = member.dispatch(options, handler);
    if (!more || isBusy(member)) {
      markBusy(member);
      this._needDrain = !this._hasRoom();
    }
    return !this._needDrain;
  }

  private shift(): Waiting | undefined {
    if (this.waitingStart === this.waiting.length) {
      return undefined;
    }
    const next = this.waiting[this.waitingStart]!;
    this.waiting[this.waitingStart++] = undefined as any;
    if (this.waitingStart > 1024 && this.waitingStart * 2 > this.waiting.length) {
      this.waiting.splice(0, this.waitingStart);
      this.waitingStart = 0;
    }
    return next;
  }

  /** @internal */
  _add(member: Member): void {
    this._members.push(member);
    member
      .on('connect', (origin: URL, targets: Dispatcher[]) => {
        this.emit('connect', origin, [this, ...targets]);
      })
      .on('disconnect', (origin: URL, targets: Dispatcher[], error: Error) => {
        this.emit('disconnect', origin, [this, ...targets], error);
      })
      .on('connectionError', (origin: URL, targets: Dispatcher[], error: Error) => {
        this.emit('connectionError', origin, [this, ...targets], error);
      });
    if ('_onFree' in member) {
      member._onFree = () => this._memberFree(member);
    } else {
      member._poolNeedDrain = false;
      member.on('drain', (origin: URL, targets: Dispatcher[]) => {
        member._poolNeedDrain = false;
        this._memberFree(member, origin, targets);
      });
    }
    if (this._queued > 0) {
      queueMicrotask(() => this._memberFree(member));
    }
  }

  /** @internal What waits goes to `member` first. */
  _memberFree(member: Member, origin = this._eventUrl, targets: Dispatcher[] = [member]): void {
    if (member.closed || member.destroyed) {
      return;
    }
    while (!isBusy(member) && this._queued > 0) {
      if (!this.shift()!.dispatch(member)) {
        markBusy(member);
      }
    }
    if (!isBusy(member)) {
      this._free(member);
    }
    this._spread(origin, targets);
  }

  /** @internal What still waits goes to whoever takes it; `targets` have made room. */
  _spread(origin = this._eventUrl, targets: Dispatcher[] = []): void {
    while (this._queued > 0) {
      const member = this._pick();
      if (member === undefined) {
        break;
      }
      if (!this.shift()!.dispatch(member) || isBusy(member)) {
        markBusy(member);
      }
    }
    if (this._queued === 0) {
      this.settleDrain(origin, targets);
      this.onQueueEmpty?.();
      this.onQueueEmpty = null;
    }
  }

  /** Tells that more is welcome, when the callback that made room for it has returned. */
  private settleDrain(origin: URL | string, targets: Dispatcher[]): void {
    if (!this._needDrain || this.drainScheduled || !this._hasRoom()) {
      return;
    }
    this.drainScheduled = true;
    queueMicrotask(() => {
      this.drainScheduled = false;
      if (this._needDrain && !this._closed && !this._destroyed && this._queued === 0 && this._hasRoom()) {
        this._needDrain = false;
        this.emit('drain', origin, [this, ...targets]);
      }
    });
  }

  /** @internal `member` takes no more requests and goes when it has finished its own. */
  _retire(member: Member): void {
    const index = this._members.indexOf(member);
    if (index >= 0) {
      this._members.splice(index, 1);
    }
    if (member.destroyed || this.retiring.has(member)) {
      return;
    }
    this.retiring.set(member, new Promise((resolve) => {
      member.close(() => {
        this.retiring.delete(member);
        resolve();
      });
    }));
  }

  private closeAll(): Promise<unknown> {
    const open = this._members.filter((member) => !member.destroyed);
    return Promise.all([...open.map((member) => member.close()), ...this.retiring.values()]);
  }

  override _close(): Promise<unknown> {
    if (this._queued === 0) {
      return this.closeAll();
    }
    return new Promise<void>((resolve) => {
      this.onQueueEmpty = resolve;
    }).then(() => this.closeAll());
  }

  override _destroy(error: Error): Promise<unknown> {
    for (let next = this.shift(); next !== undefined; next = this.shift()) {
      refuse(next.handler, error);
    }
    const all = [...this._members, ...this.retiring.keys()];
    return Promise.all(all.map((member) => member.destroy(error)));
  }
}

/** Dispatchers of other make are asked by what they last returned. */
export function isBusy(member: Member): boolean {
  return '_onFree' in member ? member._busy : member._poolNeedDrain;
}

function markBusy(member: Member): void {
  if (!('_onFree' in member)) {
    member._poolNeedDrain = true;
  }
}
