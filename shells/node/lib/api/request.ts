import { AsyncResource } from 'node:async_hooks';
import { destroyStream, isStream } from '../body';
import { InvalidArgumentError } from '../errors';
import type { Queued } from '../handler';
import { rawStrings } from '../headers';
import { BodyReadable } from './readable';
import { attempt, checkSignal, listen, promised, reasonOf } from './signal';

const ignore = (): void => {};

export class RequestHandler extends AsyncResource {
  private reason: any = null;
  private body: any;
  private response: BodyReadable | null = null;
  private controller: any = null;
  private queued: Queued | null = null;
  private context: any = null;
  private readonly trailers: Record<string, any> = {};
  private unlisten: (() => void) | null = null;

  constructor(private readonly options: any, private callback: any) {
    super('FOREBAY_REQUEST');
    this.body = options.body;
    const { signal } = options;
    if (signal?.aborted) {
      this.reason = reasonOf(signal);
    } else if (signal) {
      this.unlisten = listen(signal, () => this.onAbort(reasonOf(signal)));
    }
  }

  private onAbort(reason: any): void {
    this.reason = reason;
    if (this.response) {
      const { response } = this;
      this.response = null;
      destroyStream(response.on('error', ignore), reason);
    } else {
      this.controller?.abort(reason);
      this.queued?._abort(reason);
    }
  }

  /** @internal */
  _onQueued(request: Queued): void {
    if (this.reason !== null) {
      request._failLater(this.reason);
    } else {
      this.queued = request;
    }
  }

  onRequestStart(controller: any, context: any): void {
    if (this.reason !== null) {
      controller.abort(this.reason);
      return;
    }
    this.controller = controller;
    this.queued = null;
    this.context = context;
  }

  onResponseStart(controller: any, statusCode: number, parsed: any, statusText: string): void {
    const { callback, options, context } = this;
    const headers = options.responseHeaders === 'raw' ? rawStrings(controller?.rawHeaders) : parsed;
    if (statusCode < 200) {
      options.onInfo?.({ statusCode, headers });
      return;
    }
    const length = parsed?.['content-length'];
    const response = new BodyReadable({
      resume: () => controller.resume(),
      abort: (reason) => controller.abort(reason),
      contentType: parsed?.['content-type'],
      contentLength: options.method !== 'HEAD' && length ? Number(length) : null,
      highWaterMark: options.highWaterMark,
    });
    if (this.unlisten) {
      response.on('close', this.unlisten);
      this.unlisten = null;
    }
    this.callback = null;
    this.response = response;
    if (callback === null) {
      return;
    }
    try {
      this.runInAsyncScope(callback, null, null, {
        statusCode, statusText, headers, trailers: this.trailers, opaque: options.opaque || null, body: response,
        context,
      });
    } catch (error) {
      this.response = null;
      destroyStream(response.on('error', ignore), error);
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  onResponseData(controller: any, chunk: Buffer): void {
    if (this.response?.push(chunk) === false) {
      controller.pause();
    }
  }

  onResponseEnd(_controller: any, trailers: any): void {
    for (const name of Object.keys(trailers ?? {})) {
      Object.defineProperty(this.trailers, name, {
        value: trailers[name], enumerable: true, configurable: true, writable: true,
      });
    }
    this.response?.push(null);
  }

  onResponseError(_controller: any, error: Error): void {
    const { response, callback, body, options } = this;
    if (callback) {
      this.callback = null;
      queueMicrotask(() => this.runInAsyncScope(callback, null, error, { opaque: options.opaque || null }));
    }
    if (response) {
      this.response = null;
      // What was pushed before is read first.
      queueMicrotask(() => destroyStream(response.on('error', ignore), error));
    }
    if (body && isStream(body)) {
      this.body = null;
      destroyStream(body.on('error', ignore), error);
    }
    this.unlisten?.();
    this.unlisten = null;
  }
}

/** Checks what `request()` and `stream()` were given; `factory` is of the latter. */
export function checkRequest(options: any, callback: any, factory?: any): void {
  if (!options || typeof options !== 'object') {
    throw new InvalidArgumentError('invalid opts');
  }
  const { signal, method, body, onInfo, highWaterMark } = options;
  try {
    if (typeof callback !== 'function') {
      throw new InvalidArgumentError('invalid callback');
    }
    if (factory !== undefined && typeof factory !== 'function') {
      throw new InvalidArgumentError('invalid factory');
    }
    if (factory === undefined && highWaterMark != null && !(Number.isFinite(highWaterMark) && highWaterMark >= 0)) {
      throw new InvalidArgumentError('invalid highWaterMark');
    }
    checkSignal(signal);
    if (method === 'CONNECT') {
      throw new InvalidArgumentError('invalid method');
    }
    if (onInfo && typeof onInfo !== 'function') {
      throw new InvalidArgumentError('invalid onInfo callback');
    }
  } catch (error) {
    if (isStream(body)) {
      destroyStream(body.on('error', ignore), error);
    }
    throw error;
  }
}

export function request(dispatcher: any, options: any, given: any): Promise<any> | void {
  return promised(given, (callback) => attempt(options, callback, () => {
    checkRequest(options, callback);
    dispatcher.dispatch(options, new RequestHandler(options, callback));
  }));
}
