// The proxies that the environment names.

import { Agent } from './agent';
import { DispatcherBase } from './dispatcher';
import { ProxyAgent } from './proxy-agent';

interface Exempt {
  hostname: string;
  port: number;
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
    const exempt = this.exemptions();
    if (this.parsed === '*') {
      return false;
    }
    // Not `hostname`: IPv6 addresses keep their brackets.
    const host = url.host.replace(/:\d*$/, '').toLowerCase();
    const port = Number.parseInt(url.port, 10) || (url.protocol === 'https:' ? 443 : 80);
    return !exempt.some((entry) => (
      (!entry.port || entry.port === port)
      && (host === entry.hostname || host.endsWith(`.${entry.hostname}`))
    ));
  }

  /** The variable is read again when it has changed. */
  private exemptions(): Exempt[] {
    const text = this.noProxy ?? process.env.no_proxy ?? process.env.NO_PROXY ?? '';
    if (text !== this.parsed) {
      this.parsed = text;
      this.exempt = text.split(/[,\s]/).filter(Boolean).map((entry) => {
        const parts = entry.match(/^(.+):(\d+)$/);
        return {
          hostname: (parts ? parts[1]! : entry).replace(/^\*?\./, '').toLowerCase(),
          port: parts ? Number.parseInt(parts[2]!, 10) : 0,
        };
      });
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
