/** What the portals of a session run. Names are bytes, one character each; null is a Bind or Execute too large to be read. */
export class Portals<T> {
  readonly #unread: T;
  #unnamed: T | null = null;
  #named: Map<string, T> | null = null;
  /** A Bind was not read: any portal may have been bound by it. */
  #isInDoubt = false;

  /** `unread`: what runs when nobody knows which portal. */
  constructor(unread: T) {
    this.#unread = unread;
  }

  bind(portal: string | null, what: T): void {
    if (portal === '') {
      this.#unnamed = what;
      return;
    }
    if (portal !== null) {
      this.#named ??= new Map();
      this.#named.set(portal, what);
      return;
    }
    this.#isInDoubt = true;
    this.#unnamed = what;
  }

  /** Null: there is none that is known, or a cursor of SQL. */
  get(portal: string | null): T | null {
    if (portal === '') return this.#unnamed;
    if (portal === null) return this.#unread;
    return this.#named?.get(portal) ?? (this.#isInDoubt ? this.#unread : null);
  }

  /** A transaction has ended, and its portals with it. */
  clear(): void {
    this.#unnamed = null;
    this.#named = null;
    this.#isInDoubt = false;
  }
}
