import type { Duplex, Readable, Writable } from 'node:stream';
import type { Blob } from 'node:buffer';
import type { BodyReadable } from './api/readable';

export type IncomingHttpHeaders = Record<string, string | string[] | undefined>;

export type HeadersInit =
  | Record<string, unknown>
  | readonly string[]
  | Iterable<[string, string | string[] | undefined]>
  | null;

type Autocomplete<T extends string> = T | (string & Record<never, never>);

export type HttpMethod = Autocomplete<
  'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'CONNECT' | 'OPTIONS' | 'TRACE' | 'PATCH' | 'QUERY'
>;

export interface DispatchOptions {
  origin?: string | URL;
  path: string;
  method: HttpMethod;
  body?: any;
  headers?: any;
  query?: Record<string, any>;
  idempotent?: boolean;
  blocking?: boolean;
  upgrade?: boolean | string | null;
  headersTimeout?: number | null;
  bodyTimeout?: number | null;
  reset?: boolean;
  expectContinue?: boolean;
  typeOfService?: number | null;
  servername?: string;
  allowH2?: boolean;
}

export interface DispatchController {
  readonly aborted: boolean;
  readonly paused: boolean;
  readonly reason: Error | null;
  rawHeaders?: any;
  rawTrailers?: any;
  abort(reason?: any): void;
  pause(): void;
  resume(): void;
}

/** The interface of undici 7 and 8. Handlers of undici 6 and earlier are taken too. */
export interface DispatchHandler {
  onRequestStart?(controller: any, context: any): void;
  onRequestUpgrade?(
    controller: any, statusCode: number, headers: IncomingHttpHeaders, socket: Duplex,
  ): void;
  onResponseStarted?(): void;
  onResponseStart?(
    controller: any, statusCode: number, headers: IncomingHttpHeaders, statusMessage?: string,
  ): void;
  onResponseData?(controller: any, chunk: Buffer): void;
  onResponseEnd?(controller: any, trailers: IncomingHttpHeaders): void;
  onResponseError?(controller: any, error: Error): void;
  onBodySent?(chunk: any, total?: any): void;
  onRequestSent?(): void;
}

export type Dispatch = (options: any, handler: any) => boolean;
export type Interceptor = (dispatch: any) => any;

export interface RequestOptions<TOpaque = null> extends DispatchOptions {
  opaque?: TOpaque;
  signal?: any;
  onInfo?: (info: { statusCode: number; headers: Record<string, string | string[]> }) => void;
  responseHeaders?: 'raw' | null;
  highWaterMark?: number;
}

export interface ConnectOptions<TOpaque = null> {
  origin?: string | URL;
  path: string;
  headers?: any;
  signal?: any;
  opaque?: TOpaque;
  responseHeaders?: 'raw' | null;
}

export interface PipelineOptions<TOpaque = null> extends RequestOptions<TOpaque> {
  objectMode?: boolean;
}

export interface UpgradeOptions {
  origin?: string | URL;
  path: string;
  method?: string;
  headers?: any;
  protocol?: string;
  signal?: any;
  responseHeaders?: 'raw' | null;
  opaque?: any;
}

export interface BodyMixin {
  readonly body?: never;
  readonly bodyUsed: boolean;
  arrayBuffer(): Promise<ArrayBuffer>;
  blob(): Promise<Blob>;
  bytes(): Promise<Uint8Array>;
  formData(): Promise<never>;
  json(): Promise<unknown>;
  text(): Promise<string>;
}

export interface ResponseData<TOpaque = null> {
  statusCode: number;
  statusText: string;
  headers: any;
  body: BodyReadable & BodyMixin;
  trailers: Record<string, string>;
  opaque: TOpaque;
  context: object;
}

export interface ConnectData<TOpaque = null> {
  statusCode: number;
  headers: any;
  socket: Duplex;
  opaque: TOpaque;
}

export interface UpgradeData<TOpaque = null> {
  headers: any;
  socket: Duplex;
  opaque: TOpaque;
}

export interface StreamData<TOpaque = null> {
  opaque: TOpaque;
  trailers: Record<string, string>;
}

export interface StreamFactoryData<TOpaque = null> {
  statusCode: number;
  headers: any;
  opaque: TOpaque;
  context: object;
}

export type StreamFactory<TOpaque = null> = (data: StreamFactoryData<TOpaque>) => Writable;

export interface PipelineHandlerData<TOpaque = null> {
  statusCode: number;
  headers: any;
  opaque: TOpaque;
  body: BodyReadable;
  context: object;
}

export type PipelineHandler<TOpaque = null> = (data: PipelineHandlerData<TOpaque>) => Readable;
export type Callback<T> = (error: Error | null, data: T) => void;
