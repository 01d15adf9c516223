import type { Access, NamesUsed } from './analysis.js';

/** A name with the schema it is in. In snapshots names are as people write them (not one character for each byte). */
export interface PlacedName {
  readonly schema: string;
  readonly name: string;
}

/** All functions of one name in one schema: one of them is volatile. Of an aggregate: itself, or a function that it runs for each row or at its end. */
export interface FunctionRow extends PlacedName {
  readonly isVolatile: boolean;
}

/** Something that runs a volatile function without naming it. */
export interface HiddenCall extends PlacedName {
  /** The volatile function. */
  readonly function: PlacedName;
}

/** A view of a user. Materialized views are none here: reading them runs nothing. */
export interface ViewRow extends PlacedName {
  /** What its query is, and the names in it; null: it could not be read. */
  readonly reading: { readonly access: Access; readonly names: NamesUsed } | null;
}

/**
 * What is known of the names in a database, as far as it decides where statements may run. Plain data, which can be written down as JSON.
 *
 * What it does not tell is left to the net, a standby's refusal of whatever writes: policies of row-level security, checks of domains,
 * functions that are called within others or by an index, implicit casts, and what was created since it was made.
 */
export interface CatalogSnapshot {
  readonly database: string;
  /** `server_version_num`. */
  readonly serverVersion: number;
  readonly functions: readonly FunctionRow[];
  /** Names of volatile functions that can be called as if they were a column: `row.name`. */
  readonly volatileAttributes: readonly PlacedName[];
  readonly volatileOperators: readonly HiddenCall[];
  /** Types that are cast to, or read in, by a volatile function. */
  readonly volatileTypes: readonly HiddenCall[];
  /** Those that have such a partition or child are among them, too. */
  readonly unloggedRelations: readonly PlacedName[];
  /** Sequences, and foreign tables with those that have one for a partition or child. */
  readonly nodeBoundRelations: readonly PlacedName[];
  readonly views: readonly ViewRow[];
}
