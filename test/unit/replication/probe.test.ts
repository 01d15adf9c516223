import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNT_INTERVAL_MS, NodeProbe } from '../../../src/replication/probe.js';
import type { ProbeConnect, ProbeConnection } from '../../../src/replication/probe.js';
import { IDENTITY_SQL, SAMPLE_AND_COUNT_SQL, SAMPLE_SQL } from '../../../src/replication/probe-sql.js';
import { FakeClock } from '../../support/fake-clock.js';
import { CodedError, FakeNode, refused, settle, shuttingDown, terminated } from '../../support/fake-postgres.js';

const TARGET = { host: '127.0.0.1', port: 5432 };
const noop = (): void => {};

function setUp(connect?: ProbeConnect): { clock: FakeClock; node: FakeNode; probe: NodeProbe } {
  const clock = new FakeClock();
  const node = new FakeNode();
  const probe = new NodeProbe(TARGET, { clock, connect: connect ?? (() => node.connect()), timeoutMs: 2000 });
  return { clock, node, probe };
}

test('a sample says what the node said, when it was asked and when it answered', async () => {
  const { clock, node, probe } = setUp();
  node.lsn = '0/50';
  const sample = await probe.sample(noop);
  assert.ok(sample.ok);
  assert.equal(sample.replayLsn, 0x50n);
  assert.equal(sample.sentAtMs, clock.nowMs());
  assert.equal(sample.identity.serverVersion, 150018);
  assert.equal(sample.gap, null);
});

test('one connection serves all samples, and is asked who it is once', async () => {
  const { node, probe } = setUp();
  const asked: string[] = [];
  node.onQuery = (sql) => asked.push(sql);
  for (let round = 0; round < 3; round += 1) {
    assert.ok((await probe.sample(noop)).ok);
  }
  assert.equal(node.connects, 1);
  assert.deepEqual(asked, [IDENTITY_SQL, SAMPLE_SQL, SAMPLE_SQL, SAMPLE_SQL]);
});

test('only one question is under way at a time', async () => {
  const { node, probe } = setUp();
  let sent = 0;
  const both = [probe.sample(() => (sent += 1)), probe.sample(() => (sent += 1))];
  assert.ok(probe.isSampling);
  const [first, second] = await Promise.all(both);
  assert.equal(first, second);
  assert.equal(sent, 1);
  assert.equal(node.inFlightMax, 1);
  assert.ok(!probe.isSampling);
});

test('the sending is told right before the question goes out, after the connection was made', async () => {
  const { node, probe } = setUp();
  const events: string[] = [];
  node.onQuery = (sql) => events.push(sql === SAMPLE_SQL ? 'sample' : 'identity');
  await probe.sample(() => events.push('send'));
  assert.deepEqual(events, ['identity', 'send', 'sample']);
});

test('a question without an answer times out, and its connection is destroyed', async () => {
  const { clock, node, probe } = setUp();
  await probe.sample(noop);
  node.isFrozen = true;
  const sampling = probe.sample(noop);
  await settle();
  clock.advance(1999);
  await settle();
  assert.ok(probe.isSampling);
  clock.advance(1);
  const result = await sampling;
  assert.ok(!result.ok);
  assert.equal(result.kind, 'timeout');
  assert.equal(result.phase, 'query');
  assert.equal(node.open.size, 0);
  node.isFrozen = false;
  assert.ok((await probe.sample(noop)).ok);
  assert.equal(node.connects, 2);
});

test('a frozen server costs one attempt per sample, each within the time limit', async () => {
  const { clock, node, probe } = setUp();
  node.isFrozen = true;
  const sampling = probe.sample(noop);
  await settle();
  clock.advance(2000);
  const result = await sampling;
  assert.ok(!result.ok);
  assert.equal(result.kind, 'timeout');
  assert.equal(result.phase, 'connect');
  assert.equal(node.connects, 1);
  assert.equal(clock.pendingTimers, 0);
});

test('a connection that comes after the time limit is closed', async () => {
  const node = new FakeNode();
  let arrive: (connection: ProbeConnection) => void = noop;
  const { clock, probe } = setUp(
    () =>
      new Promise((resolve) => {
        arrive = resolve;
      }),
  );
  const sampling = probe.sample(noop);
  await settle();
  clock.advance(2000);
  assert.ok(!(await sampling).ok);
  const late = await node.connect();
  arrive(late);
  await settle();
  assert.ok(late.closed);
});

test('an old connection that breaks proves nothing when a new one answers', async () => {
  const { node, probe } = setUp();
  await probe.sample(noop);
  for (const error of [terminated(), new CodedError('ECONNRESET', 'read ECONNRESET')]) {
    node.failNextQuery(error);
    let sent = 0;
    const result = await probe.sample(() => (sent += 1));
    assert.ok(result.ok);
    assert.equal(sent, 2, 'the question was sent again, with a time of its own');
  }
  node.breakConnections();
  assert.ok((await probe.sample(noop)).ok);
});

test('when the new connection fails too, what it said counts', async () => {
  const { node, probe } = setUp();
  await probe.sample(noop);
  node.failNextQuery(terminated());
  node.refusal = shuttingDown;
  const stopping = await probe.sample(noop);
  assert.ok(!stopping.ok);
  assert.equal(stopping.kind, 'shutting_down');
  node.refusal = refused;
  const gone = await probe.sample(noop);
  assert.ok(!gone.ok);
  assert.equal(gone.kind, 'refused');
});

test('a new connection that breaks at once is lost', async () => {
  const { node, probe } = setUp();
  node.failNextQuery(new CodedError('ECONNRESET', 'read ECONNRESET'));
  const result = await probe.sample(noop);
  assert.ok(!result.ok);
  assert.equal(result.kind, 'lost');
  assert.equal(node.open.size, 0);
});

test('garbage is a failure of its kind, and the connection is not used again', async () => {
  const { node, probe } = setUp();
  node.garbage = [['what?']];
  const result = await probe.sample(noop);
  assert.ok(!result.ok);
  assert.equal(result.kind, 'protocol');
  assert.equal(node.open.size, 0);
});

test('a role that may not see the WAL receiver is told what to grant', async () => {
  const { node, probe } = setUp();
  node.seesReceiver = false;
  const result = await probe.sample(noop);
  assert.ok(result.ok);
  assert.equal(result.streaming, null);
  assert.match(result.gap ?? '', /GRANT pg_monitor TO monitor/);
});

test('a role that may not see the system identifier is told what to grant', async () => {
  const { node, probe } = setUp();
  node.failNextQuery(new CodedError('42501', 'permission denied for function pg_control_system'));
  const result = await probe.sample(noop);
  assert.ok(result.ok);
  assert.equal(result.identity.systemIdentifier, null);
  assert.match(result.gap ?? '', /GRANT EXECUTE ON FUNCTION pg_control_system\(\) TO monitor/);
});

test('a connect probe makes a connection of its own and closes it', async () => {
  const { node, probe } = setUp();
  await probe.sample(noop);
  const result = await probe.tryConnect();
  assert.ok(result.ok);
  assert.equal(node.connects, 2);
  assert.equal(node.open.size, 1);
});

test('a frozen postmaster shows in the connect probe while old connections answer', async () => {
  const { clock, node, probe } = setUp();
  await probe.sample(noop);
  node.isPostmasterFrozen = true;
  const connecting = probe.tryConnect();
  assert.ok(probe.isConnecting);
  assert.ok((await probe.sample(noop)).ok);
  clock.advance(2000);
  const result = await connecting;
  assert.ok(!result.ok);
  assert.equal(result.kind, 'timeout');
});

test('a closed probe lets go of its connection and fails every sample', async () => {
  const { node, probe } = setUp();
  await probe.sample(noop);
  probe.close();
  assert.equal(node.open.size, 0);
  assert.ok(!(await probe.sample(noop)).ok);
  assert.equal(node.connects, 1);
});

test('a probe closed under way neither hangs nor keeps a connection', async () => {
  const { node, probe } = setUp();
  await probe.sample(noop);
  node.isFrozen = true;
  const sampling = probe.sample(noop);
  await settle();
  probe.close();
  assert.ok(!(await sampling).ok);
  assert.equal(node.open.size, 0);
});

test('a probe closed while it connects closes the connection that comes', async () => {
  const { node, probe } = setUp();
  const sampling = probe.sample(noop);
  probe.close();
  assert.ok(!(await sampling).ok);
  await settle();
  assert.equal(node.open.size, 0);
});

test('the connections of a primary are counted with a sample every two seconds', async () => {
  const { clock, node, probe } = setUp();
  node.inRecovery = false;
  const counts: (number | null)[] = [];
  const asked: string[] = [];
  node.onQuery = (sql) => asked.push(sql);
  for (let round = 0; round < 9; round += 1) {
    const sample = await probe.sample(noop);
    assert.ok(sample.ok);
    counts.push(sample.freeConnections);
    clock.advance(COUNT_INTERVAL_MS / 4);
  }
  assert.deepEqual(counts, [null, 97, null, null, null, 97, null, null, null]);
  assert.equal(asked.filter((sql) => sql === SAMPLE_AND_COUNT_SQL).length, 2);
});

test('the very sample that first sees a hurried node out of recovery says how much room there is', async () => {
  const { clock, node, probe } = setUp();
  const standby = await probe.sample(noop, true);
  assert.ok(standby.ok);
  assert.equal(standby.freeConnections, null);
  node.inRecovery = false;
  node.freeConnections = 3;
  clock.advance(25);
  const promoted = await probe.sample(noop, true);
  assert.ok(promoted.ok);
  assert.deepEqual([promoted.inRecovery, promoted.freeConnections], [false, 3]);
});

test('a role that may not count is sampled all the same, and not asked again on that connection', async () => {
  const { clock, node, probe } = setUp();
  node.inRecovery = false;
  await probe.sample(noop);
  node.failNextQuery(new CodedError('42501', 'permission denied for function pg_stat_get_activity'));
  let sent = 0;
  const sample = await probe.sample(() => (sent += 1));
  assert.ok(sample.ok);
  assert.equal(sample.freeConnections, null);
  assert.equal(sent, 2, 'each question has its own time of sending');
  const asked: string[] = [];
  node.onQuery = (sql) => asked.push(sql);
  clock.advance(COUNT_INTERVAL_MS);
  await probe.sample(noop);
  assert.deepEqual(asked, [SAMPLE_SQL]);
  assert.equal(node.connects, 1);
});

test('a count that fails because the node goes down is a failure of the sample', async () => {
  const { node, probe } = setUp();
  node.inRecovery = false;
  await probe.sample(noop);
  node.failNextQuery(terminated());
  node.refusal = shuttingDown;
  const result = await probe.sample(noop);
  assert.ok(!result.ok);
  assert.equal(result.kind, 'shutting_down');
});

test('another question is asked between two samples, on their connection', async () => {
  const { node, probe } = setUp();
  await assert.rejects(probe.ask('select 1'), { name: 'ProbeProtocolError' });
  await probe.sample(noop);
  const answers = await Promise.all([
    probe.sample(noop),
    probe.ask('select 1'),
    probe.sample(noop),
    probe.ask('select 2'),
    probe.sample(noop),
  ]);
  assert.equal(answers.length, 5);
  assert.equal(node.inFlightMax, 1);
  assert.equal(node.connects, 1);
});

test('a question without an answer gives the connection up, and a sample behind it is not lost', async () => {
  const { clock, node, probe } = setUp();
  await probe.sample(noop);
  node.isFrozen = true;
  const asking = assert.rejects(probe.ask('select 1'), { name: 'ProbeTimeout' });
  await settle();
  clock.advance(1000);
  const sampling = probe.sample(noop);
  await settle();
  node.isFrozen = false;
  clock.advance(1000);
  await asking;
  const sample = await sampling;
  assert.ok(sample.ok);
  assert.equal(node.connects, 2);
});

test('an error that answers another question leaves the connection alone', async () => {
  const { node, probe } = setUp();
  await probe.sample(noop);
  node.failNextQuery(new CodedError('42501', 'permission denied'));
  await assert.rejects(probe.ask('select 1'), { code: '42501' });
  assert.ok((await probe.sample(noop)).ok);
  assert.equal(node.connects, 1);
});
