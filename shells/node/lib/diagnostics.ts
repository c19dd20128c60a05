// undici's channels: who listens to undici's requests sees these too.

import { channel } from 'node:diagnostics_channel';

export const channels = {
  create: channel('undici:request:create'),
  bodySent: channel('undici:request:bodySent'),
  bodyChunkSent: channel('undici:request:bodyChunkSent'),
  bodyChunkReceived: channel('undici:request:bodyChunkReceived'),
  headers: channel('undici:request:headers'),
  trailers: channel('undici:request:trailers'),
  error: channel('undici:request:error'),
  sendHeaders: channel('undici:client:sendHeaders'),
  beforeConnect: channel('undici:client:beforeConnect'),
  connected: channel('undici:client:connected'),
  connectError: channel('undici:client:connectError'),
  proxyConnected: channel('undici:proxy:connected'),
};
