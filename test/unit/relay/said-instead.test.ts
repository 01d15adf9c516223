import assert from 'node:assert/strict';
import { test } from 'node:test';
import { node } from '../../support/node-messages.js';
import { frontend } from '../../support/raw-messages.js';
import { RelayBench } from './relay-bench.js';

const instead = node.error('57014', 'in our words');

/** A relay whose client hears something else in place of errors 57014. */
function begin(takesBack: boolean): RelayBench {
  const bench = new RelayBench();
  bench.saysInstead = (sqlState) => (sqlState === '57014' ? instead : null);
  bench.takesBack = takesBack;
  return bench;
}

for (const takesBack of [true, false]) {
  test(`what is said instead stands where the error stood, however the answer was cut (kept back: ${takesBack})`, () => {
    const said = [
      node.columns(),
      node.row(20),
      node.error('57014', 'in its words'),
      node.ready(),
      node.complete('SET'),
      node.ready(),
    ];
    const heard = Buffer.concat([
      node.columns(),
      node.row(20),
      instead,
      node.ready(),
      node.complete('SET'),
      node.ready(),
    ]);
    const whole = Buffer.concat(said);
    for (let cut = 0; cut <= whole.length; cut += 1) {
      const bench = begin(takesBack);
      bench.client.hear(frontend.query('select 1'), frontend.query('set a = 1'));
      bench.node.hear(whole.subarray(0, cut));
      bench.node.hear(whole.subarray(cut));
      assert.deepEqual(bench.client.take(), heard, `cut at ${cut}`);
      assert.equal(bench.takeSaid(), 'error-57014 unit command unit quiet');
    }
  });
}

test('other errors go as they are', () => {
  const bench = begin(true);
  bench.client.hear(frontend.query('select 1/0'));
  const error = node.error('22012');
  bench.node.hear(error, node.ready());
  assert.deepEqual(bench.client.take(), Buffer.concat([error, node.ready()]));
});

test('in the extended protocol the rest is left out up to the Sync, as with the error itself', () => {
  const bench = begin(false);
  bench.client.hear(frontend.parse('select 1'), frontend.bind(), frontend.execute(), frontend.flush());
  bench.node.hear(node.parsed(), node.bound(), node.error('57014'));
  assert.equal(bench.heard, '1 2 E57014');
  bench.client.hear(frontend.sync());
  bench.node.hear(node.ready());
  assert.equal(bench.heard, 'ZI');
});
