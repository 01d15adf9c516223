import { LEAD_TOKENS_MAX, lowerAscii } from './statement.js';

/** What a SET or RESET is about. Source of the forms: PostgreSQL documentation, "SET", and the pages it refers to. */
export type Setting =
  /** A value for the session; names as in pg_settings, in lower case. */
  | { readonly kind: 'set'; readonly name: string }
  | { readonly kind: 'reset'; readonly name: string }
  | { readonly kind: 'reset_all' }
  | { readonly kind: 'role'; readonly isDefault: boolean }
  | { readonly kind: 'authorization'; readonly isDefault: boolean }
  /** Nothing that outlives the transaction. */
  | { readonly kind: 'transaction' }
  /** Several settings at once, one that is more than its value, or a form that is not understood. */
  | { readonly kind: 'unknown' };

/** Settings whose value belongs to the present transaction. */
const ofTransaction: ReadonlySet<string> = new Set([
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
]);

/** Words that SQL has for some settings. */
const ofWords: readonly (readonly [words: readonly string[], name: string])[] = [
  [['session', 'authorization'], 'session_authorization'],
  [['time', 'zone'], 'timezone'],
  [['xml', 'option'], 'xmloption'],
  [['transaction', 'isolation', 'level'], 'transaction_isolation'],
  [['names'], 'client_encoding'],
  [['schema'], 'search_path'],
];

/** Reads the tokens of a statement that begins with SET or RESET (see `Statement.lead`). */
export function readSetting(lead: readonly string[]): Setting {
  if (lead[0] === 'reset') return readReset(lead.slice(1));
  // Such words are also the first part of a name: session.user
  const isName = lead[2] === '.';
  if (lead[1] === 'local' && !isName) return { kind: 'transaction' };
  const isScope = lead[1] === 'session' && !isName && lead[2] !== 'authorization' && lead[2] !== 'characteristics';
  return readSet(lead.slice(isScope ? 2 : 1));
}

function readReset(rest: readonly string[]): Setting {
  if (rest[0] === 'all') return { kind: 'reset_all' };
  const { name } = readName(rest);
  if (ofTransaction.has(name)) return { kind: 'transaction' };
  if (name === 'role') return { kind: 'role', isDefault: true };
  if (name === 'session_authorization') return { kind: 'authorization', isDefault: true };
  return name === '' ? { kind: 'unknown' } : { kind: 'reset', name };
}

function readSet(rest: readonly string[]): Setting {
  if ((rest[0] === 'transaction' || rest[0] === 'constraints') && rest[1] !== '.') return { kind: 'transaction' };
  if (rest[0] === 'session' && rest[1] === 'characteristics') return readCharacteristics(rest.slice(4));
  const { name, length } = readName(rest);
  const isAssigned = rest[length] === '=' || rest[length] === 'to';
  const value = rest[isAssigned ? length + 1 : length];
  if (name === '' || name === 'seed' || value === undefined) return { kind: 'unknown' };
  if (ofTransaction.has(name)) return { kind: 'transaction' };
  if (name === 'role') return { kind: 'role', isDefault: value === 'none' || value === 'default' };
  if (name === 'session_authorization') return { kind: 'authorization', isDefault: value === 'default' };
  return { kind: 'set', name };
}

/** The name at the beginning, and how many tokens it has; empty when it is cut off. */
function readName(rest: readonly string[]): { readonly name: string; readonly length: number } {
  for (const [words, name] of ofWords) {
    const { length } = words;
    if (words.every((word, index) => rest[index] === word) && rest[length] !== '.') return { name, length };
  }
  let name = bare(rest[0]);
  let length = 1;
  for (; rest[length] === '.'; length += 2) name += `.${bare(rest[length + 1])}`;
  return length >= LEAD_TOKENS_MAX - 2 ? { name: '', length } : { name, length };
}

/** SET SESSION CHARACTERISTICS AS TRANSACTION mode [...]: each mode has a setting of its own. */
function readCharacteristics(modes: readonly string[]): Setting {
  const names: string[] = [];
  for (let i = 0; i < modes.length; i += 1) {
    if (modes[i] === 'isolation') {
      names.push('default_transaction_isolation');
      // LEVEL, and one word or two: SERIALIZABLE, REPEATABLE READ, READ COMMITTED.
      i += modes[i + 2] === 'serializable' ? 2 : 3;
    } else if (modes[i] === 'read') names.push('default_transaction_read_only');
    else if (modes[i] === 'deferrable') names.push('default_transaction_deferrable');
  }
  const [name] = names;
  return name === undefined || names.length > 1 ? { kind: 'unknown' } : { kind: 'set', name };
}

/** A part of the name of a setting; they are compared without case, quoted or not. */
function bare(token: string | undefined): string {
  if (token === undefined) return '';
  return lowerAscii(token.startsWith('"') ? token.slice(1) : token);
}
