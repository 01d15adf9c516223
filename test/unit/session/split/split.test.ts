import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Catalogs } from '../../../../src/cluster/catalogs.js';
import { silentLogger } from '../../../../src/log.js';
import { TransactionStatus } from '../../../../src/protocol/codes.js';
import type { ErrorFields } from '../../../../src/protocol/error-fields.js';
import type { Berth, Target } from '../../../../src/session/berths.js';
import type { SessionIntent } from '../../../../src/session/context.js';
import type { UnitChoice } from '../../../../src/session/split/chooser.js';
import { decisionNotice } from '../../../../src/session/split/decision-notice.js';
import { RefusedTemplates } from '../../../../src/session/split/refused-templates.js';
import { DatabaseFences } from '../../../../src/session/split/session-fence.js';
import { Split } from '../../../../src/session/split/split.js';
import { Applied } from '../../../../src/session/state/applied.js';
import { A, B, routeIntentOf } from '../../../support/cluster-fakes.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { wordsOf } from '../../../support/node-messages.js';
import { frontend } from '../../../support/raw-messages.js';
import { fakeBackend } from '../../relay/relay-bench.js';
import { Talk } from '../state/conversation-state.js';
import { catalog } from './chooser-bench.js';
import { FakeFreshness } from './fake-freshness.js';
import { analyze } from './unit-reader.js';

const intent: SessionIntent = { ...routeIntentOf(), route: 'split', consistency: 'session', poolMode: 'session' };

/** What a session knows of where its units may go; the test is its client and its nodes. */
class Bench {
  readonly talk = new Talk();
  readonly clock = new FakeClock();
  readonly freshness = new FakeFreshness();
  readonly refused = new RefusedTemplates(this.clock, silentLogger);
  readonly split: Split;
  /** How often definitions were said to have changed. */
  changed = 0;
  /** Behind the last unit. */
  #status: TransactionStatus = TransactionStatus.Idle;

  constructor() {
    this.freshness.next = 5;
    this.split = new Split(this.talk.state, 'app', intent, {
      clock: this.clock,
      freshness: this.freshness,
      catalogs: { of: () => catalog, missed: () => {}, changed: () => void (this.changed += 1) } as unknown as Catalogs,
      refused: this.refused,
      fences: new DatabaseFences(),
      bytesMax: () => 1 << 20,
      fenceWaitMs: () => 50,
      onFenceWait: () => {},
    });
  }

  berth(target: Target): Berth {
    const { backend } = fakeBackend(target === 'primary' ? A : B);
    return { backend, target, applied: new Applied(), settledIn: null };
  }

  choose(sql: string, target: Target | null = null, isInTransaction = false): UnitChoice {
    const bytes = frontend.query(sql);
    const choice = this.split.choose(0x51, bytes, 5, bytes.length, this.talk.facts, target, isInTransaction);
    assert.ok(choice !== null);
    return choice;
  }

  /** A unit that is chosen for, runs there and ends. */
  run(sql: string, target: Target, status: TransactionStatus = TransactionStatus.Idle): void {
    this.choose(sql, target, this.#status !== TransactionStatus.Idle);
    this.#status = status;
    this.split.admitted(true);
    this.talk.send(frontend.query(sql));
    this.split.unitEnded(this.talk.state.oldestUnit, this.berth(target), status);
    this.talk.hear(status === TransactionStatus.Idle ? 'CI' : 'CT');
  }
}

let bench: Bench;

beforeEach(() => {
  bench = new Bench();
});

function fields(sqlState: string, routine = 'fn'): ErrorFields {
  return { severity: 'ERROR', sqlState, message: 'no', detail: null, hint: null, routine };
}

test('what a session has done on the primary is behind its fence when its transaction ends', () => {
  bench.run('insert into t values (1)', 'primary', TransactionStatus.InTransaction);
  assert.equal(bench.split.fence.isCaughtUp(B), true, 'nobody sees it yet');
  bench.run('commit', 'primary');
  assert.equal(bench.split.fence.isCaughtUp(B), false);
  bench.freshness.caughtUp.set(B, 5);
  assert.equal(bench.split.fence.isCaughtUp(B), true);
});

test('BEGIN, SET and their like have seen nothing', () => {
  bench.run('set geqo = off', 'primary');
  bench.run('begin', 'primary', TransactionStatus.InTransaction);
  bench.run('prepare a as select 1', 'primary', TransactionStatus.InTransaction);
  assert.equal(bench.split.fence.isCaughtUp(B), true);
});

test('a transaction of reads on the primary is no write', () => {
  bench.run('begin', 'primary', TransactionStatus.InTransaction);
  bench.run('select 1 from t', 'primary', TransactionStatus.InTransaction);
  bench.run('commit', 'primary');
  assert.equal(bench.split.fence.isCaughtUp(B), false);
  assert.equal(bench.split.homecoming.isDue, true);
  bench.run('begin', 'primary', TransactionStatus.InTransaction);
  bench.run('delete from t', 'primary', TransactionStatus.InTransaction);
  bench.run('commit', 'primary');
  assert.equal(bench.split.homecoming.isDue, false);
});

test('a read on the primary raises the fence and is no write: the session may come home', () => {
  bench.run('select 1 from t', 'primary');
  assert.equal(bench.split.fence.isCaughtUp(B), false);
  assert.equal(bench.split.homecoming.isDue, true);
  bench.run('delete from t', 'primary');
  assert.equal(bench.split.homecoming.isDue, false);
});

test('whoever loses the connection to the primary counts on the worst', () => {
  bench.split.primaryLost();
  assert.equal(bench.split.fence.isCaughtUp(B), false);
});

test('definitions are told when they are committed, and what was prepared before stays on the primary', () => {
  bench.talk.prepare('old', 'select 1 from t');
  bench.run('create table x ()', 'primary', TransactionStatus.InTransaction);
  assert.equal(bench.changed, 0);
  bench.run('commit', 'primary');
  assert.equal(bench.changed, 1);
  bench.run('select 1', 'primary');
  assert.equal(bench.changed, 1);
  assert.equal(bench.choose('execute old').reason, 'prepared_there');
});

test('the net takes what the primary may do better, and knows what another standby may', () => {
  const { split } = bench;
  for (const sqlState of ['25006', '0A000', '42883', '55000', 'XX000', '42P01']) {
    assert.equal(split.refusal(fields(sqlState), null), 'primary', sqlState);
  }
  for (const sqlState of ['40001', '53200', '58030']) assert.equal(split.refusal(fields(sqlState), null), 'elsewhere');
  for (const sqlState of ['22012', 'P0001', '57014']) assert.equal(split.refusal(fields(sqlState), null), null);
  assert.equal(split.refusal(fields('0A000', 'RevalidateCachedQuery'), null), null);
});

test('a client that wants the standby gets its errors', () => {
  bench.talk.query("set switchyard.route = 'standby'");
  assert.equal(bench.split.refusal(fields('25006'), null), null);
  bench.split.refusedLate(fields('25006'), analyze('select f()'));
  assert.equal(bench.refused.size, 0);
});

test('what only a standby refuses is remembered when the primary has run it', () => {
  const failing = analyze('select f(1)');
  bench.split.refusal(fields('25006'), failing);
  assert.equal(bench.refused.size, 0);
  bench.run('select 2', 'primary');
  assert.equal(bench.refused.has('app', failing.template ?? ''), true);
});

test('what the primary refuses too is not remembered, nor what hangs on the moment, nor what was lost', () => {
  bench.split.refusal(fields('25006'), analyze('select f(1)'));
  bench.split.failed();
  bench.run('select 1', 'primary');
  bench.split.refusal(fields('40001'), analyze('select f(2)'));
  bench.run('select 1', 'primary');
  bench.split.refusal(fields('25006'), analyze('select f(3)'));
  bench.split.primaryLost();
  bench.run('select 1', 'primary');
  bench.split.refusal(fields('25006'), null);
  bench.run('select 1', 'primary');
  assert.equal(bench.refused.size, 0);
});

test('what could not be taken back any more is remembered at once, where a standby alone says so', () => {
  bench.split.refusedLate(fields('42P01'), analyze('select f(1)'));
  bench.split.refusedLate(fields('25006'), null);
  assert.equal(bench.refused.size, 0);
  bench.split.refusedLate(fields('25006'), analyze('select f(1)'));
  assert.equal(bench.refused.size, 1);
});

test('a session that is serializable without having said so is kept on the primary from then on', () => {
  for (const learn of ['refusal', 'refusedLate'] as const) {
    const each = new Bench();
    assert.equal(each.choose('select 1').target, 'standby');
    each.split[learn](fields('0A000', 'GetSerializableTransactionSnapshot'), analyze('select 1'));
    assert.equal(each.choose('select 1').reason, 'serializable');
  }
});

test('a transaction that has only begun on a standby can begin elsewhere, once', () => {
  const { split } = bench;
  bench.run('begin read only', 'standby', TransactionStatus.InTransaction);
  assert.equal(split.canLeaveTransaction, true);
  assert.match(split.takeBegun() ?? '', /^begin read only$/i);
  assert.deepEqual([split.canLeaveTransaction, split.takeBegun()], [false, null]);
  bench.run('begin read only', 'standby', TransactionStatus.InTransaction);
  bench.run('select 1', 'standby', TransactionStatus.InTransaction);
  assert.equal(split.canLeaveTransaction, false);
  bench.run('commit', 'standby');
  bench.run('begin read only', 'standby', TransactionStatus.InTransaction);
  split.standbyLeft();
  assert.equal(split.canLeaveTransaction, false);
});

test('a BEGIN within a transaction is not how it began', () => {
  const { split } = bench;
  bench.run('begin isolation level repeatable read read only', 'standby', TransactionStatus.InTransaction);
  bench.run('begin', 'standby', TransactionStatus.InTransaction);
  assert.equal(split.canLeaveTransaction, false);
});

test('pipelined units follow where they may, and need nothing before them', () => {
  const { split, talk } = bench;
  const read = bench.choose('select 1');
  const write = bench.choose('delete from t');
  assert.deepEqual([split.canFollow(read, 'standby', true), split.canFollow(read, 'primary', true)], [true, true]);
  assert.deepEqual([split.canFollow(write, 'standby', true), split.canFollow(write, 'primary', true)], [false, true]);
  assert.equal(split.canFollow(read, 'primary', false), false, 'the gate is shut');
  assert.equal(split.canFollow(read, 'standby', false), true);
  assert.equal(split.canFollow(bench.choose('show switchyard.route'), 'primary', true), false);
  assert.equal(split.canFollow(bench.choose("set switchyard.route = 'x'"), 'primary', true), false);
  assert.equal(split.canFollow({ ...read, names: 'all' }, 'standby', true), false);
  assert.equal(split.canFollow({ ...read, leaves: true }, 'standby', true), false);
  talk.attach(new Applied());
  talk.prepare('one', 'select 1');
  const run = bench.choose('execute one');
  assert.equal(split.canFollow(run, 'standby', true), true);
  talk.attach(new Applied());
  assert.equal(split.canFollow(run, 'standby', true), false, 'it is not there');
  talk.query('set switchyard.explain = on');
  assert.equal(split.canFollow(read, 'standby', true), false, 'each unit is explained');
});

test('a token that was handed over holds until another one is, or none', () => {
  const { talk, split } = bench;
  talk.query("set switchyard.fence = '0/1000'");
  bench.choose('select 1');
  assert.equal(split.fence.isCaughtUp(B), false);
  bench.freshness.positions.set(B, 0x1000n);
  assert.equal(split.fence.isCaughtUp(B), true);
  talk.query("set switchyard.fence = ''");
  bench.freshness.positions.clear();
  bench.choose('select 1');
  assert.equal(split.fence.isCaughtUp(B), true);
});

test('the fence is shown when its position is known: that of a tick behind all that was seen until it was asked for', () => {
  const { split, freshness } = bench;
  assert.equal(split.isTokenKnown, false);
  assert.equal(split.shown('fence'), '');
  freshness.next = 9;
  freshness.lsns.set(5, 0x16_0000_0010n);
  assert.equal(split.isTokenKnown, true);
  assert.equal(split.shown('fence'), '16/10');
  split.admitted(true);
  assert.equal(split.isTokenKnown, false, 'the next one is another');
});

test('settings of ours are shown as they are in force', () => {
  const { split, talk } = bench;
  const shown = (): unknown => ['route', 'consistency', 'explain', 'geqo'].map((name) => split.shown(name));
  assert.deepEqual(shown(), ['split', 'session', 'off', null]);
  talk.query("set switchyard.route = 'PRIMARY'").query('set switchyard.explain = 1');
  talk.query("set switchyard.consistency = 'Eventual'");
  assert.deepEqual(shown(), ['primary', 'eventual', 'on', null]);
  assert.deepEqual([split.consistency, split.explains], ['eventual', true]);
});

test('whether a standby was used is asked once for each time', () => {
  assert.equal(bench.split.wasStandbyUsed(), false);
  bench.run('select 1', 'standby');
  assert.deepEqual([bench.split.wasStandbyUsed(), bench.split.wasStandbyUsed()], [true, false]);
  bench.run('select 1', 'primary');
  assert.equal(bench.split.wasStandbyUsed(), false);
});

test('a decision is told in a notice', () => {
  assert.equal(wordsOf(decisionNotice('standby', B, 'read')), 'N(switchyard: standby node2 (read))');
  assert.equal(wordsOf(decisionNotice('primary', null, 'write')), 'N(switchyard: primary none (write))');
});
