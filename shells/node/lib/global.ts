// The dispatcher that fetch uses when nobody names one.

import { Agent } from './agent';
import { InvalidArgumentError } from './errors';

/** Read by undici 8 and Node.js 26; by all others. Our dispatchers serve both dialects of handlers. */
const SLOTS = [Symbol.for('undici.globalDispatcher.2'), Symbol.for('undici.globalDispatcher.1')];
const global: any = globalThis;
/** When globalThis is frozen. */
let own: any;

export function setGlobalDispatcher(dispatcher: any): void {
  if (!dispatcher || typeof dispatcher.dispatch !== 'function') {
    throw new InvalidArgumentError('Argument agent must implement Agent');
  }
  own = dispatcher;
  for (const slot of SLOTS) {
    try {
      Object.defineProperty(globalThis, slot, {
        value: dispatcher, writable: true, enumerable: false, configurable: false,
      });
    } catch (error) {
      if (!(error instanceof TypeError)) {
        throw error;
      }
    }
  }
}

/** What was set last, by this package or by undici; otherwise an Agent of ours that is made now. */
export function getGlobalDispatcher(): any {
  return global[SLOTS[0]!] ?? global[SLOTS[1]!] ?? (own ??= new Agent());
}
