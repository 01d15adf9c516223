import { SwitchyardError } from '../../errors.js';
import { Bound } from './bound.js';
import type { Bucket, Tally } from './bucket.js';
import type { BackendRequest, PoolLimits } from './pool-request.js';

/** Those that several buckets have in common, from the narrowest to the widest. */
type SharedBound = typeof Bound.Database | typeof Bound.User | typeof Bound.Node | typeof Bound.Total;
const SHARED_BOUNDS: readonly SharedBound[] = [Bound.Database, Bound.User, Bound.Node, Bound.Total];
/** Those that a backend more may exceed, narrowest first. */
export const COUNT_BOUNDS: readonly (SharedBound | typeof Bound.Size)[] = [Bound.Size, ...SHARED_BOUNDS];

/** There is no room for one more backend of the bucket under this bound; `size`: most of this bucket. */
export function isReached(
  bound: (typeof COUNT_BOUNDS)[number],
  bucket: Bucket,
  limits: PoolLimits,
  size: number,
): boolean {
  if (bound === Bound.Size) return bucket.count >= size;
  const most = mostUnder(bound, limits);
  return most > 0 && tallyUnder(bound, bucket).count >= most;
}

/** The narrowest of the bounds that are reached; null: there is room for one more backend. */
export function boundReached(bucket: Bucket, limits: PoolLimits, size: number): Bound | null {
  for (const bound of COUNT_BOUNDS) if (isReached(bound, bucket, limits, size)) return bound;
  return null;
}

/** All that count together with the bucket under this bound. */
export function tallyUnder(bound: Bound, bucket: Bucket): Tally {
  switch (bound) {
    case Bound.Database:
      return bucket.tallies.database;
    case Bound.User:
      return bucket.tallies.user;
    case Bound.Node:
      return bucket.tallies.node;
    case Bound.Total:
      return bucket.tallies.total;
    case Bound.Size:
    case Bound.Logins:
    case Bound.Failing:
    default:
      return bucket.tallies.own;
  }
}

export function isSharedBound(bound: Bound | null): boolean {
  return bound !== null && (SHARED_BOUNDS as readonly Bound[]).includes(bound);
}

/** What one is told who has waited too long; `cause`: why the node lets nobody in. */
export function tooLate(
  request: BackendRequest,
  bound: Bound,
  limits: PoolLimits,
  cause: Error | null,
): SwitchyardError {
  const { node, user, database } = request;
  const [why, hint] = wordsOf(bound, limits);
  return new SwitchyardError(
    'too_many_backends',
    `no backend of ${node} became free for user "${user}" in database "${database}" within ${limits.waitTimeoutMs} ms: ${why}`,
    { hint, detail: cause === null ? null : `The node said: ${cause.message}`, cause: cause ?? undefined },
  );
}

function wordsOf(bound: Bound, limits: PoolLimits): readonly [why: string, hint: string] {
  switch (bound) {
    case Bound.Size: {
      const reserve = limits.reserveSize === 0 ? '' : ` and pool.reserve_size is ${limits.reserveSize}`;
      const what = reserve === '' ? 'pool.size is reached' : 'pool.size and pool.reserve_size are reached';
      return [
        what,
        `pool.size is ${limits.size}${reserve}, for each node, database and user. Raise it if the node has connections to spare, or see what keeps backends busy.`,
      ];
    }
    case Bound.Logins:
      return [
        'log-ins take too long',
        `pool.login_concurrency is ${limits.loginConcurrency}: so many log-ins are under way at one time on each node.`,
      ];
    case Bound.Failing:
      return [
        'those that are open are busy, and the node lets no more in',
        'See what keeps backends busy, or mend what the node says.',
      ];
    case Bound.Database:
    case Bound.User:
    case Bound.Node:
    case Bound.Total:
    default:
      return [
        `pool.${bound} is reached`,
        `pool.${bound} is ${mostUnder(bound, limits)}${SCOPES[bound]}. Raise it if the node has connections to spare, or lower pool.size for those who take too many.`,
      ];
  }
}

const SCOPES: Readonly<Record<SharedBound, string>> = {
  [Bound.Database]: ', for each database on each node, all users together',
  [Bound.User]: ', for each user on each node, in all databases together',
  [Bound.Node]: ', for each node, all users and databases together',
  [Bound.Total]: ' on all nodes together',
};

function mostUnder(bound: SharedBound, limits: PoolLimits): number {
  switch (bound) {
    case Bound.Database:
      return limits.maxBackendsPerDatabase;
    case Bound.User:
      return limits.maxBackendsPerUser;
    case Bound.Node:
      return limits.maxBackendsPerNode;
    case Bound.Total:
    default:
      return limits.maxBackends;
  }
}
