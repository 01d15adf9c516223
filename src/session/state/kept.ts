import type { TextFacts } from '../../sql/analysis.js';

/** A statement that can be run again on another backend, and under which circumstances it was run. Bytes are one character each. */
export interface Kept {
  readonly sql: string;
  readonly under: Circumstances;
  /** What a setting is set to, where the proxy itself goes by it; null for all others, and where it cannot be told. */
  readonly value: string | null;
}

/**
 * What the meaning of a text, and the right to run it, hang on. The same object as long as nothing of it changes; null for what is as it
 * was after log-in.
 */
export interface Circumstances {
  readonly reading: TextFacts;
  readonly authorization: Kept | null;
  readonly role: Kept | null;
  readonly searchPath: Kept | null;
}

/** Of what means the same whoever writes it, and however it is read. */
export const anywhere: Circumstances = {
  reading: { clientEncoding: '', escapesInStrings: false },
  authorization: null,
  role: null,
  searchPath: null,
};

export function isSameReading(a: TextFacts, b: TextFacts): boolean {
  return a.clientEncoding === b.clientEncoding && a.escapesInStrings === b.escapesInStrings;
}

/** No byte beyond ASCII and no backslash: such text does not depend on `client_encoding` or `standard_conforming_strings`. */
export function isPlainText(text: Uint8Array): boolean {
  return text.every((byte) => byte < 0x80 && byte !== 0x5c);
}

/** The same of a text with one character for each byte. */
export function isPlain(text: string): boolean {
  return !UNPLAIN.test(text);
}

const UNPLAIN = /[\\\u0080-\uffff]/;

/** A name as PostgreSQL reads it back. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string as PostgreSQL reads it, whatever `standard_conforming_strings` says. */
export function quotedString(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** What was kept under each name is the same. */
export function areSame(a: ReadonlyMap<string, Kept>, b: ReadonlyMap<string, Kept>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const name of a.keys()) if (b.get(name) !== a.get(name)) return false;
  return true;
}
