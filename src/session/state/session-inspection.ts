/**
 * Asks a node itself what a session has there. One SELECT for every version from 10 on, and for every role: it reads nothing but what
 * everybody may read, names the schema of everything (operators too) so that no `search_path` misleads it, and gives all texts in
 * hexadecimal UTF-8 so that no setting of the session has a say in how they are written.
 *
 * Source of the views: PostgreSQL documentation, "System Views" and "System Catalogs".
 */

import type { TextFacts } from '../../sql/analysis.js';

/** How the texts of the answer are read. */
export const INSPECTED: TextFacts = { clientEncoding: 'UTF8', escapesInStrings: false };

/** What is to be asked. */
export interface InspectionQuestion {
  /** Settings with made-up names, which no view lists. */
  readonly names: readonly string[];
  /** Also ask for those that functions of the database set. */
  readonly isProcedure: boolean;
}

export interface InspectedStatement {
  readonly name: string;
  /** Made with PREPARE: the string of statements that had it. */
  readonly sql: string | null;
}

/** What a session has on its node. Names and texts in UTF-8 with one character for each byte. */
export interface Inspection {
  /** Temporary objects: names of relations, null for others. */
  readonly temporary: readonly (string | null)[];
  readonly hasAdvisoryLock: boolean;
  /** Cursors WITH HOLD. */
  readonly cursors: readonly string[];
  readonly channels: readonly string[];
  /** Values set in the session, by the name in lower case. */
  readonly settings: ReadonlyMap<string, string>;
  /** Settings that the session's role could not set. */
  readonly fixedSettings: readonly string[];
  /** Settings of made-up names that exist, with their values. */
  readonly madeUp: ReadonlyMap<string, string>;
  readonly prepared: readonly InspectedStatement[];
  /** Null: as after log-in. */
  readonly authorization: string | null;
  /** Null: none. */
  readonly role: string | null;
}

/** The statement that asks is prepared under this name for as long as it takes, because the unnamed one is the client's. */
export const INSPECTION_NAME = 'switchyard_inspection';

/** Most temporary objects that are told by name. */
const OBJECTS_MAX = 1000;

const text = (sql: string): string =>
  `pg_catalog.encode(pg_catalog.convert_to(${sql}::pg_catalog.text, 'UTF8'), 'hex')`;

/** A name behind set_config( or SET in the source of a function; internal and C functions have none. */
const NAME_IN_SOURCE =
  "'(set_config[[:space:]]*[(][[:space:]]*['']|set[[:space:]]+(session[[:space:]]+)?)" +
  "([a-z_][a-z0-9_]*([.][a-z_][a-z0-9_]*)+)'";

const SOURCES: readonly string[] = [
  `(SELECT 'temporary', c.relname::pg_catalog.text, NULL::pg_catalog.text
     FROM pg_catalog.pg_depend AS d
     LEFT JOIN pg_catalog.pg_class AS c
       ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid OPERATOR(pg_catalog.=) d.objid
    WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
      AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
      AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
    LIMIT ${OBJECTS_MAX})`,
  `(SELECT 'lock', NULL, NULL FROM pg_catalog.pg_locks
    WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() LIMIT 1)`,
  `SELECT 'cursor', name, NULL FROM pg_catalog.pg_cursors WHERE is_holdable AND name OPERATOR(pg_catalog.<>) ''`,
  `SELECT 'channel', c, NULL FROM pg_catalog.pg_listening_channels() AS l(c)`,
  `SELECT CASE WHEN context OPERATOR(pg_catalog.=) 'superuser' AND pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'off'
               THEN 'fixed' ELSE 'setting' END, pg_catalog.lower(name), setting
     FROM pg_catalog.pg_settings
    WHERE source OPERATOR(pg_catalog.=) 'session'
      AND name OPERATOR(pg_catalog.<>) ALL (ARRAY['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'])`,
  `SELECT 'made_up', n, pg_catalog.current_setting(n, true)
     FROM pg_catalog.unnest($1::pg_catalog.text[]) AS a(n)`,
  `SELECT 'made_up', f.n, pg_catalog.current_setting(f.n, true)
     FROM (SELECT DISTINCT pg_catalog.lower(m.parts[3]) AS n
             FROM pg_catalog.pg_proc AS p
            CROSS JOIN LATERAL pg_catalog.regexp_matches(p.prosrc, ${NAME_IN_SOURCE}, 'gi') AS m(parts)
            WHERE $2::pg_catalog.bool
              AND p.prolang OPERATOR(pg_catalog.<>) ALL (ARRAY[12, 13]::pg_catalog.oid[])
            LIMIT ${OBJECTS_MAX}) AS f`,
  `SELECT 'prepared', name, CASE WHEN from_sql THEN statement END
     FROM pg_catalog.pg_prepared_statements WHERE name OPERATOR(pg_catalog.<>) '${INSPECTION_NAME}'`,
  `SELECT 'authorization', SESSION_USER, NULL
     FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS s
    WHERE SESSION_USER OPERATOR(pg_catalog.<>) pg_catalog.pg_get_userbyid(s.usesysid)`,
  `SELECT 'role', pg_catalog.current_setting('role'), NULL`,
];

/** $1: names of settings as an array; $2: whether to search the functions for more of them. */
export const INSPECTION_SQL =
  `SELECT k, ${text('a')}, ${text('b')} FROM (${SOURCES.join(' UNION ALL ')}) AS found(k, a, b)`.replaceAll(
    /\s+/g,
    ' ',
  );

/** The values of $1 and $2. Names are plain words with dots (see Suspects), or left out. */
export function inspectionValues({ names, isProcedure }: InspectionQuestion): string[] {
  const plain = names.filter((name) => /^[\w.$]+$/.test(name));
  return [`{${plain.map((name) => `"${name}"`).join(',')}}`, isProcedure ? 't' : 'f'];
}

/** Reads the rows of the answer: kind, name, value. */
export function readInspection(rows: readonly (readonly (string | null)[])[]): Inspection {
  const temporary: (string | null)[] = [];
  const cursors: string[] = [];
  const channels: string[] = [];
  const settings = new Map<string, string>();
  const fixedSettings: string[] = [];
  const madeUp = new Map<string, string>();
  const prepared: InspectedStatement[] = [];
  let hasAdvisoryLock = false;
  let authorization: string | null = null;
  let role: string | null = null;
  for (const [kind, nameHex, valueHex] of rows) {
    const name = fromHex(nameHex);
    const value = fromHex(valueHex);
    switch (kind) {
      case 'temporary':
        temporary.push(name);
        break;
      case 'lock':
        hasAdvisoryLock = true;
        break;
      case 'cursor':
        cursors.push(name ?? '');
        break;
      case 'channel':
        channels.push(name ?? '');
        break;
      case 'setting':
        settings.set(name ?? '', value ?? '');
        break;
      case 'fixed':
        fixedSettings.push(name ?? '');
        break;
      case 'made_up':
        if (value !== null) madeUp.set(name ?? '', value);
        break;
      case 'prepared':
        prepared.push({ name: name ?? '', sql: value });
        break;
      case 'authorization':
        authorization = name;
        break;
      case 'role':
        role = name === 'none' ? null : name;
        break;
      default:
    }
  }
  return {
    temporary,
    hasAdvisoryLock,
    cursors,
    channels,
    settings,
    fixedSettings,
    madeUp,
    prepared,
    authorization,
    role,
  };
}

function fromHex(hex: string | null | undefined): string | null {
  return hex === null || hex === undefined ? null : Buffer.from(hex, 'hex').toString('latin1');
}
