import type { ServerResponse } from 'node:http';

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** An answer that is given line by line; `write` owns the response once it has been called, and ends it. */
export interface StreamedAnswer {
  readonly status: number;
  readonly type: string;
  /** Most time that it takes. */
  readonly timeoutMs: number;
  readonly write: (response: ServerResponse) => void;
}

export const JSON_TYPE = 'application/json; charset=utf-8';
export const LINES_TYPE = 'application/x-ndjson; charset=utf-8';
export const TEXT_TYPE = 'text/plain; charset=utf-8';

export function json(status: number, body: unknown): Answer {
  return { status, type: JSON_TYPE, body: `${JSON.stringify(body)}\n` };
}
