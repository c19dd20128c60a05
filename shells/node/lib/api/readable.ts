// The body of a response: a Readable with the ways to take it as a whole.

import { addAbortListener } from 'node:events';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { Blob } from 'node:buffer';
import { AbortError, InvalidArgumentError, NotSupportedError, RequestAbortedError } from '../errors';

type Kind = 'text' | 'json' | 'blob' | 'bytes' | 'arrayBuffer';

interface Consumption {
  kind: Kind;
  chunks: Buffer[] | null;
  length: number;
  resolve(value: any): void;
  reject(error: any): void;
}

export class BodyReadable extends Readable {
  private readonly abortRequest: (reason?: any) => void;
  private readonly contentType: string;
  private readonly contentLength: number | null;
  private consumption: Consumption | null = null;
  private webStream: ReadableStream | null = null;
  private used = false;
  /** It is read as a stream too, while it is being taken as a whole. */
  private streaming = false;
  private received = 0;

  constructor(options: {
    resume: () => void;
    abort: (reason?: any) => void;
    contentType?: string;
    contentLength?: number | null;
    highWaterMark?: number;
  }) {
    const { resume, abort, contentType = '', contentLength, highWaterMark = 64 * 1024 } = options;
    super({ autoDestroy: true, read: resume, highWaterMark });
    this.abortRequest = abort;
    this.contentType = contentType;
    this.contentLength = Number.isFinite(contentLength) ? contentLength! : null;
  }

  override _destroy(given: Error | null, done: (error?: Error | null) => void): void {
    const error = given ?? (this.readableEnded ? null : new RequestAbortedError());
    if (error) {
      this.abortRequest(error);
    }
    // Who got the body by a promise in this turn has had no chance to listen for errors.
    if (this.used) {
      done(error);
    } else {
      setImmediate(done, error);
    }
  }

  override on(event: any, listener: any): this {
    if (event === 'data' || event === 'readable') {
      this.streaming = true;
      this.used = true;
    }
    return super.on(event, listener);
  }

  override addListener(event: any, listener: any): this {
    return this.on(event, listener);
  }

  override off(event: any, listener: any): this {
    super.off(event, listener);
    if (event === 'data' || event === 'readable') {
      this.streaming = this.listenerCount('data') > 0 || this.listenerCount('readable') > 0;
    }
    return this;
  }

  override removeListener(event: any, listener: any): this {
    return this.off(event, listener);
  }

  override push(chunk: any, encoding?: BufferEncoding): boolean {
    if (chunk) {
      this.received += chunk.length;
      if (this.consumption !== null) {
        this.gather(chunk);
        return this.streaming ? super.push(chunk, encoding) : true;
      }
    }
    return super.push(chunk, encoding);
  }

  text(): Promise<string> {
    return this.consume('text');
  }

  json(): Promise<unknown> {
    return this.consume('json');
  }

  blob(): Promise<Blob> {
    return this.consume('blob');
  }

  bytes(): Promise<Uint8Array> {
    return this.consume('bytes');
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.consume('arrayBuffer');
  }

  async formData(): Promise<never> {
    throw new NotSupportedError();
  }

  get bodyUsed(): boolean {
    return Readable.isDisturbed(this);
  }

  get body(): any {
    if (this.webStream === null) {
      this.webStream = (ReadableStream as any).from(this) as ReadableStream;
      if (this.consumption !== null) {
        this.webStream.getReader();
      }
    }
    return this.webStream;
  }

  /** Reads and drops up to `limit` bytes; a longer body is given up. */
  dump(options?: { limit?: number; signal?: AbortSignal }): Promise<void> {
    const signal = options?.signal;
    if (signal != null && (typeof signal !== 'object' || !('aborted' in signal))) {
      return Promise.reject(new InvalidArgumentError('signal must be an AbortSignal'));
    }
    const limit = options?.limit && Number.isFinite(options.limit) ? options.limit : 128 * 1024;
    if (signal?.aborted) {
      return Promise.reject(signal.reason ?? new AbortError());
    }
    if (this.closed) {
      return Promise.resolve(null as any);
    }
    return new Promise((resolve, reject) => this.dumpUpTo(limit, signal, resolve, reject));
  }

  private dumpUpTo(
    limit: number, signal: AbortSignal | undefined, resolve: (value: any) => void, reject: (error: any) => void,
  ): void {
    if ((this.contentLength !== null && this.contentLength > limit) || this.received > limit) {
      this.destroy(new AbortError());
    }
    const listening = signal && addAbortListener(signal, () => this.destroy(signal.reason ?? new AbortError()));
    this.on('close', () => {
      listening?.[Symbol.dispose]();
      if (signal?.aborted) {
        reject(signal.reason ?? new AbortError());
      } else {
        resolve(null);
      }
    });
    this.on('error', () => {})
      .on('data', () => {
        if (this.received > limit) {
          this.destroy();
        }
      })
      .resume();
  }

  override setEncoding(encoding: BufferEncoding): this {
    return Buffer.isEncoding(encoding) ? super.setEncoding(encoding) : this;
  }

  private get unusable(): boolean {
    return Readable.isDisturbed(this) || this.webStream?.locked === true || this.consumption !== null;
  }

  private consume(kind: Kind): Promise<any> {
    return new Promise((resolve, reject) => {
      if (this.unusable) {
        if (this.destroyed && !this.closed) {
          this.on('error', reject);
          this.on('close', () => reject(new TypeError('unusable')));
        } else {
          reject(this.errored ?? new TypeError('unusable'));
        }
        return;
      }
      this.consumption = { kind, chunks: [], length: 0, resolve, reject };
      this.used = true;
      this.on('error', (error: Error) => this.finish(error));
      this.on('close', () => {
        // An error is costly to make, and hardly ever needed here.
        if (this.consumption?.chunks) {
          this.finish(new RequestAbortedError());
        }
      });
      this.startConsuming();
    });
  }

  private startConsuming(): void {
    const state = (this as any)._readableState;
    // An array from Node.js 20 on, a list of its own before.
    const buffered = [...state.buffer];
    buffered.slice(state.bufferIndex ?? 0).forEach((chunk) => this.gather(chunk));
    if (state.decoder?.lastNeed > 0) {
      const { lastChar, lastTotal, lastNeed } = state.decoder;
      this.gather(Buffer.from(lastChar.subarray(0, lastTotal - lastNeed)));
    }
    if (state.endEmitted) {
      this.whole();
      return;
    }
    this.on('end', () => this.whole());
    this.resume();
    while (this.read() !== null) {
      // What was buffered has been gathered above.
    }
  }

  private gather(given: Buffer | string): void {
    const { consumption } = this;
    if (consumption?.chunks) {
      const chunk = typeof given === 'string' ? Buffer.from(given, this.readableEncoding ?? 'utf8') : given;
      consumption.length += chunk.length;
      consumption.chunks.push(chunk);
    }
  }

  private whole(): void {
    const consumption = this.consumption!;
    if (consumption.chunks === null) {
      return;
    }
    try {
      consumption.resolve(this.made(consumption));
      consumption.chunks = null;
    } catch (error) {
      this.destroy(error as Error);
      this.finish(error);
    }
  }

  private made({ kind, chunks, length }: Consumption): any {
    if (kind === 'blob') {
      return new Blob(chunks as any, { type: this.contentType });
    }
    const all = chunks!.length === 1 ? chunks![0]! : Buffer.concat(chunks!, length);
    if (kind === 'text') {
      return decode(all, this.readableEncoding);
    }
    if (kind === 'json') {
      return JSON.parse(decode(all, this.readableEncoding));
    }
    // Memory of its own: a small Buffer is a piece of a pool.
    const bytes = new Uint8Array(all);
    return kind === 'bytes' ? bytes : bytes.buffer;
  }

  private finish(error: unknown): void {
    const { consumption } = this;
    if (consumption?.chunks) {
      consumption.chunks = null;
      consumption.reject(error);
    }
  }
}

/** Without a byte order mark. */
function decode(bytes: Buffer, encoding: BufferEncoding | null): string {
  const start = bytes.length > 2 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return bytes.toString(encoding ?? 'utf8', start);
}
