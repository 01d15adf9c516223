/** How long sessions may take for what; in milliseconds, 0: as long as they like. From the section `limits` of the configuration. */
export interface TimeLimits {
  /** At a boundary, outside of any transaction, without a word of the client. */
  readonly clientIdleMs: number;
  /** The same inside of a transaction, or in the middle of a unit whose rest the node waits for. */
  readonly idleTransactionMs: number;
  /** From the begin of a transaction to its end, whatever happens in it. */
  readonly transactionMs: number;
  /** From the time that a unit is a node's to its end. */
  readonly queryMs: number;
  /** From the cancel request for such a unit to its end; never 0. */
  readonly queryCancelMs: number;
  /** That a peer takes none of the bytes that wait for it. */
  readonly tcpUserMs: number;
}

/** The longest and the shortest time between two looks at all sessions. */
const SWEEP_MS_MAX = 1_000;
const SWEEP_MS_MIN = 50;
/** So many looks at least while the shortest of the limits passes. */
const LOOKS = 4;

/** The limits that are set; those of a cancel request alone limit nothing. */
function limitsSet(limits: TimeLimits): readonly number[] {
  const { clientIdleMs, idleTransactionMs, transactionMs, queryMs, tcpUserMs } = limits;
  return [clientIdleMs, idleTransactionMs, transactionMs, queryMs, tcpUserMs].filter((ms) => ms > 0);
}

export function areAnySet(limits: TimeLimits): boolean {
  return limitsSet(limits).length > 0;
}

/** How often sessions are looked at: an end comes late by two looks at most, and never early. */
export function sweepIntervalMs(limits: TimeLimits): number {
  const shortestMs = Math.min(SWEEP_MS_MAX * LOOKS, ...limitsSet(limits));
  return Math.max(SWEEP_MS_MIN, shortestMs / LOOKS);
}
