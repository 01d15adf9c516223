import { LRUCache } from 'lru-cache';
import type { Circumstances, Kept } from './kept.js';
import type { PreparedStatement } from './prepared.js';

/** Most settings, and most prepared statements, that are known to be the same in several sessions. */
const SHARED_MAX = 10_000;
/** Most characters of the statements among them. */
const SHARED_CHARS_MAX = 16 * 1024 * 1024;
const HEADER_BYTES = 5;

/**
 * By what backends note what they have of a session's state: what is the same is told by identity alone. Sessions that share backends share
 * this too.
 */
export interface Identities {
  /** The one object that stands for all that are equal to this. */
  kept(kept: Kept): Kept;
  /** A number, above 0, for a statement that was prepared under these circumstances. */
  mark(statement: PreparedStatement, under: Circumstances): number;
  /** Another session has prepared the same, under the same circumstances, without an error. */
  isKnown(statement: PreparedStatement, under: Circumstances): boolean;
}

/** For a session whose backends are its own: no two things are the same. */
export class OwnIdentities implements Identities {
  #last = 0;

  kept(kept: Kept): Kept {
    return kept;
  }

  mark(): number {
    this.#last += 1;
    return this.#last;
  }

  isKnown(): boolean {
    return false;
  }
}

/** For sessions that get each other's backends. What is forgotten here is brought to backends once more, and no harm is done. */
export class SharedIdentities implements Identities {
  readonly #kept = new LRUCache<string, Kept>({ max: SHARED_MAX });
  readonly #numbers = new WeakMap<Kept, number>();
  readonly #marks = new LRUCache<string, number>({
    max: SHARED_MAX,
    maxSize: SHARED_CHARS_MAX,
    sizeCalculation: (_mark, key) => key.length,
  });
  #last = 0;

  kept(kept: Kept): Kept {
    const key = `${kept.sql}\0${kept.value ?? ''}\0${this.#circumstances(kept.under)}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    this.#kept.set(key, kept);
    return kept;
  }

  mark(statement: PreparedStatement, under: Circumstances): number {
    // The unnamed one is gone too soon for anybody else to find it.
    if (statement.name === '') return this.#next();
    const key = this.#keyOf(statement, under);
    const known = this.#marks.get(key);
    if (known !== undefined) return known;
    const mark = this.#next();
    this.#marks.set(key, mark);
    return mark;
  }

  isKnown(statement: PreparedStatement, under: Circumstances): boolean {
    return this.#marks.has(this.#keyOf(statement, under));
  }

  /** The name is no part of it. */
  #keyOf({ name, frame, sql }: PreparedStatement, under: Circumstances): string {
    const text = frame === null ? `\0${sql ?? ''}` : frame.toString('latin1', HEADER_BYTES + name.length + 1);
    return `${text}\0${this.#circumstances(under)}`;
  }

  #next(): number {
    this.#last += 1;
    return this.#last;
  }

  #circumstances({ reading, authorization, role, searchPath }: Circumstances): string {
    const { clientEncoding, escapesInStrings } = reading;
    const numbers = [authorization, role, searchPath].map((kept) => this.#numberOf(kept));
    return `${clientEncoding}\0${escapesInStrings ? 'e' : ''}\0${numbers.join(' ')}`;
  }

  #numberOf(kept: Kept | null): number {
    if (kept === null) return 0;
    const known = this.#numbers.get(kept);
    if (known !== undefined) return known;
    const number = this.#next();
    this.#numbers.set(kept, number);
    return number;
  }
}
