import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Etcd3Claims, type Etcd3ClaimsOptions } from '../../../src/dcs/etcd3.js';
import type { Logger } from '../../../src/log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeEtcd, type FakeMember } from './fake-etcd.js';

export const REQUEST_MS = 1000;
export const WATCHDOG_MS = 2000;
export const STALE_MS = 10_000;
/** The longest delay between two attempts. */
export const RETRY_MS = 1000;

/** The times and names of every provider here. */
export const OPTIONS = {
  prefix: '/service/pg/',
  username: null,
  password: null,
  requestTimeoutMs: REQUEST_MS,
  staleAfterMs: STALE_MS,
  watchdogIntervalMs: WATCHDOG_MS,
  keepaliveMs: 2000,
} as const;

/** A provider with its surroundings. */
export interface Bench {
  readonly clock: FakeClock;
  readonly etcd: FakeEtcd;
  readonly members: readonly FakeMember[];
  readonly first: FakeMember;
  readonly provider: Etcd3Claims;
  readonly log: string[];
  /** How often `onChange` was called. */
  readonly changes: () => number;
  /** Lets everything that is due happen, and then time pass in small steps. */
  readonly pass: (ms: number) => Promise<void>;
}

/** A provider on a fake etcd of `size` members and a fake clock, started unless told otherwise. */
export async function bench(
  t: TestContext,
  size = 1,
  options: Partial<Etcd3ClaimsOptions> & { start?: boolean } = {},
): Promise<Bench> {
  const clock = new FakeClock();
  const etcd = new FakeEtcd();
  const log: string[] = [];
  const write = (level: string) => (_: object, message: string) => void log.push(`${level}: ${message}`);
  const logger: Logger = {
    trace: write('trace'),
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };
  const members = Array.from({ length: size }, (_, index) => etcd.member(`10.0.0.${index + 1}:2379`));
  let next = 0;
  const provider = new Etcd3Claims({
    hosts: members.map((_, index) => ({ host: `10.0.0.${index + 1}`, port: 2379 })),
    ...OPTIONS,
    clock,
    logger,
    random: () => 0,
    openEndpoint: () => members[next++] as FakeMember,
    ...options,
  });
  t.after(() => provider.close());
  let changes = 0;
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const pass = async (ms: number) => {
    await settle();
    for (let left = ms; left > 0; left -= 10) {
      clock.advance(Math.min(left, 10));
      await settle();
    }
  };
  if (options.start !== false) {
    provider.start(() => (changes += 1));
    assert.equal(changes, 0);
    await pass(0);
  }
  return { clock, etcd, members, first: members[0] as FakeMember, provider, log, changes: () => changes, pass };
}
