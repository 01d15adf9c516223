import type { RawStmt } from 'libpg-query';
import type { Analysis, Effect, SqlAnalyzer, StatementAnalysis, TextFacts } from '../sql/analysis.js';
import { verdictWithoutCatalog } from '../sql/catalog.js';
import type { Catalog } from '../sql/catalog.js';
import { readHint } from '../sql/hint.js';
import type { RouteHint } from '../sql/hint.js';
import { ReadObstacle } from '../sql/read-obstacle.js';
import type { Refused } from '../sql/read-obstacle.js';
import type { SqlMistake, SqlParser } from '../sql/sql-parser.js';
import { wordsOf } from './explain-words.js';

/** What explaining needs of a proxy; the command line has its own. */
export interface ExplainParts {
  readonly parser: SqlParser;
  readonly analyzer: SqlAnalyzer;
  /** Null: it is not loaded. */
  readonly catalogOf: (database: string) => Catalog | null;
  /** Why there is none; null: it is being loaded, or there is one. */
  readonly troubleOf: (database: string) => string | null;
}

/** Where one statement would go by itself, on a listener with `route: split`. */
export interface ExplainedStatement {
  /** As it was written. */
  readonly statement: string;
  readonly target: 'standby' | 'primary';
  /** `read`, `hint`, `transaction`, or the obstacle. */
  readonly reason: string;
  /** One sentence. */
  readonly why: string;
  /** What stands in the way, where it has a name. */
  readonly name: string | null;
  /** Where that is a view: what stands in the way within it, from view to view. */
  readonly within: readonly { readonly obstacle: string; readonly name: string | null; readonly why: string }[];
  readonly remedy: string | null;
  /** What the verdict is remembered by: the statement without its literals; null: it could not be read. */
  readonly template: string | null;
  /** A comment that speaks to the proxy. */
  readonly hint: RouteHint | null;
}

/** A text that PostgreSQL's grammar refuses. */
export interface ExplainedMistake {
  readonly message: string;
  /** In characters, from 1; null: no place is known. */
  readonly line: number | null;
  readonly column: number | null;
}

export interface ExplainDocument {
  readonly database: string;
  /** What is known of the database; null: nothing yet. */
  readonly catalog: { readonly serverVersion: number; readonly functions: number; readonly views: number } | null;
  readonly trouble: string | null;
  readonly statements: readonly ExplainedStatement[];
  /** Where all of the text goes when it is sent as one; null when it cannot be read, or is empty. */
  readonly target: 'standby' | 'primary' | null;
  readonly mistake: ExplainedMistake | null;
}

/** Views within views that are told. */
const WITHIN_MAX = 16;
/** Statements of one text that are told. */
export const STATEMENTS_MAX = 200;
const FACTS: TextFacts = { clientEncoding: 'UTF8', escapesInStrings: false };
type Target = ExplainedStatement['target'];

/** Says where each statement of a text would go, and why; of sessions that have nothing of their own in the way. Runs nothing. */
export function explainText(sql: string, database: string, parts: ExplainParts): ExplainDocument {
  const catalog = parts.catalogOf(database);
  const text = Buffer.from(sql, 'utf8');
  const parsed = parts.parser.parse(text, 0, text.length);
  const snapshot = catalog?.snapshot;
  const known = {
    database,
    catalog:
      snapshot === undefined
        ? null
        : {
            serverVersion: snapshot.serverVersion,
            functions: snapshot.functions.length,
            views: snapshot.views.length,
          },
    trouble: parts.troubleOf(database),
  };
  if (parsed.kind !== 'tree') {
    const found = parsed.kind === 'refused' ? parts.parser.mistakeIn(text) : null;
    const mistake = found === null ? { message: 'the text is too long to be read', at: null } : found;
    return { ...known, statements: [], target: null, mistake: placeOf(mistake, sql) };
  }
  if (parsed.statements.length > STATEMENTS_MAX) {
    const message = `the text has more than ${STATEMENTS_MAX} statements`;
    return { ...known, statements: [], target: null, mistake: { message, line: null, column: null } };
  }
  const statements = explainAll(parsed.statements, text, catalog, parts.analyzer);
  const isRead = statements.every(({ target }) => target === 'standby') && hintIn(text, 0, text.length) === null;
  const target = statements.length === 0 ? null : isRead ? 'standby' : 'primary';
  return { ...known, statements, target, mistake: null };
}

function explainAll(
  raws: readonly RawStmt[],
  text: Buffer,
  catalog: Catalog | null,
  analyzer: SqlAnalyzer,
): ExplainedStatement[] {
  /** Where the transaction is that the text has begun. */
  let open: Target | null = null;
  /** Comments before a statement belong to it. */
  let start = 0;
  return raws.map((raw) => {
    const end = endOf(raw, text);
    const analysis = analyzer.analyze(text, raw.stmt_location ?? 0, end, FACTS);
    const explained = explainOne(analysis, text, start, end, catalog, open);
    start = end;
    const effects = analysis.statements.flatMap((statement) => statement.effects);
    if (effects.some(({ kind }) => kind === 'begin')) open ??= explained.target;
    if (effects.some(endsTransaction)) open = null;
    return explained;
  });
}

function explainOne(
  { statements, template }: Analysis,
  text: Buffer,
  start: number,
  end: number,
  catalog: Catalog | null,
  open: Target | null,
): ExplainedStatement {
  const hint = hintIn(text, start, end);
  const written = text
    .toString('utf8', start, end)
    .replace(/^[;\s]+/, '')
    .trimEnd();
  const of = (target: Target, reason: string, why: string): ExplainedStatement => ({
    statement: written,
    target,
    reason,
    why,
    name: null,
    within: [],
    remedy: null,
    template: template === null ? null : Buffer.from(template, 'latin1').toString('utf8'),
    hint,
  });
  const refused = firstObstacle(statements, catalog);
  const begins = statements.some(({ effects }) => effects.some(isReadOnlyBegin));
  if (
    open === 'primary' ||
    (open === 'standby' && (refused === null || refused.obstacle === ReadObstacle.Transaction))
  ) {
    return of(open, 'transaction', `It runs where its transaction is, on the ${open}.`);
  }
  if (hint !== null) {
    const why =
      hint === 'primary'
        ? 'A comment in it asks for the primary.'
        : 'A comment in it speaks to the proxy and is not understood: it can only say "switchyard: primary".';
    return of('primary', 'hint', why);
  }
  if (begins) return of('standby', 'read', 'It begins a transaction that only reads.');
  if (refused === null) return of('standby', 'read', 'It is a proven read.');
  const { why, remedy } = wordsOf(refused.obstacle, refused.name);
  const within = withinOf(refused, catalog);
  const deepest = within.at(-1);
  return {
    ...of('primary', refused.obstacle, why),
    name: refused.name,
    within: within.map(({ obstacle, name }) => ({ obstacle, name, why: wordsOf(obstacle, name).why })),
    remedy: deepest === undefined ? remedy : wordsOf(deepest.obstacle, deepest.name).remedy,
  };
}

function firstObstacle(statements: readonly StatementAnalysis[], catalog: Catalog | null): Refused | null {
  for (const statement of statements) {
    const verdict = catalog === null ? verdictWithoutCatalog(statement) : catalog.verdictOf(statement);
    if (!verdict.isRead) return verdict;
  }
  return null;
}

function withinOf(refused: Refused, catalog: Catalog | null): Refused[] {
  const within: Refused[] = [];
  let last: Refused = refused;
  while (last.obstacle === ReadObstacle.ViewNotRead && last.name !== null && within.length < WITHIN_MAX) {
    const inner = catalog?.obstacleWithin(last.name) ?? null;
    if (inner === null) break;
    within.push(inner);
    last = inner;
  }
  return within;
}

function isReadOnlyBegin(effect: Effect): boolean {
  return effect.kind === 'begin' && effect.isReadOnly === true && effect.isolation !== 'serializable';
}

function endsTransaction(effect: Effect): boolean {
  if (effect.kind === 'prepare_transaction') return true;
  return (effect.kind === 'commit' || effect.kind === 'rollback') && !effect.isChained;
}

function endOf({ stmt_location: start = 0, stmt_len: length = 0 }: RawStmt, text: Buffer): number {
  return length === 0 ? text.length : start + length;
}

function hintIn(text: Buffer, start: number, end: number): RouteHint | null {
  return readHint(text, start, end, FACTS.escapesInStrings);
}

function placeOf({ message, at }: SqlMistake, sql: string): ExplainedMistake {
  if (at === null) return { message, line: null, column: null };
  const lines = Array.from(sql).slice(0, at).join('').split('\n');
  return { message, line: lines.length, column: Array.from(lines.at(-1) ?? '').length + 1 };
}
