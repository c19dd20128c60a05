// A handler that retries: by undici's rules, which say what is asked again and when.

import { Readable } from 'node:stream';
import { RequestAbortedError, RequestRetryError } from './errors';
import { accept, type Handler } from './handler';

export interface RetryOptions {
  retry?: RetryCallback;
  maxRetries?: number;
  minTimeout?: number;
  maxTimeout?: number;
  timeoutFactor?: number;
  retryAfter?: boolean;
  throwOnError?: boolean;
  methods?: string[];
  statusCodes?: number[];
  errorCodes?: string[];
}

export type RetryCallback = (
  error: any, context: { state: { counter: number }; opts: any }, callback: (error?: Error | null) => void,
) => any;

function defaultRetry(error: any, { state, opts }: any, callback: (error?: Error | null) => void): any {
  const { statusCode, code, headers } = error;
  const { maxRetries, minTimeout, maxTimeout, timeoutFactor, statusCodes, errorCodes, methods, retryAfter } = opts.retryOptions;
  const { counter } = state;
  if ((code && code !== 'UND_ERR_REQ_RETRY' && !errorCodes.includes(code))
    || (Array.isArray(methods) && !methods.includes(opts.method))
    || (statusCode != null && Array.isArray(statusCodes) && !statusCodes.includes(statusCode))
    || counter > maxRetries) {
    callback(error);
    return undefined;
  }
  const hint = retryAfter === false ? null : afterHeader(headers?.['retry-after']);
  const backoff = minTimeout * timeoutFactor ** (counter - 1);
  const wait = hint === 0 ? 0 : Math.min(hint !== null && hint > 0 ? hint : backoff, maxTimeout);
  return setTimeout(() => callback(null), wait);
}

const DEFAULTS: Required<RetryOptions> = {
  retry: defaultRetry,
  retryAfter: true,
  maxTimeout: 30_000,
  minTimeout: 500,
  timeoutFactor: 2,
  maxRetries: 5,
  throwOnError: true,
  methods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE', 'QUERY'],
  statusCodes: [500, 502, 503, 504, 429],
  errorCodes: [
    'ECONNRESET', 'ECONNREFUSED', 'ENOTFOUND', 'ENETDOWN', 'ENETUNREACH', 'EHOSTDOWN', 'EHOSTUNREACH', 'EPIPE',
    'UND_ERR_SOCKET',
  ],
};

/** Milliseconds, from seconds or a date. */
function afterHeader(text: string | undefined): number | null {
  if (!text) {
    return null;
  }
  const seconds = Number(text);
  if (!Number.isNaN(seconds)) {
    return seconds * 1000;
  }
  const time = new Date(text).getTime();
  return Number.isNaN(time) ? null : time - Date.now();
}

function parseRange(text: any): { start: number; end: number | null; size: number | null } | null {
  const match = typeof text === 'string' ? /^bytes (\d+)-(\d+)\/(\d+|\*)?$/.exec(text) : null;
  return match && {
    start: Number(match[1]), end: Number(match[2]), size: match[3] && match[3] !== '*' ? Number(match[3]) : null,
  };
}

/** One controller for all attempts: what the consumer says goes to the attempt that runs. */
class RetryController {
  private isPaused = false;
  private isAborted = false;
  private why: any = null;
  target: any = null;

  constructor(private readonly onAbort: (reason: any) => void) {}

  aim(target: any): void {
    this.target = target;
    if (this.isAborted) {
      target?.abort(this.why);
    } else if (this.isPaused) {
      target?.pause();
    }
  }

  get paused(): boolean {
    return this.isPaused;
  }

  get aborted(): boolean {
    return this.isAborted;
  }

  get reason(): any {
    return this.why;
  }

  get rawHeaders(): any {
    return this.target?.rawHeaders ?? null;
  }

  get rawTrailers(): any {
    return this.target?.rawTrailers ?? null;
  }

  pause(): void {
    this.isPaused = true;
    this.target?.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.target?.resume();
  }

  abort(reason?: any): void {
    if (!this.isAborted) {
      this.isAborted = true;
      this.why = reason;
      this.target?.abort(reason);
      this.onAbort(reason);
    }
  }
}

export class RetryHandler implements Handler {
  private readonly options: Required<RetryOptions>;
  private readonly handler: Handler;
  private readonly dispatch: (options: any, handler: any) => boolean;
  private readonly controller = new RetryController((reason) => this.onAbort(reason));
  private request: any;
  private count = 0;
  private start = 0;
  private end: number | null = null;
  private etag: string | null = null;
  private headSent = false;
  /** What the consumer has of a body can be continued. */
  private resumable = true;
  private over = false;
  /** This response will be thrown away and the request sent again. */
  private discarding: Error | null = null;
  private deciding = false;
  private timer: any = null;
  private held: { chunks: Buffer[]; ended: boolean; trailers: any } | null = null;

  constructor(request: any, { dispatch, handler }: { dispatch: any; handler: any }) {
    const { retryOptions, ...rest } = request;
    this.request = rest;
    this.dispatch = dispatch;
    this.handler = accept(handler, Boolean(rest.upgrade) || rest.method === 'CONNECT');
    const given = Object.entries(retryOptions ?? {}).filter(([, value]) => value != null);
    this.options = { ...DEFAULTS, ...Object.fromEntries(given) };
  }

  onRequestStart(controller: any, context: any): void {
    this.controller.aim(controller);
    if (!this.headSent) {
      this.handler.onRequestStart(this.controller, context);
    }
  }

  onBodySent(chunk: any): void {
    this.handler.onBodySent?.(chunk);
  }

  onRequestSent(): void {
    this.handler.onRequestSent?.();
  }

  onRequestUpgrade(_: any, status: number, headers: any, socket: any): void {
    this.handler.onRequestUpgrade?.(this.controller, status, headers, socket);
  }

  onResponseStarted(): void {
    this.handler.onResponseStarted?.();
  }

  onResponseStart(controller: any, status: number, headers: any, text?: string): void {
    if (status < 200) {
      this.handler.onResponseStart!(this.controller, status, headers, text);
      return;
    }
    this.discarding = null;
    this.count += 1;
    if (this.headSent) {
      this.goOn(status, headers);
    } else if (status >= 300) {
      this.decideOnStatus(controller, status, headers, text);
    } else {
      this.begin(status, headers, text);
    }
  }

  /** A further attempt, after bytes have been given to the consumer. */
  private goOn(status: number, headers: any): void {
    const fail = (message: string): never => {
      throw new RequestRetryError(message, status, { headers, data: { count: this.count } });
    };
    if (status !== 206 && (this.start > 0 || status !== 200)) {
      fail('server does not support the range header and the payload was partially consumed');
    }
    const range = parseRange(headers['content-range']);
    if (range === null) {
      return fail('Content-Range mismatch');
    }
    if (this.etag !== null && this.etag !== headers.etag) {
      fail('ETag mismatch');
    }
    const length = headers['content-length'];
    if (length !== undefined && range.end !== null && Number(length) !== range.end - range.start + 1) {
      fail('Content-Length mismatch');
    }
    if (range.start !== this.start || (this.end !== null && range.end !== this.end)) {
      fail('Content-Range mismatch');
    }
  }

  private begin(status: number, headers: any, text?: string): void {
    const range = status === 206 ? parseRange(headers['content-range']) : null;
    if (range !== null) {
      this.start = range.start;
      this.end = range.end;
    } else if (status !== 206 && this.request.method !== 'HEAD') {
      const length = headers['content-length'];
      this.end = length === undefined ? null : Number(length) - 1;
    }
    this.resumable = status === 206 ? range !== null : status < 300 || this.end !== null;
    // Weak tags do not promise the same bytes.
    this.etag = typeof headers.etag === 'string' && !headers.etag.startsWith('W/') ? headers.etag : null;
    this.headSent = true;
    this.handler.onResponseStart!(this.controller, status, headers, text);
  }

  private decideOnStatus(controller: any, status: number, headers: any, text?: string): void {
    const error = new RequestRetryError('Request failed', status, { headers, data: { count: this.count } });
    const { retry, throwOnError } = this.options;
    const used = isUsed(this.request.body);
    if (throwOnError ? !this.options.statusCodes.includes(status) : used) {
      this.begin(status, headers, text);
      return;
    }
    if (used) {
      throw error;
    }
    controller.pause();
    this.held = { chunks: [], ended: false, trailers: null };
    this.decide(error, retry, (final) => {
      const held = this.held!;
      this.held = null;
      if (!final) {
        this.discarding = error;
        controller.resume();
        if (held.ended) {
          this.onResponseEnd(controller, held.trailers);
        }
      } else if (throwOnError) {
        controller.abort(final);
      } else {
        this.begin(status, headers, text);
        held.chunks.forEach((chunk) => this.onResponseData(controller, chunk));
        controller.resume();
        if (held.ended) {
          this.onResponseEnd(controller, held.trailers);
        }
      }
    });
  }

  private decide(error: any, retry: RetryCallback, then: (final: Error | null) => void): void {
    this.deciding = true;
    const opts = { retryOptions: this.options, ...this.request };
    const decided = (final?: Error | null) => {
      if (this.deciding && !this.over) {
        this.deciding = false;
        this.timer = null;
        then(final ?? null);
      }
    };
    try {
      this.timer = retry(error, { state: { counter: this.count }, opts }, decided) ?? null;
    } catch (thrown) {
      decided(thrown as Error);
    }
  }

  onResponseData(_: any, chunk: Buffer): void {
    if (this.held !== null) {
      this.held.chunks.push(chunk);
    } else if (this.discarding === null) {
      this.start += chunk.length;
      this.handler.onResponseData!(this.controller, chunk);
    }
  }

  onResponseEnd(_: any, trailers: any): void {
    if (this.held !== null) {
      this.held.ended = true;
      this.held.trailers = trailers;
    } else if (this.discarding !== null) {
      this.again();
    } else if (this.headSent && this.end !== null && this.request.method !== 'HEAD' && this.start !== this.end + 1) {
      throw new RequestRetryError('Content-Range mismatch', 0, { headers: {}, data: { count: this.count } });
    } else {
      this.over = true;
      this.handler.onResponseEnd!(this.controller, trailers);
    }
  }

  onResponseError(controller: any, error: any): void {
    if (this.over) {
      return;
    }
    const canGoOn = !isUsed(this.request.body) && (!this.headSent || this.resumable);
    if (this.controller.aborted || controller?.aborted || !canGoOn) {
      this.fail(error);
      return;
    }
    this.held = null;
    this.count += 1;
    this.decide(error, this.options.retry, (final) => {
      if (final) {
        this.fail(final);
      } else {
        this.again();
      }
    });
  }

  private fail(error: Error): void {
    this.over = true;
    this.handler.onResponseError(this.controller, error);
  }

  private again(): void {
    this.discarding = null;
    if (this.start > 0) {
      const range = `bytes=${this.start}-${this.end ?? ''}`;
      const headers = withoutRange(this.request.headers);
      headers.push('range', range);
      if (this.etag !== null) {
        headers.push('if-match', this.etag);
      }
      this.request = { ...this.request, headers };
    }
    try {
      this.dispatch(this.request, this);
    } catch (error) {
      this.fail(error as Error);
    }
  }

  /** The consumer gave up; while nothing is in flight nobody else would tell it so. */
  private onAbort(reason: any): void {
    if (this.deciding && !this.over) {
      clearTimeout(this.timer);
      this.deciding = false;
      this.fail(reason ?? new RequestAbortedError());
    }
  }
}

/** A generator as a body: whether it was begun must be known before it is sent a second time. */
class Generated {
  begun = false;

  constructor(private readonly body: any) {}

  [Symbol.asyncIterator](): any {
    this.begun = true;
    return this.body[Symbol.asyncIterator]?.() ?? this.body[Symbol.iterator]();
  }
}

/** `body`, so that {@link RetryHandler} knows whether it can be sent again. */
export function replayable(body: any): any {
  const generates = body && typeof body === 'object' && typeof body.next === 'function' && typeof body.pipe !== 'function'
    && (Symbol.asyncIterator in body || Symbol.iterator in body);
  return generates ? new Generated(body) : body;
}

/** A body that was read cannot be sent a second time. */
function isUsed(body: any): boolean {
  return body instanceof Generated ? body.begun
    : Boolean(body) && typeof body === 'object' && typeof body.pipe === 'function' && Readable.isDisturbed(body);
}

function withoutRange(headers: any): any[] {
  const pairs: [string, any][] = !headers ? []
    : Array.isArray(headers) ? Array.from({ length: headers.length >> 1 }, (_, i) => [headers[2 * i], headers[2 * i + 1]])
      : typeof headers[Symbol.iterator] === 'function' ? [...headers] : Object.entries(headers);
  return pairs.filter(([name]) => !['range', 'if-match'].includes(name.toLowerCase())).flat(1);
}
