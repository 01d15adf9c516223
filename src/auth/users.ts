import { LRUCache } from 'lru-cache';
import { SwitchyardError } from '../errors.js';
import type { Clock } from '../util/clock.js';
import { Turnstile } from './turnstile.js';
import { NoSecret, PlainSecret, type UserSecret, parseSecret } from './user-secret.js';

/** PostgreSQL has no longer names, it cuts them off (NAMEDATALEN): a longer one must not come in as the user it is cut to. */
const USER_NAME_BYTES_MAX = 63;
/** For so many user names an answer of the query is kept. */
const CACHED_USERS_MAX = 10_000;
/** So many users are asked for at the same time. */
const QUERIES_RUNNING_MAX = 4;
/** So many more can wait to be asked for. */
const QUERIES_WAITING_MAX = 10_000;
/** After so long, waiting included, a query counts as failed, even if its backend says nothing at all. */
const QUERY_TIMEOUT_MS = 5_000;
/** How long "no such user" is believed at most: a user that has just been created must be able to come in. */
const NEGATIVE_CACHE_MS_MAX = 2_000;
/** A younger answer is kept even after a failed log-in, so that guessing passwords costs the nodes one query a second. */
const FORGET_AGE_MS_MIN = 1_000;

/** The row that `auth.query` gave. */
export interface UserQueryRow {
  readonly name: string;
  /** Password, `md5...` or `SCRAM-SHA-256$...`; null when the user has none. */
  readonly secret: string | null;
  /** `rolvaliduntil` in wall-clock milliseconds, when the query has such a column; null or Infinity: for ever. */
  readonly validUntilEpochMs?: number | null;
}

/** Runs `auth.query` somewhere. Null: there is no such user. */
export type UserQuery = (user: string) => Promise<UserQueryRow | null>;

/** Where users are known from, in the order in which they are asked. */
export interface UserSources {
  /** `auth.users`; one of `password` and `verifier` is given. */
  readonly users: readonly {
    readonly name: string;
    readonly password: string | null;
    readonly verifier: string | null;
  }[];
  /** Entries of the userlist file. */
  readonly userlist: readonly { readonly name: string; readonly secret: string }[];
  readonly runQuery: UserQuery | null;
  /** How long an answer of the query is believed; 0: not at all. */
  readonly queryCacheMs: number;
}

interface CachedRow {
  readonly secret: UserSecret;
  readonly validUntilEpochMs: number;
  /** Monotonic. */
  readonly askedAtMs: number;
}

/** Everything that follows from one set of sources: an answer that comes after a reload finds its own, old place. */
interface Sources {
  readonly fixed: ReadonlyMap<string, UserSecret>;
  readonly runQuery: UserQuery | null;
  readonly queryCacheMs: number;
  readonly cache: LRUCache<string, CachedRow>;
  readonly inFlight: Map<string, Promise<CachedRow>>;
  readonly turnstile: Turnstile;
  readonly seen: { plain: number; md5: number; scram: number };
}

/** Knows the secrets of users: from the configuration, from a userlist, or by asking the cluster. */
export class UserDirectory {
  readonly #clock: Clock;
  #sources: Sources;

  constructor(sources: UserSources, clock: Clock) {
    this.#clock = clock;
    this.#sources = prepare(sources);
  }

  /** Takes other sources; what the query said so far is forgotten. */
  replace(sources: UserSources): void {
    this.#sources = prepare(sources);
  }

  /** Some users are known by their password. */
  get hasPlainSecrets(): boolean {
    return this.#sources.seen.plain > 0;
  }

  /** What method md5 comes to for most of the users; for the unknown ones it has to look the same. */
  get usualDialogue(): 'md5' | 'scram' {
    const { plain, md5, scram } = this.#sources.seen;
    return plain + md5 > scram ? 'md5' : 'scram';
  }

  /**
   * The secret of a user; a user that is nowhere has a secret of kind `none`.
   * @throws SwitchyardError `user_lookup_failed` when the query could not be run
   */
  async lookUp(user: string): Promise<UserSecret> {
    const sources = this.#sources;
    const fixed = sources.fixed.get(user);
    if (fixed !== undefined) {
      return fixed;
    }
    if (sources.runQuery === null || Buffer.byteLength(user) > USER_NAME_BYTES_MAX) {
      return new NoSecret('no-such-user');
    }
    const row = this.#cached(sources, user) ?? (await this.#ask(sources, sources.runQuery, user));
    // Against the wall clock, and each time: a cached password expires like any other.
    return row.validUntilEpochMs < this.#clock.epochMs() ? new NoSecret('expired') : row.secret;
  }

  /** To be called after a failed log-in: the password may have been changed, so the next try asks again. */
  forget(user: string): void {
    const { cache } = this.#sources;
    const row = cache.peek(user);
    if (row !== undefined && this.#clock.nowMs() - row.askedAtMs >= FORGET_AGE_MS_MIN) {
      cache.delete(user);
    }
  }

  #cached(sources: Sources, user: string): CachedRow | null {
    const row = sources.cache.get(user);
    if (row === undefined) {
      return null;
    }
    const isKnown = row.secret.kind !== 'none';
    const believedMs = isKnown ? sources.queryCacheMs : Math.min(sources.queryCacheMs, NEGATIVE_CACHE_MS_MAX);
    return this.#clock.nowMs() - row.askedAtMs < believedMs ? row : null;
  }

  /** Asks once for all who want to know the same at the same time. */
  #ask(sources: Sources, runQuery: UserQuery, user: string): Promise<CachedRow> {
    const { inFlight } = sources;
    const asked = inFlight.get(user);
    if (asked !== undefined) {
      return asked;
    }
    if (sources.turnstile.isFull) {
      throw lookUpFailed(user, new Error(`${QUERIES_WAITING_MAX} other users wait to be looked up`));
    }
    const asking = this.#query(sources, runQuery, user).finally(() => {
      inFlight.delete(user);
    });
    inFlight.set(user, asking);
    return asking;
  }

  async #query(sources: Sources, runQuery: UserQuery, user: string): Promise<CachedRow> {
    const deadlineMs = this.#clock.nowMs() + QUERY_TIMEOUT_MS;
    try {
      return await sources.turnstile.run(async () => {
        const askedAtMs = this.#clock.nowMs();
        const answer = await this.#inTime(deadlineMs - askedAtMs, () => runQuery(user));
        return keep(sources, user, { ...readRow(user, answer), askedAtMs });
      });
    } catch (error) {
      throw lookUpFailed(user, error);
    }
  }

  /** Gives up the wait, and with it the place of the query, when the time is over. */
  #inTime<T>(leftMs: number, run: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(new Error(`no answer within ${QUERY_TIMEOUT_MS} ms`));
      if (leftMs <= 0) {
        giveUp();
        return;
      }
      const timer = this.#clock.setTimer(leftMs, giveUp);
      void run()
        .then(resolve, reject)
        .finally(() => this.#clock.clearTimer(timer));
    });
  }
}

function keep(sources: Sources, user: string, row: CachedRow): CachedRow {
  if (row.secret.kind !== 'none') {
    sources.seen[row.secret.kind] += 1;
  }
  if (sources.queryCacheMs > 0) {
    sources.cache.set(user, row);
  }
  return row;
}

function prepare(from: UserSources): Sources {
  const fixed = new Map<string, UserSecret>();
  for (const entry of from.userlist) {
    fixed.set(entry.name, parseSecret(entry.secret));
  }
  for (const user of from.users) {
    // The configuration says which of both it is; a password may look like a stored one.
    fixed.set(user.name, user.password === null ? parseSecret(user.verifier ?? '') : new PlainSecret(user.password));
  }
  const seen = { plain: 0, md5: 0, scram: 0 };
  for (const secret of fixed.values()) {
    if (secret.kind !== 'none') {
      seen[secret.kind] += 1;
    }
  }
  return {
    fixed,
    runQuery: from.runQuery,
    queryCacheMs: from.queryCacheMs,
    cache: new LRUCache({ max: CACHED_USERS_MAX }),
    inFlight: new Map(),
    turnstile: new Turnstile(QUERIES_RUNNING_MAX, QUERIES_WAITING_MAX),
    seen,
  };
}

function readRow(user: string, answer: UserQueryRow | null): Omit<CachedRow, 'askedAtMs'> {
  const validUntilEpochMs = answer?.validUntilEpochMs ?? Number.POSITIVE_INFINITY;
  if (answer === null) {
    return { secret: new NoSecret('no-such-user'), validUntilEpochMs };
  }
  if (answer.name !== user) {
    throw new Error('the query answered with another name');
  }
  return { secret: parseSecret(answer.secret ?? ''), validUntilEpochMs };
}

/** What went wrong is for our own log (`cause`); the client learns only that something did. */
function lookUpFailed(user: string, cause: unknown): SwitchyardError {
  return new SwitchyardError('user_lookup_failed', `cannot look up user "${user}"`, { cause });
}
