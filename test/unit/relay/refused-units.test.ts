import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Admission } from '../../../src/relay/relay.js';
import { A, B } from '../../support/cluster-fakes.js';
import { node } from '../../support/node-messages.js';
import { frontend } from '../../support/raw-messages.js';
import { RelayBench } from './relay-bench.js';

let bench: RelayBench;

/** A session that has a primary to run refused units on. */
beforeEach(() => {
  bench = new RelayBench();
  bench.onRefused = () => bench.change(B);
});

const refusal = node.error('25006');
const answer = [node.columns(), node.row(), node.complete(), node.ready()];
const batch = [frontend.parse('select 1'), frontend.bind(), frontend.execute(), frontend.sync()];

test('of a refused unit the client hears nothing, and gets the answer of the next node', () => {
  bench.client.hear(frontend.query('select f()'));
  assert.equal(bench.sent, 'Q(select f())');
  bench.node.hear(refusal, node.ready());
  assert.equal(bench.heard, '');
  assert.equal(bench.takeSaid(), 'refused');
  assert.equal(bench.backend.identity.node, B);
  assert.equal(bench.sent, 'Q(select f())');
  bench.node.hear(...answer);
  assert.equal(bench.heard, 'T D C(SELECT 1) ZI');
  assert.equal(bench.takeSaid(), 'command unit quiet');
});

test('rows before the refusal are taken back, in the same chunk or in an earlier one, cut anywhere', () => {
  const said = Buffer.concat([node.columns(), node.row(100), refusal, node.ready()]);
  for (let cut = 0; cut <= said.length; cut += 1) {
    const each = new RelayBench();
    each.onRefused = () => each.change(B);
    each.client.hear(frontend.query('select f()'));
    const first = each.node;
    first.hear(said.subarray(0, cut));
    first.hear(said.subarray(cut));
    assert.equal(each.heard, '', `cut at ${cut}`);
    assert.equal(each.sent, 'Q(select f())', `cut at ${cut}`);
    each.node.hear(...answer);
    assert.equal(each.heard, 'T D C(SELECT 1) ZI', `cut at ${cut}`);
  }
});

test('more than a node sends of its own accord is out before the refusal: the client gets the error', () => {
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(node.columns(), node.row(9000));
  assert.equal(bench.heard, 'T D');
  bench.node.hear(refusal, node.ready());
  assert.equal(bench.heard, 'E25006 ZI');
  assert.equal(bench.takeSaid(), 'error-25006 unit quiet');
});

test('as much in the chunk that ends in the refusal is not out yet', () => {
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(node.columns(), node.row(20_000), refusal, node.ready());
  assert.equal(bench.heard, '');
  assert.equal(bench.sent, 'Q(select f())');
});

test('where nothing is kept back the client gets the error behind what it has', () => {
  bench.takesBack = false;
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(node.columns());
  bench.node.hear(refusal, node.ready());
  assert.equal(bench.heard, 'T E25006 ZI');
});

test('all units under way run again, in their order, and once', () => {
  bench.client.hear(frontend.query('select f()'), ...batch, frontend.query('select 2'));
  assert.equal(bench.sent, 'Q(select f()) P B E S Q(select 2)');
  bench.node.hear(refusal, node.ready());
  assert.deepEqual([bench.sent, bench.takeSaid()], ['', ''], 'the node has not come to the others');
  bench.node.hear(node.parsed(), node.bound(), node.complete(), node.ready());
  bench.node.hear(node.columns(), node.row(), node.complete());
  assert.equal(bench.takeSaid(), '');
  bench.node.hear(node.ready());
  assert.equal(bench.takeSaid(), 'refused');
  assert.equal(bench.sent, 'Q(select f()) P B E S Q(select 2)');
  assert.equal(bench.heard, '');
  bench.node.hear(...answer, node.parsed(), node.bound(), node.complete(), node.ready(), ...answer);
  assert.equal(bench.heard, 'T D C(SELECT 1) ZI 1 2 C(SELECT 1) ZI T D C(SELECT 1) ZI');
});

test('units before the refused one keep their answers', () => {
  bench.client.hear(frontend.query('select 1'), frontend.query('select f()'));
  bench.node.take();
  bench.node.hear(...answer, node.columns(), refusal, node.ready());
  assert.equal(bench.heard, 'T D C(SELECT 1) ZI');
  assert.equal(bench.sent, 'Q(select f())');
});

test('that the answer to the unit before was out is no reason to pass a refusal on', () => {
  bench.client.hear(frontend.query('select 1'), frontend.query('select f()'));
  bench.node.take();
  bench.node.hear(node.columns(), node.row(9000));
  assert.equal(bench.heard, 'T D');
  bench.node.hear(node.complete(), node.ready(), node.columns(), refusal, node.ready());
  assert.equal(bench.heard, 'C(SELECT 1) ZI');
  assert.equal(bench.sent, 'Q(select f())');
});

test('a batch that is refused in the middle is skipped to its Sync and runs again whole', () => {
  bench.client.hear(...batch, ...batch);
  bench.node.take();
  bench.node.hear(node.parsed(), node.bound(), refusal);
  bench.node.hear(node.ready(), node.parsed(), node.bound(), node.complete(), node.ready());
  assert.equal(bench.heard, '');
  // What has come before the error had come for good.
  assert.equal(bench.takeSaid(), 'acknowledged refused');
  assert.equal(bench.sent, 'P B E S P B E S');
});

test('a refusal while the Sync is still to come goes to the client', () => {
  bench.client.hear(...batch.slice(0, 3), frontend.flush());
  bench.node.hear(node.parsed(), node.bound(), refusal);
  assert.equal(bench.heard, '1 2 E25006');
  bench.client.hear(frontend.sync());
  bench.node.hear(node.ready());
  assert.equal(bench.heard, 'ZI');
});

test('notices before a refusal go with what is taken back, unless they were out', () => {
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(node.notice('mind'), refusal, node.notice('you'), node.ready());
  assert.equal(bench.heard, '');
  assert.equal(bench.sent, 'Q(select f())');
  bench.node.hear(node.notice('again'));
  assert.equal(bench.heard, 'N(again)');
  bench.node.hear(refusal, node.ready());
  assert.equal(bench.heard, 'E25006 ZI');
});

test('a parameter reported while a refused unit ends is not noted as told', () => {
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(refusal);
  const { backend } = bench;
  bench.node.hear(node.parameter('TimeZone', 'UTC'), node.ready());
  assert.equal(bench.takeSaid(), 'refused');
  assert.equal(bench.heard, '');
  assert.equal(backend.parameters.get('TimeZone'), 'UTC', 'it is known of the backend');
});

test('what the client sends meanwhile waits, and comes behind', () => {
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(refusal);
  bench.client.hear(frontend.query('select 2'));
  bench.client.hear(frontend.query('select 3'));
  assert.equal(bench.sent, 'Q(select f())');
  bench.node.hear(node.ready());
  bench.client.read();
  assert.equal(bench.sent, 'Q(select f()) Q(select 2) Q(select 3)');
});

test('the rest of a unit that was there in part is not sent to a node that refuses', () => {
  let isWhole = false;
  bench.admits = (text) => (text.includes('\0') && text.startsWith('\0') && !isWhole ? Admission.More : Admission.Go);
  bench.client.hear(frontend.query('select f()'), ...batch.slice(0, 2));
  bench.node.take();
  bench.node.hear(refusal);
  isWhole = true;
  bench.client.hear(...batch.slice(2));
  assert.equal(bench.sent, '');
  bench.node.hear(node.ready());
  bench.client.read();
  assert.equal(bench.sent, 'Q(select f()) P B E S');
});

test('units that are not kept are not refused', () => {
  bench.replayBytes = 0;
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(refusal, node.ready());
  assert.equal(bench.heard, 'E25006 ZI');
});

test('an error in a failed transaction, and one that the owner does not take back, go to the client', () => {
  bench.client.hear(frontend.query('begin'));
  bench.node.hear(node.complete('BEGIN'), node.ready('E'));
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(refusal, node.ready('E'));
  assert.equal(bench.heard, 'C(BEGIN) ZE E25006 ZE');
  bench.client.hear(frontend.query('rollback'));
  bench.node.hear(node.complete('ROLLBACK'), node.ready());
  bench.client.hear(frontend.query('select 1/0'));
  bench.node.hear(node.error('22012'), node.ready());
  assert.equal(bench.heard, 'C(ROLLBACK) ZI E22012 ZI');
});

test('the same backend may run them again, and refuse them again', () => {
  bench.onRefused = () => {};
  bench.client.hear(frontend.query('select f()'));
  for (let run = 0; run < 3; run += 1) {
    assert.equal(bench.sent, 'Q(select f())');
    bench.node.hear(node.columns());
    bench.node.hear(refusal, node.ready());
  }
  bench.refuses = () => false;
  bench.node.hear(refusal, node.ready());
  assert.equal(bench.heard, 'E25006 ZI');
});

for (const [when, said] of [
  ['before the error is over', [refusal]],
  ['between two of them', [refusal, node.ready()]],
  ['in the answer to the second', [refusal, node.ready(), node.columns(), node.row()]],
] as const) {
  test(`a backend lost while it is being taken back (${when}): all units can run again`, () => {
    bench.client.hear(frontend.query('select f()'), frontend.query('select 2'));
    bench.node.take();
    bench.node.hear(...said);
    bench.node.lose();
    assert.equal(bench.takeSaid(), 'lost');
    const [loss] = bench.losses;
    assert.deepEqual(loss?.owed, { readies: 2, openUnit: false, isErrorSent: false });
    assert.deepEqual([loss?.canReplay, loss?.isStreamBroken, loss?.isUnitCut], [true, false, true]);
    bench.relay.replayUnits();
    bench.change(A);
    bench.relay.resume();
    assert.equal(bench.sent, 'Q(select f()) Q(select 2)');
    bench.node.hear(...answer, ...answer);
    assert.equal(bench.heard, 'T D C(SELECT 1) ZI T D C(SELECT 1) ZI');
  });
}

test('the last words of a node that is being taken back are told, and none of it is heard', () => {
  bench.client.hear(frontend.query('select f()'));
  bench.node.hear(refusal, node.error('57P01', 'bye', { severity: 'FATAL' }));
  assert.equal(bench.losses[0]?.farewell?.sqlState, '57P01');
  assert.equal(bench.losses[0]?.canReplay, true);
  assert.equal(bench.heard, '');
});
