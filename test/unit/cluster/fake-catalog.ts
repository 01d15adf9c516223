import type { TextRow } from '../../../src/backend/own-query.js';
import { NodeError } from '../../../src/backend/node-error.js';
import { CATALOG_SQL, FINGERPRINT_SQL } from '../../../src/cluster/catalog-sql.js';
import type { AskCatalog } from '../../../src/cluster/catalog-loader.js';

/** Answers what a loading asks of a node, from rows that a test makes up. */
export class FakeCatalog {
  fingerprint = 'first';
  /** Functions that are volatile, and others: `schema.name`. */
  volatile: string[] = [];
  functions: string[] = ['pg_catalog.now'];
  /** Queries by the name of their view; null: it cannot be asked for. */
  views = new Map<string, string | null>();
  /** What was asked: `fingerprint`, `catalog`, `definitions` with their number, `rollback`. */
  readonly asked: string[] = [];

  readonly ask: AskCatalog = (sql) => {
    if (sql === FINGERPRINT_SQL) {
      this.asked.push('fingerprint');
      return Promise.resolve([['fingerprint', this.fingerprint]]);
    }
    if (sql === CATALOG_SQL) {
      this.asked.push('catalog');
      return Promise.resolve(this.#rows());
    }
    if (sql === 'ROLLBACK') {
      this.asked.push('rollback');
      return Promise.resolve([]);
    }
    return this.#definitions(sql);
  };

  #rows(): TextRow[] {
    const views = [...this.views.keys()];
    return [
      ['fingerprint', this.fingerprint],
      ['version', '150020'],
      ...this.functions.map((name) => ['function', ...name.split('.'), 'f', 'f']),
      ...this.volatile.map((name) => ['function', ...name.split('.'), 't', 'f']),
      ...views.map((name, index) => ['view', ...name.split('.'), String(index + 1)]),
    ];
  }

  #definitions(sql: string): Promise<readonly TextRow[]> {
    const oids = (/IN \(([\d, ]+)\)/.exec(sql)?.[1] ?? '').split(', ').map(Number);
    this.asked.push(`definitions ${oids.length}`);
    const queries = [...this.views.values()];
    const rows = oids.map((oid): TextRow => ['definition', String(oid), queries[oid - 1] ?? null]);
    if (rows.some(([, , query]) => query === null)) return Promise.reject(nodeError('55P03', 'canceling statement'));
    return Promise.resolve(rows);
  }
}

/** An ErrorResponse as a node sends it. */
export function nodeError(sqlState: string, message: string, severity = 'ERROR'): NodeError {
  const body = Buffer.from(`S${severity}\0V${severity}\0C${sqlState}\0M${message}\0\0`);
  return NodeError.read(body, 0, body.length);
}
