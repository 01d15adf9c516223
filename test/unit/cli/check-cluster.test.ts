import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CheckedClaims } from '../../../src/cli/check/claims.js';
import { checkCluster, primaryOf } from '../../../src/cli/check/cluster.js';
import type { CheckedNode } from '../../../src/cli/check/nodes.js';
import type { ProbeSample } from '../../../src/replication/probe.js';
import { OTHER_SYSTEM, SYSTEM, primarySample, standbySample } from '../../support/cluster-fakes.js';

function nodeOf(name: string, sample: ProbeSample): CheckedNode {
  return { target: { name, host: '127.0.0.1', port: 5432 }, sample };
}

const primary = nodeOf('node1', primarySample(0, 100n));
const standby = nodeOf('node2', standbySample(0, 100n));

function claimsOf(over: Partial<CheckedClaims> = {}): CheckedClaims {
  const targets = [primary.target, standby.target];
  return { findings: [], targets, leader: 'node1', systemIdentifier: SYSTEM, isStandbyCluster: false, ...over };
}

function verdicts(claims: CheckedClaims, nodes: readonly CheckedNode[]): string[] {
  return checkCluster(claims, nodes).map(({ verdict, what }) => `${verdict} ${what}`);
}

test('a primary that holds the leader key and its standby are well', () => {
  assert.deepEqual(verdicts(claimsOf(), [primary, standby]), [
    `ok cluster: every node has the system identifier ${SYSTEM}`,
    'ok cluster: node1 is the primary, with 1 standby',
    'ok cluster: every node is on timeline 1',
  ]);
});

test('a node of another cluster is named', () => {
  const stranger = nodeOf('node3', standbySample(0, 1n, { systemIdentifier: OTHER_SYSTEM }));
  const [first] = verdicts(claimsOf(), [primary, standby, stranger]);
  assert.equal(
    first,
    `fail cluster: node3 has the system identifier ${OTHER_SYSTEM}, the key "initialize" has ${SYSTEM}`,
  );
  const [fixed] = verdicts(claimsOf({ leader: null, systemIdentifier: null }), [primary, stranger]);
  assert.equal(fixed, `fail cluster: node3 has the system identifier ${OTHER_SYSTEM}, the cluster has ${SYSTEM}`);
});

test('a leader in recovery, or that could not be asked, is no primary', () => {
  const promoting = nodeOf('node1', standbySample(0, 1n));
  assert.ok(
    verdicts(claimsOf(), [promoting, standby]).includes(
      'fail cluster: the leader node1 is in recovery: a promotion is under way',
    ),
  );
  assert.ok(verdicts(claimsOf(), [standby]).includes('fail cluster: the leader node1 could not be asked'));
});

test('a second primary is told, with or without a leader key', () => {
  const rival = nodeOf('node2', primarySample(0, 100n));
  assert.ok(
    verdicts(claimsOf(), [primary, rival]).includes(
      'fail cluster: node2 says it is a primary too, and the leader is node1: it gets no writes',
    ),
  );
  assert.ok(
    verdicts(claimsOf({ leader: null }), [primary, rival]).includes(
      'fail cluster: node1 and node2 all say that they are the primary',
    ),
  );
});

test('without anybody out of recovery there is no primary, but in a standby cluster that is as it should be', () => {
  assert.ok(
    verdicts(claimsOf({ leader: null }), [standby]).includes(
      'fail cluster: no node is out of recovery: there is no primary',
    ),
  );
  assert.ok(
    verdicts(claimsOf({ leader: 'node2', isStandbyCluster: true }), [standby]).includes(
      'ok cluster: a standby cluster of 1 standby',
    ),
  );
});

test('a node on another timeline is named', () => {
  const ahead = nodeOf('node1', primarySample(0, 100n, { timeline: 4 }));
  assert.ok(verdicts(claimsOf(), [ahead, standby]).includes('warn cluster: node2 is on timeline 1, the cluster on 4'));
});

test('the query for users is tried on the primary that the leader key names', () => {
  const rival = nodeOf('node2', primarySample(0, 100n));
  assert.equal(primaryOf(claimsOf({ leader: 'node2' }), [primary, rival])?.target.name, 'node2');
  assert.equal(primaryOf(claimsOf({ leader: null }), [standby, primary])?.target.name, 'node1');
  assert.equal(primaryOf(claimsOf(), [standby]), null);
});

test('no answer at all is one failure, and no target none of its own', () => {
  assert.deepEqual(verdicts(claimsOf(), []), ['fail cluster: no node could be asked']);
  assert.deepEqual(verdicts(claimsOf({ targets: [] }), []), []);
});
