import { SocketError } from '../errors';
import { SocketHandler } from './connect';
import { attempt, promised } from './signal';

class UpgradeHandler extends SocketHandler {
  override onResponseStart(): void {
    throw new SocketError('bad upgrade', null);
  }

  override onRequestUpgrade(controller: any, status: number, headers: any, socket: any): void {
    // Over HTTP/2 extended CONNECT answers 200.
    if (status !== 101 && !(status === 200 && socket.session)) {
      const error = new SocketError('bad upgrade', null);
      socket.on('error', () => {}).destroy(error);
      this.onResponseError(controller, error);
      return;
    }
    super.onRequestUpgrade(controller, status, headers, socket);
  }
}

export function upgrade(dispatcher: any, options: any, given: any): Promise<any> | void {
  return promised(given, (callback) => attempt(options, callback, () => {
    const handler = new UpgradeHandler(options, callback, 'UPGRADE');
    dispatcher.dispatch({
      ...options, method: options.method || 'GET', upgrade: options.protocol || 'Websocket',
    }, handler);
  }));
}
