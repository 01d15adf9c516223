import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MonitorConnection } from '../../../src/backend/monitor-connection.js';
import { MonitorQuery } from '../../../src/cluster/monitor-query.js';
import { nodeName } from '../../../src/util/brand.js';
import { nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';
import { nodeError } from './fake-catalog.js';

const [A, B] = [nodeName('a'), nodeName('b')];

class Lab {
  readonly clock = new FakeClock();
  /** Every connection that was opened, by host and database, in order. */
  readonly opened: string[] = [];
  readonly closed: string[] = [];
  /** What asking or connecting a node fails with, by host. */
  readonly failures = new Map<string, Error>();
  readonly query: MonitorQuery;

  constructor() {
    const nodes = [nodeViewOf(A, { host: 'a' }), nodeViewOf(B, { host: 'b', health: 'healthy' })];
    const view = { ...viewOf(), primary: A, nodes: new Map(nodes.map((node) => [node.name, node])) };
    this.query = new MonitorQuery(
      (host, _port, database) => {
        const failure = this.failures.get(`connect ${host}`);
        if (failure !== undefined) return Promise.reject(failure);
        const name = `${host}/${database}`;
        this.opened.push(name);
        return Promise.resolve(this.#connection(name, host));
      },
      () => view,
      this.clock,
    );
  }

  #connection(name: string, host: string): MonitorConnection {
    let isClosed = false;
    return {
      get closed() {
        return isClosed;
      },
      query: (sql: string) => {
        const failure = this.failures.get(`ask ${host}`);
        return failure === undefined ? Promise.resolve([[name, sql]]) : Promise.reject(failure);
      },
      close: () => {
        isClosed = true;
        this.closed.push(name);
      },
    } as unknown as MonitorConnection;
  }
}

test('a kept connection is used again for its own database only', async () => {
  const lab = new Lab();
  assert.deepEqual(await lab.query.ask('x', 'q', []), [['a/x', 'q']]);
  assert.deepEqual(await lab.query.ask('y', 'q', []), [['a/y', 'q']]);
  assert.deepEqual(await lab.query.ask('x', 'q', []), [['a/x', 'q']]);
  assert.deepEqual(lab.opened, ['a/x', 'a/y']);
  // The one that was used longest ago makes room.
  assert.deepEqual(await lab.query.ask('z', 'q', []), [['a/z', 'q']]);
  assert.deepEqual(lab.closed, ['a/y']);
  lab.clock.advance(30_001);
  await lab.query.ask('x', 'q', []);
  assert.deepEqual(lab.opened, ['a/x', 'a/y', 'a/z', 'a/x']);
  assert.deepEqual(lab.closed, ['a/y', 'a/x', 'a/z']);
  lab.query.close();
  assert.equal(lab.closed.length, 4);
});

test('what is answered after the end keeps no connection', async () => {
  const lab = new Lab();
  const answer = lab.query.ask('x', 'q', []);
  lab.query.close();
  await answer;
  assert.deepEqual(lab.closed, ['a/x']);
});

test('a talk has a connection of its own, of the first node that lets us in, and leaves none behind', async () => {
  const lab = new Lab();
  const said = await lab.query.talk('x', async (ask) => [...(await ask('1')), ...(await ask('2'))]);
  assert.deepEqual(said, [
    ['a/x', '1'],
    ['a/x', '2'],
  ]);
  assert.deepEqual(lab.closed, ['a/x']);
  lab.failures.set('connect a', new Error('refused'));
  assert.deepEqual(await lab.query.talk('x', (ask) => ask('1')), [['b/x', '1']]);
  assert.deepEqual(lab.closed, ['a/x', 'b/x']);
  lab.failures.set('connect b', nodeError('3D000', 'no such database', 'FATAL'));
  await assert.rejects(
    lab.query.talk('x', (ask) => ask('1')),
    /no such database/,
  );
});

test('a talk that fails is not begun again on another node', async () => {
  const lab = new Lab();
  lab.failures.set('ask a', nodeError('55P03', 'lock not available'));
  await assert.rejects(
    lab.query.talk('x', (ask) => ask('1')),
    /lock not available/,
  );
  assert.deepEqual(lab.opened, ['a/x']);
  assert.deepEqual(lab.closed, ['a/x']);
});
