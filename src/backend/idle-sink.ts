import { BackendType } from '../protocol/codes.js';
import { Verdict } from '../protocol/frame-scanner.js';
import type { Backend, BackendSink } from './backend.js';

/** Listens to a backend that nobody is attached to: whatever it says is dropped, and its end is told. */
export class IdleSink implements BackendSink {
  readonly #backend: Backend;
  readonly #onGone: () => void;

  constructor(backend: Backend, onGone: () => void) {
    this.#backend = backend;
    this.#onGone = onGone;
  }

  onBackendFrame(): Verdict {
    return Verdict.Drop;
  }

  onBackendRun(): void {}

  onBackendFlushed(type: number): void {
    // An idle backend says nothing but notices, parameters and its farewell.
    if (type === BackendType.ErrorResponse) this.#backend.destroy();
  }

  onBackendDrain(): void {}

  onBackendClose(): void {
    this.#onGone();
  }
}

/** For a backend that is being destroyed. */
export const deafSink: BackendSink = {
  onBackendFrame: () => Verdict.Drop,
  onBackendRun: () => {},
  onBackendFlushed: () => {},
  onBackendDrain: () => {},
  onBackendClose: () => {},
};
