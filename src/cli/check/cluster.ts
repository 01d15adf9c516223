import type { CheckedClaims } from './claims.js';
import type { CheckedNode } from './nodes.js';
import { fail, ok, warn } from './report.js';
import type { Finding } from './report.js';

/** Whether the nodes that answered are one cluster with one primary. */
export function checkCluster(claims: CheckedClaims, nodes: readonly CheckedNode[]): readonly Finding[] {
  if (nodes.length === 0) {
    return claims.targets.length === 0 ? [] : [fail('cluster: no node could be asked')];
  }
  return [...judgeIdentifiers(claims, nodes), ...judgePrimary(claims, nodes), ...judgeTimelines(nodes)];
}

/** The node out of recovery; the leader of the DCS where several say so. Null when there is none. */
export function primaryOf(claims: CheckedClaims, nodes: readonly CheckedNode[]): CheckedNode | null {
  const primaries = nodes.filter(({ sample }) => !sample.inRecovery);
  return primaries.find(({ target }) => target.name === claims.leader) ?? primaries[0] ?? null;
}

function judgeIdentifiers(claims: CheckedClaims, nodes: readonly CheckedNode[]): Finding[] {
  const expected = claims.systemIdentifier ?? primaryOf(claims, nodes)?.sample.identity.systemIdentifier ?? null;
  const said = nodes.filter(({ sample }) => sample.identity.systemIdentifier !== null);
  const wanted = expected ?? said[0]?.sample.identity.systemIdentifier ?? null;
  if (wanted === null) return [];
  const source = claims.systemIdentifier === null ? 'the cluster' : 'the key "initialize"';
  const strangers = said.filter(({ sample }) => sample.identity.systemIdentifier !== wanted);
  if (strangers.length === 0) return [ok(`cluster: every node has the system identifier ${wanted}`)];
  return strangers.map(({ target, sample }) =>
    fail(
      `cluster: ${target.name} has the system identifier ${sample.identity.systemIdentifier ?? ''}, ${source} has ${wanted}`,
      'The node belongs to another cluster and gets no work. Is its address right?',
    ),
  );
}

function judgePrimary(claims: CheckedClaims, nodes: readonly CheckedNode[]): Finding[] {
  const primaries = nodes.filter(({ sample }) => !sample.inRecovery).map(({ target }) => target.name);
  const standbys = nodes.length - primaries.length;
  const followers = `${standbys} standby${standbys === 1 ? '' : 's'}`;
  if (claims.isStandbyCluster) return [ok(`cluster: a standby cluster of ${followers}`)];
  const { leader } = claims;
  if (leader !== null) {
    const others = primaries.filter((name) => name !== leader);
    const rivals = others.map((name) =>
      fail(
        `cluster: ${name} says it is a primary too, and the leader is ${leader}: it gets no writes`,
        '  patronictl list',
      ),
    );
    if (primaries.includes(leader)) return [ok(`cluster: ${leader} is the primary, with ${followers}`), ...rivals];
    const isThere = nodes.some(({ target }) => target.name === leader);
    const why = isThere ? 'is in recovery: a promotion is under way' : 'could not be asked';
    return [fail(`cluster: the leader ${leader} ${why}`, '  patronictl list'), ...rivals];
  }
  if (primaries.length === 0) return [fail('cluster: no node is out of recovery: there is no primary')];
  if (primaries.length === 1) return [ok(`cluster: ${primaries[0] ?? ''} is the primary, with ${followers}`)];
  return [
    fail(
      `cluster: ${primaries.join(' and ')} all say that they are the primary`,
      'The one on the highest timeline gets the writes; on the same timeline none does. Stop the others.',
    ),
  ];
}

function judgeTimelines(nodes: readonly CheckedNode[]): Finding[] {
  const known = nodes.filter(({ sample }) => sample.timeline !== null);
  const highest = Math.max(...known.map(({ sample }) => sample.timeline ?? 0));
  const behind = known.filter(({ sample }) => sample.timeline !== highest);
  if (known.length > 0 && behind.length === 0) return [ok(`cluster: every node is on timeline ${highest}`)];
  return behind.map(({ target, sample }) =>
    warn(
      `cluster: ${target.name} is on timeline ${sample.timeline ?? 'unknown'}, the cluster on ${highest}`,
      'A standby that does not follow by itself must be made anew:',
      `  patronictl reinit CLUSTER ${target.name}`,
    ),
  );
}
