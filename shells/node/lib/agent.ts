// A pool for every origin.

import { Client, type ClientStats } from './client';
import { DispatcherBase, type Dispatcher } from './dispatcher';
import { InvalidArgumentError, MaxOriginsReachedError } from './errors';
import { wantsHttp1 } from './handler';
import { Pool } from './pool';
import type { PoolStats } from './pool-base';

export class Agent extends DispatcherBase {
  private readonly given: any;
  private readonly maxOrigins: number;
  private readonly factory: (origin: string | URL, options: any) => any;
  private readonly members = new Map<string, any>();
  private readonly origins = new Set<string>();

  constructor(options: Agent.Options = {}) {
    const { factory, maxOrigins = Infinity, ...rest } = options as any;
    const { connect } = rest;
    if (factory !== undefined && typeof factory !== 'function') {
      throw new InvalidArgumentError('factory must be a function.');
    }
    if (connect != null && typeof connect !== 'function' && typeof connect !== 'object') {
      throw new InvalidArgumentError('connect must be a function or an object');
    }
    if (typeof maxOrigins !== 'number' || Number.isNaN(maxOrigins) || maxOrigins <= 0) {
      throw new InvalidArgumentError('maxOrigins must be a number greater than 0');
    }
    super(rest);
    this.given = { ...rest };
    if (connect && typeof connect === 'object') {
      this.given.connect = { ...connect };
    }
    this.maxOrigins = maxOrigins;
    this.factory = factory ?? ((origin, given) => (
      given.connections === 1 ? new Client(origin, given) : new Pool(origin, given)
    ));
  }

  get stats(): Record<string, ClientStats | PoolStats> {
    const all: Record<string, ClientStats | PoolStats> = {};
    for (const member of this.members.values()) {
      if (member.stats) {
        all[member._origin] = member.stats;
      }
    }
    return all;
  }

  /** @internal */
  get _running(): number {
    return [...this.members.values()].reduce((sum, member) => sum + (member._running ?? 0), 0);
  }

  override _dispatch(options: any, handler: any): boolean {
    const given = options.origin;
    if (!given || !(typeof given === 'string' || given instanceof URL)) {
      throw new InvalidArgumentError('opts.origin must be a non-empty string or URL.');
    }
    const origin = typeof given === 'string' ? given : String(given);
    const h1Only = (options.allowH2 ?? this.given.allowH2) === false
      || (options.allowH2 !== true && wantsHttp1(options.upgrade, handler));
    const key = h1Only ? `${origin}#http1-only` : origin;
    const member = this.members.get(key) ?? this.add(key, origin, given, h1Only);
    return member.dispatch(options, handler);
  }

  private add(key: string, origin: string, given: string | URL, h1Only: boolean): any {
    if (this.origins.size >= this.maxOrigins && !this.origins.has(origin)) {
      throw new MaxOriginsReachedError();
    }
    const member = this.factory(given, h1Only ? { ...this.given, allowH2: false } : this.given);
    member
      .on('drain', (url: URL, targets: Dispatcher[]) => {
        this.emit('drain', url, [this, ...targets]);
      })
      .on('connect', (url: URL, targets: Dispatcher[]) => {
        this.emit('connect', url, [this, ...targets]);
      })
      .on('disconnect', (url: URL, targets: Dispatcher[], error: Error) => {
        this.closeUnused(key, origin, member);
        this.emit('disconnect', url, [this, ...targets], error);
      })
      .on('connectionError', (url: URL, targets: Dispatcher[], error: Error) => {
        this.closeUnused(key, origin, member);
        this.emit('connectionError', url, [this, ...targets], error);
      });
    this.members.set(key, member);
    this.origins.add(origin);
    return member;
  }

  /** Origins without a connection are forgotten. */
  private closeUnused(key: string, origin: string, member: any): void {
    if (this.members.get(key) !== member || member._connected > 0 || member._busy || member._pending > 0) {
      return;
    }
    this.members.delete(key);
    if (!member.destroyed) {
      member.close();
    }
    if (!this.members.has(origin) && !this.members.has(`${origin}#http1-only`)) {
      this.origins.delete(origin);
    }
  }

  override _close(): Promise<unknown> {
    const all = [...this.members.values()];
    this.members.clear();
    return Promise.all(all.map((member) => member.close()));
  }

  override _destroy(error: Error): Promise<unknown> {
    const all = [...this.members.values()];
    this.members.clear();
    return Promise.all(all.map((member) => member.destroy(error)));
  }
}

export namespace Agent {
  export interface Options extends Omit<Pool.Options, 'factory'> {
    factory?(origin: string | URL, options: object): any;
    maxOrigins?: number;
  }
}
