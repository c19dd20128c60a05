// What is measured. A goal is the most that forebay may need of what undici needs.

/** Bytes of the small body. */
export const SMALL = 64;

/** The major version of the newest undici that runs on this Node.js. */
export const UNDICI = Number(process.versions.node.split('.')[0]) >= 22 ? 8 : 7;

export const rows = {
  'dispatch-100': {
    title: 'GET of a small body, 100 in flight, dispatch()',
    server: 'plain', way: 'dispatch', depth: 100,
    goals: { cpu: 0.8, main: 0.4 },
  },
  'request-100': {
    title: 'the same through request()',
    server: 'plain', way: 'request', depth: 100,
    goals: { cpu: 0.85 },
  },
  'fetch-100': {
    title: 'the same through built-in fetch',
    server: 'plain', way: 'fetch', depth: 100,
    goals: { cpu: 0.97 },
  },
  'dispatch-1': {
    title: 'GET of a small body, one in flight, dispatch()',
    server: 'plain', way: 'dispatch', depth: 1,
    goals: { p50: 1.0 },
  },
  'body-64k': {
    title: 'GET of 64 KiB, 16 in flight, dispatch()',
    server: 'plain', way: 'dispatch', depth: 16, download: 64 * 1024,
    goals: { cpu: 0.8, rss: 1.0 },
  },
  'body-1g': {
    title: 'GET of 1 GB, one in flight, dispatch()',
    server: 'plain', way: 'dispatch', depth: 1, download: 1e9, once: true,
    goals: { cpu: 0.8, rss: 1.0 },
  },
  'post-1m': {
    title: 'POST of 1 MB, 8 in flight, dispatch()',
    server: 'plain', way: 'dispatch', depth: 8, upload: 1e6,
    goals: { cpu: 0.8, rss: 1.0 },
  },
  'https-100': {
    title: 'HTTPS, HTTP/1.1: GET of a small body, 100 in flight, dispatch()',
    server: 'tls', way: 'dispatch', depth: 100,
    goals: { cpu: 0.75 },
  },
  'h2-100': {
    title: 'HTTP/2 over TLS: GET of a small body, 100 in flight on one connection, dispatch()',
    server: 'h2', way: 'dispatch', depth: 100, h2: true,
    goals: { cpu: 0.5 },
  },
};
