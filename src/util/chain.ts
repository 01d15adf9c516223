/** What a {@link Chain} is made of: each item is in one chain at most, and knows its neighbours. */
export interface ChainLink<T> {
  previous: T | null;
  next: T | null;
}

/** Items one behind the other. Any of them is put in or taken out at the same small cost, and nothing is allocated for it. */
export class Chain<T extends ChainLink<T>> {
  #first: T | null = null;
  #last: T | null = null;
  #length = 0;

  get first(): T | null {
    return this.#first;
  }

  get last(): T | null {
    return this.#last;
  }

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    this.insertBefore(null, item);
  }

  /** Puts `item` before one that is in the chain; null: at the end. */
  insertBefore(next: T | null, item: T): void {
    const previous = next === null ? this.#last : next.previous;
    item.previous = previous;
    item.next = next;
    if (previous === null) this.#first = item;
    else previous.next = item;
    if (next === null) this.#last = item;
    else next.previous = item;
    this.#length += 1;
  }

  /** Takes an item out that is in this chain. */
  remove(item: T): void {
    if (item.previous === null) this.#first = item.next;
    else item.previous.next = item.next;
    if (item.next === null) this.#last = item.previous;
    else item.next.previous = item.previous;
    item.previous = null;
    item.next = null;
    this.#length -= 1;
  }

  /** From the first to the last; the present item may be taken out meanwhile. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    let item = this.#first;
    while (item !== null) {
      const { next } = item;
      yield item;
      item = next;
    }
  }
}
