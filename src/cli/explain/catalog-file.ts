import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf } from '../../errors.js';
import { Access } from '../../sql/analysis.js';
import type { CatalogSnapshot, PlacedName } from '../../sql/catalog-snapshot.js';

/** Larger files are refused. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

const placed = z.strictObject({ schema: z.string(), name: z.string() });
const calling = placed.extend({ function: placed });
const used = z.array(z.strictObject({ schema: z.string().nullable(), name: z.string() }));
const names = z.strictObject({
  functions: used,
  relations: used,
  operators: used,
  types: used,
  attributes: z.array(z.string()),
});
const snapshotSchema = z.strictObject({
  database: z.string(),
  serverVersion: z.int().positive(),
  functions: z.array(placed.extend({ isVolatile: z.boolean() })),
  volatileAttributes: z.array(placed),
  volatileOperators: z.array(calling),
  volatileTypes: z.array(calling),
  unloggedRelations: z.array(placed),
  nodeBoundRelations: z.array(placed),
  views: z.array(placed.extend({ reading: z.strictObject({ access: z.enum(Access), names }).nullable() })),
});

/** Reads a snapshot from a file; fails with a sentence for people. */
export function readCatalogFile(path: string): CatalogSnapshot {
  let read: unknown;
  try {
    if (statSync(path).size > FILE_BYTES_MAX) throw new Error('it is too large');
    read = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const result = snapshotSchema.safeParse(read);
  if (result.success) return result.data;
  const place = result.error.issues[0]?.path.join('.') ?? '';
  throw new Error(`${path} is no catalogue as "switchyard explain --save-catalog" writes it (${place})`);
}

/** Writes a snapshot: JSON, sorted, with a line for each name, so that two of them can be compared. */
export function writeCatalogFile(path: string, snapshot: CatalogSnapshot): void {
  const members = Object.entries(snapshot).map(([key, value]: [string, unknown]) => {
    const rows = Array.isArray(value) ? sorted(value as readonly PlacedName[]) : null;
    const written =
      rows === null ? JSON.stringify(value) : `[${rows.map((row) => `\n${JSON.stringify(row)}`).join(',')}]`;
    return `${JSON.stringify(key)}: ${written}`;
  });
  writeFileSync(path, `{\n${members.join(',\n')}\n}\n`);
}

function sorted(rows: readonly PlacedName[]): PlacedName[] {
  return [...rows].sort((a, b) => order(a.schema, b.schema) || order(a.name, b.name));
}

/** The same on every machine. */
function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
