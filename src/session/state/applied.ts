import type { Kept } from './kept.js';
import { noRemains } from './remains.js';
import type { Remains } from './remains.js';

/** That of no entry: there may be a statement of the name, and then it is none of the session's. */
export const UNSURE = -1;
const NONE = 0;
/** Names that the proxy gives to statements begin with this. */
const ALIAS = 'switchyard_s';

/**
 * What one backend has of the state of its session, which may have gone on elsewhere since. All that is replaced has another identity, so
 * that what is the same is known without a look inside.
 */
export class Applied {
  #settings: ReadonlyMap<string, Kept> = noRemains.settings;
  #channels: ReadonlyMap<string, Kept> = noRemains.channels;
  readonly #madeUp = new Set<string>();
  /** The marks of prepared statements, by name; '' is the unnamed one. */
  readonly #statements = new Map<string, number>();
  /** The names that the proxy has given to statements, by their marks. */
  readonly #aliases = new Map<number, string>();
  readonly #statementsMax: (() => number) | null;
  #isLost = false;
  /** Something of ours was sent and not answered. */
  #isAwaiting = false;
  /** It listens where its session does; a standby cannot. */
  listens = true;
  /** Statements were prepared here of which not even the name is known. */
  hasUnread = false;
  /** What had been forgotten by the session when this was last cleared of it. */
  sweptAt = 0;

  /** `statementsMax`: how many prepared statements it may have, because it is shared; null: it belongs to one session. */
  constructor(statementsMax: (() => number) | null = null) {
    this.#statementsMax = statementsMax;
  }

  /** False while something is on its way there, and for good when that failed: then the session must not use the backend any more. */
  get isKnown(): boolean {
    return !this.#isLost && !this.#isAwaiting;
  }

  /** As of the last end of a transaction there. */
  get settings(): ReadonlyMap<string, Kept> {
    return this.#settings;
  }

  get channels(): ReadonlyMap<string, Kept> {
    return this.#channels;
  }

  /** Settings with made-up names that exist there, with or without a value. */
  get madeUp(): ReadonlySet<string> {
    return this.#madeUp;
  }

  /** What it has is not known any more. */
  fail(): void {
    this.#isLost = true;
  }

  /** Something was planned, and is going to be sent there. */
  expects(): void {
    this.#isAwaiting = true;
  }

  /** All of that was answered. */
  arrived(): void {
    this.#isAwaiting = false;
  }

  /** It has what the session has; at the end of a transaction. */
  note({ settings, channels }: Remains, madeUp: ReadonlySet<string>): void {
    this.#settings = settings;
    if (this.#madeUp.size < madeUp.size) for (const name of madeUp) this.#madeUp.add(name);
    if (this.listens) this.#channels = channels;
  }

  // ---- prepared statements

  /** Sessions take turns on it. */
  get isShared(): boolean {
    return this.#statementsMax !== null;
  }

  get size(): number {
    return this.#statements.size;
  }

  /** How many statements it has beyond what it may have. */
  get excess(): number {
    return this.#statementsMax === null ? 0 : this.#statements.size - this.#statementsMax();
  }

  /** Some statements have other names there than in their sessions. */
  get hasAliases(): boolean {
    return this.#aliases.size > 0;
  }

  /** The name that the proxy has given to the statement with this mark; null: none. */
  aliasOf(mark: number): string | null {
    return this.#aliases.get(mark) ?? null;
  }

  isAlias(name: string): boolean {
    return this.#aliases.size > 0 && name.startsWith(ALIAS) && this.aliasOf(Number(name.slice(ALIAS.length))) === name;
  }

  /** Gives a name to the statement with this mark that is going to be prepared, because another one has the name that its session uses. */
  alias(mark: number): string {
    const name = `${ALIAS}${mark}`;
    this.#aliases.set(mark, name);
    return name;
  }

  /** It was used: others are closed before it, see `names`. */
  touch(name: string): void {
    const mark = this.#statements.get(name);
    if (mark === undefined) return;
    this.#statements.delete(name);
    this.#statements.set(name, mark);
  }

  /** The one that was used longest ago is the first, as far as `touch` was told. */
  names(): Iterable<string> {
    return this.#statements.keys();
  }

  /** Of the statement that it has under this name; 0: it has none. */
  markOf(name: string): number {
    return this.#statements.get(name) ?? NONE;
  }

  prepared(name: string, mark: number): void {
    this.#statements.set(name, mark);
  }

  /** It is closed, or was not prepared. */
  forgot(name: string): void {
    this.#statements.delete(name);
    if (this.isAlias(name)) this.#aliases.delete(Number(name.slice(ALIAS.length)));
  }

  /** It may have been closed, or be another one. */
  doubts(name: string): void {
    this.#statements.set(name, UNSURE);
  }

  /** All but the unnamed one. */
  forgotAll(): void {
    const unnamed = this.#statements.get('');
    this.#statements.clear();
    this.#aliases.clear();
    if (unnamed !== undefined) this.#statements.set('', unnamed);
    this.hasUnread = false;
  }
}
