import type { Backend, BackendSink } from '../backend/backend.js';
import { BackendType } from '../protocol/codes.js';
import { decodeErrorFields } from '../protocol/error-fields.js';
import type { ErrorFields } from '../protocol/error-fields.js';
import { NOT_READ, Verdict } from '../protocol/frame-scanner.js';
import { Reply } from '../protocol/request-tracker.js';

/**
 * Listens to a backend that a session keeps and does not use at the moment. It owes nothing, so that all it can say is notices, parameters
 * (the backend notes them) and its farewell.
 */
export class ParkedSink implements BackendSink {
  readonly #backend: Backend;
  readonly #onGone: (farewell: ErrorFields | null) => void;
  #farewell: ErrorFields | null = null;
  #isGone = false;

  constructor(backend: Backend, onGone: (farewell: ErrorFields | null) => void) {
    this.#backend = backend;
    this.#onGone = onGone;
  }

  onBackendFrame(type: number, reply: Reply, buffer: Buffer, start: number, end: number): Verdict {
    if (reply === Reply.Violation) this.#backend.destroy();
    if (type === BackendType.ErrorResponse && end !== NOT_READ) this.#farewell = decodeErrorFields(buffer, start, end);
    return Verdict.Drop;
  }

  onBackendRun(): void {}

  onBackendFlushed(type: number): void {
    if (type !== BackendType.ErrorResponse) return;
    // Its farewell. The connection may be open for a while yet, and nothing may be sent there that nobody will answer.
    this.#backend.destroy();
    this.#gone();
  }

  onBackendDrain(): void {}

  onBackendClose(): void {
    this.#gone();
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#onGone(this.#farewell);
  }
}
