// What a caller asks for: checked, with undici's messages, and put into the form that the engine takes.

import { stringify } from 'node:querystring';
import { isIP } from 'node:net';
import { recognise, watch, type Body } from './body';
import { channels } from './diagnostics';
import { InvalidArgumentError, NotSupportedError } from './errors';
import { accept, wantsHttp1, type Handler } from './handler';
import type { DispatchOptions } from './types';

const TOKEN = /^[\^_`a-zA-Z\-0-9!#$%&'*+.|~]+$/;
const INVALID_PATH = /[^\u0021-\u00ff]/;
const INVALID_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const DIGITS = /^[0-9]+$/;

/** Methods that announce a body, even an empty one. */
const WITH_PAYLOAD = new Set(['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']);
/** Methods of which a declared length is not compared with the body. */
const UNCHECKED = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT']);

enum Field { Ordinary, Invalid, Host, ContentLength, ContentType, Reserved, Connection, Expect }

const SPECIAL: Record<string, Field> = {
  'host': Field.Host,
  'content-length': Field.ContentLength,
  'content-type': Field.ContentType,
  'transfer-encoding': Field.Reserved,
  'keep-alive': Field.Reserved,
  'upgrade': Field.Reserved,
  'connection': Field.Connection,
  'expect': Field.Expect,
};

/** What names as the caller spells them are; bounded, since some callers invent names. */
const fields = new Map<string, Field>();

function fieldOf(name: string): Field {
  let field = fields.get(name);
  if (field === undefined) {
    const lower = name.toLowerCase();
    field = Object.hasOwn(SPECIAL, lower) ? SPECIAL[lower]!
      : TOKEN.test(name) ? Field.Ordinary : Field.Invalid;
    if (fields.size < 1024) {
      fields.set(name, field);
    }
  }
  return field;
}

/** Checked once: the methods and values that everybody uses. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

/** A request as diagnostics channels show it, and as the client sends it. */
export class Request {
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  readonly upgrade: string | null;
  readonly idempotent: boolean;
  readonly blocking: boolean;
  reset: boolean | null;
  readonly expectContinue: boolean;
  readonly headersTimeout: number | null | undefined;
  readonly bodyTimeout: number | null | undefined;
  readonly typeOfService: number | null;
  readonly servername: string | null;
  readonly allowH2: boolean;
  host: string | null = null;
  contentLength: number | null = null;
  contentType: string | null = null;
  completed = false;
  aborted = false;
  /** @internal Lines as they go out. */
  _fields = '';
  /** @internal */
  readonly _body: Body | null;
  /** @internal */
  readonly _handler: Handler;
  /** @internal The body failed before it was read. */
  _bodyError: { error: unknown } | null = null;

  constructor(origin: string, options: DispatchOptions, handler: any) {
    check(options);
    const { method, upgrade, reset, query } = options as any;
    this.origin = origin;
    this.method = method;
    this.upgrade = (upgrade as string) || null;
    this.headersTimeout = options.headersTimeout;
    this.bodyTimeout = options.bodyTimeout;
    this.expectContinue = options.expectContinue ?? false;
    this.allowH2 = options.allowH2 ?? !wantsHttp1(upgrade, handler);
    this.typeOfService = (options as any).typeOfService ?? null;
    this._body = recognise(options.body);
    if (this._body?.source) {
      watch(this._body, (error) => { this._bodyError ??= { error }; });
    }
    this.path = query ? withQuery(options.path, query) : options.path;
    this.idempotent = options.idempotent ?? (method === 'GET' || method === 'HEAD' || method === 'QUERY');
    this.blocking = options.blocking ?? method !== 'HEAD';
    this.reset = reset ?? null;
    this.addHeaders(options.headers);
    this._handler = accept(handler, this.upgrade !== null || method === 'CONNECT');
    this.servername = options.servername || serverName(this.host);
    if (channels.create.hasSubscribers) {
      channels.create.publish({ request: this });
    }
    if (this.contentType === null && this._body?.type) {
      this.addHeader('content-type', this._body.type);
    }
  }

  get body(): unknown {
    return this._body?.whole ?? this._body?.source ?? null;
  }

  /** Name, value, name, value. */
  get headers(): string[] {
    const flat: string[] = [];
    for (const line of this._fields.split('\r\n')) {
      if (line !== '') {
        const colon = line.indexOf(': ');
        flat.push(line.slice(0, colon), line.slice(colon + 2));
      }
    }
    return flat;
  }

  addHeader(name: string, value: unknown): this {
    const kind = fieldOf(name);
    if (value === undefined) {
      return this;
    }
    const isList = Array.isArray(value);
    const text = isList ? '' : valueOf(name, value);
    if (kind === Field.Ordinary) {
      this._fields += isList ? lines(name, value) : `${name}: ${text}\r\n`;
    } else if (isList) {
      this.addSpecial(kind, name, null, lines(name, value));
    } else {
      this.addSpecial(kind, name, text, `${name}: ${text}\r\n`);
    }
    return this;
  }

  private addHeaders(headers: any): void {
    if (headers === null || headers === undefined) {
      return;
    }
    if (Array.isArray(headers)) {
      if (headers.length % 2 !== 0) {
        throw new InvalidArgumentError('headers array must be even');
      }
      for (let i = 0; i < headers.length; i += 2) {
        this.addHeader(headers[i], headers[i + 1]);
      }
    } else if (typeof headers !== 'object') {
      throw new InvalidArgumentError('headers must be an object or an array');
    } else if (hasIterator(headers)) {
      for (const pair of headers) {
        if (!Array.isArray(pair) || pair.length !== 2) {
          throw new InvalidArgumentError('headers must be in key-value pair format');
        }
        this.addHeader(pair[0], pair[1]);
      }
    } else {
      for (const name of Object.keys(headers)) {
        this.addHeader(name, headers[name]);
      }
    }
  }

  /** `value` is null when the caller gave a list; `all` are the lines it makes. */
  private addSpecial(kind: Field, name: string, value: string | null, all: string): void {
    switch (kind) {
      case Field.Host:
        if (this.host !== null) {
          throw new InvalidArgumentError('duplicate host header');
        }
        if (value === null) {
          throw new InvalidArgumentError('invalid host header');
        }
        this.host = value;
        return;
      case Field.ContentLength:
        if (this.contentLength !== null) {
          throw new InvalidArgumentError('duplicate content-length header');
        }
        if (value === null || !DIGITS.test(value)) {
          throw new InvalidArgumentError('invalid content-length header');
        }
        this.contentLength = parseInt(value, 10);
        return;
      case Field.ContentType:
        this.contentType ??= value;
        this._fields += all;
        return;
      case Field.Connection:
        this.addConnection(value);
        return;
      case Field.Expect:
        throw new NotSupportedError('expect header not supported');
      case Field.Reserved:
        throw new InvalidArgumentError(`invalid ${name.toLowerCase()} header`);
      default:
        throw new InvalidArgumentError('invalid header key');
    }
  }

  /** It is never passed on: only what it says about closing counts. */
  private addConnection(value: string | null): void {
    if (value === null) {
      throw new InvalidArgumentError('invalid connection header');
    }
    for (const token of value.toLowerCase().split(',')) {
      if (!TOKEN.test(token.trim())) {
        throw new InvalidArgumentError('invalid connection header');
      }
      if (token.trim() === 'close') {
        this.reset = true;
      }
    }
  }

  /** Whether the method announces a body. */
  get _expectsPayload(): boolean {
    return WITH_PAYLOAD.has(this.method);
  }

  /** The length to announce; null: none. Tells whether it contradicts what the caller declared. */
  _framing(): { length: number | null; mismatch: boolean } {
    const body = this._body;
    let length = body === null ? 0 : body.length ?? this.contentLength;
    const declared = this.contentLength;
    const mismatch = length !== null && length > 0 && declared !== null && declared !== length
      && !UNCHECKED.has(this.method);
    if (length === 0 && !this._expectsPayload) {
      length = null;
    }
    return { length, mismatch };
  }
}

function check(options: DispatchOptions): void {
  const {
    path, method, upgrade, headersTimeout, bodyTimeout, reset, expectContinue, throwOnError, maxRedirections,
    typeOfService,
  } = options as any;
  if (typeof path !== 'string') {
    throw new InvalidArgumentError('path must be a string');
  }
  if (path[0] !== '/' && method !== 'CONNECT' && !path.startsWith('http://') && !path.startsWith('https://')) {
    throw new InvalidArgumentError('path must be an absolute URL or start with a slash');
  }
  if (INVALID_PATH.test(path)) {
    throw new InvalidArgumentError('invalid request path');
  }
  if (typeof method !== 'string') {
    throw new InvalidArgumentError('method must be a string');
  }
  if (!METHODS.has(method) && !TOKEN.test(method)) {
    throw new InvalidArgumentError('invalid request method');
  }
  if (upgrade && typeof upgrade !== 'string') {
    throw new InvalidArgumentError('upgrade must be a string');
  }
  if (upgrade && INVALID_VALUE.test(upgrade)) {
    throw new InvalidArgumentError('invalid upgrade header');
  }
  if (headersTimeout != null && (!Number.isFinite(headersTimeout) || headersTimeout < 0)) {
    throw new InvalidArgumentError('invalid headersTimeout');
  }
  if (bodyTimeout != null && (!Number.isFinite(bodyTimeout) || bodyTimeout < 0)) {
    throw new InvalidArgumentError('invalid bodyTimeout');
  }
  if (reset != null && typeof reset !== 'boolean') {
    throw new InvalidArgumentError('invalid reset');
  }
  if (expectContinue != null && typeof expectContinue !== 'boolean') {
    throw new InvalidArgumentError('invalid expectContinue');
  }
  if (throwOnError != null) {
    throw new InvalidArgumentError('invalid throwOnError');
  }
  if (maxRedirections != null && maxRedirections !== 0) {
    throw new InvalidArgumentError('maxRedirections is not supported, use the redirect interceptor');
  }
  if (typeOfService != null && !(Number.isInteger(typeOfService) && typeOfService >= 0 && typeOfService <= 255)) {
    throw new InvalidArgumentError('typeOfService must be an integer between 0 and 255');
  }
}

function valueOf(name: string, value: unknown): string {
  if (typeof value === 'string') {
    if (INVALID_VALUE.test(value)) {
      throw new InvalidArgumentError(`invalid ${name} header`);
    }
    return value;
  }
  if (value === null) {
    return '';
  }
  if (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol') {
    throw new InvalidArgumentError(`invalid ${name} header`);
  }
  return String(value);
}

function lines(name: string, values: unknown[]): string {
  let all = '';
  for (const value of values) {
    if (Array.isArray(value)) {
      throw new InvalidArgumentError(`invalid ${name} header`);
    }
    all += `${name}: ${value === undefined ? 'undefined' : valueOf(name, value)}\r\n`;
  }
  return all;
}

/** Lines that go to a proxy with CONNECT, checked as a request's are; what frames it is not for callers to say. */
export function linesToProxy(headers: Record<string, unknown>): string {
  let all = '';
  for (const [name, value] of Object.entries(headers)) {
    const kind = fieldOf(name);
    if (kind === Field.Invalid) {
      throw new InvalidArgumentError('invalid header key');
    }
    if (kind === Field.Reserved || kind === Field.Expect) {
      throw new InvalidArgumentError(`invalid ${name.toLowerCase()} header`);
    }
    if (value !== undefined && (kind === Field.Ordinary || kind === Field.ContentType)) {
      all += lines(name, Array.isArray(value) ? value : [value]);
    }
  }
  return all;
}

/** An iterator of its own, or of its class: none that someone put on Object.prototype. */
function hasIterator(headers: any): boolean {
  if (typeof headers[Symbol.iterator] !== 'function') {
    return false;
  }
  const prototype = Object.getPrototypeOf(headers);
  return Object.hasOwn(headers, Symbol.iterator) || (prototype !== null && prototype !== Object.prototype);
}

function withQuery(path: string, query: any): string {
  if (path.includes('?') || path.includes('#')) {
    throw new Error('Query params cannot be passed when url already contains "?" or "#".');
  }
  const text = stringify(query);
  return text ? `${path}?${text}` : path;
}

/** The name that a `host` field asks TLS for; addresses are no names. */
function serverName(host: string | null): string | null {
  if (!host) {
    return null;
  }
  const end = host[0] === '[' ? host.indexOf(']') : host.indexOf(':');
  const name = host[0] === '[' ? host.slice(1, end) : end < 0 ? host : host.slice(0, end);
  return isIP(name) ? '' : name;
}
