import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkOrder, compare } from '../../chaos/checks/audit.js';
import { Fate, fateOf, wordsOf } from '../../chaos/load/attempt.js';
import { Ledger } from '../../chaos/load/ledger.js';

const row = (n: number, copies = 1) => ({ n, copies, leastTimeline: 1, mostTimeline: 1 });
const findings = () => ({ lost: new Set<string>(), doubled: new Set<string>(), lies: new Set<string>() });

test('a write that was acknowledged and is not there is lost, one that is there twice is doubled', () => {
  const found = findings();
  compare('w', [Fate.Acknowledged, Fate.Acknowledged, Fate.Acknowledged], 10, [row(10), row(11, 2)], found);
  assert.deepEqual([...found.lost], ['w 12']);
  assert.equal(found.doubled.size, 1);
  assert.equal(found.lies.size, 0);
});

test('a write that was reported as not done and is there is a lie; one in doubt may be either', () => {
  const found = findings();
  compare('w', [Fate.Refused, Fate.Unknown, Fate.Refused, Fate.Unknown], 0, [row(0), row(1)], found);
  assert.equal(found.lies.size, 1);
  assert.match([...found.lies].join(), /^w 0:/);
  assert.deepEqual([found.lost.size, found.doubled.size], [0, 0]);
});

test('SQLSTATEs of class 08 and silence leave the outcome open, every other one says that nothing happened', () => {
  const words = (sqlState: string) => ({ sqlState, severity: 'ERROR', message: '', detail: '' });
  for (const open of ['', '08007', '08006']) assert.equal(fateOf(words(open)), Fate.Unknown, open);
  for (const refused of ['40001', '57P01', '57P03', '25006'])
    assert.equal(fateOf(words(refused)), Fate.Refused, refused);
});

test("what a driver says by itself is not taken for the server's word", () => {
  assert.equal(wordsOf(Object.assign(new Error('reset'), { code: 'ECONNRESET' })).sqlState, '');
  assert.equal(wordsOf(Object.assign(new Error('ended'), { code: '57P01', severity: 'FATAL' })).sqlState, '57P01');
});

const timed = (n: number, startedAtMs: number, endedAtMs: number, timeline: number) => ({
  worker: 'w',
  n,
  startedAtMs,
  endedAtMs,
  timeline,
});

test('a write on an older timeline than one acknowledged before it was sent is backwards', () => {
  const backwards = new Set<string>();
  const newest = checkOrder([timed(0, 0, 10, 1), timed(1, 5, 20, 2), timed(2, 21, 30, 1)], 0, backwards);
  assert.deepEqual([...backwards], ['w 2: timeline 1 after 2']);
  assert.equal(newest, 2);
});

test('writes that were under way at the same time may be on either timeline', () => {
  const backwards = new Set<string>();
  checkOrder([timed(0, 0, 50, 1), timed(1, 10, 20, 2), timed(2, 15, 60, 1)], 0, backwards);
  assert.deepEqual([...backwards], []);
});

test('the newest timeline of one round counts in the next', () => {
  const backwards = new Set<string>();
  checkOrder([timed(0, 100, 110, 3)], 4, backwards);
  assert.equal(backwards.size, 1);
});

test('the ledger knows the fate of every number, in whatever order the answers come', () => {
  const ledger = new Ledger();
  const worker = ledger.open(1, 'w');
  const ids = worker.take(3000);
  worker.acknowledged([ids[2999] ?? 0, ids[1] ?? 0], 0, 5);
  worker.failed([0], { sqlState: '40001', severity: 'ERROR', message: '', detail: '' });
  assert.deepEqual(
    [0, 1, 2, 2999, 5000].map((n) => worker.fateOf(n)),
    [Fate.Refused, Fate.Acknowledged, Fate.Open, Fate.Acknowledged, Fate.Open],
  );
  assert.equal(worker.issued, 3000);
  const round = ledger.takeRound();
  assert.equal(round.acknowledgements.get(worker)?.length, 2);
  assert.equal(round.longestWaitMs, 5);
  assert.equal(ledger.takeRound().acknowledgements.get(worker)?.length, 0, 'the next round begins with nothing');
});

test('an error is counted by its SQLSTATE and what the client was doing, and a lost connection once', () => {
  const ledger = new Ledger();
  const worker = ledger.open(1, 'w');
  worker.saw('commit', { sqlState: '08007', severity: 'ERROR', message: '', detail: '' }, false, 0);
  worker.saw('idle', { sqlState: '', severity: '', message: '', detail: '' }, true, 0);
  const round = ledger.takeRound();
  assert.deepEqual(
    [...round.errorCounts],
    [
      ['08007 commit', 1],
      ['none idle', 1],
    ],
  );
  assert.equal(round.dropped, 1);
});
