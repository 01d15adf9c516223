/**
 * What is read lies in pieces of so many bytes, one behind the other, whoever it is from. A piece is free when nobody keeps any of it: what is
 * kept for long is to be copied.
 */
const SLAB_BYTES = 64 * 1024;

/** What the addon reads into. */
export class Slabs {
  #current: Buffer = Buffer.alloc(0);

  /** Begins the next one. */
  renew(): Buffer {
    this.#current = Buffer.allocUnsafeSlow(SLAB_BYTES);
    return this.#current;
  }

  /** What was read last. */
  cut(offset: number, bytes: number): Buffer {
    return this.#current.subarray(offset, offset + bytes);
  }
}
