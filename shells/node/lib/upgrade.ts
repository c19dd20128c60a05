// The raw stream that an upgrade or CONNECT leaves behind.

import { Duplex } from 'node:stream';
import type { SocketInfo } from './errors';

/** Who moves the socket's bytes. */
export interface SocketEnd {
  _socketWrite(chunk: Uint8Array): void;
  _socketEnd(): void;
  _socketTook(bytes: number): void;
  _socketClose(): void;
}

/** A Duplex with what users of `net.Socket` look for. */
export class RawSocket extends Duplex {
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly remoteFamily: string | undefined;
  /** Set when it is one stream of a connection: by that undici's WebSocket knows HTTP/2. */
  readonly session: { socket: RawSocket } | undefined;
  bytesRead = 0;
  bytesWritten = 0;
  private credit = 0;
  private waiting: (() => void) | null = null;
  private unread: Buffer[] = [];
  private wantsMore = true;
  private peerEnded = false;
  private idle: NodeJS.Timeout | null = null;
  /** Called when all that was written is on its way. */
  private finished: (() => void) | null = null;
  private sent = false;

  constructor(
    private readonly end_: SocketEnd,
    info: SocketInfo | null,
    isHttp2: boolean,
  ) {
    // As Node.js's own sockets and streams: what was read to its end may still be reset.
    super({ allowHalfOpen: isHttp2, autoDestroy: true });
    this.session = isHttp2 ? { socket: this } : undefined;
    this.localAddress = info?.localAddress;
    this.localPort = info?.localPort;
    this.remoteAddress = info?.remoteAddress;
    this.remotePort = info?.remotePort;
    this.remoteFamily = info?.remoteFamily;
  }

  get connecting(): boolean {
    return false;
  }

  get timeout(): number | undefined {
    return undefined;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  address(): object {
    return { address: this.localAddress, port: this.localPort, family: this.remoteFamily };
  }

  /** Emits `timeout` when nothing has moved for so long; 0: never. */
  setTimeout(ms: number, callback?: () => void): this {
    clearTimeout(this.idle ?? undefined);
    this.idle = ms > 0 ? setTimeout(() => this.emit('timeout'), ms).unref() : null;
    if (callback) {
      this.once('timeout', callback);
    }
    return this;
  }

  destroySoon(): void {
    if (this.writable) {
      this.end();
    }
    if (this.writableFinished) {
      this.destroy();
    } else {
      this.once('finish', () => this.destroy());
    }
  }

  /** @internal Returns whether the reader took it. */
  _receive(chunk: Buffer): boolean {
    this.idle?.refresh();
    this.bytesRead += chunk.length;
    if (this.wantsMore && this.unread.length === 0) {
      this.wantsMore = this.push(chunk);
      return true;
    }
    this.unread.push(chunk);
    return false;
  }

  /** @internal */
  _ended(): void {
    this.peerEnded = true;
    if (this.unread.length === 0) {
      this.push(null);
    }
  }

  /** @internal So many more bytes may be written. */
  _grant(bytes: number): void {
    this.credit += bytes;
    const go = this.waiting;
    if (go !== null && this.credit > 0) {
      this.waiting = null;
      go();
    }
  }

  /** @internal Nothing that was written is left, and nothing more can be. */
  _sent(): void {
    this.sent = true;
    this._grant(Infinity);
    this.finished?.();
  }

  override _read(): void {
    this.wantsMore = true;
    while (this.wantsMore && this.unread.length > 0) {
      const chunk = this.unread.shift()!;
      this.end_._socketTook(chunk.length);
      this.wantsMore = this.push(chunk);
    }
    if (this.peerEnded && this.unread.length === 0) {
      this.push(null);
    }
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
    const go = () => {
      this.idle?.refresh();
      this.bytesWritten += bytes.length;
      this.credit -= bytes.length;
      this.end_._socketWrite(bytes);
      done();
    };
    if (this.credit > 0) {
      go();
    } else {
      this.waiting = go;
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.sent) {
      done();
    } else {
      this.finished = done;
      this.end_._socketEnd();
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.idle ?? undefined);
    this.end_._socketClose();
    done(error);
  }
}
