import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { AdminServer } from '../../../src/admin/server.js';
import { switchover } from '../../../src/cli/switchover.js';
import type { SwitchoverOptions } from '../../../src/cli/switchover.js';
import { initialPromotion, stepPromotion } from '../../../src/failover/promotion.js';
import type { PromotionInput, PromotionState } from '../../../src/failover/promotion.js';
import { A, B, C, claimsOf, memberOf, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { listenOnLoopback } from '../../support/ports.js';
import { proxyOf } from '../admin/proxy-of.js';
import type { FakeProxy } from '../admin/proxy-of.js';
import { FakeSession } from '../failover/drain-bench.js';
import { terminalOf } from './terminal-of.js';
import type { KeptTerminal } from './terminal-of.js';

interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

/** A Patroni that notes what it is asked, and a proxy of its cluster. */
class Bench {
  readonly proxy: FakeProxy;
  readonly asked: Asked[] = [];
  readonly options: SwitchoverOptions;
  readonly terminal: KeptTerminal = terminalOf({ env: { SWITCHYARD_PATRONI_PASSWORD: 'secret' } });
  /** What happens, and is answered, when a switchover is asked for. */
  onSwitchover: () => Promise<{ readonly status: number; readonly text: string }> = async () => this.promote();
  settings: object = { ttl: 30 };
  #state: PromotionState;

  private constructor(proxy: FakeProxy, adminPort: number) {
    this.proxy = proxy;
    this.options = {
      configPath: '/nowhere/switchyard.yaml',
      json: false,
      admins: [`127.0.0.1:${adminPort}`],
      tokenFile: null,
      to: 'node2',
      yes: true,
      drain: true,
      timeoutMs: 1000,
      patroniUser: null,
      insecure: false,
    };
    this.#state = initialPromotion(proxy.clock.nowMs());
    this.#see({ primary: A, leader: A });
  }

  static async start(t: TestContext): Promise<Bench> {
    const holder: { bench: Bench | null } = { bench: null };
    const patroni = createServer((request, response) => void holder.bench?.answer(request, response));
    const patroniPort = await listenOnLoopback(patroni);
    const apiUrl = `http://127.0.0.1:${patroniPort}/patroni`;
    const nodes = [A, B, C].map((name) =>
      nodeViewOf(name, { role: name === A ? 'primary' : 'standby', timeline: 1, lagBytes: 0 }),
    );
    const figures = new Map(
      [A, B, C].map((name) => [name, { lagBytes: 0, lagMs: 0, caughtUpTick: 1, sampledAtMs: 0, roundTripMs: 1 }]),
    );
    const proxy = proxyOf({
      view: viewOf({ nodes }),
      figures,
      claims: claimsOf({ members: [A, B, C].map((name) => memberOf(name, { apiUrl })) }),
    });
    const admin = await AdminServer.open(proxy, { host: '127.0.0.1', port: 0 });
    const timer = setInterval(() => {
      proxy.clock.advance(20);
      proxy.conductor.records.look();
    }, 10);
    t.after(async () => {
      clearInterval(timer);
      patroni.close();
      patroni.closeAllConnections();
      await admin.close();
    });
    holder.bench = new Bench(proxy, admin.port);
    return holder.bench;
  }

  run(over: Partial<SwitchoverOptions> = {}, answer: string | null = null): Promise<number> {
    return switchover({ ...this.options, ...over }, this.terminal, async () => answer);
  }

  /** Another node becomes the primary, as the machine of the proxy sees it. */
  promote(): { readonly status: number; readonly text: string } {
    this.#see({ primary: null, leader: null });
    this.proxy.clock.advance(700);
    this.#see({ primary: null, leader: B });
    this.proxy.clock.advance(300);
    this.#see({ primary: B, leader: B });
    return { status: 200, text: 'Successfully switched over to "node2"' };
  }

  get output(): string {
    return this.terminal.printed.join('\n');
  }

  get complaint(): string {
    return this.terminal.complaints.join('\n');
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const path = `${request.method ?? ''} ${request.url ?? ''}`;
    this.asked.push({
      path,
      authorization: request.headers.authorization,
      body: text === '' ? null : JSON.parse(text),
    });
    if (path === 'GET /config') {
      response.end(JSON.stringify(this.settings));
      return;
    }
    const { status, text: words } = await this.onSwitchover();
    response.writeHead(status).end(words);
  }

  #see(sight: Pick<PromotionInput, 'primary' | 'leader'>): void {
    const { clock, conductor } = this.proxy;
    const input = { ...sight, switchover: null, drain: null, announceTimeoutMs: 30_000 };
    const step = stepPromotion((this.#state ??= initialPromotion(0)), {
      ...input,
      nowMs: clock.nowMs(),
      epochMs: clock.epochMs(),
    });
    if (step.actions.length > 0) conductor.records.follow(this.#state, step, 1);
    this.#state = step.state;
  }
}

test('a switchover is asked of the leader, drained first, and told phase by phase', async (t) => {
  const bench = await Bench.start(t);
  let wasDrained = false;
  bench.onSwitchover = async () => {
    const order = bench.proxy.conductor.drains.get(A);
    wasDrained = order?.verdict === 'empty' && !order.isFirm;
    return bench.promote();
  };
  assert.equal(await bench.run(), 0, bench.complaint);
  assert.ok(wasDrained, 'no transaction begins on the old primary, and what can be sent again goes on');
  assert.deepEqual(bench.asked, [
    { path: 'GET /config', authorization: undefined, body: null },
    { path: 'POST /switchover', authorization: undefined, body: { leader: 'node1', candidate: 'node2' } },
  ]);
  assert.match(bench.output, /node1 hands over to node2/);
  assert.match(bench.output, /no transaction is open on node1/);
  assert.match(bench.output, /leader lost/);
  assert.match(bench.output, /confirming/);
  assert.match(bench.output, /released/);
  assert.match(bench.output, /node2 is the primary; the longest pause of a client was 0\.00 s/);
});

test('with --json every line is an event', async (t) => {
  const bench = await Bench.start(t);
  assert.equal(await bench.run({ json: true }), 0, bench.complaint);
  const events = bench.terminal.printed.map((line) => JSON.parse(line) as Record<string, unknown>);
  const phases = events.filter(({ event }) => event === 'phase').map(({ phase }) => phase);
  assert.deepEqual(phases, ['leader_lost', 'confirming', 'releasing']);
  const done = events.at(-1);
  assert.equal(done?.['event'], 'done');
  const proxies = (done?.['proxies'] ?? []) as readonly { readonly record: { readonly to: string } }[];
  assert.equal(proxies[0]?.record.to, 'node2');
});

test('transactions that do not end stop it: nothing is asked of Patroni, and everything goes on', async (t) => {
  const bench = await Bench.start(t);
  Object.assign(new FakeSession(bench.proxy.registry, A), { isAtBoundary: false, pinReason: 'open_transaction' });
  assert.equal(await bench.run(), 3);
  assert.match(
    bench.complaint,
    /Nothing was done: after 1 s node1 still has 1 session \(1 open transaction\); --no-drain/,
  );
  assert.equal(bench.asked.length, 1);
  assert.deepEqual(bench.proxy.conductor.drains.all, []);
});

test('with --no-drain nobody is waited for', async (t) => {
  const bench = await Bench.start(t);
  Object.assign(new FakeSession(bench.proxy.registry, A), { isAtBoundary: false });
  assert.equal(await bench.run({ drain: false }), 0, bench.complaint);
  assert.deepEqual(bench.proxy.conductor.drains.all, []);
});

test('what Patroni refuses is told in its words, and everything goes on', async (t) => {
  const bench = await Bench.start(t);
  bench.onSwitchover = async () => ({
    status: 412,
    text: 'switchover is not possible: no good candidates have been found',
  });
  assert.equal(await bench.run(), 1);
  assert.match(bench.complaint, /Patroni says 412: switchover is not possible/);
  assert.deepEqual(bench.proxy.conductor.drains.all, []);
});

test('an unfit candidate is refused before anything is done', async (t) => {
  const bench = await Bench.start(t);
  assert.equal(await bench.run({ to: 'node9' }), 1);
  assert.match(bench.complaint, /No switchover: there is no node "node9"/);
  bench.settings = { maximum_lag_on_failover: 0 };
  assert.equal(await bench.run({ to: 'node1' }), 1);
  assert.equal(bench.asked.filter(({ path }) => path.startsWith('POST')).length, 0);
});

test('nothing is done without a yes', async (t) => {
  const bench = await Bench.start(t);
  assert.equal(await bench.run({ yes: false }, null), 64);
  assert.equal(await bench.run({ yes: false }, 'n'), 1);
  assert.equal(bench.asked.filter(({ path }) => path.startsWith('POST')).length, 0);
  assert.equal(await bench.run({ yes: false }, 'y'), 0, bench.complaint);
});

test('the user of the REST API is named with its password, and a refusal says how', async (t) => {
  const bench = await Bench.start(t);
  bench.onSwitchover = async () => ({ status: 401, text: 'no auth header received' });
  assert.equal(await bench.run(), 1);
  assert.match(bench.complaint, /401: no auth header received; name the user .* --patroni-user/);
  await bench.run({ patroniUser: 'admin' });
  const expected = `Basic ${Buffer.from('admin:secret').toString('base64')}`;
  assert.equal(bench.asked.at(-1)?.authorization, expected);
  assert.doesNotMatch(bench.output + bench.complaint, /secret/);
});
