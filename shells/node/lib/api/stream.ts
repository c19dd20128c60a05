import { AsyncResource } from 'node:async_hooks';
import { destroyStream, isStream } from '../body';
import { InvalidReturnValueError } from '../errors';
import type { Queued } from '../handler';
import { rawStrings } from '../headers';
import { checkRequest } from './request';
import { Abortable, attempt, promised } from './signal';

/** Tells once how a Writable ended. */
function onEnd(stream: any, callback: (error: any, fromEvent: boolean) => void): void {
  let over = false;
  const finish = (error: any, fromEvent = false) => {
    if (!over) {
      over = true;
      stream.removeListener('close', onClose);
      stream.removeListener('error', onError);
      stream.removeListener('finish', onFinish);
      callback(error, fromEvent);
    }
  };
  const onClose = () => {
    const error = stream.errored ?? stream._writableState?.errored;
    const early = Object.assign(new Error('Premature close'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
    finish(error ?? (stream.writableFinished ? null : early));
  };
  const onError = (error: any) => finish(error, true);
  const onFinish = () => finish(null);
  stream.on('close', onClose);
  stream.on('error', onError);
  stream.on('finish', onFinish);
  if (stream.closed) {
    process.nextTick(onClose);
  } else if (stream.writableFinished) {
    process.nextTick(onFinish);
  }
}

class StreamHandler extends AsyncResource {
  private readonly abortable: Abortable;
  private context: any = null;
  private controller: any = null;
  private response: any = null;
  private trailers: any = null;
  private body: any;

  constructor(private readonly options: any, private factory: any, private callback: any) {
    super('FOREBAY_STREAM');
    this.body = options.body;
    if (isStream(this.body)) {
      this.body.on('error', (error: Error) => this.onResponseError(this.controller, error));
    }
    this.abortable = new Abortable(options.signal);
  }

  /** @internal */
  _onQueued(request: Queued): void {
    this.abortable.queue(request);
  }

  onRequestStart(controller: any, context: any): void {
    if (this.abortable.start(controller)) {
      this.controller = controller;
      this.context = context;
    }
  }

  onResponseStart(controller: any, statusCode: number, parsed: any): void {
    const { factory, options, context } = this;
    const headers = options.responseHeaders === 'raw' ? rawStrings(controller?.rawHeaders) : parsed;
    if (statusCode < 200) {
      options.onInfo?.({ statusCode, headers });
      return;
    }
    this.factory = null;
    if (factory === null) {
      return;
    }
    const opaque = options.opaque || null;
    const response: any = this.runInAsyncScope(factory, null, { statusCode, headers, opaque, context });
    if (!response || ['write', 'end', 'on'].some((name) => typeof response[name] !== 'function')) {
      throw new InvalidReturnValueError('expected Writable');
    }
    onEnd(response, (error, fromEvent) => this.onWritten(error, fromEvent));
    response.on('drain', () => controller.resume());
    this.response = response;
    if (response.writableNeedDrain ?? response._writableState?.needDrain) {
      controller.pause();
    }
  }

  private onWritten(error: any, fromEvent: boolean): void {
    const { callback, response, options, trailers } = this;
    this.response = null;
    if (error || !response?.readable) {
      destroyStream(response, fromEvent ? undefined : error);
    }
    this.callback = null;
    if (callback) {
      this.runInAsyncScope(callback, null, error || null, { opaque: options.opaque || null, trailers });
    }
    if (error) {
      this.abortable.give(error);
    }
  }

  onResponseData(controller: any, chunk: Buffer): void {
    if (this.response?.write(chunk) === false) {
      controller.pause();
    }
  }

  onResponseEnd(_controller: any, trailers: any): void {
    this.abortable.release();
    if (this.response) {
      this.trailers = trailers;
      this.response.end();
    }
  }

  onResponseError(_controller: any, error: Error): void {
    const { response, callback, options, body } = this;
    this.abortable.release();
    this.factory = null;
    if (response) {
      this.response = null;
      destroyStream(response, error);
    } else if (callback) {
      this.callback = null;
      queueMicrotask(() => this.runInAsyncScope(callback, null, error, { opaque: options.opaque || null }));
    }
    if (body && isStream(body)) {
      this.body = null;
      destroyStream(body, error);
    }
  }
}

export function stream(dispatcher: any, options: any, factory: any, given: any): Promise<any> | void {
  return promised(given, (callback) => attempt(options, callback, () => {
    checkRequest(options, callback, factory ?? null);
    dispatcher.dispatch(options, new StreamHandler(options, factory, callback));
  }));
}
