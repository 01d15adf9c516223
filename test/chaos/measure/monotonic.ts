/**
 * Milliseconds of CLOCK_MONOTONIC, which every program of one machine shares: times of helper programs in other languages (Python's
 * `time.monotonic`, Java's `System.nanoTime`) can be compared with ours.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
