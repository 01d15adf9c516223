import { NodeError } from '../backend/node-error.js';
import type { TextRow } from '../backend/own-query.js';
import type { NamesUsed, QualifiedName, SqlAnalyzer, TextFacts } from '../sql/analysis.js';
import { SYSTEM_SCHEMA } from '../sql/catalog-functions.js';
import { asText } from '../sql/catalog-names.js';
import type { CatalogSnapshot, ViewRow } from '../sql/catalog-snapshot.js';
import {
  CATALOG_SQL,
  decodeCatalog,
  decodeDefinitions,
  decodeFingerprint,
  definitionsSql,
  FINGERPRINT_SQL,
  VIEW_CHARS_MAX,
  VIEWS_MAX,
} from './catalog-sql.js';
import type { FoundView } from './catalog-sql.js';

/** Views whose queries are asked for at one time: the tables in them stay locked (ACCESS SHARE) until the answer is there. */
const VIEWS_AT_ONCE = 100;
/** So often a query of a view may fail before the rest is not asked for any more: it waits for a lock each time. */
const VIEW_FAILURES_MAX = 16;
/** Characters of queries of views that are read in one turn of the event loop. */
const TURN_CHARS = 1_024;
const FACTS: TextFacts = { clientEncoding: 'UTF8', escapesInStrings: false };

/** Runs one string of statements in the database, by the simple protocol, and gives the rows of all of them. */
export type AskCatalog = (sql: string) => Promise<readonly TextRow[]>;

export interface LoadedCatalog {
  readonly snapshot: CatalogSnapshot;
  /** Of what it was made from; null: it is incomplete (a view was locked), and is to be loaded again whatever the fingerprint. */
  readonly fingerprint: string | null;
}

/** Loads what is known of the names in a database; null when nothing has changed since `fingerprint`. */
export async function loadCatalog(
  ask: AskCatalog,
  database: string,
  analyzer: SqlAnalyzer,
  fingerprint: string | null = null,
): Promise<LoadedCatalog | null> {
  if (fingerprint !== null && decodeFingerprint(await ask(FINGERPRINT_SQL)) === fingerprint) return null;
  const { views: found, fingerprint: now, ...rest } = decodeCatalog(await ask(CATALOG_SQL));
  const { views, isComplete } = await readViews(found, ask, analyzer);
  return { snapshot: { database, ...rest, views }, fingerprint: isComplete ? now : null };
}

async function readViews(
  found: readonly FoundView[],
  ask: AskCatalog,
  analyzer: SqlAnalyzer,
): Promise<{ readonly views: readonly ViewRow[]; readonly isComplete: boolean }> {
  const oids = found.slice(0, VIEWS_MAX).map(({ oid }) => oid);
  const { definitions, isComplete } = await askDefinitions(oids, ask);
  const views: ViewRow[] = [];
  let turnChars = 0;
  for (const { schema, name, oid } of found) {
    const definition = definitions.get(oid) ?? null;
    turnChars += definition?.length ?? 0;
    if (turnChars > TURN_CHARS) {
      turnChars = 0;
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    views.push({ schema, name, reading: definition === null ? null : readDefinition(definition, analyzer) });
  }
  return { views, isComplete };
}

/** A view that cannot be asked for, for its table is locked or it is broken, must not cost the others. */
async function askDefinitions(
  oids: readonly number[],
  ask: AskCatalog,
): Promise<{ readonly definitions: ReadonlyMap<number, string>; readonly isComplete: boolean }> {
  const definitions = new Map<number, string>();
  const open: (readonly number[])[] = [];
  for (let at = 0; at < oids.length; at += VIEWS_AT_ONCE) open.push(oids.slice(at, at + VIEWS_AT_ONCE));
  let failures = 0;
  for (let some = open.pop(); some !== undefined && failures < VIEW_FAILURES_MAX; some = open.pop()) {
    try {
      for (const [oid, text] of decodeDefinitions(await ask(definitionsSql(some)))) definitions.set(oid, text);
    } catch (error) {
      if (!(error instanceof NodeError) || error.fields.severity !== 'ERROR') throw error;
      failures += 1;
      await ask('ROLLBACK');
      const middle = some.length >> 1;
      if (middle > 0) open.push(some.slice(0, middle), some.slice(middle));
    }
  }
  return { definitions, isComplete: failures === 0 };
}

function readDefinition(definition: string, analyzer: SqlAnalyzer): ViewRow['reading'] {
  if (definition.length > VIEW_CHARS_MAX) return null;
  const text = Buffer.from(definition, 'utf8');
  const [statement, second] = analyzer.analyze(text, 0, text.length, FACTS).statements;
  if (statement === undefined || second !== undefined) return null;
  return { access: statement.access, names: namesAsText(statement.names) };
}

/** By the path that the query was asked for with, what stands there without a schema is PostgreSQL's own. */
function namesAsText(names: NamesUsed): NamesUsed {
  const each = ({ schema, name }: QualifiedName): QualifiedName => ({
    schema: schema === null ? SYSTEM_SCHEMA : asText(schema),
    name: asText(name),
  });
  return {
    functions: names.functions.map(each),
    relations: names.relations.map(each),
    operators: names.operators.map(each),
    types: names.types.map(each),
    attributes: names.attributes.map(asText),
  };
}
