/** From so many taken items on, the room they held is given back once they are the larger half. */
const TAKEN_MIN = 32;

/** First in, first out: an array whose beginning is not moved at every step. */
export class Fifo<T> {
  #items: T[] = [];
  /** How many at the beginning are taken. */
  #taken = 0;

  get length(): number {
    return this.#items.length - this.#taken;
  }

  get first(): T | undefined {
    return this.#items[this.#taken];
  }

  get last(): T | undefined {
    return this.length === 0 ? undefined : this.#items.at(-1);
  }

  /** All of them, oldest first; a copy. */
  toArray(): T[] {
    return this.#items.slice(this.#taken);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first one away. */
  take(): T | undefined {
    const { first } = this;
    if (this.length === 0) return undefined;
    this.#taken += 1;
    if (this.#taken === this.#items.length) this.clear();
    else if (this.#taken >= TAKEN_MIN && this.#taken * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#taken);
      this.#taken = 0;
    }
    return first;
  }

  clear(): void {
    this.#items.length = 0;
    this.#taken = 0;
  }
}
