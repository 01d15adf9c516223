import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeView } from '../../../src/cluster/view.js';
import { eligibleStandbys } from '../../../src/routing/eligibility.js';
import type { StandbyRequirement } from '../../../src/routing/eligibility.js';
import { A, B, C, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';

const ANY: StandbyRequirement = { prefer: 'any', tags: new Map() };
const PRIMARY = nodeViewOf(A, { role: 'primary' });
const NOW = { leader: A, candidate: B, scheduledAtEpochMs: null, revision: 1n };

/** Why node2 is refused beside a healthy node3; null when it is eligible. */
function refusal(over: Partial<NodeView>, requirement: StandbyRequirement = ANY): string | null {
  const view = viewOf({ nodes: [PRIMARY, nodeViewOf(B, over), nodeViewOf(C)] });
  const { eligible, refused } = eligibleStandbys(view, requirement);
  assert.equal(eligible.includes(B), !refused.some(({ node }) => node === B));
  return refused.find(({ node }) => node === B)?.reason ?? null;
}

test('healthy standbys are eligible, the primary is not', () => {
  const { eligible, refused } = eligibleStandbys(viewOf(), ANY);
  assert.deepEqual(eligible, [B, C]);
  assert.deepEqual(refused, [{ node: A, reason: 'not_a_standby' }]);
});

test('what is not known to be fresh is refused', () => {
  assert.equal(refusal({ health: 'lagging' }), 'lagging');
  assert.equal(refusal({ health: 'unreachable', role: 'unknown' }), 'unreachable');
  assert.equal(refusal({ health: 'unknown' }), 'health_unknown');
  assert.equal(refusal({ role: 'unknown' }), 'role_unknown');
});

test('a second node out of recovery is no standby', () => {
  assert.equal(refusal({ role: 'primary' }), 'not_a_standby');
});

test('a node that takes no new connections gets no new reads', () => {
  assert.equal(refusal({ acceptsConnections: false }), 'connections_hang');
});

test('noloadbalance and weight 0 keep reads away', () => {
  assert.equal(refusal({ noloadbalance: true }), 'noloadbalance');
  assert.equal(refusal({ weight: 0 }), 'weight_zero');
  assert.equal(refusal({ weight: Number.NaN }), 'weight_zero');
});

test('every tag asked for must be there with its value', () => {
  const tags = new Map([
    ['zone', 'a'],
    ['disk', 'ssd'],
  ]);
  assert.equal(refusal({ tags }, { prefer: 'any', tags: new Map([['zone', 'a']]) }), null);
  assert.equal(refusal({ tags }, { prefer: 'any', tags }), null);
  assert.equal(refusal({ tags }, { prefer: 'any', tags: new Map([['zone', 'b']]) }), 'tag_mismatch');
  assert.equal(refusal({}, { prefer: 'any', tags }), 'tag_mismatch');
});

test('synchronous or asynchronous standbys only, where that is asked for', () => {
  assert.equal(refusal({ synchronous: true }, { prefer: 'sync', tags: new Map() }), null);
  assert.equal(refusal({ synchronous: false }, { prefer: 'sync', tags: new Map() }), 'not_synchronous');
  assert.equal(refusal({ synchronous: false }, { prefer: 'async', tags: new Map() }), null);
  assert.equal(refusal({ synchronous: true }, { prefer: 'async', tags: new Map() }), 'synchronous');
});

test('the candidate of a due switchover gets no new reads while another standby does', () => {
  const { eligible, refused } = eligibleStandbys(viewOf({ switchover: NOW, switchoverDue: true }), ANY);
  assert.deepEqual(eligible, [C]);
  assert.deepEqual(refused.at(-1), { node: B, reason: 'switchover_candidate' });
});

test('a switchover that is scheduled for later changes nothing yet', () => {
  const view = viewOf({ switchover: { ...NOW, scheduledAtEpochMs: 1 }, switchoverDue: false });
  assert.deepEqual(eligibleStandbys(view, ANY).eligible, [B, C]);
});

test('the only standby serves reads although it is the candidate', () => {
  const nodes = [PRIMARY, nodeViewOf(B), nodeViewOf(C, { health: 'lagging' })];
  const { eligible } = eligibleStandbys(viewOf({ nodes, switchover: NOW, switchoverDue: true }), ANY);
  assert.deepEqual(eligible, [B]);
});

test('the node that the leader key names gets no reads while it is promoted, also when it is the only one', () => {
  const view = viewOf({ leader: B, primary: null, nodes: [nodeViewOf(A, { role: 'unknown' }), nodeViewOf(B)] });
  const { eligible, refused } = eligibleStandbys(view, ANY);
  assert.deepEqual(eligible, []);
  assert.deepEqual(refused.at(-1), { node: B, reason: 'holds_leader_key' });
});

test('the leader of a standby cluster serves reads like the others', () => {
  const nodes = [nodeViewOf(A), nodeViewOf(B)];
  const view = viewOf({ primary: null, standbyCluster: true, nodes });
  assert.deepEqual(eligibleStandbys(view, ANY).eligible, [A, B]);
});

test('every node is either eligible or refused with a reason', () => {
  const nodes = [PRIMARY, nodeViewOf(B, { noloadbalance: true }), nodeViewOf(C)];
  const { eligible, refused } = eligibleStandbys(viewOf({ nodes, switchover: NOW, switchoverDue: true }), ANY);
  assert.deepEqual([...eligible, ...refused.map(({ node }) => node)].sort(), [A, B, C]);
});
