import type { Backend } from '../backend/backend.js';
import type { Wire } from '../net/wire.js';

/** Back-pressure between a client and its backend: whoever is full pauses the reading of the other side. */
export class Flow {
  readonly #client: Wire;
  #isClientFull = false;
  #isBackendFull = false;
  /** Goes to the backend in front of what the client sends next, in one write. */
  #ahead: Buffer | null = null;

  constructor(client: Wire) {
    this.#client = client;
  }

  /** Sends to the client. */
  toClient(bytes: Buffer, backend: Backend | null): void {
    if (this.#client.write(bytes)) return;
    this.#isClientFull = true;
    backend?.wire.pause();
  }

  /** Lets messages wait for what the client is about to send, behind those that wait already. */
  aheadOfClient(bytes: Buffer): void {
    this.#ahead = this.#ahead === null ? bytes : Buffer.concat([this.#ahead, bytes]);
  }

  toBackend(bytes: Buffer, backend: Backend): void {
    const all = this.#ahead === null ? bytes : Buffer.concat([this.#ahead, bytes]);
    this.#ahead = null;
    if (backend.send(all)) return;
    this.#isBackendFull = true;
    this.#client.pause();
  }

  /** The client has room again. */
  clientDrained(backend: Backend | null): void {
    this.#isClientFull = false;
    backend?.wire.resume();
  }

  /** The backend has room again, or is another one. */
  backendDrained(isClientStopped: boolean): void {
    this.#isBackendFull = false;
    this.regulateClient(isClientStopped);
  }

  /** The backend leaves: nobody must stay paused for its sake, nor it for the client's. */
  release(backend: Backend | null, isClientStopped: boolean): void {
    this.#ahead = null;
    if (this.#isClientFull) backend?.wire.resume();
    this.backendDrained(isClientStopped);
  }

  /** Reads the client unless its input is stopped or has nowhere to go. */
  regulateClient(isClientStopped: boolean): void {
    if (isClientStopped || this.#isBackendFull) this.#client.pause();
    else this.#client.resume();
  }
}
