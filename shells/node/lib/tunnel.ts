// Tunnels through a client of the proxy that the caller has made (`clientFactory`). Without one the engine opens them.

import * as tls from 'node:tls';
import { channels } from './diagnostics';
import { ConnectTimeoutError, ProxyConnectionError, RequestAbortedError, SecureProxyConnectionError } from './errors';

export interface TunnelOptions {
  /** The caller's client of the proxy. */
  client: any;
  proxy: URL;
  headers: Record<string, string>;
  proxyTls: any;
  requestTls: any;
  allowH2: boolean;
  /** What the server may take for TLS, in milliseconds; 0: for ever. */
  timeout: number;
}

/** A connector, as `connect` takes it, whose sockets lead through the proxy. */
export function tunnels(options: TunnelOptions): (params: any, callback: (error: unknown, socket?: any) => void) => void {
  return (params, callback) => {
    open(options, params).then((socket) => callback(null, socket), callback);
  };
}

async function open(options: TunnelOptions, params: any): Promise<any> {
  const { client, proxy, proxyTls } = options;
  const secure = params.protocol === 'https:';
  const connectParams = {
    origin: proxy.origin,
    port: proxy.port,
    path: params.port ? params.host : `${params.host}:${secure ? 443 : 80}`,
    headers: { ...options.headers, host: params.host, 'proxy-connection': 'keep-alive' },
    servername: proxyTls?.servername || proxy.hostname,
  };
  const { socket, statusCode } = await client.connect(connectParams).catch((error: unknown) => {
    throw ofProxy(error);
  });
  if (statusCode !== 200) {
    socket.on('error', () => {}).destroy();
    throw new RequestAbortedError(`Proxy response (${statusCode}) !== 200 when HTTP Tunneling`);
  }
  if (channels.proxyConnected.hasSubscribers) {
    channels.proxyConnected.publish({ socket, connectParams });
  }
  return secure ? secured(socket, options, params) : socket;
}

/** TLS with the server at the other end of a tunnel. */
function secured(socket: any, options: TunnelOptions, params: any): Promise<any> {
  const { allowH2, requestTls, timeout } = options;
  return new Promise((resolve, reject) => {
    const stream = tls.connect({
      ALPNProtocols: allowH2 ? ['http/1.1', 'h2'] : ['http/1.1'],
      servername: params.servername || params.hostname,
      ...requestTls,
      socket,
    });
    const late = timeout === 0 ? undefined : setTimeout(() => {
      const address = `${params.hostname}:${params.port || 443}`;
      stream.destroy(new ConnectTimeoutError(`Connect Timeout Error (attempted address: ${address}, timeout: ${timeout}ms)`));
    }, timeout);
    const settle = (then: () => void): void => {
      clearTimeout(late);
      stream.off('error', failed);
      then();
    };
    const failed = (error: Error): void => settle(() => reject(error));
    stream.once('error', failed).once('secureConnect', () => settle(() => resolve(stream)));
  });
}

/** The proxy's own failures are told apart from the server's. */
function ofProxy(error: any): unknown {
  return error?.code === 'UND_ERR_SOCKET' ? new ProxyConnectionError(error) : namedOtherwise(error);
}

/** A proxy whose certificate is for another name. */
export function namedOtherwise(error: any): any {
  return error?.code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? new SecureProxyConnectionError(error) : error;
}
