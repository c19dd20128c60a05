// One origin, at most one connection at a time.

import { ask } from './ask';
import { bridge } from './bridge';
import { channels } from './diagnostics';
import { DispatcherBase } from './dispatcher';
import { InvalidArgumentError, SocketError, type SocketInfo } from './errors';
import { Exchange } from './exchange';
import { KIND_CALLER, KIND_DESTROYED, KIND_SOCKET, KIND_SYSTEM, errorOf, infoOf } from './failure';
import * as link from './link';
import * as options from './options';
import type { ClientEnd, ConnectionInfo, Failure, Question } from './records';
import { Request } from './request';

export interface ClientStats {
  connected: boolean;
  pending: number;
  running: number;
  size: number;
}

const enum Drain { Idle, Scheduled, Needed }

export class Client extends DispatcherBase implements ClientEnd {
  /** @internal */
  readonly _url: URL;
  /** @internal */
  readonly _authority: string;
  /** @internal */
  readonly _isTls: boolean;
  /** @internal Bytes go out as they are: neither TLS nor HTTP/2 makes something of them. */
  readonly _isPlain: boolean;
  /** @internal */
  readonly _settings: options.Settings;
  /** @internal */
  _socketInfo: SocketInfo | null = null;
  /** @internal The error of the last connection that did not come about. */
  _connectError: Error | null = null;
  /** @internal Of the pool: told when this client can take a request again. */
  _onFree: ((client: Client) => void) | null = null;
  /** @internal Of the pool: it is in its list of free clients. */
  _listed = false;
  /** @internal */
  _isConnected = false;
  /** @internal */
  _isH2 = false;
  /** @internal Requests that are not over. */
  _size = 0;
  /** @internal Those of them that have a connection. */
  _running = 0;
  /** @internal Those that the engine has and that have none. */
  _waiting = 0;
  /** @internal */
  _needDrain: Drain = Drain.Idle;
  private readonly given: any;
  private profile: string | null = null;
  /** Of the HTTP/2 connection there is. */
  private maxStreams = 0;
  /** @internal The engine's number of this client; -1: it does not know it. */
  _number = -1;
  /** What the request names for which the connection is made. */
  private servername: string | null = null;
  /** The error that a function of the caller, or a socket of its making, gave last. */
  private said: unknown = null;
  /** The socket that the caller's connector has made. */
  private made: any = null;
  private destroyedBy: Error | null = null;
  private onEmpty: (() => void) | null = null;
  private onGone: (() => void) | null = null;

  constructor(origin: string | URL, given: Client.Options = {}) {
    options.check(given);
    refuseConnector(given.connect);
    super(given);
    this._url = options.parseOrigin(origin);
    this._authority = this._url.host;
    this._isTls = this._url.protocol === 'https:';
    this._settings = options.settingsOf(given);
    this._isPlain = !this._isTls && !this._settings.useH2c && !options.tlsToProxy(given)
      && typeof given.connect !== 'function';
    this.given = given;
    // What the engine cannot do is said now, not at the first request.
    options.profileOf(this._url, given);
  }

  get pipelining(): number {
    return this._settings.pipelining;
  }

  set pipelining(depth: number) {
    this._settings.pipelining = depth;
    if (this._number >= 0) {
      link.setPipelining(this._number, depth);
    }
    this.settleDrain();
  }

  get stats(): ClientStats {
    const { _isConnected: connected, _size: size, _running: running } = this;
    return { connected, pending: size - running, running, size };
  }

  override get _origin(): string {
    return this._url.origin;
  }

  /** @internal */
  get _connected(): number {
    return Number(this._isConnected);
  }

  /** @internal */
  get _pending(): number {
    return this._size - this._running;
  }

  /** @internal It can take no more requests at once. */
  get _busy(): boolean {
    return this._size >= this.limit;
  }

  private get limit(): number {
    if (!this._isConnected) {
      return 1;
    }
    return this._isH2 ? this.maxStreams : this._settings.pipelining || 1;
  }

  /** The engine knows this client from its first request on. */
  private open(): void {
    if (this._number < 0) {
      this.profile = options.profileOf(this._url, this.given);
      this._number = link.openClient(this, link.define(this.profile));
    }
  }

  /** @internal A connection is there that can be asked this at once. */
  _takes(request: Request): boolean {
    if (!this._isConnected || this._waiting > 0 || (this._isTls && request.servername !== this.servername)) {
      return false;
    }
    return this._isH2
      ? this._running < this.maxStreams && request.allowH2 && !request.upgrade
      : this._running === 0;
  }

  override _dispatch(given: any, handler: any): boolean {
    const request = new Request(this._url.origin, given, handler);
    this.open();
    this._size++;
    const exchange = new Exchange(this, request);
    request._handler._onQueued?.(exchange);
    link.sendLater(exchange);
    if (this._needDrain !== Drain.Needed && this._busy) {
      this._needDrain = Drain.Needed;
    }
    return this._needDrain < Drain.Needed;
  }

  /** @internal A request is over, which had a connection or not. */
  _finished(running: boolean): void {
    this._size--;
    if (running) {
      this._running--;
    }
    this.settleDrain();
    if (this._size === 0 && this.onEmpty !== null) {
      const done = this.onEmpty;
      this.onEmpty = null;
      done();
    }
  }

  private settleDrain(): void {
    if (this._needDrain !== Drain.Needed || this._busy) {
      return;
    }
    if (this._onFree !== null && this.listenerCount('drain') === 0) {
      this._needDrain = Drain.Idle;
      this._onFree(this);
      return;
    }
    this._needDrain = Drain.Scheduled;
    queueMicrotask(() => {
      if (this._needDrain === Drain.Scheduled && !this._closed && !this._destroyed) {
        this._needDrain = Drain.Idle;
        this._onFree?.(this);
        this.emit('drain', this._url, [this]);
      }
    });
  }

  private connectParams(): object {
    const { host, hostname, protocol, port } = this._url;
    const localAddress = this.given.localAddress ?? null;
    const version = this._isConnected ? (this._isH2 ? 'h2' : 'h1') : undefined;
    return { host, hostname, protocol, port, version, servername: this.servername, localAddress };
  }

  /** A tunnel that leads here is told of as one. */
  private publishTunnel(): void {
    const via: options.Via | undefined = this.given[options.VIA];
    if (via?.kind === 'connect') {
      const path = `${this._url.hostname}:${options.portOf(this._url)}`;
      const { host, port, tls } = via.proxy;
      const proxy = new URL(`${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`);
      const connectParams = {
        origin: proxy.origin, port: proxy.port, path, servername: (tls as any)?.servername || proxy.hostname,
        headers: { host: this._authority, 'proxy-connection': 'keep-alive' },
      };
      channels.proxyConnected.publish({ socket: this._socketInfo, connectParams });
    }
  }

  _onConnecting(servername: string | null): void {
    this.servername = servername;
    if (channels.beforeConnect.hasSubscribers) {
      channels.beforeConnect.publish({ connectParams: this.connectParams(), connector: this.given.connect });
    }
  }

  _onConnected(info: ConnectionInfo): void {
    this._isConnected = true;
    this._isH2 = info.version === 20;
    this.maxStreams = this._settings.maxConcurrentStreams;
    this._socketInfo = infoOf(this.made ?? info);
    this._connectError = null;
    if (channels.proxyConnected.hasSubscribers) {
      this.publishTunnel();
    }
    if (channels.connected.hasSubscribers) {
      channels.connected.publish({
        connectParams: this.connectParams(), connector: this.given.connect, socket: this._socketInfo,
      });
    }
    this.settleDrain();
    this.emit('connect', this._url, [this]);
  }

  _onStreams(max: number): void {
    this.maxStreams = max;
    this.settleDrain();
  }

  _onPong(milliseconds: number): void {
    this.emit('ping', milliseconds);
  }

  _onDisconnected(failure: Failure): void {
    this._isConnected = false;
    this._isH2 = false;
    this._socketInfo = null;
    const error = failure.kind === KIND_DESTROYED && this.destroyedBy !== null ? this.destroyedBy : this._errorOf(failure);
    this.made = null;
    this.emit('disconnect', this._url, [this], error);
  }

  _onAsked(question: Question): void {
    const { _number: number } = this;
    if (question.kind === 'socket') {
      this.makeSocket(number, question);
      return;
    }
    ask(options.connectOf(this.given), question, (error, addresses = []) => {
      // A client that was closed meanwhile asks no more.
      if (this._number === number) {
        this.said = error;
        link.answer(number, question.number, error ? null : { addresses, socket: null, h2: false });
      }
    });
  }

  /** Asks the caller's connector, and puts its socket between the engine and the server. */
  private makeSocket(number: number, question: Question): void {
    const { host, protocol, port } = this._url;
    const localAddress = this.given.localAddress ?? null;
    let isDone = false;
    const done = (error: unknown, socket?: any): void => {
      const late = isDone || this._number !== number;
      isDone = true;
      if (late) {
        socket?.on('error', () => {}).destroy();
        return;
      }
      try {
        this.said = error ?? whyUnusable(socket);
        const end = this.said === null ? this.join(socket) : null;
        const h2 = this._settings.useH2c || socket?.alpnProtocol === 'h2';
        link.answer(number, question.number, end === null ? null : { addresses: [], socket: end, h2 });
      } catch (failure) {
        // No descriptors are left, for one.
        this.said = failure;
        socket.destroy();
        link.answer(number, question.number, null);
      }
    };
    try {
      this.given.connect({
        host, hostname: options.hostOf(this._url), protocol, port, servername: question.host, localAddress, httpSocket: undefined,
      }, done);
    } catch (error) {
      done(error);
    }
  }

  /** Joins `socket` to the engine: the number by which it asks for its end. */
  private join(socket: any): number {
    const end = link.pair();
    this.made = socket;
    bridge(socket, end, (failure) => {
      if (this.made === socket) {
        this.said = failure;
      }
    });
    return end;
  }

  /** What a failure is to the caller, whose own socket may have said it first. */
  _errorOf(failure: Failure): Error {
    const isEnd = failure.kind === KIND_SOCKET || failure.kind === KIND_SYSTEM;
    return this.made !== null && this.said !== null && isEnd ? this.said as Error : errorOf(failure);
  }

  _onConnectFailed(failure: Failure): void {
    const error = failure.kind === KIND_CALLER ? this.said as Error : errorOf(failure);
    this._connectError = error;
    if (channels.connectError.hasSubscribers) {
      channels.connectError.publish({
        connectParams: this.connectParams(), connector: this.given.connect, error,
      });
    }
    this.emit('connectionError', this._url, [this], error);
  }

  _onClosed(): void {
    this._number = -1;
    link.forget(this.profile!);
    link.keepAlive(-1);
    this.onGone?.();
    this.onGone = null;
  }

  override _close(): Promise<unknown> {
    return new Promise<void>((resolve) => {
      if (this._size === 0) {
        resolve();
      } else {
        this.onEmpty = resolve;
      }
    });
  }

  override _destroy(error: Error): Promise<unknown> {
    this.destroyedBy = error;
    const all = [...link.requestsWhere((request) => (request as Exchange)._client === this)] as Exchange[];
    all.sort((a, b) => a._number - b._number);
    for (const exchange of all) {
      if (exchange._isUpgraded) {
        continue;
      }
      if (exchange._isRunning) {
        exchange._failLater(error);
      } else {
        exchange._fail(error);
      }
    }
    if (this._number < 0) {
      return Promise.resolve();
    }
    return new Promise<void>((resolve) => {
      link.keepAlive(1);
      this.onGone = resolve;
      link.destroyClient(this._number);
    });
  }

  /** @internal A handler threw where nothing can be told any more. */
  _reportThrown(thrown: unknown): void {
    if (this.listenerCount('error') > 0) {
      this.emit('error', thrown);
    } else {
      process.nextTick(() => {
        throw thrown;
      });
    }
  }
}

export namespace Client {
  export interface Options {
    maxHeaderSize?: number;
    headersTimeout?: number;
    bodyTimeout?: number;
    connectTimeout?: number;
    keepAliveTimeout?: number;
    keepAliveMaxTimeout?: number;
    keepAliveTimeoutThreshold?: number;
    socketPath?: string;
    pipelining?: number;
    strictContentLength?: boolean;
    maxCachedSessions?: number;
    connect?: any;
    maxRequestsPerClient?: number;
    localAddress?: string;
    maxResponseSize?: number;
    autoSelectFamily?: boolean;
    autoSelectFamilyAttemptTimeout?: number;
    allowH2?: boolean;
    useH2c?: boolean;
    maxConcurrentStreams?: number;
    initialWindowSize?: number;
    connectionWindowSize?: number;
    pingInterval?: number;
    h2Options?: any;
    webSocket?: { maxFragments?: number; maxPayloadSize?: number };
    eventSource?: { maxEventSize?: number };
  }
}

/** What is wrong with a socket that a connector gives. */
function whyUnusable(socket: any): Error | null {
  if (!socket) {
    return new InvalidArgumentError('connect gave no socket');
  }
  return socket.destroyed ? socket.errored ?? new SocketError('other side closed') : null;
}

/** There is no socket there that both sides could have an end of. */
function refuseConnector(connect: unknown): void {
  if (typeof connect === 'function' && process.platform === 'win32') {
    throw new InvalidArgumentError('connect as a function is not supported on Windows');
  }
}
