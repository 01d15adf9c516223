import { parseDuration, parseSize } from '../../util/units.js';
import { schemaNodeAt, schemaTree } from '../../config/schema-tree.js';
import type { SchemaNode } from '../../config/schema-tree.js';

/** A value of the new file. A reference is text whose `${NAME}` is meant; in every other text a `$` stands for itself. */
export type DraftValue =
  | string
  | number
  | boolean
  | readonly string[]
  | { readonly reference: string }
  | { readonly tags: ReadonlyMap<string, string> };

/** A line of the new file. */
export interface DraftLine {
  readonly key: string;
  readonly value: DraftValue;
  /** Where it comes from: `pgbouncer.ini:12 default_pool_size`. */
  readonly from: string;
  /** Sentences above it. */
  readonly notes: readonly string[];
}

/** Whose word counts where several say something about one key. */
export const Rank = { Default: 0, Haproxy: 1, Pgbouncer: 2, CommandLine: 3 } as const;
export type Rank = (typeof Rank)[keyof typeof Rank];

interface Ranked extends DraftLine {
  readonly rank: Rank;
}

/** What becomes of a value that is brought to a key. */
export type Placing =
  | { readonly kind: 'placed'; readonly key: string }
  /** The key takes no value so large, or so small: this one is written. */
  | { readonly kind: 'limited'; readonly key: string; readonly written: string }
  /** What was there before counts more; `differs`: it says something else. */
  | { readonly kind: 'outranked'; readonly by: DraftLine; readonly differs: boolean }
  /** This version has none of these keys, or they do not take the value. */
  | { readonly kind: 'unknown' };

/** The lists of the new file whose entries have keys of their own. */
export const LISTS = ['listeners', 'cluster.nodes', 'auth.rules', 'auth.users'] as const;
export type DraftList = (typeof LISTS)[number];

/** The new file while it is being put together. Only what this version's own schema knows gets in. */
export class Draft {
  readonly #schema: SchemaNode = schemaTree();
  readonly #lines = new Map<string, Ranked>();
  readonly #lists = new Map<DraftList, (readonly DraftLine[])[]>();
  readonly #notes = new Map<string, readonly string[]>();

  /** Brings a value to the first of these keys (`pool.size`) that this version has. */
  set(
    keys: readonly string[],
    value: DraftValue,
    from: string,
    more: { readonly rank?: Rank; readonly notes?: readonly string[] } = {},
  ): Placing {
    const { rank = Rank.Pgbouncer, notes = [] } = more;
    const key = keys.find((each) => this.knows(each, value));
    if (key === undefined) return { kind: 'unknown' };
    const before = this.#lines.get(key);
    const nearest = nearestOf(value, schemaNodeAt(this.#schema, key.split('.')));
    const limited = nearest ?? value;
    if (before !== undefined && before.rank > rank) {
      return { kind: 'outranked', by: before, differs: JSON.stringify(before.value) !== JSON.stringify(limited) };
    }
    this.#lines.set(key, { key: key.slice(key.lastIndexOf('.') + 1), value: limited, from, notes, rank });
    return nearest === null ? { kind: 'placed', key } : { kind: 'limited', key, written: String(nearest) };
  }

  /** True where the schema has the key, and the value is one of its words if it has only some. */
  knows(key: string, value?: DraftValue): boolean {
    const node = schemaNodeAt(this.#schema, key.split('.'));
    return node !== null && (value === undefined || node.enum === undefined || node.enum.includes(value));
  }

  /** What the key is when nothing is written; null where nothing or no number is. */
  defaultNumber(key: string): number | null {
    const node = schemaNodeAt(this.#schema, key.split('.'));
    return typeof node?.default === 'number' ? node.default : null;
  }

  /** True where a list's entries may have the key. */
  knowsIn(list: DraftList, key: string): boolean {
    return schemaNodeAt(this.#schema, [...list.split('.'), 0, key]) !== null;
  }

  get(key: string): DraftLine | null {
    return this.#lines.get(key) ?? null;
  }

  /** Gives what puts it back. */
  remove(key: string): () => void {
    const line = this.#lines.get(key);
    this.#lines.delete(key);
    return () => void (line === undefined || this.#lines.set(key, line));
  }

  add(list: DraftList, lines: readonly DraftLine[]): void {
    this.#lists.set(list, [...this.entries(list), lines]);
  }

  removeEntry(list: DraftList, index: number): void {
    this.#lists.set(
      list,
      this.entries(list).filter((_, other) => other !== index),
    );
  }

  entries(list: DraftList): readonly (readonly DraftLine[])[] {
    return this.#lists.get(list) ?? [];
  }

  /** Sentences above a mapping or list: `cluster`, `auth.rules`. */
  note(key: string, notes: readonly string[]): void {
    this.#notes.set(key, [...this.notes(key), ...notes]);
  }

  notes(key: string): readonly string[] {
    return this.#notes.get(key) ?? [];
  }

  /** Keys with a value, lists with entries and what has notes, in the order of the schema. */
  keys(): readonly string[] {
    const lists = LISTS.filter((list) => this.entries(list).length > 0);
    const places = new Map(orderOf(this.#schema, '').map((key, index) => [key, index]));
    return [...this.#lines.keys(), ...lists].sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
  }

  isList(key: string): key is DraftList {
    return LISTS.some((list) => list === key);
  }
}

function orderOf(node: SchemaNode, prefix: string): readonly string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    return [key, ...orderOf(child, key)];
  });
}

/** The nearest value that the key takes, null where it takes this one: `duration, 1s to 24d` and `number, 1 to 100000` are how the schema says it. */
function nearestOf(value: DraftValue, node: SchemaNode | null): string | number | null {
  const [, word, least, most] = /^(duration|size|number), (\S+) to (\S+)$/.exec(node?.['x-type'] ?? '') ?? [];
  if (least === undefined || most === undefined) return null;
  const read = (text: string): number | null => {
    if (word === 'number') return Number(text);
    const result = word === 'duration' ? parseDuration(text) : parseSize(text);
    return result.ok ? result.value : null;
  };
  if (typeof value !== 'string' && typeof value !== 'number') return null;
  const [own, low, high] = [read(String(value)), read(least), read(most)];
  if (own === null || low === null || high === null || (own >= low && own <= high)) return null;
  const nearest = own < low ? least : most;
  return word === 'number' ? Number(nearest) : nearest;
}
