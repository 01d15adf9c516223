import type { Backend } from '../backend/backend.js';
import type { Wire } from '../net/wire.js';

/** Back-pressure between a client and its backend: whoever is full pauses the reading of the other side. */
export class Flow {
  readonly #client: Wire;
  #isClientFull = false;
  /** It is full of what the relay itself has answered. */
  #isClientChoked = false;
  #isBackendFull = false;
  /** Goes to the backend in front of what the client sends next, in one write. */
  #ahead: Buffer | null = null;

  constructor(client: Wire) {
    this.#client = client;
  }

  /** Sends to the client. Where no node owes an answer, what it asks may be answered by the relay: then it is not read until it listens. */
  toClient(bytes: Buffer, backend: Backend | null): void {
    if (this.#client.write(bytes)) return;
    this.#isClientFull = true;
    backend?.wire.pause();
    if (backend !== null && !backend.tracker.isEmpty) return;
    this.#isClientChoked = true;
    this.#client.pause();
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
  clientDrained(backend: Backend | null, isClientStopped: boolean): void {
    this.#isClientFull = false;
    backend?.wire.resume();
    if (!this.#isClientChoked) return;
    this.#isClientChoked = false;
    this.regulateClient(isClientStopped);
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
    if (isClientStopped || this.#isBackendFull || this.#isClientChoked) this.#client.pause();
    else this.#client.resume();
  }
}
