import type { PlacedName } from './catalog-snapshot.js';

// oxlint-disable-next-line no-control-regex
const ASCII = /^[\u0000-\u007F]*$/;
const PLAIN = /^[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*$/;
/** Stands where bytes are no UTF-8. */
const UNREADABLE = '\uFFFD';

/** A name as analyses have it: one character for each byte of UTF-8. */
export function asBytes(name: string): string {
  return ASCII.test(name) ? name : Buffer.from(name, 'utf8').toString('latin1');
}

/** A name of an analysis for people. */
export function asText(name: string): string {
  return ASCII.test(name) ? name : Buffer.from(name, 'latin1').toString('utf8');
}

/** A name as SQL and the configuration write it: in quotes where it has to be. */
export function quoted(name: string): string {
  return PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/**
 * Things of a database by name, as statements name them: with their schema, or by whatever search path. A name beyond ASCII may have been
 * written in another encoding than UTF-8, or be stored in one that cannot be told; then it is taken for any of the others beyond ASCII.
 */
export class NameIndex<T extends PlacedName> {
  readonly #things = new Map<string, T[]>();
  readonly #beyondAscii: T[] = [];
  #hasUnreadable = false;

  constructor(things: readonly T[]) {
    for (const thing of things) {
      const name = asBytes(thing.name);
      const others = this.#things.get(name);
      if (others === undefined) this.#things.set(name, [thing]);
      else others.push(thing);
      if (ASCII.test(thing.name)) continue;
      this.#beyondAscii.push(thing);
      this.#hasUnreadable ||= thing.name.includes(UNREADABLE);
    }
  }

  /** What the name may mean, `schema` and `name` being one character for each byte. */
  find(schema: string | null, name: string): readonly T[] {
    const isDoubtful =
      this.#beyondAscii.length > 0 && !ASCII.test(name) && (this.#hasUnreadable || asText(name).includes(UNREADABLE));
    if (isDoubtful) return this.#beyondAscii;
    const found = this.#things.get(name) ?? [];
    return schema === null ? found : found.filter((thing) => asBytes(thing.schema) === schema);
  }
}
