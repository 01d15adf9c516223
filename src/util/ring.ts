/** A list of at most `capacity` items: when it is full, the oldest one makes room for the newest. */
export class Ring<T> {
  readonly capacity: number;
  readonly #slots: (T | undefined)[];
  #first: number;
  #length: number;

  /** `capacity` is a whole number of at least 1; a RangeError otherwise. */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`a ring needs a capacity of at least 1, not ${capacity}`);
    }
    this.capacity = capacity;
    this.#slots = Array.from<T | undefined>({ length: capacity }).fill(undefined);
    this.#first = 0;
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** The item that has been here longest. */
  get oldest(): T | undefined {
    return this.at(0);
  }

  get newest(): T | undefined {
    return this.at(this.#length - 1);
  }

  /** The item at `index`, counted from the oldest (0); undefined outside of what is there. */
  at(index: number): T | undefined {
    if (index < 0 || index >= this.#length) {
      return undefined;
    }
    return this.#slots[(this.#first + index) % this.capacity];
  }

  push(item: T): void {
    if (this.#length < this.capacity) {
      this.#slots[(this.#first + this.#length) % this.capacity] = item;
      this.#length += 1;
      return;
    }
    this.#slots[this.#first] = item;
    this.#first = (this.#first + 1) % this.capacity;
  }

  /** Forgets everything, and lets go of the items. */
  clear(): void {
    this.#slots.fill(undefined);
    this.#first = 0;
    this.#length = 0;
  }

  /** From the oldest to the newest. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let index = 0; index < this.#length; index += 1) {
      yield this.#slots[(this.#first + index) % this.capacity] as T;
    }
  }
}
