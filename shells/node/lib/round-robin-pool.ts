// Clients for one origin that take turns, so that a server behind one name shares its load.

import { OriginPool } from './origin-pool';
import { isBusy, type Member } from './pool-base';

export class RoundRobinPool extends OriginPool {
  private index = -1;

  override _hasRoom(): boolean {
    return this._mayGrow() || this._members.some((member) => !isBusy(member));
  }

  override _free(): void {
    // Members take turns: there is no list.
  }

  override _pick(): Member | undefined {
    const members = this._members;
    for (let checked = 0; checked < members.length;) {
      this.index = (this.index + 1) % members.length;
      const member = members[this.index];
      if (this._isStale(member)) {
        this._retire(member);
        this.index--;
      } else if (!isBusy(member)) {
        return member;
      } else {
        checked++;
      }
    }
    if (!this._mayGrow()) {
      return undefined;
    }
    const member = this._make();
    this._add(member);
    return member;
  }
}
