import { AsyncResource } from 'node:async_hooks';
import { Duplex, PassThrough, Readable } from 'node:stream';
import { destroyStream } from '../body';
import { InvalidArgumentError, InvalidReturnValueError, RequestAbortedError } from '../errors';
import type { Queued } from '../handler';
import { rawStrings } from '../headers';
import { Abortable, checkSignal } from './signal';

const ignore = (): void => {};

/** What is written into the pipeline, as the request's body. */
class PipelineRequest extends Readable {
  go: (() => void) | null = null;

  override _read(): void {
    const { go } = this;
    this.go = null;
    go?.();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this._read();
    done(error);
  }
}

class PipelineResponse extends Readable {
  constructor(private readonly more: () => void) {
    super({ autoDestroy: true });
  }

  override _read(): void {
    this.more();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    done(error ?? (this.readableEnded ? null : new RequestAbortedError()));
  }
}

class PipelineHandler extends AsyncResource {
  readonly request = new PipelineRequest({ autoDestroy: true });
  readonly duplex: Duplex;
  private readonly abortable: Abortable;
  private context: any = null;
  private response: PipelineResponse | null = null;
  private body: any = null;

  constructor(private readonly options: any, private handler: any) {
    super('FOREBAY_PIPELINE');
    this.request.on('error', ignore);
    this.duplex = this.makeDuplex();
    this.abortable = new Abortable(options.signal);
  }

  private makeDuplex(): Duplex {
    const { request } = this;
    return new Duplex({
      readableObjectMode: this.options.objectMode,
      autoDestroy: true,
      read: () => this.body?.resume?.(),
      write: (chunk, encoding, done) => {
        if (request.push(chunk, encoding) || request.destroyed) {
          done();
        } else {
          request.go = done;
        }
      },
      destroy: (given, done) => this.destroy(given, done),
    }).on('prefinish', () => request.push(null));
  }

  private destroy(given: Error | null, done: (error: Error | null) => void): void {
    const error = given ?? (this.duplex.readableEnded ? null : new RequestAbortedError());
    if (error) {
      this.abortable.give(error);
    }
    destroyStream(this.body, error);
    destroyStream(this.request, error);
    destroyStream(this.response, error);
    this.abortable.release();
    done(error);
  }

  /** @internal */
  _onQueued(request: Queued): void {
    this.abortable.queue(request);
  }

  onRequestStart(controller: any, context: any): void {
    if (this.abortable.start(controller)) {
      this.context = context;
    }
  }

  onResponseStart(controller: any, statusCode: number, parsed: any): void {
    const { options, handler, context } = this;
    const headers = options.responseHeaders === 'raw' ? rawStrings(controller?.rawHeaders) : parsed;
    if (statusCode < 200) {
      options.onInfo?.({ statusCode, headers });
      return;
    }
    const response = (this.response = new PipelineResponse(() => controller.resume()));
    this.handler = null;
    let body: any;
    try {
      const opaque = options.opaque || null;
      body = this.runInAsyncScope(handler, null, { statusCode, headers, opaque, body: response, context });
    } catch (error) {
      response.on('error', ignore);
      throw error;
    }
    if (!body || typeof body.on !== 'function') {
      throw new InvalidReturnValueError('expected Readable');
    }
    this.pump(body);
  }

  private pump(body: any): void {
    const { duplex } = this;
    this.body = body;
    body
      .on('data', (chunk: any) => {
        if (!duplex.push(chunk)) {
          body.pause?.();
        }
      })
      .on('error', (error: Error) => destroyStream(duplex, error))
      .on('end', () => duplex.push(null))
      .on('close', () => {
        if (!(duplex as any)._readableState.ended) {
          destroyStream(duplex, new RequestAbortedError());
        }
      });
  }

  onResponseData(controller: any, chunk: Buffer): void {
    if (this.response!.push(chunk) === false) {
      controller.pause();
    }
  }

  onResponseEnd(): void {
    this.response!.push(null);
  }

  onResponseError(_controller: any, error: Error): void {
    this.handler = null;
    destroyStream(this.duplex, error);
  }
}

function check(options: any, handler: any): void {
  if (!options || typeof options !== 'object') {
    throw new InvalidArgumentError('invalid opts');
  }
  if (typeof handler !== 'function') {
    throw new InvalidArgumentError('invalid handler');
  }
  checkSignal(options.signal);
  if (options.method === 'CONNECT') {
    throw new InvalidArgumentError('invalid method');
  }
  if (options.onInfo && typeof options.onInfo !== 'function') {
    throw new InvalidArgumentError('invalid onInfo callback');
  }
}

export function pipeline(dispatcher: any, options: any, handler: any): Duplex {
  try {
    check(options, handler);
    const pipelined = new PipelineHandler(options, handler);
    dispatcher.dispatch({ ...options, body: pipelined.request }, pipelined);
    return pipelined.duplex;
  } catch (error) {
    return new PassThrough().destroy(error as Error);
  }
}
