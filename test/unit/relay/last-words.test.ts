import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { node } from '../../support/node-messages.js';
import { cString, frontend, message } from '../../support/raw-messages.js';
import { RelayBench } from './relay-bench.js';

let bench: RelayBench;

beforeEach(() => {
  bench = new RelayBench();
});

function warning(sqlState: string, text = 'terminating connection'): Buffer {
  const fields = { S: 'WARNING', V: 'WARNING', C: sqlState, M: text };
  return message('N', ...Object.entries(fields).map(([field, value]) => cString(field + value)), Buffer.from([0]));
}

for (const sqlState of ['57P01', '57P02']) {
  test(`the last word of a node that is stopped at once (${sqlState}) does not stand in the way of running a read again`, () => {
    bench.client.hear(frontend.query('select 1'));
    bench.node.hear(node.columns(), warning(sqlState));
    assert.equal(bench.heard, '', 'it is about the connection of the node, which the client does not have');
    bench.backend.onClose(null);
    assert.equal(bench.takeSaid(), 'lost');
    assert.deepEqual([bench.losses[0]?.canReplay, bench.losses[0]?.isUnitCut], [true, true]);
    assert.equal(bench.heard, '');
  });

  test(`where the answer cannot be taken back it (${sqlState}) is passed on like any other word`, () => {
    bench.takesBack = false;
    bench.client.hear(frontend.query('select 1'));
    bench.node.hear(warning(sqlState));
    assert.equal(bench.heard, 'N(terminating connection)');
    bench.backend.onClose(null);
    assert.equal(bench.losses[0]?.canReplay, false);
  });
}

test('any other warning has been said, and is not said twice', () => {
  bench.client.hear(frontend.query('select 1'));
  bench.node.hear(warning('01000', 'hm'));
  assert.equal(bench.heard, 'N(hm)');
  bench.backend.onClose(null);
  assert.equal(bench.losses[0]?.canReplay, false);
});
