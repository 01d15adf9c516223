import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeStrictness } from '../../chaos/checks/strictness.js';
import { FAULTS } from '../../chaos/faults/catalogue.js';
import { Dice } from '../../support/dice.js';
import { readOptions } from '../../chaos/options.js';
import { draw } from '../../chaos/plan.js';
import { comparison } from '../../chaos/report/markdown.js';
import { faultTable, layOut } from '../../chaos/report/table.js';
import type { LoadResult, RoundResult } from '../../chaos/round.js';

function planOf(...argv: readonly string[]) {
  const request = readOptions(argv);
  assert.ok('plan' in request);
  return request.plan;
}

function namesOf(seed: string, count: number, ...argv: readonly string[]): readonly string[] {
  const plan = planOf('--seed', seed, ...argv);
  const names: string[] = [];
  for (const fault of draw(plan, new Dice(plan.seed))) {
    if (names.length === count) break;
    names.push(fault.name);
  }
  return names;
}

test('a seed repeats the order of the faults, and every kind comes once before any comes again', () => {
  const first = namesOf('5', FAULTS.length);
  assert.deepEqual(first, namesOf('5', FAULTS.length));
  assert.notDeepEqual(first, namesOf('6', FAULTS.length));
  assert.equal(new Set(first).size, FAULTS.length);
});

test('with one member of etcd none can be spared', () => {
  assert.ok(namesOf('5', FAULTS.length).includes('etcd-member-loss'));
  assert.ok(!namesOf('5', 2 * FAULTS.length, '--etcd', '1').includes('etcd-member-loss'));
});

test('a command line that cannot be meant is refused', () => {
  for (const argv of [
    ['--only', 'nonsense'],
    ['--rounds', 'x'],
    ['--mix', 'x'],
    ['--etcd', '2'],
    ['--compare', 'x'],
    ['x'],
  ]) {
    assert.throws(() => readOptions(argv), argv.join(' '));
  }
  assert.throws(() => readOptions(['--short', '--crashes', '3']), /exclude each other/);
});

test('planned switchovers allow no error at all, crashes one for each session', () => {
  assert.equal(planOf('--switchovers', '100').strictness.errorsPerRoundMax, 0);
  assert.equal(planOf('--switchovers', '100').rounds, 100);
  assert.equal(planOf('--crashes', '20').strictness.errorsPerRoundMax, 'in_flight');
  assert.equal(planOf('--crashes', '20').isSynchronous, true);
});

function loadResult(gapMs: number, errors = 0, dropped = 0): LoadResult {
  const audit = { lost: 0, doubled: 0, lies: 0, backwards: 0, examples: [] };
  const errorCounts = new Map(errors === 0 ? [] : [['08007 autocommit', errors]]);
  return { gapMs, acknowledged: 10, errorCounts, errors, dropped, longestWaitMs: gapMs, audit };
}

function round(number: number, floorMs: number, ours: LoadResult, theirs: LoadResult | null = null): RoundResult {
  const [fault] = FAULTS;
  assert.ok(fault !== undefined);
  const nothing = { held: 0, moved: 0, replayed: NaN, lostTransactions: 0, inDoubt: 0, unmovable: 0, wrongRole: 0 };
  const times = { lastedMs: 1, tookMs: 2 };
  return { number, fault, drawn: [], ...times, floorMs, ours, theirs, counters: nothing, violations: [] };
}

test('a run is held to its errors, its dropped connections and its median gap', () => {
  const strict = { errorsPerRoundMax: 'in_flight', droppedMax: 0, gapAboveFloorMs: 300 } as const;
  const good = [
    round(1, 1000, loadResult(1290, 2)),
    round(2, 1000, loadResult(1000)),
    round(3, 1000, loadResult(9000)),
  ];
  assert.deepEqual(judgeStrictness(good, strict, 2), []);
  const bad = [round(1, 1000, loadResult(1301, 3, 1))];
  assert.equal(judgeStrictness(bad, strict, 2).length, 3);
});

test('the table has a row for each fault and says what is not known', () => {
  const text = faultTable([round(1, 1000, loadResult(1500, 2)), round(2, 2000, loadResult(3500))]);
  assert.match(text, /^switchover +2 +2\.50 +3\.50 +1\.50 +2\.00 +0 +0 +- /m);
  assert.match(text, /switchover: 2 x 08007 autocommit/);
  assert.equal(
    layOut([
      ['a', 'bb'],
      ['ccc', '1'],
    ]),
    'a    bb\nccc   1',
  );
});

test('the comparison has both proxies and the floor', () => {
  const text = comparison([round(1, 1000, loadResult(1500), loadResult(9000, 500, 12))]);
  assert.match(text, /\| Switchyard \| 1\.50 s \(1\.50 s\) \| 0 \| 0 \|/);
  assert.match(text, /9\.00 s \(9\.00 s\) \| 500 \(500 x 08007 autocommit\) \| 12 \|/);
  assert.match(text, /the cluster itself \| 1\.00 s/);
});
