import { parseSecret } from './user-secret.js';

/** One user of a userlist.txt. `secret` is private: the entry shows its name only. */
class UserlistEntry {
  readonly name: string;
  readonly #secret: string;

  constructor(name: string, secret: string) {
    this.name = name;
    this.#secret = secret;
  }

  get secret(): string {
    return this.#secret;
  }
}

interface UserlistProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

export interface Userlist {
  /** In the order of the file; of two for the same user the later one counts, as in PgBouncer. */
  readonly entries: readonly UserlistEntry[];
  readonly problems: readonly UserlistProblem[];
}

/** Most problems that are reported of one file: it may be no userlist at all. */
const PROBLEMS_MAX = 100;

/**
 * Reads PgBouncer's authentication file (its documentation, "Authentication file format"): lines of `"user" "secret"`, where a secret
 * is a password, `md5...` or `SCRAM-SHA-256$...` (empty: the user cannot log in with one), `""` inside quotes is one quote, what
 * follows on the line is ignored, and lines that begin with `;` are comments. Messages hold no secret.
 */
export function parseUserlist(text: string): Userlist {
  const entries: UserlistEntry[] = [];
  const problems: UserlistProblem[] = [];
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|\n/);
  for (const [index, line] of lines.entries()) {
    if (problems.length >= PROBLEMS_MAX) {
      break;
    }
    const content = line.trimStart();
    if (content === '' || content.startsWith(';')) {
      continue;
    }
    const entry = parseLine(content);
    if (typeof entry === 'string') {
      problems.push({ line: index + 1, message: entry });
    } else {
      entries.push(entry);
    }
  }
  return { entries, problems };
}

/** The entry, or what is wrong with the line. */
function parseLine(line: string): UserlistEntry | string {
  const name = readQuoted(line, 0);
  if (name === null) {
    return line.startsWith('"')
      ? 'the quote of the user name is not closed'
      : 'a line must begin with a quoted user name';
  }
  if (name.value === '') {
    return 'the user name is empty';
  }
  const secretAt = line.length - line.slice(name.end).trimStart().length;
  const secret = readQuoted(line, secretAt);
  if (secret === null) {
    return line.charAt(secretAt) === '"'
      ? `the quote of the secret of user "${name.value}" is not closed`
      : `user "${name.value}" has no quoted secret`;
  }
  const parsed = parseSecret(secret.value);
  if (parsed.kind === 'none' && parsed.reason === 'not-readable') {
    return `the secret of user "${name.value}" begins like a SCRAM verifier but is not one`;
  }
  return new UserlistEntry(name.value, secret.value);
}

/** Reads a quoted text at `begin`; `end` is behind its closing quote. Null when there is none. */
function readQuoted(line: string, begin: number): { readonly value: string; readonly end: number } | null {
  if (line.charAt(begin) !== '"') {
    return null;
  }
  let at = begin + 1;
  for (;;) {
    const quote = line.indexOf('"', at);
    if (quote === -1) {
      return null;
    }
    if (line.charAt(quote + 1) !== '"') {
      return { value: line.slice(begin + 1, quote).replaceAll('""', '"'), end: quote + 1 };
    }
    at = quote + 2;
  }
}
