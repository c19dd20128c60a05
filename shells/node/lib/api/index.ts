// The promise API as functions: with a URL, and with the dispatcher among the options.

import type { Duplex } from 'node:stream';
import { Dispatcher } from '../dispatcher';
import { InvalidArgumentError } from '../errors';
import { getGlobalDispatcher } from '../global';
import { parseOrigin, parseUrl } from '../options';
import type * as types from '../types';

type Url = string | URL | { protocol?: string; hostname?: string; port?: string | number; path?: string; pathname?: string; search?: string };
type With<T> = { dispatcher?: any } & Omit<T, 'origin' | 'path' | 'method'> & Partial<Pick<T & { method: string }, 'method'>>;

type Name = 'request' | 'stream' | 'pipeline' | 'connect' | 'upgrade';

function target(url: any, given: any): URL {
  if (given?.path == null) {
    return parseUrl(url);
  }
  if (typeof given.path !== 'string') {
    throw new InvalidArgumentError('invalid opts.path');
  }
  const path = given.path.startsWith('/') ? given.path : `/${given.path}`;
  return new URL(parseOrigin(url).origin + path);
}

/** The options may be left out, or be those of `url`; `last` is a callback, a factory or a handler. */
function call(name: Name, url: any, given: any, last: any): any {
  if (typeof given === 'function') {
    return call(name, url, null, given);
  }
  if (!url || (typeof url !== 'string' && typeof url !== 'object')) {
    throw new InvalidArgumentError('invalid url');
  }
  if (given != null && typeof given !== 'object') {
    throw new InvalidArgumentError('invalid opts');
  }
  const { origin, pathname, search } = target(url, given);
  const { agent, dispatcher = getGlobalDispatcher(), ...rest } = given ?? (typeof url === 'object' ? url : {});
  if (agent) {
    throw new InvalidArgumentError('unsupported opts.agent. Did you mean opts.client?');
  }
  const options = { ...rest, origin, path: pathname + search, method: rest.method || (rest.body ? 'PUT' : 'GET') };
  // A dispatcher need have nothing but `dispatch`.
  return (dispatcher[name] ?? Dispatcher.prototype[name]).call(dispatcher, options, last);
}

export function request<T = null>(
  url: Url, given?: With<types.RequestOptions<T>> | null,
): Promise<types.ResponseData<T>>;
export function request(url: Url, given?: any, last?: any): any {
  return call('request', url, given, last);
}

export function stream<T = null>(
  url: Url, given: With<types.RequestOptions<T>> | null, factory: types.StreamFactory<T>,
): Promise<types.StreamData<T>>;
export function stream(url: Url, given: any, factory?: any): any {
  return call('stream', url, given, factory);
}

export function pipeline<T = null>(
  url: Url, given: With<types.PipelineOptions<T>> | null, handler: types.PipelineHandler<T>,
): Duplex {
  return call('pipeline', url, given, handler);
}

export function connect<T = null>(
  url: Url, given?: { dispatcher?: any } & Omit<types.ConnectOptions<T>, 'origin' | 'path'> | null,
): Promise<types.ConnectData<T>>;
export function connect(url: Url, given?: any, last?: any): any {
  return call('connect', url, given, last);
}

export function upgrade(
  url: Url, given?: { dispatcher?: any } & Omit<types.UpgradeOptions, 'origin' | 'path'> | null,
): Promise<types.UpgradeData>;
export function upgrade(url: Url, given?: any, last?: any): any {
  return call('upgrade', url, given, last);
}
