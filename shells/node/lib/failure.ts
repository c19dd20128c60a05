// What the engine tells of a failure to the error that undici's users expect.

import { certificate } from './ask';
import * as errors from './errors';
import type { ConnectionInfo, Failure } from './records';

type SystemError = Error & {
  code?: string; errno?: number; syscall?: string; address?: string; port?: number; hostname?: string;
};

/** Indexed by `Kind` of `src/engine/failure.rs`; kind 0 refers to another error. */
const MAKERS: ((failure: Failure) => Error)[] = [
  () => new errors.SocketError('other side closed'),
  system,
  aggregate,
  tls,
  (f) => new errors.ConnectTimeoutError(f.message),
  (f) => new errors.HeadersTimeoutError(f.message),
  (f) => new errors.BodyTimeoutError(f.message),
  (f) => new errors.HeadersOverflowError(f.message),
  (f) => new errors.SocketError(f.message, socketInfo(f)),
  parser,
  () => new errors.ResponseContentLengthMismatchError(),
  () => new errors.ResponseExceededMaxSizeError(),
  (f) => new errors.InformationalError(f.message),
  (f) => new errors.RequestAbortedError(f.message),
  () => new errors.ClientDestroyedError(),
  http2,
  (f) => new errors.ProxyConnectionError(cause(f), f.message),
  (f) => new errors.SecureProxyConnectionError(cause(f), f.message),
  (f) => new errors.Socks5ProxyError(f.message, f.code),
  (f) => new errors.InvalidArgumentError(f.message),
  () => new errors.RequestContentLengthMismatchError(),
  (f) => new errors.NotSupportedError(f.message),
];

export const KIND_CONNECT = 0;
export const KIND_SYSTEM = 1;
export const KIND_SOCKET = 8;
export const KIND_DESTROYED = 14;
export const KIND_CALLER = 22;

export function errorOf(failure: Failure): Error {
  return MAKERS[failure.kind]?.(failure) ?? new errors.SocketError(failure.message, socketInfo(failure));
}

function coded(message: string, code: string): Error {
  const error: SystemError = new Error(message);
  if (code) {
    error.code = code;
  }
  return error;
}

function http2(failure: Failure): Error {
  const error = coded(failure.message, failure.code) as Error & { http2ErrorCode?: number };
  if (failure.errno) {
    error.http2ErrorCode = failure.errno;
  }
  return error;
}

function cause(failure: Failure): Error | undefined {
  return failure.causes[0] && errorOf(failure.causes[0]);
}

function system(failure: Failure): Error {
  const { code, errno, syscall, address, port, message } = failure;
  const where = syscall === 'getaddrinfo' ? address : address && port ? `${address}:${port}` : address;
  const error: SystemError = new Error(message || [syscall, code, where].filter(Boolean).join(' '));
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  if (syscall === 'getaddrinfo') {
    error.hostname = address;
  } else if (address) {
    error.address = address;
    if (port) {
      error.port = port;
    }
  }
  return error;
}

function aggregate(failure: Failure): Error {
  const all = failure.causes.map(errorOf);
  const error: SystemError & { errors?: Error[] } = new AggregateError(all, failure.message);
  error.code = failure.code || (all[0] as SystemError)?.code;
  return error;
}

function tls(failure: Failure): Error {
  const error = coded(failure.message, failure.code) as SystemError & { reason?: string; host?: string; cert?: object };
  if (failure.code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    error.reason = failure.detail;
    error.host = failure.address;
    error.cert = certificate([failure.certificate!]);
  } else if (failure.address) {
    error.address = failure.address;
  }
  return error;
}

function parser(failure: Failure): Error {
  const message = `Response does not match the HTTP/1.1 protocol (${failure.message})`;
  return new errors.HTTPParserError(message, undefined, failure.detail);
}

function socketInfo(failure: Failure): errors.SocketInfo | null {
  const socket = failure.socket;
  return socket && { ...infoOf(socket), timeout: undefined, bytesWritten: socket.bytesWritten, bytesRead: socket.bytesRead };
}

export function infoOf(info: Omit<ConnectionInfo, 'version'>): errors.SocketInfo {
  const remote = info.remoteAddress ?? undefined;
  return {
    localAddress: info.localAddress ?? undefined,
    localPort: info.localPort ?? undefined,
    remoteAddress: remote,
    remotePort: info.remotePort ?? undefined,
    remoteFamily: remote === undefined ? undefined : remote.includes(':') ? 'IPv6' : 'IPv4',
  };
}
