// HTTP/2 over plain TCP, without asking first.

import { Client } from './client';
import { InvalidArgumentError } from './errors';

export class H2CClient extends Client {
  constructor(origin: string | URL, given: H2CClient.Options = {}) {
    const url = typeof origin === 'string' ? new URL(origin) : origin;
    if (url.protocol !== 'http:') {
      throw new InvalidArgumentError('h2c-client: Only h2c protocol is supported');
    }
    const { maxConcurrentStreams, pipelining, ...rest } = given as any;
    if (maxConcurrentStreams != null && !(Number.isInteger(maxConcurrentStreams) && maxConcurrentStreams >= 1)) {
      throw new InvalidArgumentError('maxConcurrentStreams must be a positive integer, greater than 0');
    }
    const streams = maxConcurrentStreams ?? 100;
    const depth = Number.isInteger(pipelining) && pipelining > 0 ? pipelining : 100;
    if (depth > streams) {
      throw new InvalidArgumentError('h2c-client: pipelining cannot be greater than maxConcurrentStreams');
    }
    super(url, { ...rest, maxConcurrentStreams: streams, pipelining: depth, allowH2: true, useH2c: true });
  }
}

export namespace H2CClient {
  export type Options = Omit<Client.Options, 'allowH2' | 'useH2c'>;
}
