import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeProbe } from '../../../src/replication/probe.js';
import type { ProbeConnect, ProbeConnection } from '../../../src/replication/probe.js';
import { IDENTITY_SQL, SAMPLE_SQL } from '../../../src/replication/probe-sql.js';
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
