/** A power of two. With no more than so many items nothing is ever allocated. */
const ROOM_MIN = 4;

/** First in, first out: a ring that grows when it is full, and gives what it has grown by back once it is empty. */
export class Fifo<T> {
  /** Its length is a power of two. */
  #ring: (T | undefined)[] = roomFor<T>(ROOM_MIN);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): T | undefined {
    return this.#ring[this.#head];
  }

  get last(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#at(this.#length - 1)];
  }

  /** All of them, oldest first; a copy. */
  toArray(): T[] {
    return Array.from({ length: this.#length }, (_, i) => this.#ring[this.#at(i)] as T);
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[this.#at(this.#length)] = item;
    this.#length += 1;
  }

  /** Takes the first one away. */
  take(): T | undefined {
    if (this.#length === 0) return undefined;
    const first = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = this.#at(1);
    this.#length -= 1;
    if (this.#length === 0 && this.#ring.length > ROOM_MIN) this.clear();
    return first;
  }

  clear(): void {
    this.#ring = roomFor(ROOM_MIN);
    this.#head = 0;
    this.#length = 0;
  }

  #at(index: number): number {
    return (this.#head + index) & (this.#ring.length - 1);
  }

  #grow(): void {
    const bigger = roomFor<T>(this.#ring.length * 2);
    for (let i = 0; i < this.#length; i += 1) bigger[i] = this.#ring[this.#at(i)];
    this.#ring = bigger;
    this.#head = 0;
  }
}

function roomFor<T>(count: number): (T | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
