import { InvalidArgumentError } from './errors';
import { ProxyAgent } from './proxy-agent';

/** Requests through a tunnel that a SOCKS5 proxy opens. */
export class Socks5ProxyAgent extends ProxyAgent {
  constructor(proxy: string | URL, options: Socks5ProxyAgent.Options = {}) {
    if (!proxy) {
      throw new InvalidArgumentError('Proxy URL is mandatory');
    }
    const url = typeof proxy === 'string' ? new URL(proxy) : proxy;
    if (url.protocol !== 'socks5:' && url.protocol !== 'socks:') {
      throw new InvalidArgumentError('Proxy URL must use socks5:// or socks:// protocol');
    }
    const { connect, connectTimeout, requestTls, proxyTls } = options;
    if (connect != null) {
      // The engine connects to the proxy itself.
      throw new InvalidArgumentError('connect is not supported');
    }
    for (const [name, timeout] of [
      ['connectTimeout', connectTimeout], ['requestTls.timeout', requestTls?.timeout], ['proxyTls.timeout', proxyTls?.timeout],
    ]) {
      if (timeout != null && !(Number.isFinite(timeout) && timeout >= 0)) {
        throw new InvalidArgumentError(`invalid ${name}`);
      }
    }
    super({ ...options, uri: url.href } as any);
  }
}

export namespace Socks5ProxyAgent {
  export interface Options extends Omit<ProxyAgent.Options, 'uri'> {
    username?: string;
    password?: string;
  }
}
