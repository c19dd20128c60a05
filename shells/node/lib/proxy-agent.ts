// Requests by way of a proxy: forwarded, or through a tunnel that the engine opens.

import { Agent } from './agent';
import { Client } from './client';
import { DispatcherBase } from './dispatcher';
import { InvalidArgumentError } from './errors';
import { isLegacy } from './handler';
import { VIA, clamp, hostOf, parseOrigin, portOf, tlsToTunnel, type Via } from './options';
import { Pool } from './pool';
import { linesToProxy } from './request';
import { namedOtherwise, tunnels } from './tunnel';

const AUTHORIZATION = 'proxy-authorization';

function socks(url: URL): boolean {
  return url.protocol === 'socks5:' || url.protocol === 'socks:';
}

export class ProxyAgent extends DispatcherBase {
  private readonly agent: Agent;
  private readonly proxy: URL;
  private readonly given: any;
  /** What the caller's factory has made to open tunnels with; null: the engine opens them. */
  private readonly client: any = null;
  private readonly headers: Record<string, string>;

  constructor(given: string | URL | ProxyAgent.Options) {
    const isUrl = typeof given === 'string' || given instanceof URL;
    if (!given || (!isUrl && !given.uri)) {
      throw new InvalidArgumentError('Proxy uri is mandatory');
    }
    const options: any = isUrl ? {} : given;
    const { clientFactory, factory, proxyTunnel } = options;
    if (clientFactory !== undefined && typeof clientFactory !== 'function') {
      throw new InvalidArgumentError('Proxy opts.clientFactory must be a function.');
    }
    super(options);
    const url = (this.proxy = isUrl ? new URL(given) : new URL(given.uri));
    if (!socks(url) && clientFactory === undefined) {
      parseOrigin(url);
    }
    this.given = options;
    // Which host is meant is said by each request.
    const own = Object.entries(options.headers ?? {}).filter(([name]) => name.toLowerCase() !== 'host');
    this.headers = { ...Object.fromEntries(own) as any, ...authorization(options, url) };
    const make = factory ?? ((origin: any, rest: any) => (
      rest.connections === 1 ? new Client(origin, rest) : new Pool(origin, rest)
    ));
    if (clientFactory !== undefined && !socks(url)) {
      const { connectTimeout, proxyTls } = options;
      this.client = clientFactory(url, { connect: { timeout: connectTimeout, ...proxyTls } });
    }
    const { uri, auth, token, headers, requestTls, proxyTls, connect, ...rest } = options;
    this.agent = new Agent({
      ...rest,
      connect: requestTls,
      factory: (origin: string | URL, member: any) => {
        const { protocol } = new URL(origin);
        if (!socks(url) && protocol === 'http:' && proxyTunnel !== true) {
          return this.forwarder(make, member);
        }
        return this.client === null
          ? make(origin, { ...member, [VIA]: this.via() }) : make(origin, { ...member, connect: this.tunnels(member) });
      },
    });
  }

  /** Sockets of the caller's own client of the proxy. */
  private tunnels(member: any): any {
    const { client, proxy, headers, given: { proxyTls, requestTls, connectTimeout } } = this;
    const timeout = requestTls?.timeout ?? connectTimeout ?? 10_000;
    return tunnels({ client, proxy, headers, proxyTls, requestTls, timeout, allowH2: member.allowH2 ?? true });
  }

  private forwarder(make: (origin: any, options: any) => any, member: any): any {
    const { proxyTls, connectTimeout } = this.given;
    const options = { ...member, connect: { timeout: connectTimeout, ...proxyTls, allowH2: false } };
    const servername = this.proxy.protocol === 'https:' ? proxyTls?.servername || this.proxy.hostname : undefined;
    return new Forwarder(make(this.proxy.origin, options), this.headers, servername);
  }

  private via(): Via {
    const { proxy: url, given } = this;
    const { proxyTls, connectTimeout, username, password } = given;
    const secure = url.protocol === 'https:' || (socks(url) && proxyTls);
    const proxy = {
      host: hostOf(url),
      port: socks(url) ? Number(url.port) || 1080 : portOf(url),
      tls: secure ? tlsToTunnel(proxyTls ?? {}) : null,
      connectTimeout: clamp(proxyTls?.timeout ?? connectTimeout ?? 10_000),
    };
    if (socks(url)) {
      const name = username || decodeURIComponent(url.username);
      return { kind: 'socks5', proxy, auth: name ? [name, password || decodeURIComponent(url.password)] : null };
    }
    return { kind: 'connect', proxy, fields: linesToProxy({ ...this.headers, 'proxy-connection': 'keep-alive' }) };
  }

  override _dispatch(options: any, handler: any): boolean {
    const headers = record(options.headers);
    const asked = { ...options, headers };
    if (names(headers, AUTHORIZATION)) {
      throw new InvalidArgumentError('Proxy-Authorization should be sent in ProxyAgent constructor');
    }
    const { requestTls } = this.given;
    if (requestTls && (options.servername || names(headers, 'host'))) {
      // Who the origin has to prove to be is then said there, not with a request.
      asked.servername = requestTls.servername || hostOf(new URL(options.origin));
    }
    return this.agent.dispatch(asked, handler);
  }

  override _close(): Promise<unknown> {
    return Promise.all([this.agent.close(), this.client?.close()]);
  }

  override _destroy(error: Error): Promise<unknown> {
    return Promise.all([this.agent.destroy(error), this.client?.destroy(error)]);
  }
}

function authorization(options: any, url: URL): Record<string, string> {
  const { auth, token } = options;
  if (auth && token) {
    throw new InvalidArgumentError('opts.auth cannot be used in combination with opts.token');
  }
  if (auth) {
    return { [AUTHORIZATION]: `Basic ${auth}` };
  }
  if (token) {
    return { [AUTHORIZATION]: token };
  }
  if (url.username && !socks(url)) {
    const text = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    return { [AUTHORIZATION]: `Basic ${Buffer.from(text).toString('base64')}` };
  }
  return {};
}

function names(headers: Record<string, any> | null | undefined, lower: string): boolean {
  return Object.keys(headers ?? {}).some((name) => name.toLowerCase() === lower);
}

/** Headers as an object, so that their names can be looked at. */
function record(headers: any): Record<string, any> | null | undefined {
  if (!headers || typeof headers !== 'object') {
    return headers;
  }
  if (Array.isArray(headers) && headers.length % 2 !== 0) {
    throw new InvalidArgumentError('headers array must be even');
  }
  const pairs: [string, any][] | null = Array.isArray(headers)
    ? Array.from({ length: headers.length >> 1 }, (_, i) => [headers[2 * i], headers[2 * i + 1]])
    : typeof headers[Symbol.iterator] === 'function' ? [...headers] : null;
  if (pairs === null) {
    return headers;
  }
  const all: Record<string, any> = {};
  for (const [name, value] of pairs) {
    all[name] = Object.hasOwn(all, name) ? [all[name], value].flat() : value;
  }
  return all;
}

/** A client of the proxy that asks it for absolute targets. */
class Forwarder extends DispatcherBase {
  /** @internal */
  readonly _isForwarder = true;

  constructor(
    private readonly member: any,
    private readonly headers: Record<string, string>,
    private readonly servername: string | undefined,
  ) {
    super();
    for (const event of ['connect', 'disconnect', 'connectionError', 'drain']) {
      member.on(event, (origin: any, targets: any[], error: any) => {
        this.emit(event, origin, [this, ...(targets ?? [])], error);
      });
    }
  }

  get stats(): any {
    return this.member.stats;
  }

  override get _origin(): string {
    return this.member._origin;
  }

  get _connected(): number {
    return this.member._connected;
  }

  get _busy(): boolean {
    return this.member._busy;
  }

  get _pending(): number {
    return this.member._pending;
  }

  get _running(): number {
    return this.member._running;
  }

  override _dispatch(options: any, handler: any): boolean {
    const { origin, path = '/', headers = {} } = options;
    const url = new URL(origin);
    const all: any = { ...this.headers, ...headers };
    if (!names(headers, 'host')) {
      all.host = url.host;
    }
    const forwarded = { ...options, path: url.origin + path, headers: all };
    if (this.servername !== undefined) {
      forwarded.servername = this.servername;
    }
    return this.member.dispatch(forwarded, ofProxy(handler));
  }

  override _close(): Promise<unknown> {
    return this.member.close();
  }

  override _destroy(error: Error): Promise<unknown> {
    return this.member.destroy(error);
  }
}

/** `handler`, but the proxy's 407 is an error, and a certificate for another name is the proxy's. */
function ofProxy(handler: any): any {
  const error = () => new InvalidArgumentError('Proxy Authentication Required (407)');
  const wrapped = Object.create(handler);
  // Callbacks run with the handler itself as `this`: it may have private fields.
  for (const name of [
    'onRequestStart', 'onResponseStarted', 'onResponseData', 'onResponseEnd', 'onRequestUpgrade',
    'onBodySent', 'onRequestSent', 'onConnect', 'onData', 'onComplete', 'onUpgrade',
  ]) {
    if (typeof handler[name] === 'function') {
      wrapped[name] = handler[name].bind(handler);
    }
  }
  if (typeof handler.onResponseError === 'function') {
    wrapped.onResponseError = (controller: any, error: any) => handler.onResponseError(controller, namedOtherwise(error));
  }
  if (typeof handler.onError === 'function') {
    wrapped.onError = (error: any) => handler.onError(namedOtherwise(error));
  }
  if (isLegacy(handler)) {
    wrapped.onHeaders = (status: number, ...rest: any[]) => {
      if (status === 407) {
        throw error();
      }
      return handler.onHeaders(status, ...rest);
    };
  } else if (typeof handler.onResponseStart === 'function') {
    wrapped.onResponseStart = (controller: any, status: number, ...rest: any[]) => {
      if (status === 407) {
        throw error();
      }
      handler.onResponseStart(controller, status, ...rest);
    };
  }
  return wrapped;
}

export namespace ProxyAgent {
  export interface Options extends Omit<Agent.Options, 'connect'> {
    uri: string;
    /** @deprecated use token */
    auth?: string;
    token?: string;
    headers?: any;
    requestTls?: any;
    proxyTls?: any;
    proxyTunnel?: boolean;
    clientFactory?(origin: URL, options: object): any;
    connect?: any;
  }
}
