/**
 * The body of ErrorResponse and NoticeResponse: (field type byte, text, \0)... \0.
 * Source: PostgreSQL documentation, "Error and Notice Message Fields".
 */
export interface ErrorFields {
  /** Not localized (field V), or the localized one where that is all there is (PostgreSQL 9.5 and older). */
  readonly severity: string;
  readonly sqlState: string;
  readonly message: string;
  readonly detail: string | null;
  readonly hint: string | null;
  /** The function of the server that reported it; unlike the message it is in no language. */
  readonly routine: string;
}

/** Decodes `buffer[start, end)`, which is borrowed. Missing fields are empty; never throws. */
export function decodeErrorFields(buffer: Buffer, start: number, end: number): ErrorFields {
  const found = new Map<string, string>();
  let at = start;
  while (at < end && buffer[at] !== 0) {
    const stop = buffer.indexOf(0, at + 1);
    if (stop < 0 || stop >= end) break;
    found.set(String.fromCharCode(buffer[at] ?? 0), buffer.toString('utf8', at + 1, stop));
    at = stop + 1;
  }
  return {
    severity: found.get('V') ?? found.get('S') ?? '',
    sqlState: found.get('C') ?? '',
    message: found.get('M') ?? '',
    detail: found.get('D') ?? null,
    hint: found.get('H') ?? null,
    routine: found.get('R') ?? '',
  };
}

/** True when the error ends the connection. */
export function isFatal(fields: ErrorFields): boolean {
  return fields.severity === 'FATAL' || fields.severity === 'PANIC';
}
