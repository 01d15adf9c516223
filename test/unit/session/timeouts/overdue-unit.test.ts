import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { deafSink } from '../../../../src/backend/idle-sink.js';
import { Backend } from '../../../../src/backend/backend.js';
import { silentLogger } from '../../../../src/log.js';
import { Counters } from '../../../../src/metrics/counters.js';
import type { SessionContext } from '../../../../src/session/context.js';
import type { UnitFacts } from '../../../../src/session/state/unit-facts.js';
import { OverdueUnit } from '../../../../src/session/timeouts/overdue-unit.js';
import { A } from '../../../support/cluster-fakes.js';
import { FakeWire } from '../../../support/fake-wire.js';
import { wordsOf } from '../../../support/node-messages.js';
import { waitFor } from '../../../support/processes.js';
import { unit } from './watched-session.js';

const TIMEOUT_MS = 5_000;
/** With a key of no bytes. */
const CANCEL_REQUEST_BYTES = 12;
const canceled = {
  severity: 'ERROR',
  sqlState: '57014',
  message: 'canceling statement due to user request',
  detail: null,
  hint: null,
  routine: 'ProcessInterrupts',
};

/** A session with one backend whose postmaster is the test: it takes cancel requests, and closes them when it is told to. */
class Bench {
  readonly requests: Socket[] = [];
  readonly counters = new Counters();
  readonly cuts: string[] = [];
  readonly relay: { backend: Backend | null; askAtUnit: boolean; cut: (error: Error) => void };
  readonly state: { oldestUnit: UnitFacts | undefined } = { oldestUnit: unit() };
  readonly overdue: OverdueUnit;
  readonly backend: Backend;
  overs = 0;

  private constructor(port: number, connectTimeoutMs: number) {
    const identity = { node: A, host: '127.0.0.1', port, user: 'app', database: 'app' };
    this.backend = new Backend(identity, new FakeWire(), deafSink, 1 << 20, 0);
    this.relay = {
      backend: this.backend,
      askAtUnit: false,
      cut: (error) => {
        this.cuts.push(error.message);
        this.relay.backend = null;
      },
    };
    const limits = { connectTimeoutMs, times: { queryCancelMs: 1000 } };
    const context = { limits, counters: this.counters, logger: silentLogger } as unknown as SessionContext;
    const { relay, state } = this;
    this.overdue = new OverdueUnit({ id: 1, relay, state, onCancelOver: () => void (this.overs += 1) }, context);
  }

  static async start(t: TestContext, connectTimeoutMs = TIMEOUT_MS): Promise<Bench> {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const bench = new Bench((server.address() as AddressInfo).port, connectTimeoutMs);
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      // It has come when its request has.
      socket.once('data', (bytes) => {
        assert.equal(bytes.length, CANCEL_REQUEST_BYTES);
        bench.requests.push(socket);
      });
    });
    t.after(() => {
      for (const socket of bench.requests) socket.destroy();
      server.close();
    });
    return bench;
  }

  async asked(count: number): Promise<void> {
    await waitFor(() => this.requests.length === count, { timeoutMs: TIMEOUT_MS, what: `${count} cancel requests` });
  }

  async over(): Promise<void> {
    await waitFor(() => this.overs > 0, { timeoutMs: TIMEOUT_MS, what: 'the cancel request to be over' });
  }

  outcomes(): readonly number[] {
    return (['canceled', 'ended', 'cut'] as const).map((outcome) => this.counters.queryTimeouts.get(outcome));
  }
}

test('nothing more may be sent while the request is under way, also when the unit has ended meanwhile', async (t) => {
  const bench = await Bench.start(t);
  assert.equal(bench.overdue.begin(0), true);
  assert.equal(bench.overdue.begin(0), false, 'it is no news');
  assert.deepEqual([bench.overdue.isAsking, bench.relay.askAtUnit], [true, true]);
  await bench.asked(1);
  bench.state.oldestUnit = undefined;
  assert.equal(bench.overdue.look(500), false);
  assert.equal(bench.overdue.isAsking, true);
  bench.requests[0]?.end();
  await bench.over();
  assert.equal(bench.overdue.isAsking, false);
  assert.equal(bench.overdue.look(600), false);
  assert.equal(bench.overdue.isPresent, false);
  assert.deepEqual(bench.outcomes(), [0, 1, 0]);
});

test('the error of the unit is said in our words, and that of no other one', async (t) => {
  const bench = await Bench.start(t);
  assert.equal(bench.overdue.inPlaceOf(canceled), null);
  bench.overdue.begin(0);
  await bench.asked(1);
  bench.requests[0]?.end();
  await bench.over();
  assert.equal(bench.overdue.inPlaceOf({ ...canceled, sqlState: '22012' }), null);
  assert.match(wordsOf(bench.overdue.inPlaceOf(canceled) ?? Buffer.alloc(0)), /57014/);
  bench.state.oldestUnit = unit();
  assert.equal(bench.overdue.inPlaceOf(canceled), null);
  bench.overdue.look(100);
  assert.deepEqual([bench.outcomes(), bench.requests.length, bench.cuts], [[1, 0, 0], 1, []]);
});

test('what is not obeyed in time is cut, and its node asked once more', async (t) => {
  const bench = await Bench.start(t);
  bench.overdue.begin(0);
  await bench.asked(1);
  bench.requests[0]?.end();
  await bench.over();
  assert.equal(bench.overdue.look(999), false);
  assert.deepEqual([bench.cuts, bench.requests.length], [[], 1]);
  assert.equal(bench.overdue.look(1000), true);
  assert.deepEqual(bench.cuts, ['canceling statement due to query_timeout of the proxy']);
  assert.equal(bench.overdue.isPresent, false);
  assert.deepEqual(bench.outcomes(), [0, 0, 1]);
  await bench.asked(2);
});

test('a request that has not left is sent again at the next look', async (t) => {
  const gone = await Bench.start(t);
  const bench = await Bench.start(t);
  Object.assign(bench.backend.identity, { port: 1 });
  bench.overdue.begin(0);
  await bench.over();
  Object.assign(bench.backend.identity, { port: gone.backend.identity.port });
  bench.overdue.look(250);
  await gone.asked(1);
  assert.equal(bench.overdue.isAsking, true);
  assert.equal(bench.backend.cancelsInFlight, 1);
});

test('a request of which nobody knows what became is never over: the backend is cut, though its unit has ended', async (t) => {
  const bench = await Bench.start(t, 100);
  bench.overdue.begin(0);
  await bench.asked(1);
  await waitFor(() => bench.requests[0]?.readableEnded === true || bench.requests[0]?.destroyed === true, {
    timeoutMs: TIMEOUT_MS,
    what: 'the proxy to give the request up',
  });
  assert.deepEqual([bench.overdue.isAsking, bench.backend.cancelsInFlight, bench.overs], [true, 1, 0]);
  bench.state.oldestUnit = undefined;
  assert.equal(bench.overdue.look(500), false);
  assert.equal(bench.overdue.look(1000), true);
  assert.deepEqual([bench.cuts.length, bench.outcomes()], [1, [0, 0, 0]]);
});

test('with the backend goes everything', async (t) => {
  const bench = await Bench.start(t);
  bench.overdue.begin(0);
  bench.relay.backend = null;
  assert.equal(bench.overdue.isAsking, false);
  bench.overdue.look(10);
  assert.equal(bench.overdue.isPresent, false);
  await bench.asked(1);
  bench.requests[0]?.end();
  await waitFor(() => bench.backend.cancelsInFlight === 0, { timeoutMs: TIMEOUT_MS, what: 'the request to be over' });
  assert.equal(bench.overs, 0);
});
