// Request bodies: what they are, and how they are read as the engine wants them.

import { Readable } from 'node:stream';
import { InvalidArgumentError, RequestAbortedError, RequestContentLengthMismatchError } from './errors';
import { encode, isFormData } from './form-data';

/** Whom an upload writes for. */
export interface UploadTarget {
  readonly strictContentLength: boolean;
  write(chunk: Uint8Array, given: unknown): void;
  finish(): void;
  fail(error: unknown): void;
}

/** A body that was recognised. */
export interface Body {
  /** Empty or whole bytes; null: a source to be read. */
  whole: Uint8Array | null;
  source: Source | null;
  /** What is known of a source's length before it is read. */
  length: number | null;
  /** The type that the body brings with it. */
  type: string | null;
}

/** What is read chunk by chunk. */
export interface Source {
  start(upload: Upload): void;
  /** The upload wants more. */
  resume(): void;
  destroy(error: unknown): void;
}

const EMPTY = new Uint8Array(0);

export function isStream(body: any): boolean {
  return body && typeof body === 'object' && typeof body.pipe === 'function' && typeof body.on === 'function';
}

function isBlob(body: any): body is Blob {
  return typeof Blob === 'function' && body instanceof Blob;
}

function isIterable(body: any): boolean {
  return typeof body === 'object' && body !== null
    && (typeof body[Symbol.asyncIterator] === 'function' || typeof body[Symbol.iterator] === 'function');
}

/** What `body` is; null: there is none. */
export function recognise(body: any): Body | null {
  if (body === null || body === undefined) {
    return null;
  }
  if (typeof body === 'string') {
    return body.length === 0 ? null : wholeBody(Buffer.from(body));
  }
  if (isStream(body)) {
    return streamBody(body);
  }
  if (ArrayBuffer.isView(body)) {
    return body.byteLength === 0
      ? null : wholeBody(new Uint8Array(body.buffer, body.byteOffset, body.byteLength));
  }
  if (body instanceof ArrayBuffer) {
    return body.byteLength === 0 ? null : wholeBody(new Uint8Array(body));
  }
  if (isFormData(body)) {
    const { type, length, chunks } = encode(body);
    return { whole: null, source: new IterableSource(chunks), length, type };
  }
  if (isBlob(body)) {
    return {
      whole: body.size === 0 ? EMPTY : null,
      source: body.size === 0 ? null : new IterableSource(body.stream()),
      length: body.size,
      type: body.type || null,
    };
  }
  if (isIterable(body)) {
    return { whole: null, source: new IterableSource(body), length: null, type: null };
  }
  throw new InvalidArgumentError(
    'body must be a string, a Buffer, a Readable stream, an iterable, or an async iterable',
  );
}

function wholeBody(whole: Uint8Array): Body {
  return { whole, source: null, length: whole.length, type: null };
}

function streamBody(stream: any): Body {
  return { whole: null, source: new StreamSource(stream), length: null, type: null };
}

/** A stream that has ended by the time it is sent tells its length. */
export function measure(body: Body): void {
  if (body.source instanceof StreamSource) {
    body.length = body.source.length;
    body.whole = body.length === 0 ? EMPTY : null;
  }
}

/** One upload: counts bytes against what was announced, and stops its source when the engine wants no more. */
export class Upload {
  private credit = 0;
  private sent = 0;
  private started = false;
  private over = false;
  private warned = false;

  constructor(
    private readonly source: Source,
    /** What was announced; null: nothing. */
    private readonly length: number | null,
    private readonly target: UploadTarget,
  ) {}

  /** So many more bytes are wanted. */
  grant(bytes: number): void {
    const stopped = this.credit <= 0;
    this.credit += bytes;
    if (this.over) {
      return;
    }
    if (!this.started) {
      this.started = true;
      this.source.start(this);
    } else if (stopped && this.credit > 0) {
      this.source.resume();
    }
  }

  /** The request failed or is over. */
  destroy(error: unknown): void {
    if (!this.over) {
      this.over = true;
      this.source.destroy(error);
    }
  }

  /** A chunk of the source; returns whether it may go on. */
  push(given: unknown): boolean {
    if (this.over) {
      return false;
    }
    let chunk = bytesOf(given);
    if (chunk === null) {
      this.fail(new TypeError('a chunk of the request body must be a string, a Buffer or an ArrayBuffer view'));
      return false;
    }
    if (this.length !== null && this.sent + chunk.length > this.length) {
      if (!this.mismatch()) {
        return false;
      }
      // Never beyond what was announced: the server would read it as the next request.
      chunk = chunk.subarray(0, this.length - this.sent);
    }
    if (chunk.length > 0) {
      this.sent += chunk.length;
      this.credit -= chunk.length;
      this.target.write(chunk, given);
    }
    return this.credit > 0 && !this.over;
  }

  end(): void {
    if (this.over || (this.length !== null && this.sent !== this.length && !this.mismatch())) {
      return;
    }
    this.over = true;
    this.target.finish();
  }

  fail(error: unknown): void {
    if (!this.over) {
      this.over = true;
      this.source.destroy(error);
      this.target.fail(error);
    }
  }

  /** Returns whether to go on all the same. */
  private mismatch(): boolean {
    const error = new RequestContentLengthMismatchError();
    if (this.target.strictContentLength) {
      this.fail(error);
      return false;
    }
    if (!this.warned) {
      this.warned = true;
      process.emitWarning(error);
    }
    return true;
  }
}

function bytesOf(chunk: unknown): Uint8Array | null {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk);
  }
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  return chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : null;
}

class StreamSource implements Source {
  private upload: Upload | null = null;
  private done = false;
  /** An error from before anyone read. */
  private early: { error: unknown } | null = null;

  constructor(private readonly stream: any) {
    stream.on('error', this.onError);
    if (!stream._readableState?.autoDestroy) {
      stream.on('end', () => destroyStream(stream, undefined));
    }
  }

  /** What is left of a stream that has ended; null: it has not. */
  get length(): number | null {
    const { stream } = this;
    const state = stream._readableState;
    if (typeof stream.read !== 'function' || !state) {
      return null;
    }
    stream.read(0);
    const known = state.objectMode === false && state.ended === true && !state.errored;
    return known && Number.isFinite(state.length) ? state.length : null;
  }

  start(upload: Upload): void {
    this.upload = upload;
    const { stream } = this;
    stream.on('data', this.onData).on('end', this.onEnd).on('close', this.onClose);
    stream.resume?.();
    const state = stream._readableState;
    if (this.early !== null) {
      const { error } = this.early;
      setImmediate(() => this.onError(error));
    } else if (stream.errored ?? state?.errored) {
      setImmediate(this.onError, stream.errored ?? state.errored);
    } else if (stream.readableEnded ?? state?.endEmitted) {
      setImmediate(this.onEnd);
    } else if (stream.closed ?? stream.destroyed) {
      setImmediate(this.onClose);
    }
  }

  resume(): void {
    this.stream.resume?.();
  }

  destroy(error: unknown): void {
    this.finish();
    destroyStream(this.stream, error);
  }

  private finish(): void {
    this.done = true;
    const { stream } = this;
    stream.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose);
    // Errors that come late are nobody's.
    stream.off('error', this.onError).on('error', ignore);
  }

  private readonly onData = (chunk: unknown): void => {
    if (!this.upload!.push(chunk)) {
      this.stream.pause?.();
    }
  };

  private readonly onEnd = (): void => {
    if (!this.done) {
      this.finish();
      this.upload!.end();
    }
  };

  private readonly onError = (error: unknown): void => {
    if (this.upload === null) {
      this.early ??= { error };
      this.onEarlyError?.(error);
    } else if (!this.done) {
      this.finish();
      this.upload.fail(error);
    }
  };

  /** Set by the request: its stream failed before it was read. */
  onEarlyError: ((error: unknown) => void) | null = null;

  private readonly onClose = (): void => {
    // `close` may come in front of `error`.
    queueMicrotask(() => {
      if (!this.done) {
        this.finish();
        this.upload!.fail(new RequestAbortedError());
      }
    });
  };
}

function ignore(): void {}

export function destroyStream(stream: any, error: unknown): void {
  if (!stream || stream.destroyed === true) {
    return;
  }
  if (typeof stream.destroy === 'function') {
    try {
      stream.destroy(error);
    } catch {
      // Managed sockets, such as those of http2, throw.
    }
  } else if (error) {
    queueMicrotask(() => stream.emit('error', error));
  }
}

class IterableSource implements Source {
  private upload: Upload | null = null;
  private iterator: AsyncIterator<unknown> | Iterator<unknown> | null = null;
  private reading = false;
  private done = false;

  constructor(private readonly iterable: any) {}

  start(upload: Upload): void {
    this.upload = upload;
    try {
      this.iterator = typeof this.iterable[Symbol.asyncIterator] === 'function'
        ? this.iterable[Symbol.asyncIterator]()
        : this.iterable[Symbol.iterator]();
    } catch (error) {
      this.done = true;
      upload.fail(error);
      return;
    }
    void this.read();
  }

  resume(): void {
    if (!this.reading) {
      void this.read();
    }
  }

  destroy(error: unknown): void {
    if (this.done) {
      return;
    }
    this.done = true;
    if (this.iterable instanceof Readable) {
      destroyStream(this.iterable, error);
      return;
    }
    // The generator's `finally` runs; nobody waits for it.
    try {
      const returned: any = this.iterator?.return?.();
      returned?.then?.(undefined, ignore);
    } catch {
      // It was told that it is over, which is all that was wanted.
    }
  }

  private async read(): Promise<void> {
    this.reading = true;
    try {
      let more = true;
      while (more && !this.done) {
        const step = await this.iterator!.next();
        if (this.done) {
          return;
        }
        if (step.done) {
          this.done = true;
          this.upload!.end();
          return;
        }
        // Iterables of promises are awaited, as `for await` does.
        const value: any = step.value;
        more = this.upload!.push(typeof value?.then === 'function' ? await value : value);
      }
    } catch (error) {
      this.done = true;
      this.upload!.fail(error);
    } finally {
      this.reading = false;
    }
  }
}

/** Tells `each` when the body's stream fails before it is read. */
export function watch(body: Body, each: (error: unknown) => void): void {
  if (body.source instanceof StreamSource) {
    body.source.onEarlyError = each;
  }
}
