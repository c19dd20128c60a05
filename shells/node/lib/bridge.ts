// A socket that the caller has made, and the engine's end of it.

import { Socket } from 'node:net';

/** Moves bytes between `socket` and the engine, which has the other end of `fd`. `fail` is told of its error. */
export function bridge(socket: any, fd: number, fail: (error: Error) => void): void {
  const local: any = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true } as any);
  // Requests in flight keep the process alive, connections do not.
  local.unref();
  socket.unref?.();
  socket.on('error', (error: Error) => {
    fail(error);
    local.destroy();
  });
  socket.on('close', () => local.destroySoon());
  local.on('error', () => socket.destroy()).on('close', () => socket.destroy());
  socket.pipe(local);
  local.pipe(socket);
}
