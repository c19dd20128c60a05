// The promise API as functions: with a URL, and with the dispatcher among the options.

import type { Duplex } from 'node:stream';
import { InvalidArgumentError } from '../errors';
import { getGlobalDispatcher } from '../global';
import { parseUrl } from '../options';
import type * as types from '../types';

type Url = string | URL | { protocol?: string; hostname?: string; port?: string | number; path?: string; pathname?: string; search?: string };
type With<T> = { dispatcher?: any } & Omit<T, 'origin' | 'path' | 'method'> & Partial<Pick<T & { method: string }, 'method'>>;

function split(url: any, given: any): { dispatcher: any; options: any } {
  if (!url || (typeof url !== 'string' && typeof url !== 'object')) {
    throw new InvalidArgumentError('invalid url');
  }
  if (given != null && typeof given !== 'object') {
    throw new InvalidArgumentError('invalid opts');
  }
  const { dispatcher = getGlobalDispatcher(), ...rest } = given ?? {};
  if (rest.path != null) {
    if (typeof rest.path !== 'string') {
      throw new InvalidArgumentError('invalid opts.path');
    }
    const path = rest.path.startsWith('/') ? rest.path : `/${rest.path}`;
    return { dispatcher, options: { ...rest, origin: parseUrl(url).origin, path } };
  }
  const parsed = parseUrl(url);
  return { dispatcher, options: { ...rest, origin: parsed.origin, path: parsed.pathname + parsed.search } };
}

const methodOf = (options: any): string => options.method || (options.body ? 'PUT' : 'GET');

export function request<T = null>(
  url: Url, given?: With<types.RequestOptions<T>> | null,
): Promise<types.ResponseData<T>>;
export function request(url: Url, given?: any, callback?: any): any {
  const { dispatcher, options } = split(url, given);
  return dispatcher.request({ ...options, method: methodOf(options) }, callback);
}

export function stream<T = null>(
  url: Url, given: With<types.RequestOptions<T>> | null, factory: types.StreamFactory<T>,
): Promise<types.StreamData<T>>;
export function stream(url: Url, given: any, factory: any, callback?: any): any {
  const { dispatcher, options } = split(url, given);
  return dispatcher.stream({ ...options, method: methodOf(options) }, factory, callback);
}

export function pipeline<T = null>(
  url: Url, given: With<types.PipelineOptions<T>> | null, handler: types.PipelineHandler<T>,
): Duplex {
  const { dispatcher, options } = split(url, given);
  return dispatcher.pipeline({ ...options, method: methodOf(options) }, handler);
}

export function connect<T = null>(
  url: Url, given?: { dispatcher?: any } & Omit<types.ConnectOptions<T>, 'origin' | 'path'> | null,
): Promise<types.ConnectData<T>>;
export function connect(url: Url, given?: any, callback?: any): any {
  const { dispatcher, options } = split(url, given);
  return dispatcher.connect(options, callback);
}

export function upgrade(
  url: Url, given?: { dispatcher?: any } & Omit<types.UpgradeOptions, 'origin' | 'path'> | null,
): Promise<types.UpgradeData>;
export function upgrade(url: Url, given?: any, callback?: any): any {
  const { dispatcher, options } = split(url, given);
  return dispatcher.upgrade(options, callback);
}
