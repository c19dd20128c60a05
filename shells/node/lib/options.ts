// Options of clients: checked, with undici's messages, and put into the form that the engine takes.

import { maxHeaderSize as nodeMaxHeaderSize } from 'node:http';
import { isIP } from 'node:net';
import { readFileSync } from 'node:fs';
import { createPrivateKey } from 'node:crypto';
import * as tls from 'node:tls';
import { InvalidArgumentError } from './errors';
import * as link from './link';

/** What a client keeps of its options on this side. */
export interface Settings {
  headersTimeout: number;
  bodyTimeout: number;
  pipelining: number;
  strictContentLength: boolean;
  maxConcurrentStreams: number;
  /** HTTP/2 may be negotiated. */
  allowH2: boolean;
  /** HTTP/2 without negotiation. */
  useH2c: boolean;
}

const UNSUPPORTED: [string, string][] = [
  ['keepAlive', 'pipelining=0'],
  ['socketTimeout', 'headersTimeout & bodyTimeout'],
  ['requestTimeout', 'headersTimeout & bodyTimeout'],
  ['idleTimeout', 'keepAliveTimeout'],
  ['maxKeepAliveTimeout', 'keepAliveMaxTimeout'],
];

function refuse(wrong: boolean, message: string): void {
  if (wrong) {
    throw new InvalidArgumentError(message);
  }
}

const isCount = (value: any): boolean => Number.isInteger(value) && value >= 0;

/** Checks what `new Client(origin, options)` was given, in undici's order. */
export function check(options: any): void {
  for (const [name, instead] of UNSUPPORTED) {
    refuse(options[name] !== undefined, `unsupported ${name}, use ${instead} instead`);
  }
  const given = (name: string): boolean => options[name] != null;
  const number = (name: string, least: number, above = false): void => refuse(
    given(name) && !(Number.isFinite(options[name]) && (above ? options[name] > least : options[name] >= least)),
    `invalid ${name}`,
  );
  refuse(given('maxHeaderSize') && !(Number.isInteger(options.maxHeaderSize) && options.maxHeaderSize > 0),
    'invalid maxHeaderSize');
  refuse(given('socketPath') && typeof options.socketPath !== 'string', 'invalid socketPath');
  number('connectTimeout', 0);
  number('keepAliveTimeout', 0, true);
  number('keepAliveMaxTimeout', 0, true);
  number('keepAliveTimeoutThreshold', -Infinity);
  for (const name of ['headersTimeout', 'bodyTimeout']) {
    refuse(given(name) && !isCount(options[name]), `${name} must be a positive integer or zero`);
  }
  refuse(given('connect') && typeof options.connect !== 'function' && typeof options.connect !== 'object',
    'connect must be a function or an object');
  refuse(given('maxRequestsPerClient') && !isCount(options.maxRequestsPerClient),
    'maxRequestsPerClient must be a positive number');
  refuse(given('localAddress') && !(typeof options.localAddress === 'string' && isIP(options.localAddress)),
    'localAddress must be valid string IP address');
  for (const name of ['maxResponseSize', 'autoSelectFamilyAttemptTimeout']) {
    refuse(given(name) && !(Number.isInteger(options[name]) && options[name] >= -1),
      `${name} must be a positive number`);
  }
  for (const sessions of [options.maxCachedSessions, connectOf(options).maxCachedSessions]) {
    refuse(sessions != null && !isCount(sessions), 'maxCachedSessions must be a positive integer or zero');
  }
  refuse(given('allowH2') && typeof options.allowH2 !== 'boolean', 'allowH2 must be a valid boolean value');
  if (options.allowH2 !== false) {
    checkH2(options);
  }
}

function checkH2(options: any): void {
  const { h2Options } = options;
  const from = h2Options ?? options;
  const prefix = h2Options ? 'h2Options.' : '';
  const positive = (value: any, name: string): void => refuse(
    value != null && !(Number.isInteger(value) && value >= 1),
    `${prefix}${name} must be a positive integer, greater than 0`,
  );
  refuse(from.useH2c != null && typeof from.useH2c !== 'boolean',
    `${prefix}useH2c must be a valid boolean value`);
  if (h2Options) {
    positive(h2Options.settings?.initialWindowSize, 'settings.initialWindowSize');
  } else {
    positive(options.initialWindowSize, 'initialWindowSize');
  }
  positive(from.maxConcurrentStreams, 'maxConcurrentStreams');
  positive(from.connectionWindowSize, 'connectionWindowSize');
  refuse(from.pingInterval != null && !isCount(from.pingInterval),
    `${prefix}pingInterval must be a positive integer, greater or equal to 0`);
}

export function settingsOf(options: any): Settings {
  const h2 = options.h2Options ?? {};
  return {
    headersTimeout: options.headersTimeout ?? 300_000,
    bodyTimeout: options.bodyTimeout ?? 300_000,
    pipelining: options.pipelining ?? 1,
    strictContentLength: options.strictContentLength ?? true,
    maxConcurrentStreams: h2.maxConcurrentStreams ?? options.maxConcurrentStreams ?? 100,
    allowH2: options.allowH2 ?? connectOf(options).allowH2 ?? true,
    useH2c: h2.useH2c ?? options.useH2c ?? connectOf(options).useH2c ?? false,
  };
}

/** The object that configures the connector, whichever way it was given. */
export function connectOf(options: any): any {
  const { tls: tlsOptions, connect } = options;
  return { ...tlsOptions, ...(typeof connect === 'object' ? connect : undefined) };
}

/** Under this key an option carries the way to the server. */
export const VIA = Symbol('forebay.via');

/** A proxy that opens tunnels. */
export interface Proxy {
  host: string;
  port: number;
  tls: object | null;
  connectTimeout: number;
}

/** Ways to a server that the engine knows beside the direct one. */
export type Via =
  | { kind: 'connect'; proxy: Proxy; fields: string }
  | { kind: 'socks5'; proxy: Proxy; auth: [string, string] | null };

/** Whether the proxy is spoken to by TLS. */
export function tlsToProxy(options: any): boolean {
  const via: Via | undefined = options[VIA];
  return via !== undefined && via.proxy.tls !== null;
}

const U32 = 0xffffffff;
export const clamp = (value: number): number => Math.min(Math.max(0, Math.round(value)), U32);

/** What the engine has to know of a client, as {@link link.define} takes it. */
export function profileOf(origin: URL, options: any): string {
  const connect = connectOf(options);
  const settings = settingsOf(options);
  const secure = origin.protocol === 'https:';
  const h2 = options.h2Options ?? {};
  const protocol = settings.useH2c ? 'h2Prior'
    : !secure || !settings.allowH2 ? 'http1'
      : connect.preferH2 ? 'alpnPreferH2' : 'alpn';
  const attempts = options.autoSelectFamilyAttemptTimeout ?? connect.autoSelectFamilyAttemptTimeout ?? -1;
  refuseUnsupported(connect);
  return JSON.stringify({
    host: hostOf(origin),
    port: portOf(origin),
    tls: secure ? tlsOf(connect, options) : null,
    protocol,
    socketPath: options.socketPath ?? connect.socketPath ?? null,
    localAddress: options.localAddress ?? connect.localAddress ?? null,
    via: options[VIA] ?? null,
    // A connector has a limit of its own.
    connectTimeout: typeof options.connect === 'function' ? 0 : clamp(connect.timeout ?? options.connectTimeout ?? 10_000),
    // Names of proxies are looked up without what `requestTls` says.
    family: !options[VIA] && (connect.family === 4 || connect.family === 6) ? connect.family : 0,
    asksSocket: typeof options.connect === 'function',
    asksLookup: !options[VIA] && connect.lookup != null,
    autoSelectFamily: options.autoSelectFamily ?? connect.autoSelectFamily ?? true,
    attemptTimeout: attempts < 0 ? 250 : Math.max(10, attempts),
    tcpKeepAlive: connect.keepAlive === false ? null : clamp(connect.keepAliveInitialDelay ?? 60_000),
    keepAliveTimeout: clamp(options.keepAliveTimeout ?? 4_000),
    keepAliveMaxTimeout: clamp(options.keepAliveMaxTimeout ?? 600_000),
    keepAliveThreshold: Math.round(options.keepAliveTimeoutThreshold ?? 2_000),
    pipelining: clamp(settings.pipelining),
    maxRequests: options.maxRequestsPerClient || null,
    maxHeaderSize: clamp(options.maxHeaderSize ?? nodeMaxHeaderSize),
    maxResponseSize: options.maxResponseSize >= 0 ? options.maxResponseSize : null,
    maxConcurrentStreams: clamp(settings.maxConcurrentStreams),
    connectionWindow: clamp(h2.connectionWindowSize ?? options.connectionWindowSize ?? 524_288),
    streamWindow: clamp(h2.settings?.initialWindowSize ?? options.initialWindowSize ?? 262_144),
    pingInterval: clamp(h2.pingInterval ?? options.pingInterval ?? 60_000),
  });
}

export function hostOf(url: URL): string {
  const { hostname } = url;
  return hostname[0] === '[' ? hostname.slice(1, -1) : hostname;
}

export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}

/** What OpenSSL can and rustls cannot: said, not ignored. */
const NOT_SUPPORTED = [
  'pfx', 'ciphers', 'sigalgs', 'ecdhCurve', 'dhparam', 'secureContext', 'secureProtocol',
  'secureOptions', 'honorCipherOrder', 'pskCallback', 'ticketKeys', 'engine', 'session',
];

/** TLS to a proxy that opens tunnels: it is not the client's peer, whose functions are asked. */
export function tlsToTunnel(connect: any): object {
  refuseUnsupported(connect);
  for (const name of ['lookup', 'checkServerIdentity']) {
    refuse(connect[name] != null, `proxyTls.${name} is not supported`);
  }
  return tlsOf(connect, {});
}

function refuseUnsupported(connect: any): void {
  for (const name of NOT_SUPPORTED) {
    const instead = name === 'pfx' ? ': give cert and key as PEM' : '';
    refuse(connect[name] != null, `connect.${name} is not supported${instead}`);
  }
  for (const name of ['lookup', 'checkServerIdentity']) {
    refuse(connect[name] != null && typeof connect[name] !== 'function', `connect.${name} must be a function`);
  }
}

/** TLS options for the engine. */
export function tlsOf(connect: any, options: any): object {
  const own = connect.ca != null;
  if (!own) {
    giveRoots();
  }
  return {
    ca: own ? pems(connect.ca) : null,
    crl: connect.crl ? pems(connect.crl) : [],
    cert: pems(connect.cert).join('\n'),
    key: keysOf(connect).join('\n'),
    asksIdentity: identityOf(connect.checkServerIdentity),
    rejectUnauthorized: connect.rejectUnauthorized ?? process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0',
    servername: connect.servername ?? null,
    maxCachedSessions: clamp(connect.maxCachedSessions ?? options.maxCachedSessions ?? 100),
    minVersion: versionOf(connect.minVersion, 12),
    maxVersion: versionOf(connect.maxVersion, 13),
  };
}

const identities = new WeakMap<object, number>();
let identityCount = 0;

/** The number of a function that is not Node.js's own: what one has accepted is not another's to resume. */
function identityOf(check: any): number | null {
  if (check == null || check === tls.checkServerIdentity) {
    return null;
  }
  const number = identities.get(check) ?? identityCount++;
  identities.set(check, number);
  return number;
}

function pems(given: any): string[] {
  return listed(given).map(textOf);
}

function listed(given: any): any[] {
  return given == null ? [] : Array.isArray(given) ? given : [given];
}

function textOf(item: any): string {
  return ArrayBuffer.isView(item) ? Buffer.from(item.buffer, item.byteOffset, item.byteLength).toString() : String(item);
}

/** Keys as PEM that is not encrypted: Node.js opens what is, rustls could not. */
function keysOf(connect: any): string[] {
  return listed(connect.key).map((item) => {
    const own = item && typeof item === 'object' && 'pem' in item;
    const key = textOf(own ? item.pem : item);
    if (!key.includes('ENCRYPTED')) {
      return key;
    }
    const passphrase = (own ? item.passphrase : undefined) ?? connect.passphrase;
    try {
      return createPrivateKey({ key, passphrase }).export({ type: 'pkcs8', format: 'pem' }) as string;
    } catch (error) {
      throw new InvalidArgumentError(`invalid key: ${(error as Error).message}`);
    }
  });
}

function versionOf(name: string | undefined, otherwise: number): number {
  refuse(name != null && !['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'].includes(name), 'invalid TLS version');
  return name === 'TLSv1.3' ? 13 : name == null ? otherwise : 12;
}

let given = false;

/** The roots that Node.js trusts, once. */
function giveRoots(): void {
  if (given) {
    return;
  }
  given = true;
  const all: string[] = (tls as any).getCACertificates?.('default') ?? [...tls.rootCertificates];
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  if (extra && !(tls as any).getCACertificates) {
    try {
      all.push(readFileSync(extra, 'utf8'));
    } catch (error) {
      process.emitWarning(`Ignoring extra certs from ${extra}: ${(error as Error).message}`);
    }
  }
  link.roots(all);
}

const HTTP = /^https?:/;

/** The origin that a client is for. */
export function parseOrigin(given: unknown): URL {
  const url = parseUrl(given);
  refuse(url.pathname !== '/' || url.search !== '' || url.hash !== '', 'invalid url');
  return url;
}

export function parseUrl(given: unknown): URL {
  const protocol = 'Invalid URL protocol: the URL must start with `http:` or `https:`.';
  if (typeof given === 'string') {
    const url = new URL(given);
    refuse(!HTTP.test(url.protocol), protocol);
    return url;
  }
  if (!given || typeof given !== 'object') {
    throw new InvalidArgumentError('Invalid URL: The URL argument must be a non-null object.');
  }
  const like = given as any;
  if (given instanceof URL) {
    refuse(!HTTP.test(given.protocol), protocol);
    return given;
  }
  const port = Number(like.port);
  refuse(like.port != null && like.port !== '' && !(Number.isInteger(port) && port >= 0 && port <= 65535),
    'Invalid URL: port must be a valid integer or a string representation of an integer.');
  for (const name of ['path', 'pathname', 'hostname', 'origin']) {
    refuse(like[name] != null && typeof like[name] !== 'string',
      `Invalid URL ${name}: the ${name} must be a string or null/undefined.`);
  }
  refuse(!HTTP.test(like.origin || like.protocol || ''), protocol);
  const number = like.port ?? (like.protocol === 'https:' ? 443 : 80);
  const origin = (like.origin ?? `${like.protocol || ''}//${like.hostname || ''}:${number}`).replace(/\/$/, '');
  const path = like.path ?? `${like.pathname || ''}${like.search || ''}`;
  return new URL(`${origin}${path && path[0] !== '/' ? `/${path}` : path}`);
}
