import { createRequire } from 'node:module';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Engine, Listener } from '../../../src/net/engine.js';
import type { NativeAddon } from '../../../src/net/native/addon.js';
import { NativeEngine } from '../../../src/net/native/native-engine.js';
import { openEngine } from '../../../src/net/open-engine.js';
import type { Wire, WireHandler } from '../../../src/net/wire.js';

const LOOPBACK = '127.0.0.1';

/** Both engines. `SWITCHYARD_TEST_ADDON`: another build of the addon. */
export function engines(): readonly Engine[] {
  const { SWITCHYARD_TEST_ADDON: path } = process.env;
  const native =
    path === undefined
      ? openEngine('native').engine
      : new NativeEngine(createRequire(import.meta.url)(path) as NativeAddon);
  return [openEngine('stream').engine, native];
}

/** A wire and all that it has said. */
export class Heard implements WireHandler {
  readonly wire: Wire;
  readonly chunks: Buffer[] = [];
  drains = 0;
  ends = 0;
  /** Undefined: not closed. */
  closed: Error | null | undefined = undefined;
  onChunkDo: (chunk: Buffer) => void = () => {};
  readonly #waiting: { isThere: () => boolean; resolve: () => void }[] = [];

  constructor(wire: Wire) {
    this.wire = wire;
    wire.handler = this;
  }

  get bytes(): number {
    return this.chunks.reduce((sum, { length }) => sum + length, 0);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  get hash(): string {
    const hash = createHash('sha256');
    for (const chunk of this.chunks) hash.update(chunk);
    return hash.digest('hex');
  }

  /** Waits for what only an event of this wire can bring about. */
  until(isThere: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isThere, resolve });
      this.#look();
    });
  }

  onChunk(chunk: Buffer): void {
    if (this.closed !== undefined) throw new Error('a chunk behind the close');
    this.chunks.push(chunk);
    this.onChunkDo(chunk);
    this.#look();
  }

  onDrain(): void {
    this.drains += 1;
    this.#look();
  }

  onEnd(): void {
    this.ends += 1;
    this.#look();
  }

  onClose(error: Error | null): void {
    if (this.closed !== undefined) throw new Error('closed twice');
    this.closed = error;
    this.#look();
  }

  #look(): void {
    for (const waiting of this.#waiting) if (waiting.isThere()) waiting.resolve();
  }
}

/** Sends all of it, waiting where it is told to. */
export async function sendAll(heard: Heard, bytes: Buffer, pieceBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const { drains } = heard;
    if (!heard.wire.write(bytes.subarray(at, at + pieceBytes))) await heard.until(() => heard.drains > drains);
  }
}

export interface ListenLab {
  readonly listener: Listener;
  /** The next wire that comes in. */
  next(): Promise<Heard>;
}

export async function listen(t: TestContext, engine: Engine, bufferBytes = 65_536): Promise<ListenLab> {
  const come: Heard[] = [];
  const asked: ((heard: Heard) => void)[] = [];
  const listener = await engine.listen(
    { host: LOOPBACK, port: 0, backlog: 511, keepAliveMs: () => 30_000, bufferBytes },
    (wire) => {
      const heard = new Heard(wire);
      t.after(() => wire.destroy());
      const ask = asked.shift();
      if (ask === undefined) come.push(heard);
      else ask(heard);
    },
  );
  t.after(() => listener.close());
  return {
    listener,
    next: () => {
      const heard = come.shift();
      return heard === undefined ? new Promise((resolve) => asked.push(resolve)) : Promise.resolve(heard);
    },
  };
}

/** Two ends of one connection: one that was dialled, and reads, and one that was accepted. */
export async function pair(t: TestContext, engine: Engine, bufferBytes = 65_536): Promise<readonly [Heard, Heard]> {
  const lab = await listen(t, engine, bufferBytes);
  const dialled = new Heard(
    await engine.dial({ host: LOOPBACK, port: lab.listener.port, timeoutMs: 5_000, keepAliveMs: 0, bufferBytes }),
  );
  t.after(() => dialled.wire.destroy());
  dialled.wire.resume();
  return [dialled, await lab.next()];
}

/** A peer that is a socket of Node, and the wire that was accepted. */
export async function withSocket(t: TestContext, engine: Engine): Promise<readonly [Socket, Heard]> {
  const lab = await listen(t, engine);
  const socket = connect({ port: lab.listener.port, host: LOOPBACK, allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  return [socket, await lab.next()];
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
