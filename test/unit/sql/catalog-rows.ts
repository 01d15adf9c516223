import { readFileSync } from 'node:fs';
import type { CatalogSnapshot, PlacedName } from '../../../src/sql/catalog-snapshot.js';

/** A snapshot of an empty database of PostgreSQL 15, as `switchyard explain --save-catalog` writes it. */
export const BUILT_IN = new URL('../../../../test/fixtures/catalog/postgresql-15.json', import.meta.url);

export function builtInSnapshot(): CatalogSnapshot {
  return JSON.parse(readFileSync(BUILT_IN, 'utf8')) as CatalogSnapshot;
}

/** `schema.name`. */
export function placed(text: string): PlacedName {
  const [schema = '', name = ''] = text.split('.');
  return { schema, name };
}
