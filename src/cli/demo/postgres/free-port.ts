import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Ports are taken from below the range that kernels give to outgoing connections (Linux 32768 and up, others 49152 and up). A server
 * that is stopped and started again keeps its port, and in between nobody's outgoing connection may get it: one that dials a closed
 * port of that range on the same machine can even be connected to itself.
 */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;
const TRIES_MAX = 200;

/** True when nobody listens on a port of the loopback address now. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port of the loopback address on which nobody listens now, for a server of another process that may be restarted. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (await isFree(port)) return port;
  }
  throw new Error(`found no free port between ${LOWEST_PORT} and ${HIGHEST_PORT}`);
}
