import { LRUCache } from 'lru-cache';
import type { RawStmt } from 'libpg-query';
import type { Analysis, NamesUsed } from './analysis.js';

/** Most templates that are kept. */
export const VERDICTS_MAX = 10_000;
/** Most memory for them in bytes, as far as it can be told. */
export const VERDICT_BYTES_MAX = 32 * 1024 * 1024;
/** Largest verdict that is kept, so that a few large ones do not drive out all others. */
export const VERDICT_BYTES_EACH_MAX = 1024 * 1024;

/** An entry without any statement. */
const ENTRY_BYTES = 300;
/** Memory for a tree is a multiple of its length as JSON. */
const TREE_FACTOR = 3;
const STATEMENT_BYTES = 200;
const EFFECT_BYTES = 150;
const NAME_BYTES = 40;

/**
 * What is known of all texts of one template: what they do; or, where that depends on a literal, the parse tree of the template, so that
 * only the literals are left to be looked at.
 */
export type Verdict =
  | { readonly kind: 'analysis'; readonly analysis: Analysis }
  | { readonly kind: 'tree'; readonly statements: readonly RawStmt[]; readonly treeBytes: number };

export interface VerdictCacheOptions {
  readonly verdictsMax?: number;
  readonly bytesMax?: number;
}

/** Verdicts by template, the least recently used dropped first. Bounded by number and by memory, whatever clients send. */
export class VerdictCache {
  readonly #entries: LRUCache<string, Verdict>;
  #hits = 0;
  #misses = 0;

  constructor(options: VerdictCacheOptions = {}) {
    const maxSize = options.bytesMax ?? VERDICT_BYTES_MAX;
    this.#entries = new LRUCache({
      max: options.verdictsMax ?? VERDICTS_MAX,
      maxSize,
      maxEntrySize: Math.min(maxSize, VERDICT_BYTES_EACH_MAX),
      sizeCalculation: (verdict, template) => template.length + bytesOf(verdict),
    });
  }

  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  /** How many templates are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** Estimate of the memory in use. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get(template: string): Verdict | undefined {
    const verdict = this.#entries.get(template);
    if (verdict === undefined) this.#misses += 1;
    else this.#hits += 1;
    return verdict;
  }

  /** Keeps a verdict, unless it is too large. */
  set(template: string, verdict: Verdict): void {
    this.#entries.set(template, verdict);
  }
}

function bytesOf(verdict: Verdict): number {
  if (verdict.kind === 'tree') return ENTRY_BYTES + verdict.treeBytes * TREE_FACTOR;
  let bytes = ENTRY_BYTES;
  for (const { effects, functions, names } of verdict.analysis.statements) {
    bytes += STATEMENT_BYTES + effects.length * EFFECT_BYTES + bytesOfNames(names);
    for (const name of functions) bytes += name.length + NAME_BYTES;
  }
  return bytes;
}

function bytesOfNames({ functions, relations, operators, types, attributes }: NamesUsed): number {
  let bytes = 0;
  for (const list of [functions, relations, operators, types]) {
    for (const { schema, name } of list) bytes += name.length + (schema?.length ?? 0) + 2 * NAME_BYTES;
  }
  for (const name of attributes) bytes += name.length + NAME_BYTES;
  return bytes;
}
