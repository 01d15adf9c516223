import { decodeErrorFields } from '../protocol/error-fields.js';
import type { ErrorFields } from '../protocol/error-fields.js';

/** An ErrorResponse of a node, to be passed on to a client. */
export class NodeError extends Error {
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(fields.message);
    this.name = 'NodeError';
    this.fields = fields;
  }

  /** The body of the message is `buffer[start, end)`; borrowed. */
  static read(buffer: Buffer, start: number, end: number): NodeError {
    return new NodeError(decodeErrorFields(buffer, start, end));
  }

  get sqlState(): string {
    return this.fields.sqlState;
  }
}
