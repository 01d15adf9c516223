import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { PROTOCOL_3_2 } from '../protocol/codes.js';

/** What a client must show to cancel: BackendKeyData of ours. */
export interface CancelKey {
  /** Positive, unique among the sessions of this process. */
  readonly processId: number;
  readonly key: Buffer;
}

/** Key lengths in bytes: protocol 3.0 has room for four, 3.2 for up to 256 (documentation, "BackendKeyData"). */
const KEY_BYTES_3_0 = 4;
const KEY_BYTES_3_2 = 32;
const PROCESS_ID_MAX = 0x7fffffff;

export function makeCancelKey(spoken: number, isTaken: (processId: number) => boolean): CancelKey {
  let processId = randomInt(1, PROCESS_ID_MAX);
  while (isTaken(processId)) processId = randomInt(1, PROCESS_ID_MAX);
  return { processId, key: randomBytes(spoken === PROTOCOL_3_2 ? KEY_BYTES_3_2 : KEY_BYTES_3_0) };
}

/** Compares in a time that does not depend on where the keys differ. */
export function isSameKey(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
