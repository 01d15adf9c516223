import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Counters } from '../../../../src/metrics/counters.js';
import type { LogFields } from '../../../../src/log.js';
import { silentLogger } from '../../../../src/log.js';
import type { SessionContext } from '../../../../src/session/context.js';
import type { Session } from '../../../../src/session/session.js';
import { TimeoutSweep } from '../../../../src/session/timeouts/timeout-sweep.js';
import type { TimeLimits } from '../../../../src/session/timeouts/time-limits.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { wordsOf } from '../../../support/node-messages.js';
import { WatchedSession } from './watched-session.js';

const off: TimeLimits = {
  clientIdleMs: 0,
  idleTransactionMs: 0,
  transactionMs: 0,
  queryMs: 0,
  queryCancelMs: 1000,
  tcpUserMs: 0,
};

/** A session that notes what becomes of it. */
class SweptSession extends WatchedSession {
  readonly id = 1;
  isClosed = false;
  ended = '';
  readonly cuts: string[] = [];
  begun = 0;
  readonly overdue = {
    isPresent: true,
    look: (): boolean => false,
    begin: () => {
      this.begun += 1;
      return this.begun === 1;
    },
  };

  override get relay() {
    return { ...super.relay, cut: (error: Error) => void this.cuts.push(error.message) };
  }

  close(reason: string, last: Buffer | null, isBroken = false): void {
    this.isClosed = true;
    this.ended = `${reason} ${last === null ? '-' : wordsOf(last)}${isBroken ? ' broken' : ''}`;
    sessions.delete(this);
  }
}

let clock: FakeClock;
let sessions: Set<SweptSession>;
let lines: LogFields[];
let counters: Counters;
let times: TimeLimits;
let sweep: TimeoutSweep;

beforeEach(() => {
  clock = new FakeClock();
  sessions = new Set();
  lines = [];
  counters = new Counters();
  times = off;
  sweep = new TimeoutSweep({
    clock,
    counters,
    logger: { ...silentLogger, info: (fields: LogFields) => void lines.push(fields) },
    registry: { all: () => sessions.values() as unknown as IterableIterator<Session> },
    get limits() {
      return { times };
    },
  } as unknown as SessionContext);
  sweep.start();
});

function begin(): SweptSession {
  const session = new SweptSession();
  sessions.add(session);
  return session;
}

test('ten thousand silent clients cost one timer, and all of them end when it is time', () => {
  times = { ...off, clientIdleMs: 60_000 };
  const clients = Array.from({ length: 10_000 }, begin);
  assert.equal(clock.pendingTimers, 1);
  clock.advance(60_000);
  assert.equal(clock.pendingTimers, 1);
  assert.ok(
    clients.every(({ isClosed }) => !isClosed),
    'never too early',
  );
  clock.advance(2_000);
  assert.ok(clients.every(({ ended }) => ended.startsWith('client_idle_timeout')));
  assert.match(clients[0]?.ended ?? '', /57P05/);
  assert.equal(lines.length, 10_000);
  assert.deepEqual(
    { ...lines[0], client: '' },
    {
      session: 1,
      user: undefined,
      database: undefined,
      client: '',
      node: undefined,
      limit: 'limits.client_idle_timeout',
      after: '1m',
    },
  );
});

test('a limit that is set while sessions live counts from then on', () => {
  const session = begin();
  clock.advance(3_600_000);
  times = { ...off, clientIdleMs: 10_000 };
  clock.advance(9_000);
  assert.equal(session.isClosed, false);
  clock.advance(4_000);
  assert.equal(session.isClosed, true);
});

test('a limit that is taken away and set again begins anew', () => {
  const session = begin();
  times = { ...off, clientIdleMs: 10_000 };
  clock.advance(8_000);
  times = off;
  clock.advance(60_000);
  times = { ...off, clientIdleMs: 10_000 };
  clock.advance(9_000);
  assert.equal(session.isClosed, false);
});

test('the time that the program itself was stopped is nobody else his', () => {
  const frozen = new FakeClock();
  let due: (() => void) | null = null;
  let nowMs = 0;
  const stopped = new TimeoutSweep({
    clock: {
      nowMs: () => nowMs,
      epochMs: () => frozen.epochMs(),
      setTimer: (_ms: number, run: () => void) => {
        due = run;
        return { handle: null };
      },
      clearTimer: () => {},
    },
    counters,
    logger: silentLogger,
    registry: { all: () => sessions.values() as unknown as IterableIterator<Session> },
    limits: { times: { ...off, clientIdleMs: 60_000 } },
  } as unknown as SessionContext);
  const session = begin();
  stopped.start();
  const run = (ms: number): void => {
    nowMs += ms;
    due?.();
  };
  run(1_000);
  run(3_600_000);
  assert.equal(session.isClosed, false, 'an hour of which nothing was heard');
  for (let n = 0; n < 60; n += 1) run(1_000);
  assert.equal(session.isClosed, true);
});

test('an overdue statement is told once, a stuck client is cut off without a word, a stuck node is cut', () => {
  times = { ...off, queryMs: 4_000, tcpUserMs: 8_000 };
  const slow = begin();
  slow.attach();
  slow.sends('Q');
  clock.advance(6_000);
  assert.ok(slow.begun >= 1);
  assert.equal(lines.filter(({ limit }) => limit === 'limits.query_timeout').length, 1);
  const deaf = begin();
  deaf.client.pendingBytes = 1;
  const full = begin();
  full.attach().wire.pendingBytes = 1;
  clock.advance(10_000);
  assert.equal(deaf.ended, 'client_stuck - broken');
  assert.match(full.cuts[0] ?? '', /the node took no bytes for 8s \(tcp_user_timeout of the proxy\)/);
  assert.deepEqual([counters.stuckPeers.get('client'), counters.stuckPeers.get('node') > 0], [1, true]);
});

test('a session whose statement is to be cancelled is looked at though all limits are off by now', () => {
  times = { ...off, queryMs: 4_000 };
  let looks = 0;
  const session = begin();
  session.attach();
  session.sends('Q');
  session.overdue.look = () => {
    looks += 1;
    session.overdue.isPresent = looks < 3;
    return false;
  };
  clock.advance(6_000);
  assert.equal(session.begun > 0, true);
  session.overdue.isPresent = true;
  times = off;
  looks = 0;
  clock.advance(20_000);
  assert.equal(looks, 3);
});

test('a sweep that is closed looks no more', () => {
  sweep.close();
  assert.equal(clock.pendingTimers, 0);
});
