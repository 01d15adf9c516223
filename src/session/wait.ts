/** What a session waits for. */
export const Wait = {
  /** For a node that can take the unit. */
  Hold: 'hold',
  /** For a backend of the pool. */
  Backend: 'backend',
  /** For the end of the units before this one. */
  Boundary: 'boundary',
  /** To see whether a backend was ended by an administrator or by a change of the cluster. */
  Judgement: 'judgement',
  /** For the next try at a node that refused. */
  Retry: 'retry',
  /** For its state to be brought to the backend. */
  State: 'state',
  /** For a standby that has what the session has seen. */
  Freshness: 'freshness',
} as const;
export type Wait = (typeof Wait)[keyof typeof Wait];

/** Whether what is waited for is a node that can take the unit, or a backend there. */
export function isForNode(wait: Wait | null): boolean {
  return wait === Wait.Hold || wait === Wait.Backend || wait === Wait.Retry || wait === Wait.Freshness;
}
