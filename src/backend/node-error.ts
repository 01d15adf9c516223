import { decodeErrorFields } from '../protocol/error-fields.js';
import type { ErrorFields } from '../protocol/error-fields.js';

/** An ErrorResponse of a node, with its body as it came so that it can be passed on to a client unchanged. */
export class NodeError extends Error {
  readonly fields: ErrorFields;
  /** The body of the message (after the length); owned. */
  readonly body: Buffer;

  /** Copies `buffer[start, end)`. */
  constructor(buffer: Buffer, start: number, end: number) {
    const fields = decodeErrorFields(buffer, start, end);
    super(fields.message);
    this.name = 'NodeError';
    this.fields = fields;
    this.body = Buffer.from(buffer.subarray(start, end));
  }

  get sqlState(): string {
    return this.fields.sqlState;
  }
}
