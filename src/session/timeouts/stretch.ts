/** For how long something has been the same, at every look at least. */
export class Stretch {
  #mark: unknown = null;
  #sinceMs = 0;

  /** Notes what it is now; gives how long it has been that, in milliseconds: never too long, and too short by one look at most. */
  note(mark: unknown, nowMs: number): number {
    if (mark !== this.#mark) {
      this.#mark = mark;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }

  /** What it was is over; the same again is something new. */
  end(): void {
    this.#mark = null;
  }
}
