import { connect } from 'node:net';
import type { TcpNetConnectOpts } from 'node:net';
import { SwitchyardError } from '../../errors.js';
import type { DialOptions } from '../engine.js';
import { noHandler } from '../wire.js';
import type { Wire } from '../wire.js';
import { StreamWire } from './stream-wire.js';

/** See Engine. */
export function dialStream(options: DialOptions, signal?: AbortSignal): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const where = `${options.host}:${options.port}`;
    // `highWaterMark` is documented for every stream; the types of `connect` do not list it.
    const socketOptions: TcpNetConnectOpts & { readonly highWaterMark: number } = {
      host: options.host,
      port: options.port,
      noDelay: true,
      keepAlive: options.keepAliveMs > 0,
      keepAliveInitialDelay: options.keepAliveMs,
      allowHalfOpen: true,
      highWaterMark: options.bufferBytes,
    };
    const socket = connect(socketOptions);
    const fail = (message: string, cause?: unknown): void => {
      cleanUp();
      socket.on('error', () => {});
      socket.destroy();
      reject(new SwitchyardError('backend_connect_failed', `could not connect to ${where}: ${message}`, { cause }));
    };
    const onError = (error: Error): void => fail(error.message, error);
    const onAbort = (): void => fail('given up');
    const timer = setTimeout(() => fail(`no answer within ${options.timeoutMs} ms`), options.timeoutMs);
    const cleanUp = (): void => {
      clearTimeout(timer);
      socket.off('error', onError);
      signal?.removeEventListener('abort', onAbort);
    };
    socket.on('error', onError);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted === true) {
      onAbort();
      return;
    }
    socket.once('connect', () => {
      cleanUp();
      const wire = new StreamWire(socket, noHandler);
      wire.pause();
      resolve(wire);
    });
  });
}
