import { lookup } from 'node:dns/promises';
import { SwitchyardError, messageOf } from '../../errors.js';
import { EngineName } from '../engine.js';
import type { DialOptions, Engine, Listener, ListenOptions } from '../engine.js';
import type { Wire } from '../wire.js';
import { SocketEvent } from './addon.js';
import type { NativeAddon, NativeHost, NativeSocket } from './addon.js';
import { NativeWire } from './native-wire.js';
import { Slabs } from './slab.js';

/** How long one of several addresses of a name has before the next one is tried (what Node allows by default). */
const ATTEMPT_MS = 250;
/** What the system says where it knows no IPv6. */
const NO_IPV6: ReadonlySet<unknown> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

/** The engine on sockets of the addon. */
export class NativeEngine implements Engine {
  readonly name = EngineName.Native;
  readonly #addon: NativeAddon;
  readonly #host: NativeHost;
  readonly #slabs = new Slabs();

  constructor(addon: NativeAddon) {
    this.#addon = addon;
    this.#host = new addon.Host(
      (socket, event, a, b, text) => socket.owner?.onEvent(event, a, b, text),
      () => this.#slabs.renew(),
    );
  }

  async listen(options: ListenOptions, onWire: (wire: Wire) => void): Promise<Listener> {
    const descriptor = await this.#bind(options);
    const port = this.#addon.portOf(descriptor);
    const socket = this.#open(descriptor, (event, accepted, peerPort, peer) => {
      if (event !== SocketEvent.Accepted) return;
      this.#addon.tune(accepted, options.keepAliveMs());
      onWire(new NativeWire(this.#socketOf(accepted), this.#slabs, peer ?? '', peerPort, options.bufferBytes));
    });
    socket.listen();
    return {
      port,
      close: () => {
        socket.owner = null;
        socket.close();
      },
    };
  }

  async dial(options: DialOptions, signal?: AbortSignal): Promise<Wire> {
    const where = `${options.host}:${options.port}`;
    const givenUp = AbortSignal.timeout(options.timeoutMs);
    const stop = signal === undefined ? givenUp : AbortSignal.any([signal, givenUp]);
    let last: unknown = null;
    try {
      const addresses = await untilAborted(lookup(options.host, { all: true, verbatim: true }), stop);
      for (const [i, { address }] of addresses.entries()) {
        const isLast = i === addresses.length - 1;
        const attempt = isLast ? stop : AbortSignal.any([stop, AbortSignal.timeout(ATTEMPT_MS)]);
        try {
          return await this.#connect(address, options, attempt);
        } catch (error) {
          last = error;
          if (stop.aborted) break;
        }
      }
    } catch (error) {
      last = error;
    }
    const why =
      signal?.aborted === true
        ? 'given up'
        : stop.aborted
          ? `no answer within ${options.timeoutMs} ms`
          : messageOf(last);
    throw new SwitchyardError('backend_connect_failed', `could not connect to ${where}: ${why}`, { cause: last });
  }

  #connect(address: string, { port, keepAliveMs, bufferBytes }: DialOptions, signal: AbortSignal): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const descriptor = this.#addon.connect(address, port);
      this.#addon.tune(descriptor, keepAliveMs);
      const fail = (why: unknown): void => {
        signal.removeEventListener('abort', onAbort);
        socket.owner = null;
        socket.close();
        reject(why instanceof Error ? why : new Error('given up'));
      };
      const onAbort = (): void => fail(signal.reason);
      const socket = this.#open(descriptor, (event, errno, _, name) => {
        if (event !== SocketEvent.Connected) {
          fail(Object.assign(new Error(`connect ${name} ${address}:${port}`), { code: name, errno: -errno }));
          return;
        }
        signal.removeEventListener('abort', onAbort);
        const wire = new NativeWire(socket, this.#slabs, address, port, bufferBytes);
        wire.pause();
        resolve(wire);
      });
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
      else socket.expectConnection();
    });
  }

  async #bind({ host, port, backlog }: ListenOptions): Promise<number> {
    if (host !== null) {
      const { address } = await lookup(host);
      return this.#addon.listen(address, port, backlog);
    }
    try {
      return this.#addon.listen('::', port, backlog);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && NO_IPV6.has(error.code))) throw error;
      return this.#addon.listen('0.0.0.0', port, backlog);
    }
  }

  #open(
    descriptor: number,
    onEvent: (event: SocketEvent, a: number, b: number, text: string | undefined) => void,
  ): NativeSocket {
    const socket = this.#socketOf(descriptor);
    socket.owner = { onEvent };
    return socket;
  }

  #socketOf(descriptor: number): NativeSocket {
    return new this.#addon.Socket(this.#host, descriptor);
  }
}

/** What a name lookup gives cannot be stopped, but nobody needs to wait for it. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error('given up'));
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
  });
}
