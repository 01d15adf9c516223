import type { TextRow } from '../backend/own-query.js';
import { SwitchyardError } from '../errors.js';
import type { CatalogSnapshot, FunctionRow, HiddenCall, PlacedName } from '../sql/catalog-snapshot.js';

/** Most functions, operators, types and relations of a database that are read; beyond that its reads go to the primary. */
export const CATALOG_ROWS_MAX = 60_000;
/** Most views whose queries are read; all others are no reads. */
export const VIEWS_MAX = 2_000;
/** Longest query of a view that is read, in characters. */
export const VIEW_CHARS_MAX = 16_384;

/**
 * Everything below works from PostgreSQL 10 on, for a role that may do nothing but log in, and as one conversation of the simple protocol, so
 * that all answers are of one moment. With this path the names in the queries of views are told with their schemas. What somebody else has
 * locked is waited for only shortly.
 */
const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL search_path TO pg_catalog, pg_temp; SET LOCAL standard_conforming_strings TO on;
SET LOCAL lock_timeout TO '250ms'; SET LOCAL statement_timeout TO '10s';`;
const END = 'COMMIT';

const NOT_TEMPORARY = `n.nspname !~ '^pg_(toast_)?temp_'`;
/** Relations that matter here by themselves, or may have children that do. */
const RELEVANT = `c.relkind IN ('v', 'S', 'f', 'p') OR c.relpersistence = 'u' OR c.relhassubclass`;

/** A digest of all that the snapshot is made from: every change gives a row of a catalogue another `xmin`. */
const FINGERPRINT = `SELECT 'fingerprint', pg_catalog.md5(pg_catalog.concat_ws('/', d.oid, s.setting,
(SELECT pg_catalog.string_agg(pg_catalog.concat(n.oid, ':', n.xmin), ',' ORDER BY n.oid)
 FROM pg_catalog.pg_namespace n WHERE ${NOT_TEMPORARY}),
(SELECT pg_catalog.string_agg(pg_catalog.concat(p.oid, ':', p.xmin), ',' ORDER BY p.oid)
 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE ${NOT_TEMPORARY}),
(SELECT pg_catalog.string_agg(pg_catalog.concat(o.oid, ':', o.xmin), ',' ORDER BY o.oid) FROM pg_catalog.pg_operator o),
(SELECT pg_catalog.string_agg(pg_catalog.concat(k.oid, ':', k.xmin), ',' ORDER BY k.oid) FROM pg_catalog.pg_cast k),
(SELECT pg_catalog.string_agg(pg_catalog.concat(t.oid, ':', t.xmin), ',' ORDER BY t.oid)
 FROM pg_catalog.pg_type t WHERE t.typtype = 'd' OR (t.typtype = 'b' AND t.typcategory <> 'A')),
(SELECT pg_catalog.string_agg(pg_catalog.concat(c.oid, ':', c.xmin), ',' ORDER BY c.oid)
 FROM pg_catalog.pg_class c WHERE c.relpersistence <> 't' AND (${RELEVANT})),
(SELECT pg_catalog.string_agg(pg_catalog.concat(r.oid, ':', r.xmin), ',' ORDER BY r.oid)
 FROM pg_catalog.pg_rewrite r WHERE r.rulename = '_RETURN'),
(SELECT pg_catalog.string_agg(pg_catalog.concat(i.inhrelid, ':', i.inhparent, ':', i.xmin), ',' ORDER BY i.inhrelid, i.inhparent)
 FROM pg_catalog.pg_inherits i)))
FROM pg_catalog.pg_database d CROSS JOIN pg_catalog.pg_settings s
WHERE d.datname = pg_catalog.current_database() AND s.name = 'server_version_num'`;

const VERSION = `SELECT 'version', pg_catalog.current_setting('server_version_num')`;

/** For each name in each schema: a volatile form, and one that can be called as `row.name`. */
const FUNCTIONS = `SELECT 'function', n.nspname, p.proname, pg_catalog.bool_or(v.is_volatile),
pg_catalog.bool_or(v.is_volatile AND p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1
 AND t.typtype IN ('c', 'd', 'p') AND t.typname <> 'internal')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
LEFT JOIN (SELECT a.aggfnoid::pg_catalog.oid AS oid, pg_catalog.bool_or(q.provolatile = 'v') AS is_volatile
 FROM pg_catalog.pg_aggregate a CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
 a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::pg_catalog.oid[]) f(oid)
 JOIN pg_catalog.pg_proc q ON q.oid = f.oid GROUP BY 1) g ON g.oid = p.oid
CROSS JOIN LATERAL (SELECT p.provolatile = 'v' OR COALESCE(g.is_volatile, false)) v(is_volatile)
WHERE ${NOT_TEMPORARY} GROUP BY 1, 2, 3 LIMIT ${CATALOG_ROWS_MAX + 1}`;

const OPERATORS = `SELECT 'operator', n.nspname, o.oprname, m.nspname, p.proname
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode::pg_catalog.oid JOIN pg_catalog.pg_namespace m ON m.oid = p.pronamespace
WHERE p.provolatile = 'v' GROUP BY 1, 2, 3, 4, 5`;

/** Types with such a function for their input or a cast to them, and domains over these. */
const TYPES = `WITH RECURSIVE bad(oid, function) AS (
SELECT k.casttarget, k.castfunc::pg_catalog.oid FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc p ON p.oid = k.castfunc
WHERE p.provolatile = 'v'
UNION ALL SELECT t.oid, p.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_proc p
ON p.oid IN (t.typinput::pg_catalog.oid, t.typmodin::pg_catalog.oid) WHERE p.provolatile = 'v' AND t.typtype = 'b'
UNION SELECT t.oid, b.function FROM bad b JOIN pg_catalog.pg_type t ON t.typbasetype = b.oid)
SELECT 'type', n.nspname, t.typname, m.nspname, p.proname
FROM bad b JOIN pg_catalog.pg_type t ON t.oid = b.oid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
JOIN pg_catalog.pg_proc p ON p.oid = b.function JOIN pg_catalog.pg_namespace m ON m.oid = p.pronamespace
GROUP BY 1, 2, 3, 4, 5`;

/** Unlogged tables, sequences, foreign tables, and whatever reading another table reads too. */
const RELATIONS = `WITH RECURSIVE found(oid, kind) AS (
SELECT c.oid, CASE WHEN c.relkind IN ('S', 'f') THEN 'node' ELSE 'unlogged' END FROM pg_catalog.pg_class c
WHERE (c.relkind IN ('S', 'f') AND c.relpersistence <> 't') OR (c.relkind IN ('r', 'p', 'm') AND c.relpersistence = 'u')
UNION SELECT i.inhparent, f.kind FROM found f JOIN pg_catalog.pg_inherits i ON i.inhrelid = f.oid)
SELECT f.kind, n.nspname, c.relname FROM found f JOIN pg_catalog.pg_class c ON c.oid = f.oid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm', 'S', 'f')
LIMIT ${CATALOG_ROWS_MAX + 1}`;

const VIEWS = `SELECT 'view', n.nspname, c.relname, c.oid
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY c.oid LIMIT ${CATALOG_ROWS_MAX + 1}`;

export const FINGERPRINT_SQL = conversation(FINGERPRINT);
export const CATALOG_SQL = conversation(FINGERPRINT, VERSION, FUNCTIONS, OPERATORS, TYPES, RELATIONS, VIEWS);

/** Queries of views, by their oids; one that is longer than what is read is cut off there. */
export function definitionsSql(oids: readonly number[]): string {
  return conversation(`SELECT 'definition', c.oid, pg_catalog.left(pg_catalog.pg_get_viewdef(c.oid), ${VIEW_CHARS_MAX + 1})
FROM pg_catalog.pg_class c WHERE c.oid IN (${oids.join(', ')})`);
}

function conversation(...queries: string[]): string {
  return `${BEGIN}\n${queries.join(';\n')};\n${END}`;
}

/** A view that is there. */
export interface FoundView extends PlacedName {
  readonly oid: number;
}

/** What {@link CATALOG_SQL} tells. */
export interface CatalogRows extends Omit<CatalogSnapshot, 'database' | 'views'> {
  readonly fingerprint: string;
  readonly views: readonly FoundView[];
}

/** Fails where the rows are not those of {@link CATALOG_SQL}, or too many. */
export function decodeCatalog(rows: readonly TextRow[]): CatalogRows {
  if (rows.length > CATALOG_ROWS_MAX) throw broken('the database has too many functions, sequences and views');
  const functions: FunctionRow[] = [];
  const volatileAttributes: PlacedName[] = [];
  const hidden: Record<'operator' | 'type', HiddenCall[]> = { operator: [], type: [] };
  const relations: Record<'node' | 'unlogged', PlacedName[]> = { node: [], unlogged: [] };
  const views: FoundView[] = [];
  let [fingerprint, serverVersion] = ['', 0];
  for (const row of rows) {
    const [kind, schema, name, third] = [textOf(row, 0), textOf(row, 1), row[2] ?? '', row[3] ?? ''];
    switch (kind) {
      case 'fingerprint':
        fingerprint = schema;
        break;
      case 'version':
        serverVersion = numberOf(schema);
        break;
      case 'function':
        functions.push({ schema, name, isVolatile: third === 't' });
        if (row[4] === 't') volatileAttributes.push({ schema, name });
        break;
      case 'operator':
      case 'type':
        hidden[kind].push({ schema, name, function: { schema: third, name: textOf(row, 4) } });
        break;
      case 'node':
      case 'unlogged':
        relations[kind].push({ schema, name });
        break;
      case 'view':
        views.push({ schema, name, oid: numberOf(third) });
        break;
      default:
    }
  }
  if (fingerprint === '' || serverVersion === 0 || functions.length === 0) throw broken('the catalogue is incomplete');
  return {
    fingerprint,
    serverVersion,
    functions,
    volatileAttributes,
    volatileOperators: hidden.operator,
    volatileTypes: hidden.type,
    unloggedRelations: relations.unlogged,
    nodeBoundRelations: relations.node,
    views,
  };
}

/** The digest that {@link FINGERPRINT_SQL} tells. */
export function decodeFingerprint(rows: readonly TextRow[]): string {
  const row = rows.find(([kind]) => kind === 'fingerprint');
  if (row === undefined) throw broken('the catalogue is incomplete');
  return textOf(row, 1);
}

/** Queries of views by oid. */
export function decodeDefinitions(rows: readonly TextRow[]): ReadonlyMap<number, string> {
  const definitions = new Map<number, string>();
  for (const row of rows) {
    const text = row[2];
    if (row[0] === 'definition' && typeof text === 'string') definitions.set(numberOf(textOf(row, 1)), text);
  }
  return definitions;
}

function textOf(row: TextRow, index: number): string {
  const text = row[index];
  if (typeof text !== 'string') throw broken('a row of the catalogue is incomplete');
  return text;
}

function numberOf(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number <= 0) throw broken('a number in the catalogue is none');
  return number;
}

function broken(what: string): SwitchyardError {
  return new SwitchyardError('backend_protocol_violation', what);
}
