// The same objects as `require('forebay')` gives: there is one engine, however the package is loaded.
import forebay from './dist/index.js';

export const {
  Agent, BalancedPool, Client, Dispatcher, EnvHttpProxyAgent, H2CClient, Pool, ProxyAgent, RetryAgent, RetryHandler,
  RoundRobinPool, Socks5ProxyAgent, connect, errors, getGlobalDispatcher, pipeline, request, setGlobalDispatcher,
  stream, upgrade,
} = forebay;
export default forebay;
