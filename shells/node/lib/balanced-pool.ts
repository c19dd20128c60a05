// Several upstreams, weighted round robin: those that fail are asked less often.

import { BalancedPoolMissingUpstreamError, InvalidArgumentError } from './errors';
import { parseOrigin } from './options';
import { Pool } from './pool';
import { PoolBase, isBusy, type Member } from './pool-base';

export class BalancedPool extends PoolBase {
  private readonly given: any;
  private readonly factory: (origin: string, options: any) => any;
  private readonly maxWeight: number;
  private readonly penalty: number;
  private readonly weights = new Map<Member, number>();
  private index = -1;
  private currentWeight = 0;
  private divisor = 0;

  constructor(upstreams: BalancedPool.Upstream | readonly BalancedPool.Upstream[] = [], given: BalancedPool.Options = {}) {
    const { factory, ...rest } = given as any;
    if (factory !== undefined && typeof factory !== 'function') {
      throw new InvalidArgumentError('factory must be a function.');
    }
    super(rest);
    this.given = rest;
    this.factory = factory ?? ((origin, options) => new Pool(origin, options));
    this.maxWeight = rest.maxWeightPerServer || 100;
    this.penalty = rest.errorPenalty || 15;
    for (const upstream of Array.isArray(upstreams) ? upstreams : [upstreams]) {
      this.addUpstream(upstream);
    }
  }

  override get _eventUrl(): string {
    return '';
  }

  private find(upstream: BalancedPool.Upstream): Member | undefined {
    const { origin } = parseOrigin(upstream);
    return this._members.find((member) => member._origin === origin && !member.closed && !member.destroyed);
  }

  addUpstream(upstream: BalancedPool.Upstream): this {
    if (this.find(upstream)) {
      return this;
    }
    const pool = this.factory(parseOrigin(upstream).origin, this.given);
    this._add(pool);
    const change = (by: number) => {
      const weight = (this.weights.get(pool) ?? 1) + by;
      this.weights.set(pool, Math.max(1, Math.min(this.maxWeight, weight)));
      this.settle();
    };
    pool
      .on('connect', () => change(this.penalty))
      .on('connectionError', () => change(-this.penalty))
      .on('disconnect', (_: unknown, __: unknown, error: any) => {
        if (error?.code === 'UND_ERR_SOCKET') {
          change(-this.penalty);
        }
      });
    for (const member of this._members) {
      this.weights.set(member, this.maxWeight);
    }
    this.settle();
    return this;
  }

  removeUpstream(upstream: BalancedPool.Upstream): this {
    const member = this.find(upstream);
    if (member) {
      this._retire(member);
      this.weights.delete(member);
      this._needDrain = !this._members.some((other) => !isBusy(other) && !other.closed && !other.destroyed);
    }
    return this;
  }

  getUpstream(upstream: BalancedPool.Upstream): any {
    return this.find(upstream);
  }

  get upstreams(): string[] {
    return this._members.filter((member) => !member.closed && !member.destroyed).map((member) => member._origin);
  }

  private settle(): void {
    const divide = (a: number, b: number): number => (b === 0 ? a : divide(b, a % b));
    this.divisor = this._members.reduce((sum, member) => divide(this.weights.get(member)!, sum), 0);
  }

  override _hasRoom(): boolean {
    return this._members.some((member) => !isBusy(member) && !member.closed && !member.destroyed);
  }

  override _free(): void {
    // Members are picked by weight, not from a list.
  }

  override _pick(): Member | undefined {
    const members = this._members;
    if (members.length === 0) {
      throw new BalancedPoolMissingUpstreamError();
    }
    let best = -1;
    for (let n = 0; n < members.length; n++) {
      this.index = (this.index + 1) % members.length;
      if (this.index === 0) {
        this.currentWeight -= this.divisor;
        if (this.currentWeight <= 0) {
          this.currentWeight = this.maxWeight;
        }
      }
      const member = members[this.index];
      if (isBusy(member) || member.closed || member.destroyed) {
        continue;
      }
      const weight = this.weights.get(member)!;
      if (best < 0 || weight > this.weights.get(members[best])!) {
        best = this.index;
      }
      if (weight >= this.currentWeight) {
        return member;
      }
    }
    if (best < 0) {
      return undefined;
    }
    this.currentWeight = this.weights.get(members[best])!;
    this.index = best;
    return members[best];
  }
}

export namespace BalancedPool {
  export type Upstream = string | URL | { protocol: string; hostname: string; port?: string | number };
  export interface Options extends Omit<Pool.Options, 'factory'> {
    factory?(origin: string, options: object): any;
    maxWeightPerServer?: number;
    errorPenalty?: number;
  }
}
