import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export interface ListenOptions {
  readonly host: string | null;
  readonly port: number;
  readonly backlog: number;
  /** Idle time after which TCP tests a connection; 0: it does not. Read anew for each connection. */
  readonly keepAliveMs: () => number;
  readonly bufferBytes: number;
}

/** A TCP listener that hands out accepted sockets. */
export class Listener {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens, or fails with the system's error (`EADDRINUSE`, `EACCES`...). `host` null: every address of the machine. */
  static open(options: ListenOptions, onSocket: (socket: Socket) => void): Promise<Listener> {
    return new Promise((resolve, reject) => {
      const server = createServer({
        allowHalfOpen: true,
        noDelay: true,
        highWaterMark: options.bufferBytes,
      });
      server.on('connection', (socket) => {
        const keepAliveMs = options.keepAliveMs();
        if (keepAliveMs > 0) socket.setKeepAlive(true, keepAliveMs);
        onSocket(socket);
      });
      server.once('error', reject);
      server.listen(
        { ...(options.host === null ? {} : { host: options.host }), port: options.port, backlog: options.backlog },
        () => {
          server.off('error', reject);
          // An error of accept (no file descriptor left) must not end the process; the listener goes on when there is one again.
          server.on('error', () => {});
          resolve(new Listener(server));
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
