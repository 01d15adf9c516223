import { serialize } from 'pg-protocol';
import { Parser } from 'pg-protocol/dist/parser.js';
import { SwitchyardError } from '../errors.js';
import { BackendType, Frontend } from '../protocol/codes.js';
import { NOT_READ, Verdict } from '../protocol/frame-scanner.js';
import { SinkMode } from './backend.js';
import type { Backend, BackendSink } from './backend.js';
import { NodeError } from './node-error.js';

/** A row as text; null is SQL's NULL. */
export type TextRow = readonly (string | null)[];

const HEADER_BYTES = 5;
/** Most rows kept of one answer. */
const OWN_ROWS_MAX = 100_000;

class OwnQuery implements BackendSink {
  readonly #parser: Parser;
  readonly #rows: TextRow[];
  #error: Error | null;
  readonly #done: (error: Error | null, rows: readonly TextRow[]) => void;
  #isDone: boolean;
  readonly #backend: Backend;

  constructor(backend: Backend, done: (error: Error | null, rows: readonly TextRow[]) => void) {
    this.#backend = backend;
    this.#parser = new Parser();
    this.#rows = [];
    this.#error = null;
    this.#done = done;
    this.#isDone = false;
  }

  finish(error: Error | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#done(error, this.#rows);
  }

  onBackendFrame(type: number, _reply: number, buffer: Buffer, start: number, end: number): Verdict {
    if (type === BackendType.ErrorResponse && end !== NOT_READ) {
      const error = NodeError.read(buffer, start, end);
      this.#error ??= error;
      // Behind the answer: whoever gets the backend next must not wait for a word that was said already.
      if (this.#isDone) this.#backend.destroy();
      // A FATAL has no ReadyForQuery behind it.
      if (error.fields.severity !== 'ERROR') this.finish(error);
    } else if (type === BackendType.DataRow) this.#takeRow(buffer, start, end);
    return Verdict.Drop;
  }

  onBackendRun(): void {}

  onBackendFlushed(type: number): void {
    if (type === BackendType.ReadyForQuery) this.finish(this.#error);
  }

  onBackendDrain(): void {}

  onBackendClose(error: Error | null): void {
    this.finish(
      this.#error ?? new SwitchyardError('backend_lost', 'connection to the node was lost', { cause: error }),
    );
  }

  #takeRow(buffer: Buffer, start: number, end: number): void {
    if (end === NOT_READ || this.#rows.length >= OWN_ROWS_MAX) {
      this.#error ??= new SwitchyardError(
        'backend_protocol_violation',
        'the answer to a question of our own is too large',
      );
      return;
    }
    // The parser is only ever given whole messages, so it keeps nothing between two calls.
    this.#parser.parse(buffer.subarray(start - HEADER_BYTES, end), (message) => {
      if ('fields' in message) this.#rows.push(message.fields as (string | null)[]);
    });
  }
}

/**
 * Asks a question of our own on a backend that nobody is attached to and that is at a boundary, and gives the rows of the answer: with
 * the simple protocol, or with the extended one when there are `values` for $1, $2...
 * Fails with a `NodeError`, or with `backend_lost`; after `timeoutMs` the backend is destroyed. The caller must attach the next sink.
 */
export function ownQuery(
  backend: Backend,
  sql: string,
  timeoutMs: number,
  values: readonly string[] | null = null,
): Promise<readonly TextRow[]> {
  return new Promise((resolve, reject) => {
    const query = new OwnQuery(backend, (error, rows) => {
      clearTimeout(timer);
      if (error === null) resolve(rows);
      else reject(error);
    });
    const timer = setTimeout(() => {
      query.finish(new SwitchyardError('backend_lost', `no answer within ${timeoutMs} ms`));
      backend.destroy();
    }, timeoutMs);
    backend.attach(query, SinkMode.Own);
    if (backend.closed) query.finish(new SwitchyardError('backend_lost', 'connection to the node was lost'));
    else if (values === null) send(backend, [Frontend.Query], [serialize.query(sql)]);
    else {
      send(
        backend,
        [Frontend.Parse, Frontend.Bind, Frontend.Execute, Frontend.Sync],
        [
          serialize.parse({ text: sql }),
          serialize.bind({ values: [...values] }),
          serialize.execute(),
          serialize.sync(),
        ],
      );
    }
  });
}

function send(backend: Backend, types: readonly number[], messages: readonly Buffer[]): void {
  for (const type of types) backend.tracker.sent(type, true);
  backend.send(Buffer.concat(messages));
}
