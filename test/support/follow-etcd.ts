import type { TestContext } from 'node:test';
import type { Claims } from '../../src/dcs/claims.js';
import { Etcd3Claims, type Etcd3ClaimsOptions } from '../../src/dcs/etcd3.js';
import type { LogFields, Logger } from '../../src/log.js';
import { systemClock } from '../../src/util/clock.js';
import { waitFor } from './processes.js';

const SEEN_TIMEOUT_MS = 20_000;

export const PREFIX = '/service/pg/';

/** Claims from a real etcd, with everything that was told and logged. */
export interface Follower {
  readonly provider: Etcd3Claims;
  /** Each picture that was told of by `onChange`. */
  readonly pictures: Claims[];
  readonly log: { readonly level: string; readonly message: string; readonly fields: LogFields }[];
  /** Waits until the claims satisfy the condition. */
  readonly until: (what: string, condition: (claims: Claims) => boolean) => Promise<Claims>;
}

/** Follows `/service/pg/` in etcd with short limits, until the end of the test. */
export function followEtcd(
  t: TestContext,
  options: Partial<Etcd3ClaimsOptions> & Pick<Etcd3ClaimsOptions, 'hosts'>,
): Follower {
  const pictures: Claims[] = [];
  const log: { level: string; message: string; fields: LogFields }[] = [];
  const write = (level: string) => (fields: LogFields, message: string) => void log.push({ level, message, fields });
  const logger: Logger = {
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
  const provider = new Etcd3Claims({
    prefix: PREFIX,
    username: null,
    password: null,
    requestTimeoutMs: 500,
    staleAfterMs: 2500,
    watchdogIntervalMs: 500,
    keepaliveMs: 1000,
    clock: systemClock,
    logger,
    ...options,
  });
  t.after(() => provider.close());
  provider.start(() => pictures.push(provider.claims));
  const until = async (what: string, condition: (claims: Claims) => boolean) => {
    await waitFor(() => condition(provider.claims), { timeoutMs: SEEN_TIMEOUT_MS, what, pollMs: 5 }).catch(
      (error: unknown) => {
        const { state, trouble, leader, problems } = provider.claims;
        const seen = { state, trouble, leader: leader?.name, problems, log: log.slice(-20) };
        throw new Error(`${String(error)}; the claims are ${JSON.stringify(seen, null, 1)}`, { cause: error });
      },
    );
    return provider.claims;
  };
  return { provider, pictures, log, until };
}
