import { parseLsn } from '../replication/lsn.js';

/** What a setting of the proxy that clients can set takes. */
export interface OwnSettingKind {
  /** For people. */
  readonly takes: string;
  /** The value in the one way that it is handed on; null: it is none. */
  read(value: string): string | null;
}

/** The settings of the proxy in a split session, by their names without `switchyard.`. */
export const ownSettingKinds: Readonly<Record<string, OwnSettingKind>> = {
  route: enumOf(['primary', 'standby', 'split']),
  consistency: enumOf(['session', 'eventual', 'database']),
  explain: { takes: 'on, off', read: readFlag },
  fence: {
    takes: 'a position in the WAL such as 16/B374D848, or nothing',
    read: (value) => (value === '' || parseLsn(value) !== null ? value : null),
  },
};

export function ownSettingKind(name: string): OwnSettingKind | null {
  return Object.hasOwn(ownSettingKinds, name) ? (ownSettingKinds[name] ?? null) : null;
}

/** As PostgreSQL reads the value of an enum: whatever its case. */
export function oneOf(value: string, words: readonly string[]): string | null {
  const folded = value.toLowerCase();
  return words.includes(folded) ? folded : null;
}

function enumOf(words: readonly string[]): OwnSettingKind {
  return { takes: words.join(', '), read: (value) => oneOf(value, words) };
}

/** As PostgreSQL reads a boolean: any beginning of its words that tells them apart (`src/backend/utils/adt/bool.c`). */
function readFlag(value: string): string | null {
  const folded = value.toLowerCase();
  if (folded === '') return null;
  const begins = (word: string): boolean => word.startsWith(folded);
  if (begins('true') || begins('yes') || folded === 'on' || folded === '1') return 'on';
  if (begins('false') || begins('no') || folded === 'of' || folded === 'off' || folded === '0') return 'off';
  return null;
}
