// undici recognises its errors by symbols from the global registry, not by prototype: an error that
// carries them is an instance of undici's class too, and undici's errors are instances of these.

type Options = { cause?: unknown } | undefined;

function symbolOf(code: string): symbol {
  return Symbol.for(`undici.error.${code}`);
}

/** Makes `instanceof` ask for the symbol of `code`, and instances answer to it. */
function mark(target: Function, code: string): void {
  const symbol = symbolOf(code);
  Object.defineProperty(target, Symbol.hasInstance, {
    value: (instance: any) => Boolean(instance) && instance[symbol] === true,
  });
  Object.defineProperty(target.prototype, symbol, { value: true });
}

export class UndiciError extends Error {
  code: string;

  constructor(message?: string, options?: Options) {
    super(message, options);
    this.name = 'UndiciError';
    this.code = 'UND_ERR';
  }
}
mark(UndiciError, 'UND_ERR');

export class ConnectTimeoutError extends UndiciError {
  constructor(message?: string, options?: Options) {
    super(message || 'Connect Timeout Error', options);
    this.name = 'ConnectTimeoutError';
    this.code = 'UND_ERR_CONNECT_TIMEOUT';
  }
}
mark(ConnectTimeoutError, 'UND_ERR_CONNECT_TIMEOUT');

export class HeadersTimeoutError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Headers Timeout Error');
    this.name = 'HeadersTimeoutError';
    this.code = 'UND_ERR_HEADERS_TIMEOUT';
  }
}
mark(HeadersTimeoutError, 'UND_ERR_HEADERS_TIMEOUT');

export class HeadersOverflowError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Headers Overflow Error');
    this.name = 'HeadersOverflowError';
    this.code = 'UND_ERR_HEADERS_OVERFLOW';
  }
}
mark(HeadersOverflowError, 'UND_ERR_HEADERS_OVERFLOW');

export class BodyTimeoutError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Body Timeout Error');
    this.name = 'BodyTimeoutError';
    this.code = 'UND_ERR_BODY_TIMEOUT';
  }
}
mark(BodyTimeoutError, 'UND_ERR_BODY_TIMEOUT');

export class InvalidArgumentError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Invalid Argument Error');
    this.name = 'InvalidArgumentError';
    this.code = 'UND_ERR_INVALID_ARG';
  }
}
mark(InvalidArgumentError, 'UND_ERR_INVALID_ARG');

export class InvalidReturnValueError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Invalid Return Value Error');
    this.name = 'InvalidReturnValueError';
    this.code = 'UND_ERR_INVALID_RETURN_VALUE';
  }
}
mark(InvalidReturnValueError, 'UND_ERR_INVALID_RETURN_VALUE');

export class AbortError extends UndiciError {
  constructor(message?: string) {
    super(message || 'The operation was aborted');
    this.name = 'AbortError';
    this.code = 'UND_ERR_ABORT';
  }
}
mark(AbortError, 'UND_ERR_ABORT');

export class RequestAbortedError extends AbortError {
  constructor(message?: string) {
    super(message || 'Request aborted');
    this.name = 'AbortError';
    this.code = 'UND_ERR_ABORTED';
  }
}
mark(RequestAbortedError, 'UND_ERR_ABORTED');

export class InformationalError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Request information');
    this.name = 'InformationalError';
    this.code = 'UND_ERR_INFO';
  }
}
mark(InformationalError, 'UND_ERR_INFO');

export class RequestContentLengthMismatchError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Request body length does not match content-length header');
    this.name = 'RequestContentLengthMismatchError';
    this.code = 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH';
  }
}
mark(RequestContentLengthMismatchError, 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH');

export class ResponseContentLengthMismatchError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Response body length does not match content-length header');
    this.name = 'ResponseContentLengthMismatchError';
    this.code = 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';
  }
}
mark(ResponseContentLengthMismatchError, 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH');

export class ClientDestroyedError extends UndiciError {
  constructor(message?: string) {
    super(message || 'The client is destroyed');
    this.name = 'ClientDestroyedError';
    this.code = 'UND_ERR_DESTROYED';
  }
}
mark(ClientDestroyedError, 'UND_ERR_DESTROYED');

export class ClientClosedError extends UndiciError {
  constructor(message?: string) {
    super(message || 'The client is closed');
    this.name = 'ClientClosedError';
    this.code = 'UND_ERR_CLOSED';
  }
}
mark(ClientClosedError, 'UND_ERR_CLOSED');

/** What is known of the connection that a {@link SocketError} is about. */
export interface SocketInfo {
  localAddress?: string;
  localPort?: number;
  remoteAddress?: string;
  remotePort?: number;
  remoteFamily?: string;
  timeout?: number;
  bytesWritten?: number;
  bytesRead?: number;
}

export class SocketError extends UndiciError {
  socket: SocketInfo | null;

  constructor(message?: string, socket?: SocketInfo | null) {
    super(message || 'Socket error');
    this.name = 'SocketError';
    this.code = 'UND_ERR_SOCKET';
    this.socket = socket ?? null;
  }
}
mark(SocketError, 'UND_ERR_SOCKET');

export class NotSupportedError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Not supported error');
    this.name = 'NotSupportedError';
    this.code = 'UND_ERR_NOT_SUPPORTED';
  }
}
mark(NotSupportedError, 'UND_ERR_NOT_SUPPORTED');

export class BalancedPoolMissingUpstreamError extends UndiciError {
  constructor(message?: string) {
    super(message || 'No upstream has been added to the BalancedPool');
    this.name = 'MissingUpstreamError';
    this.code = 'UND_ERR_BPL_MISSING_UPSTREAM';
  }
}
mark(BalancedPoolMissingUpstreamError, 'UND_ERR_BPL_MISSING_UPSTREAM');

export class HTTPParserError extends Error {
  code: string | undefined;
  data: string | undefined;

  constructor(message?: string, code?: string, data?: Buffer | string) {
    super(message);
    this.name = 'HTTPParserError';
    this.code = code ? `HPE_${code}` : undefined;
    this.data = data ? data.toString() : undefined;
  }
}
mark(HTTPParserError, 'UND_ERR_HTTP_PARSER');

export class ResponseExceededMaxSizeError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Response content exceeded max size');
    this.name = 'ResponseExceededMaxSizeError';
    this.code = 'UND_ERR_RES_EXCEEDED_MAX_SIZE';
  }
}
mark(ResponseExceededMaxSizeError, 'UND_ERR_RES_EXCEEDED_MAX_SIZE');

export class RequestRetryError extends UndiciError {
  statusCode: number;
  data: unknown;
  headers: unknown;

  constructor(message: string, statusCode: number, about: { headers?: unknown; data?: unknown }) {
    super(message || 'Request retry error');
    this.name = 'RequestRetryError';
    this.code = 'UND_ERR_REQ_RETRY';
    this.statusCode = statusCode;
    this.data = about.data;
    this.headers = about.headers;
  }
}
mark(RequestRetryError, 'UND_ERR_REQ_RETRY');

export class ResponseError extends UndiciError {
  statusCode: number;
  body: unknown;
  headers: unknown;

  constructor(message: string, statusCode: number, about: { headers?: unknown; body?: unknown }) {
    super(message || 'Response error');
    this.name = 'ResponseError';
    this.code = 'UND_ERR_RESPONSE';
    this.statusCode = statusCode;
    this.body = about.body;
    this.headers = about.headers;
  }
}
mark(ResponseError, 'UND_ERR_RESPONSE');

export class SecureProxyConnectionError extends UndiciError {
  constructor(cause?: unknown, message?: string, options: Options = {}) {
    super(message || 'Secure Proxy Connection failed', { cause, ...options });
    this.name = 'SecureProxyConnectionError';
    this.code = 'UND_ERR_PRX_TLS';
  }
}
mark(SecureProxyConnectionError, 'UND_ERR_PRX_TLS');

export class ProxyConnectionError extends UndiciError {
  constructor(cause?: unknown, message?: string, options: Options = {}) {
    super(message || 'Proxy Connection failed', { cause, ...options });
    this.name = 'ProxyConnectionError';
    this.code = 'UND_ERR_PRX_CONN';
  }
}
mark(ProxyConnectionError, 'UND_ERR_PRX_CONN');

export class MaxOriginsReachedError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Maximum allowed origins reached');
    this.name = 'MaxOriginsReachedError';
    this.code = 'UND_ERR_MAX_ORIGINS_REACHED';
  }
}
mark(MaxOriginsReachedError, 'UND_ERR_MAX_ORIGINS_REACHED');

export class Socks5ProxyError extends UndiciError {
  constructor(message?: string, code?: string) {
    super(message || 'SOCKS5 proxy error');
    this.name = 'Socks5ProxyError';
    this.code = code || 'UND_ERR_SOCKS5';
  }
}
// undici's own has no symbol: its name tells.
Object.defineProperty(Socks5ProxyError, Symbol.hasInstance, {
  value: (instance: any) => instance instanceof UndiciError && instance.name === 'Socks5ProxyError',
});

export class MessageSizeExceededError extends UndiciError {
  constructor(message?: string) {
    super(message || 'Max decompressed message size exceeded');
    this.name = 'MessageSizeExceededError';
    this.code = 'UND_ERR_WS_MESSAGE_SIZE_EXCEEDED';
  }
}
mark(MessageSizeExceededError, 'UND_ERR_WS_MESSAGE_SIZE_EXCEEDED');
