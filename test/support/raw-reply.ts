import { BodyReader, backend } from './raw-messages.js';
import type { ErrorFields, RawMessage } from './raw-messages.js';

/** What came back for one unit: everything up to ReadyForQuery, to CopyInResponse, or to the end of the connection. */
export interface RawReply {
  readonly messages: readonly RawMessage[];
  /** The types of the messages in one string: `TDDCZ`. */
  readonly types: string;
  /** Rows of all results, in text. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Column names of the last RowDescription. */
  readonly columns: readonly string[];
  /** Tags of every CommandComplete. */
  readonly tags: readonly string[];
  /** The first ErrorResponse. */
  readonly error: ErrorFields | null;
  readonly notices: readonly ErrorFields[];
  /** Data of COPY ... TO STDOUT. */
  readonly copied: Buffer;
  /** Transaction status of the ReadyForQuery; null when none came. */
  readonly status: 'I' | 'T' | 'E' | null;
  /** The server closed the connection. */
  readonly closed: boolean;
}

/** Reads a ReadyForQuery. */
export function transactionStatus(body: Buffer): 'I' | 'T' | 'E' {
  const status = body.toString('latin1');
  if (status === 'I' || status === 'T' || status === 'E') return status;
  throw new Error(`ReadyForQuery says ${status}`);
}

/** Sums the messages of one unit up. */
export function summarize(messages: readonly RawMessage[], closed: boolean): RawReply {
  const bodies = (type: string): Buffer[] => messages.filter((each) => each.type === type).map((each) => each.body);
  const ready = bodies('Z')[0];
  const error = bodies('E')[0];
  const description = bodies('T').at(-1);
  return {
    messages,
    types: messages.map((each) => each.type).join(''),
    rows: bodies('D').map(backend.dataRow),
    columns: description === undefined ? [] : backend.columnNames(description),
    tags: bodies('C').map((body) => new BodyReader(body).string()),
    error: error === undefined ? null : backend.errorFields(error),
    notices: bodies('N').map(backend.errorFields),
    copied: Buffer.concat(bodies('d')),
    status: ready === undefined ? null : transactionStatus(ready),
    closed,
  };
}
