// What the server sends and the client compares, byte by byte.

export const BODY = Buffer.from('Hello from the other side of the loopback interface, byte by byte.');
export const LARGE = Buffer.from(Array.from({ length: 64 * 1024 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
export const UPLOAD = Buffer.alloc(1_000_000, 'forebay ');
export const GIGABYTE = 1 << 30;
