import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Backend } from '../../src/backend/backend.js';
import type { PoolLimits } from '../../src/backend/pool/pool-request.js';
import { SwitchyardError } from '../../src/errors.js';
import { A, B } from '../support/cluster-fakes.js';
import { PoolBench, refusal } from '../unit/backend/pool-bench.js';
import type { Asker } from '../unit/backend/pool-bench.js';

const NODES = [A, B] as const;
const small = { min: 1, max: 4 };
const bound = fc.oneof(fc.constant(0), fc.integer(small));
const limits: fc.Arbitrary<Partial<PoolLimits>> = fc.record({
  size: fc.integer(small),
  reserveSize: fc.integer({ min: 0, max: 2 }),
  reserveTimeoutMs: fc.constantFrom(0, 500),
  maxBackendsPerNode: bound,
  maxBackendsPerDatabase: bound,
  maxBackendsPerUser: bound,
  maxBackends: bound,
  waitTimeoutMs: fc.constantFrom(0, 1_000, 1_000_000),
  idleTimeoutMs: fc.constantFrom(1_000, 5_000),
  maxLifetimeMs: fc.constantFrom(0, 3_000, 60_000),
  maxIdle: fc.integer({ min: 0, max: 3 }),
  loginConcurrency: fc.integer({ min: 1, max: 3 }),
  reuse: fc.boolean(),
});
const index = fc.nat({ max: 30 });
const op = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant('ask' as const),
      node: fc.constantFrom(...NODES),
      user: fc.constantFrom('u1', 'u2'),
      database: fc.constantFrom('d1', 'd2'),
      isShared: fc.boolean(),
      startupKey: fc.constantFrom('k1', 'k2'),
    }),
  },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('giveBack' as const), index }) },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('logIn' as const), index }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('refuse' as const),
      index,
      with: fc.constantFrom('28P01', '3D000', '53300', '57P03', 'unreachable'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('cancel' as const, 'take' as const), index }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('lose' as const, 'ruin' as const), index }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('advance' as const), ms: fc.constantFrom(10, 60, 300, 1_100, 6_000) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('retire' as const), index }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('closeIdle' as const), node: fc.constantFrom(...NODES) }) },
);
type Op = typeof op extends fc.Arbitrary<infer T> ? T : never;

/** Does to a pool what sessions, nodes and time do, and looks after every step at what must hold. */
class Model {
  readonly bench: PoolBench;
  readonly askers: Asker[] = [];
  /** Those that somebody has, by whom. */
  readonly held = new Map<Backend, Asker>();
  #served = 0;
  readonly #limits: PoolLimits;

  constructor(limits: Partial<PoolLimits>) {
    this.bench = new PoolBench(limits);
    this.#limits = this.bench.pool.limits;
  }

  async run(step: Op): Promise<void> {
    const { pool, connector } = this.bench;
    const pick = <T>(list: readonly T[], i: number): T | undefined =>
      list.length === 0 ? undefined : list[i % list.length];
    const holders = [...this.held.values()];
    switch (step.op) {
      case 'ask': {
        const { op: _, ...over } = step;
        this.askers.push(this.bench.ask(over));
        break;
      }
      case 'giveBack': {
        const asker = pick(holders, step.index);
        const backend = asker?.backend ?? null;
        if (asker !== undefined && backend !== null) this.#giveBack(asker, backend);
        break;
      }
      case 'ruin': {
        // What cannot be given on, such as one in the middle of a transaction.
        const backend = pick(holders, step.index)?.backend ?? null;
        if (backend === null) break;
        this.held.delete(backend);
        pool.release(backend, 'session_end', false);
        break;
      }
      case 'logIn':
        pick(connector.logins, step.index)?.ok();
        break;
      case 'refuse': {
        const unreachable = new SwitchyardError('backend_connect_failed', 'no answer');
        pick(connector.logins, step.index)?.fail(step.with === 'unreachable' ? unreachable : refusal(step.with));
        break;
      }
      case 'cancel':
        pick(this.#waiting, step.index)?.cancel();
        break;
      case 'take': {
        const asker = pick(this.askers, step.index);
        if (asker === undefined) break;
        const backend = pool.take(asker.request);
        const isOwed = this.#waiting.some(({ request }) => isSameBucket(request, asker.request));
        assert.ok(backend === null || !isOwed, 'took what others wait for');
        if (backend !== null) this.#hold(backend, asker);
        break;
      }
      case 'lose': {
        const [, wire] =
          pick(
            [...connector.wires].filter(([, { closed }]) => !closed),
            step.index,
          ) ?? [];
        wire?.lose();
        break;
      }
      case 'advance':
        this.bench.clock.advance(step.ms);
        break;
      case 'retire':
        pool.retire(step.index % 2 === 0 ? 'd1' : null, 'reconnect');
        break;
      case 'closeIdle':
      default:
        pool.closeIdle(step.node, 'role_change');
    }
    await this.bench.settle();
    this.check();
  }

  check(): void {
    this.#takeNote();
    const { pool, connector } = this.bench;
    const { size, reserveSize, maxBackendsPerNode, maxBackendsPerDatabase, maxBackendsPerUser } = this.#limits;
    const { maxBackends, loginConcurrency } = this.#limits;
    const sum = (filter: (figure: (typeof pool.figures)[number]) => boolean): number =>
      pool.figures.filter(filter).reduce((all, { total }) => all + total, 0);
    const within = (count: number, most: number): void => assert.ok(most === 0 || count <= most, `${count} > ${most}`);
    within(
      sum(() => true),
      maxBackends,
    );
    for (const node of NODES) {
      within(
        sum((f) => f.node === node),
        maxBackendsPerNode,
      );
      within(connector.logins.filter(({ request }) => request.node === node).length, loginConcurrency);
      for (const name of ['1', '2']) {
        within(
          sum((f) => f.node === node && f.database === `d${name}`),
          maxBackendsPerDatabase,
        );
        within(
          sum((f) => f.node === node && f.user === `u${name}`),
          maxBackendsPerUser,
        );
      }
      assert.equal(
        pool.onNode(node).total,
        sum((f) => f.node === node),
      );
    }
    for (const { total, idle, opening, node, database, user } of pool.figures) {
      within(total, size + reserveSize);
      // What is counted is what there is: open connections, and those that somebody has without knowing that they broke.
      const mine = [...connector.wires].filter(([backend, wire]) => {
        const { identity } = backend;
        if (identity.node !== node || identity.database !== database || identity.user !== user) return false;
        return !wire.closed || this.held.has(backend);
      });
      assert.equal(total - opening, mine.length, 'backends that are open');
      assert.equal(idle, mine.filter(([backend]) => !this.held.has(backend)).length, 'idle ones');
    }
  }

  /** Everybody is let in and goes away again: nobody is left over, and nothing. */
  async end(): Promise<void> {
    const { bench } = this;
    for (let round = 0; round < 200 && (this.#waiting.length > 0 || this.held.size > 0); round += 1) {
      for (const login of [...bench.connector.logins]) login.ok();
      await bench.settle();
      this.check();
      for (const [backend, asker] of [...this.held]) this.#giveBack(asker, backend);
      await bench.settle();
      this.check();
      await bench.advance(200);
      this.check();
    }
    assert.equal(this.#waiting.length, 0, 'somebody was forgotten');
    assert.equal(bench.pool.waiting, 0);
    for (const login of [...bench.connector.logins]) login.ok();
    await bench.settle();
    await bench.advance(10_000);
    assert.equal(bench.total, 0);
    assert.equal(bench.live, 0);
    await bench.advance(200_000);
    assert.deepEqual(bench.pool.figures, []);
    assert.equal(bench.clock.pendingTimers, 0);
  }

  get #waiting(): readonly Asker[] {
    return this.askers.filter(({ isWaiting }) => isWaiting);
  }

  #giveBack({ request }: Asker, backend: Backend): void {
    this.held.delete(backend);
    if (request.isShared) this.bench.pool.putBack(backend);
    else this.bench.pool.release(backend, 'session_end');
  }

  #hold(backend: Backend, asker: Asker): void {
    assert.ok(!this.held.has(backend), 'two have the same backend');
    const opened = backend.identity as Asker['request'];
    assert.equal(opened.isShared, asker.request.isShared);
    assert.equal(opened.startupKey, asker.request.startupKey);
    assert.ok(isSameBucket(opened, asker.request));
    const copy = Object.assign(Object.create(null), asker, { backend }) as Asker;
    this.held.set(backend, copy);
  }

  /** Who was served since the last look: nobody of his kind who came before him waits still. */
  #takeNote(): void {
    const { served } = this.bench;
    for (; this.#served < served.length; this.#served += 1) {
      const asker = served[this.#served];
      const backend = asker?.backend ?? null;
      if (asker === undefined || backend === null) continue;
      this.#hold(backend, asker);
      const before = this.askers.slice(0, this.askers.indexOf(asker));
      const overtaken = before.some(
        ({ isWaiting, request }) =>
          isWaiting &&
          isSameBucket(request, asker.request) &&
          request.isShared === asker.request.isShared &&
          request.startupKey === asker.request.startupKey,
      );
      assert.ok(!overtaken, 'somebody was overtaken');
    }
  }
}

function isSameBucket(a: Asker['request'], b: Asker['request']): boolean {
  return a.node === b.node && a.user === b.user && a.database === b.database;
}

test('whatever sessions, nodes and time do, no bound is exceeded, nobody is overtaken or forgotten, and nothing is left over', async () => {
  await fc.assert(
    fc.asyncProperty(limits, fc.array(op, { maxLength: 60 }), async (limits, steps) => {
      const model = new Model(limits);
      for (const step of steps) await model.run(step);
      await model.end();
    }),
    { numRuns: 150, includeErrorInReport: true },
  );
});
