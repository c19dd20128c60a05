// What pools of clients for one origin have in common: their options, growth, age.

import { Client } from './client';
import type { Dispatcher } from './dispatcher';
import { InvalidArgumentError } from './errors';
import * as options from './options';
import { PoolBase, type Member } from './pool-base';
import type { Pool } from './pool';

export abstract class OriginPool extends PoolBase {
  /** @internal */
  readonly _url: URL;
  private readonly given: any;
  private readonly connections: number | null;
  private readonly ttl: number | null;
  private readonly factory: (origin: URL, options: any) => Dispatcher;

  constructor(origin: string | URL, given: Pool.Options = {}) {
    const { connections, factory, clientTtl, ...rest } = given as any;
    if (connections != null && !(Number.isFinite(connections) && connections >= 0)) {
      throw new InvalidArgumentError('invalid connections');
    }
    if (factory !== undefined && typeof factory !== 'function') {
      throw new InvalidArgumentError('factory must be a function.');
    }
    const { connect } = rest;
    if (connect != null && typeof connect !== 'function' && typeof connect !== 'object') {
      throw new InvalidArgumentError('connect must be a function or an object');
    }
    super(rest);
    this._url = options.parseOrigin(origin);
    this.given = rest;
    this.connections = connections || null;
    this.ttl = clientTtl > 0 ? clientTtl : null;
    this.factory = factory ?? ((url, rest) => new Client(url, rest));
    this.on('connect', (_, targets) => this._onConnect(targets));
    this.on('connectionError', (_, targets) => this._onConnectionError(targets));
  }

  override get _origin(): string {
    return this._url.origin;
  }

  override get _eventUrl(): URL {
    return this._url;
  }

  /** @internal */
  protected _mayGrow(): boolean {
    return this.connections === null || this._members.length < this.connections;
  }

  /** @internal A client that is not a member yet. */
  protected _make(): Member {
    return this.factory(this._url, this.given) as Member;
  }

  /** @internal Whether a member is older than clients may become. */
  protected _isStale(member: Member): boolean {
    return this.ttl !== null && member.ttl !== undefined && Date.now() - member.ttl > this.ttl;
  }

  /** @internal */
  protected _onConnect(targets: any[]): void {
    if (this.ttl !== null) {
      targets[targets.length - 1].ttl = Date.now();
    }
  }

  /** @internal A client that could not connect is not used again. */
  protected _onConnectionError(targets: any[]): void {
    for (const target of targets) {
      if (this._members.includes(target)) {
        this._retire(target);
      }
    }
    this._spread(this._url, targets.slice(1));
  }
}
