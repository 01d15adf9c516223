import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../../src/log.js';
import { HEAD_START_MS, Prober } from '../../../src/replication/prober.js';
import type { ConnectResult, ProbeResult, ProbeTarget } from '../../../src/replication/probe.js';
import { SAMPLE_AND_COUNT_SQL, SAMPLE_SQL } from '../../../src/replication/probe-sql.js';
import { Ticks } from '../../../src/replication/ticks.js';
import type { NodeName } from '../../../src/util/brand.js';
import { A, B, C } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakePostgres, refused, settle } from '../../support/fake-postgres.js';

interface Heard {
  readonly node: NodeName;
  readonly result: ProbeResult;
  readonly tick: number | null;
  readonly atMs: number;
}

const PORTS: ReadonlyMap<NodeName, number> = new Map([
  [A, 5431],
  [B, 5432],
  [C, 5433],
]);

function targets(...names: NodeName[]): Map<NodeName, ProbeTarget> {
  return new Map(names.map((name) => [name, { host: '127.0.0.1', port: PORTS.get(name) ?? 0 }]));
}

class Bench {
  readonly clock = new FakeClock();
  readonly postgres = new FakePostgres();
  readonly ticks = new Ticks({ capacity: 100, beliefMs: 60_000 });
  readonly samples: Heard[] = [];
  readonly connects: { node: NodeName; result: ConnectResult }[] = [];
  readonly questions: string[] = [];
  rounds = 0;
  failOnSample = false;
  readonly prober: Prober;

  constructor() {
    this.prober = new Prober({
      clock: this.clock,
      logger: silentLogger,
      connect: this.postgres.connect,
      ticks: this.ticks,
      intervalMs: 250,
      promotionIntervalMs: 25,
      timeoutMs: 2000,
      connectIntervalMs: 5000,
      handler: {
        onSample: (node, result, tick) => {
          this.samples.push({ node, result, tick, atMs: this.clock.nowMs() });
          if (this.failOnSample) {
            throw new Error('a mistake');
          }
        },
        onConnect: (node, result) => this.connects.push({ node, result }),
        onRound: () => {
          this.rounds += 1;
        },
      },
    });
    for (const [name, port] of PORTS) {
      this.postgres.node(port).onQuery = (sql) => {
        if (sql === SAMPLE_SQL || sql === SAMPLE_AND_COUNT_SQL) {
          this.questions.push(`${name}@${this.clock.nowMs()}`);
        }
      };
    }
  }

  at(name: NodeName) {
    return this.postgres.node(PORTS.get(name) ?? 0);
  }

  async run(ms: number, stepMs = 5): Promise<void> {
    for (let gone = 0; gone < ms; gone += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - gone));
      await settle();
    }
  }

  heard(name: NodeName): Heard[] {
    return this.samples.filter(({ node }) => node === name);
  }
}

async function started(...names: NodeName[]): Promise<Bench> {
  const bench = new Bench();
  bench.at(A).inRecovery = false;
  bench.prober.setNodes(targets(...names));
  bench.prober.setSource(A);
  bench.prober.start();
  await bench.run(5);
  return bench;
}

test('every node is sampled in every round, the source of ticks first', async (t) => {
  const bench = await started(B, C, A);
  t.after(() => bench.prober.close());
  await bench.run(500);
  assert.equal(bench.rounds, 3);
  assert.equal(bench.heard(A).length, 3);
  assert.equal(bench.heard(B).length, 3);
  assert.equal(bench.heard(C).length, 3);
  const orders = [0, 3, 6].map((from) => bench.samples.slice(from, from + 3).map(({ node }) => node));
  for (const order of orders) {
    assert.deepEqual(order, [A, B, C]);
  }
});

test("only the source's samples carry tick numbers, one each", async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  await bench.run(500);
  assert.deepEqual(
    bench.heard(A).map(({ tick }) => tick),
    [1, 2, 3],
  );
  assert.ok(bench.heard(B).every(({ tick }) => tick === null));
  assert.equal(bench.ticks.fence, 4);
});

test('a slow source holds the standbys up for a moment only, and later rounds not at all', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.at(A).isFrozen = true;
  bench.questions.length = 0;
  await bench.run(995);
  const [first, second, third] = bench.questions.filter((question) => question.startsWith(B));
  const base = 1000;
  assert.equal(first, `${B}@${base + 250 + HEAD_START_MS}`);
  assert.equal(second, `${B}@${base + 500}`);
  assert.equal(third, `${B}@${base + 750}`);
  assert.equal(bench.questions.filter((question) => question.startsWith(A)).length, 1, 'one question under way');
});

test('a frozen node never has more than one question under way, and is asked again after the time limit', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.at(B).isFrozen = true;
  await bench.run(5000);
  assert.equal(bench.at(B).inFlightMax, 1);
  const failures = bench.heard(B).filter(({ result }) => !result.ok);
  assert.equal(failures.length, 2);
  assert.ok(failures.every(({ result }) => !result.ok && result.kind === 'timeout'));
  assert.ok(bench.heard(A).length >= 20, 'the others are not held up');
});

test('a hurried node is sampled every 25 ms, the others at their pace', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.samples.length = 0;
  bench.prober.hurry(B, true);
  await bench.run(245);
  const quick = bench.heard(B).length;
  assert.ok(quick >= 8 && quick <= 11, `${quick} samples`);
  bench.prober.hurry(B, false);
  bench.samples.length = 0;
  await bench.run(1000);
  assert.ok(bench.heard(B).length <= 5);
  assert.ok(bench.heard(A).length <= 5);
});

test('a hurried node that is down is tried every 25 ms, without a pause after a failure', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.at(B).breakConnections();
  bench.at(B).refusal = refused;
  bench.prober.hurry(B, true);
  bench.samples.length = 0;
  await bench.run(250);
  assert.ok(bench.heard(B).length >= 8);
  bench.at(B).refusal = null;
  await bench.run(30);
  assert.ok(bench.heard(B).at(-1)?.result.ok);
});

test('a node that is not known yet is hurried when it comes', async (t) => {
  const bench = await started(A);
  t.after(() => bench.prober.close());
  bench.prober.hurry(C, true);
  bench.prober.setNodes(targets(A, C));
  await bench.run(250);
  assert.ok(bench.heard(C).length >= 8);
});

test('a node that comes is sampled soon, one that goes is forgotten with its connection', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.prober.setNodes(targets(A, C));
  await bench.run(30);
  assert.equal(bench.heard(C).length, 1);
  assert.equal(bench.at(B).open.size, 0);
  bench.samples.length = 0;
  await bench.run(1000);
  assert.equal(bench.heard(B).length, 0);
});

test('an answer of a node that has gone is not told', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.at(B).isFrozen = true;
  await bench.run(250);
  bench.samples.length = 0;
  bench.prober.setNodes(targets(A));
  await bench.run(3000);
  assert.equal(bench.heard(B).length, 0);
});

test('a node that moves to another address is probed there', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.prober.setNodes(new Map([...targets(A), [B, { host: '127.0.0.1', port: 5433 }]]));
  await bench.run(300);
  assert.equal(bench.at(B).open.size, 0);
  assert.equal(bench.at(C).open.size, 1);
});

test('probes beside the rounds come back with their result, and it is told', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.samples.length = 0;
  const result = await bench.prober.probeNow(B);
  assert.ok(result?.ok);
  assert.equal(bench.heard(B).length, 1);
  assert.equal(await bench.prober.probeNow(C), null);
});

test('early rounds are as far apart as hurried samples, however often they are asked for', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.rounds = 0;
  for (let time = 0; time < 500; time += 5) {
    for (let times = 0; times < 10; times += 1) {
      bench.prober.earlyRound();
    }
    await bench.run(5);
  }
  assert.ok(bench.rounds >= 17 && bench.rounds <= 20, `${bench.rounds} rounds`);
});

test('a new source gives its first tick without waiting for the next round', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.samples.length = 0;
  bench.prober.setSource(B);
  await bench.run(30);
  assert.equal(bench.heard(B)[0]?.tick, 2);
});

test('a new connection is tried now and then beside the living one', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  await bench.run(10_500, 25);
  assert.deepEqual(
    bench.connects.map(({ node, result }) => [node, result.ok]),
    [
      [A, true],
      [B, true],
      [A, true],
      [B, true],
    ],
  );
  assert.equal(bench.at(A).open.size, 1);
});

test('a frozen postmaster is found by the connect probe alone', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.at(B).isPostmasterFrozen = true;
  await bench.run(8000, 25);
  assert.ok(bench.heard(B).every(({ result }) => result.ok));
  const results = bench.connects.filter(({ node }) => node === B);
  assert.equal(results.length, 1);
  assert.ok(!(results[0]?.result.ok ?? true));
});

test('a mistake in the handler does not end the rounds', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  bench.failOnSample = true;
  bench.samples.length = 0;
  await bench.run(1000);
  assert.ok(bench.heard(A).length >= 4);
});

test('a closed prober leaves no connection, no timer and no word', async () => {
  const bench = await started(A, B, C);
  bench.prober.hurry(B, true);
  await bench.run(100);
  bench.prober.close();
  bench.samples.length = 0;
  await settle();
  assert.equal(bench.clock.pendingTimers, 0);
  await bench.run(5000, 50);
  assert.equal(bench.samples.length, 0);
  for (const name of [A, B, C]) {
    assert.equal(bench.at(name).open.size, 0);
  }
});

test('a sample is of the connection that samples go over, until that has ended', async (t) => {
  const bench = await started(A, B);
  t.after(() => bench.prober.close());
  const identityOf = (name: NodeName) => {
    const result = bench.heard(name).at(-1)?.result;
    assert.ok(result?.ok);
    return result.identity;
  };
  const first = identityOf(B);
  assert.equal(bench.prober.isConnectedTo(B, first), true);
  assert.equal(bench.prober.isConnectedTo(A, first), false);
  assert.equal(bench.prober.isConnectedTo(C, first), false);
  await bench.run(500);
  assert.equal(identityOf(B), first);
  bench.at(B).breakConnections();
  assert.equal(bench.prober.isConnectedTo(B, first), false, 'at once, before anything is asked');
  await bench.run(300);
  assert.equal(bench.prober.isConnectedTo(B, first), false);
  assert.equal(bench.prober.isConnectedTo(B, identityOf(B)), true);
});
