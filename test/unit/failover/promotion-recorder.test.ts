import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  PromotionRecorder,
  RECORDS_MAX,
  RELEASING_MAX_MS,
  SETTLE_MS,
} from '../../../src/failover/promotion-recorder.js';
import type { PromotionRecord } from '../../../src/failover/promotion-record.js';
import { initialPromotion, stepPromotion } from '../../../src/failover/promotion.js';
import type { PromotionInput, PromotionState } from '../../../src/failover/promotion.js';
import type { LogFields } from '../../../src/log.js';
import { silentLogger } from '../../../src/log.js';
import { Counters } from '../../../src/metrics/counters.js';
import { nodeName } from '../../../src/util/brand.js';
import type { NodeName } from '../../../src/util/brand.js';
import { FakeClock } from '../../support/fake-clock.js';

const A = nodeName('a');
const B = nodeName('b');
const switchover = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 1n };

/** The recorder behind a real machine, with a queue and counters that the test sets. */
class Bench {
  readonly clock = new FakeClock();
  readonly counters = new Counters();
  readonly held: { oldestSinceMs: number | null } = { oldestSinceMs: null };
  readonly lines: (LogFields & { readonly message: string })[] = [];
  readonly recorder: PromotionRecorder;
  timeline = 1;
  #state: PromotionState;
  #sight: Pick<PromotionInput, 'primary' | 'leader' | 'switchover' | 'drain'> = {
    primary: null,
    leader: null,
    switchover: null,
    drain: null,
  };

  constructor() {
    const logger = {
      ...silentLogger,
      info: (fields: LogFields, message: string) => void this.lines.push({ ...fields, message }),
    };
    this.recorder = new PromotionRecorder(this.clock, logger, this.counters, this.held);
    this.#state = initialPromotion(this.clock.nowMs());
    this.see({ primary: A, leader: A });
  }

  see(sight: Partial<Pick<PromotionInput, 'primary' | 'leader' | 'switchover' | 'drain'>>): void {
    this.#sight = { ...this.#sight, ...sight };
    const step = stepPromotion(this.#state, {
      ...this.#sight,
      nowMs: this.clock.nowMs(),
      epochMs: this.clock.epochMs(),
      announceTimeoutMs: 30_000,
    });
    if (step.actions.length > 0) this.recorder.follow(this.#state, step, this.timeline);
    this.#state = step.state;
  }

  after(ms: number, sight: Parameters<Bench['see']>[0] = {}): void {
    this.clock.advance(ms);
    this.see(sight);
    this.recorder.look();
  }

  get last(): PromotionRecord {
    const record = this.recorder.records[0];
    assert.ok(record !== undefined, 'there is a record');
    return record;
  }
}

/** Phases with their times in milliseconds from the beginning. */
function phasesOf({
  phases,
  startedAtEpochMs: begin,
}: PromotionRecord): readonly (readonly [string, number, number | null])[] {
  return phases.map(({ phase, startedAtEpochMs, durationMs }) => [phase, startedAtEpochMs - begin, durationMs]);
}

function promote(bench: Bench, from: NodeName, to: NodeName): void {
  bench.see({ primary: null, leader: null });
  bench.after(100, { leader: to });
  bench.timeline += 1;
  bench.after(100, { primary: to });
  assert.notEqual(from, to);
}

test('the first primary since the start is no promotion', () => {
  const bench = new Bench();
  bench.after(RELEASING_MAX_MS);
  assert.equal(bench.recorder.current, null);
  assert.deepEqual(bench.recorder.records, []);
});

test('an announced switchover is told phase by phase, with times that add up', () => {
  const bench = new Bench();
  bench.clock.advance(5000);
  const beginEpochMs = bench.clock.epochMs();
  bench.see({ switchover });
  bench.after(300, { drain: { node: A, isFirm: true } });
  bench.after(200, { primary: null });
  bench.after(700, { leader: null });
  bench.after(100, { leader: B, drain: null });
  bench.timeline = 2;
  bench.after(150, { primary: B, switchover: null });
  assert.equal(bench.recorder.records.length, 0, 'what was released is still on its way');
  assert.equal(bench.recorder.current?.outcome, 'promoted');
  bench.after(SETTLE_MS);
  const record = bench.last;
  assert.equal(bench.recorder.current, null);
  assert.deepEqual(phasesOf(record), [
    ['announced', 0, 300],
    ['draining', 300, 200],
    ['confirming', 500, 700],
    ['leader_lost', 1200, 100],
    ['confirming', 1300, 150],
    ['releasing', 1450, SETTLE_MS],
  ]);
  assert.equal(record.startedAtEpochMs, beginEpochMs);
  assert.equal(record.disturbedMs, 1450);
  assert.deepEqual(
    [record.id, record.outcome, record.from, record.to, record.timelineFrom, record.timelineTo],
    [1, 'promoted', A, B, 1, 2],
  );
  assert.equal(bench.recorder.outcomes.get('promoted'), 1);
  assert.equal(bench.recorder.phaseDurations.get('draining')?.count, 1);
  assert.equal(bench.recorder.phaseDurations.get('confirming')?.count, 2);
  assert.equal(bench.lines.filter(({ message }) => message === 'a promotion is over').length, 1);
});

test('an announcement that is called off leaves a record, and so does a primary that comes back', () => {
  const bench = new Bench();
  bench.see({ switchover });
  bench.after(2000, { switchover: null });
  bench.after(SETTLE_MS);
  assert.deepEqual([bench.last.outcome, bench.last.from, bench.last.to], ['called_off', A, A]);
  bench.see({ primary: null });
  bench.after(400, { primary: A });
  bench.after(SETTLE_MS);
  assert.deepEqual([bench.last.id, bench.last.outcome], [2, 'returned']);
});

test('a primary that changes from one sight to the next leaves a record with its release alone', () => {
  const bench = new Bench();
  bench.timeline = 7;
  bench.see({ primary: B, leader: B });
  bench.after(SETTLE_MS);
  assert.deepEqual(phasesOf(bench.last), [['releasing', 0, SETTLE_MS]]);
  assert.deepEqual([bench.last.timelineFrom, bench.last.timelineTo, bench.last.disturbedMs], [1, 7, 0]);
});

test('the pause is the longest wait of a held unit, also of one that waits on behind the release', () => {
  const bench = new Bench();
  bench.see({ primary: null });
  bench.clock.advance(200);
  bench.held.oldestSinceMs = bench.clock.nowMs();
  bench.after(1000, { primary: B, leader: B });
  assert.equal(bench.recorder.current?.pauseMs, 1000);
  bench.after(2500);
  assert.equal(bench.recorder.records.length, 0, 'one is still held');
  bench.held.oldestSinceMs = null;
  bench.after(100);
  assert.equal(bench.last.pauseMs, 3500);
  assert.equal(bench.recorder.pauses.sumS, 3.5);
});

test('who is held since after the release waits for something else', () => {
  const bench = new Bench();
  bench.see({ primary: null });
  bench.after(100, { primary: A });
  bench.clock.advance(10);
  bench.held.oldestSinceMs = bench.clock.nowMs();
  bench.after(SETTLE_MS);
  assert.equal(bench.last.pauseMs, 0);
});

test('a record does not wait for ever for the last of the held', () => {
  const bench = new Bench();
  bench.see({ primary: null });
  bench.held.oldestSinceMs = bench.clock.nowMs();
  bench.after(100, { primary: A });
  bench.after(RELEASING_MAX_MS - 1);
  assert.equal(bench.recorder.records.length, 0);
  bench.after(1);
  assert.equal(bench.recorder.records.length, 1);
});

test('counts are those between its beginning and its end, and only what was counted is there', () => {
  const bench = new Bench();
  const { counters } = bench;
  counters.holds.add('no_primary', 100);
  counters.sessionsClosed.add('terminated', 5);
  counters.transactionsLost = 3;
  bench.see({ primary: null });
  counters.holds.add('no_primary', 8);
  counters.holds.add('promotion', 4);
  counters.holdTimeouts.add('no_primary');
  counters.moves.add('primary', 12);
  counters.replays.add('rolled_back', 2);
  counters.unitsCut.add('08007');
  counters.sessionsClosed.add('cannot_move', 2);
  counters.transactionsLost += 1;
  counters.inDoubt += 1;
  bench.after(100, { primary: B, leader: B });
  counters.moves.add('primary', 3);
  bench.after(SETTLE_MS);
  counters.moves.add('primary', 50);
  assert.deepEqual(bench.last.counts, {
    held: 12,
    holdTimeouts: 1,
    moved: 15,
    replayed: { rolled_back: 2 },
    transactionsLost: 1,
    inDoubt: 1,
    unitsCut: { '08007': 1 },
    closed: { cannot_move: 2 },
  });
});

test('a second promotion ends the record of the first, however many are still held', () => {
  const bench = new Bench();
  bench.see({ primary: null });
  bench.held.oldestSinceMs = bench.clock.nowMs();
  bench.after(100, { primary: B, leader: B });
  bench.after(300, { primary: null });
  assert.deepEqual(phasesOf(bench.last), [
    ['confirming', 0, 100],
    ['releasing', 100, 300],
  ]);
  assert.equal(bench.recorder.current?.id, 2);
  assert.equal(bench.recorder.current?.from, B);
  bench.held.oldestSinceMs = null;
  bench.after(100, { primary: B });
  bench.after(SETTLE_MS);
  assert.deepEqual(
    bench.recorder.records.map(({ id, outcome }) => [id, outcome]),
    [
      [2, 'returned'],
      [1, 'promoted'],
    ],
  );
});

test('a switchover that is announced before the one before is over has a record of its own', () => {
  const bench = new Bench();
  bench.see({ primary: null, leader: B });
  bench.see({ switchover: { ...switchover, leader: B, candidate: A, revision: 2n } });
  bench.after(50, { primary: B });
  assert.deepEqual([bench.last.outcome, bench.last.to], ['promoted', B]);
  assert.deepEqual(
    bench.recorder.current?.phases.map(({ phase }) => phase),
    ['announced'],
  );
});

test('the drain of a standby leaves a record', () => {
  const bench = new Bench();
  const end = bench.recorder.drainOf(B);
  bench.clock.advance(400);
  end(true);
  assert.deepEqual([bench.last.outcome, bench.last.from, bench.last.to, bench.last.pauseMs], ['emptied', B, null, 0]);
  assert.deepEqual(phasesOf(bench.last), [['draining', 0, 400]]);
  bench.recorder.drainOf(B)(false);
  assert.equal(bench.recorder.outcomes.get('not_emptied'), 1);
});

test('only so many records are kept, the newest first', () => {
  const bench = new Bench();
  for (let round = 0; round < RECORDS_MAX + 5; round += 1) {
    promote(bench, round % 2 === 0 ? A : B, round % 2 === 0 ? B : A);
    bench.after(SETTLE_MS);
  }
  assert.equal(bench.recorder.records.length, RECORDS_MAX);
  assert.equal(bench.last.id, RECORDS_MAX + 5);
});

test('a cluster that goes to and fro without end costs no more than its last phases', () => {
  const bench = new Bench();
  bench.see({ primary: null });
  for (let round = 0; round < 1000; round += 1) bench.after(10, { leader: round % 2 === 0 ? null : A });
  assert.ok((bench.recorder.current?.phases.length ?? 0) <= 101);
});
