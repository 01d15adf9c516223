import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../support/processes.js';
import { RawClient } from '../support/raw-client.js';
import { roles } from '../support/roles.js';
import { SwitchyardProcess } from '../support/switchyard-process.js';
import { Court } from './consistency-lab.js';
import { TIMEOUT_MS, coreConfig } from './core-lab.js';
import { caughtUp, decisions, explained, run, splitCluster, startSplit, went } from './split-lab.js';
import { witnessStatements } from '../support/witness.js';

const PRIMARY = 'node1';
const address = '127.0.0.1:0';
const LOOK = 'select n from told';

const cluster = splitCluster([
  ...witnessStatements,
  'create table told(n int not null)',
  'insert into told values (0)',
  'alter table told owner to app',
]);

function pauseReplay(t: { after(run: () => Promise<void>): void }): () => void {
  const resume = (): void => {
    for (const node of cluster().standbys) node.resumeReplay();
  };
  for (const node of cluster().standbys) node.pauseReplay();
  t.after(async () => resume());
  return resume;
}

test('a token takes what one process knows to a session of another one', async (t) => {
  const listeners = [
    { name: 'split', address, route: 'split' },
    { name: 'eventual', address, route: 'split', consistency: 'eventual' },
  ];
  const routing = { max_lag: '10m', slow_start: '0s' };
  const other = await SwitchyardProcess.start(t, coreConfig(cluster().nodes, { listeners, routing }));
  const proxy = await startSplit(t, cluster());
  const logIn = async (listener: string, options: string): Promise<RawClient> => {
    const parameters = { options: `-c switchyard.explain=on ${options}` };
    const client = await RawClient.login({
      port: other.port(listener),
      ...roles.app,
      parameters,
      timeoutMs: TIMEOUT_MS,
    });
    t.after(async () => client.destroy());
    return client;
  };
  const writer = await proxy.login('split');
  for (const listener of ['split', 'eventual']) {
    const before = (await writer.rows(LOOK))[0]?.[0];
    const now = String(Number(before) + 1);
    const reader = await logIn(listener, '');
    const onStandby = async (): Promise<boolean> => went(await reader.query(LOOK))[0] === 'standby (read)';
    await waitFor(onStandby, { timeoutMs: TIMEOUT_MS, what: 'a read on a standby' });
    const resume = pauseReplay(t);

    await writer.rows(`update told set n = ${now}`);
    const token = String((await writer.rows('show switchyard.fence'))[0]?.[0]);
    assert.match(token, /^[0-9A-F]+\/[0-9A-F]+$/);
    const uninformed = await reader.query(LOOK);
    assert.deepEqual(
      [went(uninformed), uninformed.rows],
      [['standby (read)'], [[before]]],
      'it knows nothing of that yet',
    );

    if (listener === 'eventual') {
      // After a transaction that is rolled back, or that has set it for itself alone, it does not hold.
      await run(reader, 'begin', `set switchyard.fence = '${token}'`, 'rollback');
      await run(reader, 'begin', `set local switchyard.fence = '${token}'`, 'commit');
      assert.deepEqual((await reader.rows(LOOK))[0], [before]);
    }

    await run(reader, `set switchyard.fence = '${token}'`);
    const fenced = await reader.query(LOOK);
    assert.deepEqual([went(fenced), fenced.rows], [['primary (fence)'], [[now]]]);
    const late = await (await logIn(listener, `-c switchyard.fence=${token}`)).query(LOOK);
    assert.deepEqual([went(late), late.rows], [['primary (fence)'], [[now]]]);

    resume();
    await cluster().waitUntilReplayed();
    await waitFor(onStandby, { timeoutMs: TIMEOUT_MS, what: 'a read on a standby that has it' });
    assert.deepEqual((await reader.rows(LOOK))[0], [now]);
    await run(writer, 'select 1');
  }
});

test('a token that is handed on to a session whose standby has it already costs nothing', async (t) => {
  const proxy = await startSplit(t, cluster());
  const [writer, reader] = [await proxy.login('split'), await explained(proxy)];
  await writer.rows('update told set n = n + 1');
  const [[token] = []] = await writer.rows('show switchyard.fence');
  await caughtUp(proxy);
  await run(reader, `set switchyard.fence = '${String(token)}'`);
  await caughtUp(proxy);
  const read = await reader.query(LOOK);
  assert.deepEqual([went(read), read.rows], [['standby (read)'], await writer.rows(LOOK)]);
});

for (const [wait, what] of [
  ['50ms', 'comes back to a standby, and stays there'],
  ['0ms', 'stays on the primary'],
] as const) {
  test(`with fence_wait ${wait} a session that reads without a pause ${what}`, async (t) => {
    // No sample comes by itself meanwhile.
    const monitor = { interval: wait === '0ms' ? '1m' : '250ms' };
    const court = await Court.open(t, cluster(), { monitor, routing: { fence_wait: wait } });
    const { counters } = court.proxy.app;
    const witness = await court.witness();
    await witness.write();
    if (wait === '0ms') {
      for (let reads = 0; reads < 300; reads += 1) await witness.read();
      assert.equal(witness.tally.elsewhereThan(PRIMARY), 0);
      assert.equal(counters.fenceWaits.count, 0);
      assert.ok(counters.routed.get('split', 'primary', 'fence') >= 200);
      return;
    }
    const { node } = await court.untilOnStandby(witness);
    assert.ok(counters.fenceWaits.count > 0);
    assert.ok(counters.routed.get('split', 'primary', 'fence') > 0, 'until then it was on the primary');
    const before = witness.tally.nodes.get(node) ?? 0;
    for (let reads = 0; reads < 300; reads += 1) await witness.read();
    assert.equal(witness.tally.nodes.get(node), before + 300);
    assert.deepEqual(witness.tally.wrong, []);
  });
}

test('while no standby is within max_lag, reads go to the primary, wait, or are refused, as fallback says', async (t) => {
  const fallbacks = ['primary', 'wait', 'error'] as const;
  const split = fallbacks.map((fallback) => ({ name: fallback, address, route: 'split', fallback }));
  const proxy = await startSplit(t, cluster(), {
    listeners: [...split, { name: 'straight', address, route: 'primary' }],
    routing: { max_lag: '300ms' },
  });
  const straight = await proxy.login('straight');
  const sessions = await Promise.all(fallbacks.map((fallback) => explained(proxy, fallback)));
  for (const session of sessions) assert.deepEqual(went(await session.query(LOOK)), ['standby (read)']);
  const resume = pauseReplay(t);
  await straight.rows('update told set n = n + 1');
  await waitFor(() => proxy.healthyStandbys.length === 0, { timeoutMs: TIMEOUT_MS, what: 'both to lag' });
  const [onPrimary, waiting, refused] = sessions;
  assert.ok(onPrimary !== undefined && waiting !== undefined && refused !== undefined);

  const rows = await straight.rows(LOOK);
  const read = await onPrimary.query(LOOK);
  assert.deepEqual([went(read), read.rows], [['primary (fallback_primary)'], rows]);

  const error = await refused.query(LOOK);
  assert.deepEqual([error.error?.code, error.status], ['57P03', 'I']);
  assert.match(error.error?.detail ?? '', /node2: lagging.*node3: lagging/);
  assert.deepEqual(went(await refused.query('update told set n = n')), ['primary (write)'], 'writes are not meant');

  const answer = waiting.query(LOOK);
  const isHeld = (): boolean => [...proxy.app.registry.all()].some(({ wait }) => wait === 'hold');
  await waitFor(isHeld, { timeoutMs: TIMEOUT_MS, what: 'the read to wait' });
  resume();
  const late = await answer;
  assert.deepEqual([went(late), late.rows], [['standby (read)'], rows]);
  assert.notEqual(decisions(late)[0], undefined);
  const again = async (): Promise<boolean> => went(await refused.query(LOOK))[0] === 'standby (read)';
  await waitFor(again, { timeoutMs: TIMEOUT_MS, what: 'the standbys to be fresh for it too' });
});
