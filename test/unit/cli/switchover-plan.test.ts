import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusOf } from '../../../src/admin/status.js';
import type { StatusDocument, StatusNode } from '../../../src/admin/status-document.js';
import { MAXIMUM_LAG_DEFAULT_BYTES, planSwitchover } from '../../../src/admin/switchover-plan.js';
import { proxyOf } from '../admin/proxy-of.js';

/** node1 is the primary, node2 and node3 are standbys without lag. */
function statusWith(
  over: { readonly cluster?: Partial<StatusDocument['cluster']>; readonly [section: string]: unknown } = {},
  nodes: Readonly<Record<string, Partial<StatusNode>>> = {},
): StatusDocument {
  const { cluster, ...rest } = over;
  const status = statusOf(proxyOf(), '1.2.3', 0);
  return {
    ...status,
    ...rest,
    cluster: { ...status.cluster, ...cluster },
    nodes: status.nodes.map((node) => ({
      ...node,
      timeline: 3,
      lagBytes: 0,
      apiUrl: `http://10.0.0.${node.name.at(-1)}:8008/patroni`,
      ...nodes[node.name],
    })),
  };
}

function planned(
  status: StatusDocument,
  to: string | null = null,
  maximumLagBytes = MAXIMUM_LAG_DEFAULT_BYTES,
): string {
  const result = planSwitchover(status, to, maximumLagBytes, status.cluster.synchronousMode);
  return result.ok
    ? `${result.plan.leader} -> ${result.plan.candidate} by ${result.plan.apiUrl}`
    : `! ${result.problem}`;
}

test('the one that is asked for takes over when it is fit', () => {
  assert.equal(planned(statusWith(), 'node3'), 'node1 -> node3 by http://10.0.0.1:8008/patroni');
});

const unfit: readonly (readonly [over: Partial<StatusNode>, reason: RegExp])[] = [
  [{ role: 'unknown', reason: 'connection refused' }, /no standby now \(connection refused\)/],
  [{ role: 'primary' }, /no standby now/],
  [{ health: 'unreachable', reason: 'no answer' }, /unreachable \(no answer\)/],
  [{ acceptsConnections: false, reason: 'postmaster hangs' }, /takes no new connections \(postmaster hangs\)/],
  [{ nofailover: true }, /tag nofailover/],
  [{ timeline: 2 }, /on timeline 2, the primary is on 3/],
  [{ lagBytes: null }, /lag is not known/],
  [{ lagBytes: 2_000_000 }, /2000000 bytes behind, more than maximum_lag_on_failover \(1048576\)/],
];

for (const [over, reason] of unfit) {
  test(`a candidate is refused: ${reason.source}`, () => {
    assert.match(planned(statusWith({}, { node2: over }), 'node2'), /^! node2 cannot take over: /);
    assert.match(planned(statusWith({}, { node2: over }), 'node2'), reason);
    assert.match(planned(statusWith({}, { node2: over })), /-> node3 /, 'and left out when nobody is named');
  });
}

test('the limit of the lag is the one of the cluster', () => {
  const status = statusWith({}, { node2: { lagBytes: 2_000_000 } });
  assert.match(planned(status, 'node2', 2_000_000), /^node1 -> node2/);
});

test('in synchronous mode only a synchronous standby takes over; in quorum mode Patroni decides', () => {
  const nodes = { node3: { synchronous: true } };
  const on = statusWith({ cluster: { synchronousMode: 'on' } }, nodes);
  assert.match(planned(on, 'node2'), /synchronous_mode is on, and it is not synchronous/);
  assert.match(planned(on), /-> node3 /);
  assert.match(planned(statusWith({ cluster: { synchronousMode: 'quorum' } }, nodes), 'node2'), /-> node2 /);
});

test('the fittest is the synchronous one, then the one with the least lag, then the one with the fewest sessions', () => {
  assert.match(planned(statusWith({}, { node2: { lagBytes: 10 }, node3: { lagBytes: 5 } })), /-> node3 /);
  assert.match(planned(statusWith({}, { node2: { lagBytes: 10, synchronous: true }, node3: {} })), /-> node2 /);
  assert.match(planned(statusWith({}, { node2: { sessions: 9 }, node3: { sessions: 2 } })), /-> node3 /);
});

test('when nobody is fit, everybody is told why', () => {
  const status = statusWith({}, { node2: { nofailover: true }, node3: { lagBytes: null } });
  assert.match(
    planned(status),
    /no node can take over \(node2: it has the tag nofailover; node3: its lag is not known\)/,
  );
});

const never: readonly (readonly [what: string, status: StatusDocument, reason: RegExp])[] = [
  ['without Patroni', statusWith({ provider: 'nodes' }), /no Patroni here/],
  ['in a standby cluster', statusWith({ cluster: { standbyCluster: true } }), /standby cluster/],
  [
    'without a primary',
    statusWith({ cluster: { primary: null, noPrimaryReason: 'the leader key is gone' } }),
    /no primary: the leader key is gone/,
  ],
  [
    'while the key names another',
    statusWith({ cluster: { leader: 'node2' } }),
    /names node2, and the primary is node1/,
  ],
  [
    'while another one is asked for',
    statusWith({ cluster: { switchover: { leader: 'node1', candidate: null, scheduledAt: null } } }),
    /under way already/,
  ],
  [
    'while one is scheduled',
    statusWith({ cluster: { switchover: { leader: 'node1', candidate: null, scheduledAt: '2026-01-01T00:00:00Z' } } }),
    /scheduled already, for 2026-01-01/,
  ],
  ['without an address of Patroni', statusWith({}, { node1: { apiUrl: null } }), /REST address of node1 is not known/],
];

for (const [what, status, reason] of never) {
  test(`there is no switchover ${what}`, () => {
    assert.match(planned(status, 'node2'), reason);
  });
}

test('to the primary itself, and to a node that is not there, there is none', () => {
  assert.equal(planned(statusWith(), 'node1'), '! node1 is the primary already');
  assert.match(planned(statusWith(), 'node9'), /no node "node9"; there are node2, node3/);
});
