import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DcsState } from '../../../src/dcs/claims.js';
import { FixedNodesClaims } from '../../../src/dcs/fixed-nodes.js';
import { nodeName } from '../../../src/util/brand.js';
import { FakeClock } from '../../support/fake-clock.js';

const nodes = [
  { name: 'a', host: '10.0.0.1', port: 5432, weight: 1, tags: new Map([['zone', 'x']]) },
  {
    name: 'b',
    host: '::1',
    port: 6000,
    weight: 3,
    tags: new Map([
      ['noloadbalance', 'true'],
      ['nofailover', 'no'],
    ]),
  },
];

test('the nodes are members, live from the beginning, and nobody leads', () => {
  const { claims } = new FixedNodesClaims(nodes, new FakeClock());
  assert.equal(claims.provider, 'nodes');
  assert.equal(claims.state, DcsState.Live);
  assert.equal(claims.trouble, null);
  assert.equal(claims.leader, null);
  assert.deepEqual([...claims.members.keys()], ['a', 'b']);
  const a = claims.members.get(nodeName('a'));
  assert.deepEqual([a?.host, a?.port, a?.role, a?.state, a?.noloadbalance], ['10.0.0.1', 5432, null, null, false]);
  assert.deepEqual(a?.tags, new Map([['zone', 'x']]));
  const b = claims.members.get(nodeName('b'));
  assert.deepEqual([b?.host, b?.port, b?.noloadbalance, b?.nofailover], ['::1', 6000, true, false]);
  assert.equal(b?.tags.get('weight'), '3');
  assert.ok(Object.isFrozen(claims) && Object.isFrozen(a));
});

test('the picture never gets old', () => {
  const clock = new FakeClock();
  const provider = new FixedNodesClaims(nodes, clock);
  const first = provider.claims;
  clock.advance(500);
  assert.equal(provider.claims, first, 'it is not made anew for nothing');
  clock.advance(3_600_000);
  assert.equal(provider.claims.confirmedAtMs, clock.nowMs());
  assert.equal(provider.claims.members, first.members);
  assert.ok(Object.isFrozen(provider.claims));
});

test('onChange is called once, after start, and not at all once closed', async () => {
  let calls = 0;
  const provider = new FixedNodesClaims(nodes, new FakeClock());
  provider.start(() => (calls += 1));
  provider.start(() => (calls += 1));
  assert.equal(calls, 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls, 1);
  await provider.close();
  await provider.close();

  const closed = new FixedNodesClaims(nodes, new FakeClock());
  closed.start(() => (calls += 1));
  await closed.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls, 1);
});
