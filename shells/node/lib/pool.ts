// Clients for one origin.

import { Client } from './client';
import { OriginPool } from './origin-pool';
import { isBusy, type Member } from './pool-base';

export class Pool extends OriginPool {
  /** Members that can take a request; the last used is the first to be used again. */
  private readonly free: Member[] = [];
  /** The member that finds out whether the server speaks HTTP/2; the others wait for it. */
  private probe: Member | null = null;
  private isH1 = false;

  constructor(origin: string | URL, given: Pool.Options = {}) {
    super(origin, given);
    this.on('disconnect', (_, targets) => this.onProbeGone(targets));
  }

  override _pick(): Member | undefined {
    while (this.free.length > 0) {
      const member = this.free[this.free.length - 1];
      if (this._isStale(member)) {
        this.unlist();
        this._retire(member);
      } else if (isBusy(member) || member.closed || member.destroyed) {
        this.unlist();
      } else {
        if (this.fillsUp(member)) {
          this.unlist();
        }
        return member;
      }
    }
    if (this.probe !== null || !this._mayGrow()) {
      return undefined;
    }
    return this.make();
  }

  /** Whether one more request will make it busy, as far as is known. */
  private fillsUp(member: Member): boolean {
    return '_onFree' in member && !member._isH2 && (member._settings.pipelining || 1) <= member._size + 1;
  }

  private unlist(): void {
    this.free.pop()._listed = false;
  }

  override _hasRoom(): boolean {
    if (this.probe === null && this._mayGrow()) {
      return true;
    }
    return this.free.some((member) => !isBusy(member));
  }

  override _free(member: Member): void {
    if (member === this.probe && member._isH2) {
      this.probe = null;
    }
    if (!member._listed) {
      member._listed = true;
      this.free.push(member);
    }
  }

  private make(): Member {
    const member = this._make();
    if (member instanceof Client && !this.isH1 && this.mayBeH2(member)) {
      this.probe = member;
    }
    this._add(member);
    if (!this.fillsUp(member)) {
      this._free(member);
    }
    return member;
  }

  private mayBeH2(member: Client): boolean {
    return member._settings.useH2c || (this._url.protocol === 'https:' && member._settings.allowH2);
  }

  protected override _onConnect(targets: any[]): void {
    super._onConnect(targets);
    const member = targets[targets.length - 1];
    if (member instanceof Client) {
      this.isH1 = !member._isH2;
      if (member === this.probe && this.isH1) {
        this.probe = null;
        this._spread();
      }
    }
  }

  private onProbeGone(targets: any[]): void {
    if (this.probe !== null && targets.includes(this.probe)) {
      this.probe = null;
      this._spread();
    }
  }

  protected override _onConnectionError(targets: any[]): void {
    if (targets.includes(this.probe)) {
      this.probe = null;
    }
    super._onConnectionError(targets);
  }
}

export namespace Pool {
  export interface Options extends Client.Options {
    connections?: number | null;
    factory?(origin: URL, options: object): any;
    clientTtl?: number | null;
  }
}
