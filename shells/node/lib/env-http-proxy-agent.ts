// The proxies that the environment names.

import { Agent } from './agent';
import { DispatcherBase } from './dispatcher';
import { hostOf, portOf } from './options';
import { ProxyAgent } from './proxy-agent';

interface Exempt {
  /** `*` is every host. */
  hostname: string;
  /** 0: every port. */
  port: number;
  /** `*.name`: what is below the name, not itself. */
  belowOnly: boolean;
}

/** One entry of `no_proxy`. Several colons are an IPv6 address: one with a port has brackets. */
function exemptOf(entry: string): Exempt {
  const parts = /^\[(.+)\]:(\d+)$/.exec(entry) ?? /^([^:]+):(\d+)$/.exec(entry);
  const hostname = (parts ? parts[1]! : entry.replace(/^\[(.+)\]$/, '$1'))
    .replace(/^\*?\./, '').replace(/(?<=.)\.$/, '').toLowerCase();
  return { hostname, port: parts ? Number.parseInt(parts[2]!, 10) : 0, belowOnly: entry[0] === '*' };
}

export class EnvHttpProxyAgent extends DispatcherBase {
  private readonly direct: Agent;
  private readonly http: Agent | ProxyAgent;
  private readonly https: Agent | ProxyAgent;
  private readonly noProxy: string | undefined;
  private parsed: string | null = null;
  private exempt: Exempt[] = [];

  constructor(options: EnvHttpProxyAgent.Options = {}) {
    super(options);
    const { httpProxy, httpsProxy, noProxy, ...rest } = options as any;
    const { env } = process;
    this.noProxy = noProxy;
    this.direct = new Agent(rest);
    const http = httpProxy ?? env.http_proxy ?? env.HTTP_PROXY;
    this.http = http ? new ProxyAgent({ ...rest, uri: http }) : this.direct;
    const https = httpsProxy ?? env.https_proxy ?? env.HTTPS_PROXY;
    this.https = https ? new ProxyAgent({ ...rest, uri: https }) : this.http;
  }

  override _dispatch(options: any, handler: any): boolean {
    const url = new URL(options.origin);
    const agent = !this.isProxied(url) ? this.direct : url.protocol === 'https:' ? this.https : this.http;
    return agent.dispatch(options, handler);
  }

  private isProxied(url: URL): boolean {
    // Without the brackets of IPv6 addresses, and the dot that ends a full name.
    const host = hostOf(url).replace(/(?<=.)\.$/, '');
    const port = portOf(url);
    return !this.exemptions().some((entry) => (
      (!entry.port || entry.port === port)
      && (entry.hostname === '*' || (host === entry.hostname && !entry.belowOnly) || host.endsWith(`.${entry.hostname}`))
    ));
  }

  /** The variable is read again when it has changed. */
  private exemptions(): Exempt[] {
    const text = this.noProxy ?? process.env.no_proxy ?? process.env.NO_PROXY ?? '';
    if (text !== this.parsed) {
      this.parsed = text;
      this.exempt = text.split(/[,\s]/).filter(Boolean).map(exemptOf);
    }
    return this.exempt;
  }

  private get all(): Set<Agent | ProxyAgent> {
    return new Set([this.direct, this.http, this.https]);
  }

  override _close(): Promise<unknown> {
    return Promise.all([...this.all].map((agent) => agent.close()));
  }

  override _destroy(error: Error): Promise<unknown> {
    return Promise.all([...this.all].map((agent) => agent.destroy(error)));
  }
}

export namespace EnvHttpProxyAgent {
  export interface Options extends Omit<ProxyAgent.Options, 'uri'> {
    uri?: string;
    httpProxy?: string;
    httpsProxy?: string;
    noProxy?: string;
  }
}
