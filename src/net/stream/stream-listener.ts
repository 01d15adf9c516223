import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import type { Listener, ListenOptions } from '../engine.js';
import { noHandler } from '../wire.js';
import type { Wire } from '../wire.js';
import { StreamWire } from './stream-wire.js';

/** A TCP listener on a server of Node. */
export class StreamListener implements Listener {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens, or fails with the system's error (`EADDRINUSE`, `EACCES`...). `host` null: every address of the machine. */
  static open(options: ListenOptions, onWire: (wire: Wire) => void): Promise<StreamListener> {
    return new Promise((resolve, reject) => {
      const server = createServer({
        allowHalfOpen: true,
        noDelay: true,
        highWaterMark: options.bufferBytes,
      });
      server.on('connection', (socket) => {
        const keepAliveMs = options.keepAliveMs();
        if (keepAliveMs > 0) socket.setKeepAlive(true, keepAliveMs);
        onWire(new StreamWire(socket, noHandler));
      });
      server.once('error', reject);
      server.listen(
        { ...(options.host === null ? {} : { host: options.host }), port: options.port, backlog: options.backlog },
        () => {
          server.off('error', reject);
          // An error of accept (no file descriptor left) must not end the process; the listener goes on when there is one again.
          server.on('error', () => {});
          resolve(new StreamListener(server));
        },
      );
    });
  }

  /** The bound port, also when 0 was asked for. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Accepts no more; connections that are open stay. */
  close(): void {
    this.#server.close();
  }
}
