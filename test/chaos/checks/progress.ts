import { waitFor } from '../../support/processes.js';
import type { Load } from '../world.js';

const SUCCESSES = 2;
const POLL_MS = 50;

/** Waits until every client has got on by two operations; returns the names of those that have not in time. */
export async function stragglers(load: Load, timeoutMs: number): Promise<readonly string[]> {
  const goals = load.ledger.workers.map((worker) => ({ worker, goal: worker.successes + SUCCESSES }));
  const late = () => goals.filter(({ worker, goal }) => worker.successes < goal);
  await waitFor(() => late().length === 0, { timeoutMs, what: 'progress', pollMs: POLL_MS }).catch(() => {});
  return late().map(({ worker }) => worker.name);
}
