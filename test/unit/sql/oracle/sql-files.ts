import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { lex, TokenKind } from '../../../../src/sql/lexer.js';

/** Folders with files of SQL, told by whoever runs the tests (`src/test/regress/sql` of PostgreSQL is a good one); those of `PATH` style. */
const VARIABLE = 'SQL_CORPUS_DIR';
/** What an installed PostgreSQL brings along: its own views, and the scripts of its extensions. */
const INSTALLED = '/usr/share/postgresql';

/** A line for psql itself. */
const META_COMMAND = /^\s*\\.*$/gm;
/** Rows behind COPY ... FROM STDIN. */
const COPIED_ROWS = /^(\s*copy\s[^;]*\sfrom\s+stdin[^;]*;)\n[^]*?^\\\.$/gim;
const OPEN = 0x28;
const CLOSE = 0x29;

/** The files of SQL that are on this machine; empty where there are none, an error where somebody asked for them. */
export function sqlFiles(): readonly string[] {
  const asked = (process.env[VARIABLE] ?? '').split(delimiter).filter((folder) => folder !== '');
  const folders = asked.length > 0 ? asked : [INSTALLED].filter((folder) => existsSync(folder));
  const files = folders.flatMap((folder) => filesIn(folder));
  if (asked.length > 0 && files.length === 0) throw new Error(`${VARIABLE} names no folder with files of SQL`);
  return files;
}

/** The statements of a file for psql, one text each. */
export function statementsIn(file: string): readonly Buffer[] {
  const text = readFileSync(file, 'latin1').replaceAll(COPIED_ROWS, '$1').replaceAll(META_COMMAND, '');
  const bytes = Buffer.from(text, 'latin1');
  const statements: Buffer[] = [];
  let start = 0;
  let depth = 0;
  lex(bytes, 0, bytes.length, false, (kind, at, end) => {
    if (kind === TokenKind.Symbol && bytes[at] === OPEN) depth += 1;
    else if (kind === TokenKind.Symbol && bytes[at] === CLOSE) depth = Math.max(0, depth - 1);
    // As psql does it: what stands in brackets goes on.
    if (kind !== TokenKind.Semicolon || depth > 0) return;
    statements.push(bytes.subarray(start, end));
    start = end;
  });
  return statements;
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sql'))
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .toSorted();
}
