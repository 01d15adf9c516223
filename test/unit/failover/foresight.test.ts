import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NoCredentials } from '../../../src/auth/credentials.js';
import type { ClusterView, NodeView } from '../../../src/cluster/view.js';
import { ConnectionRoom } from '../../../src/failover/connection-room.js';
import { ClusterForesight } from '../../../src/failover/foresight.js';
import { CloseReason } from '../../../src/session/close-reason.js';
import type { PrimaryGate } from '../../../src/session/context.js';
import { SessionRegistry } from '../../../src/session/registry.js';
import type { Session } from '../../../src/session/session.js';
import { A, B, C, nodeViewOf, viewOf } from '../../support/cluster-fakes.js';
import { FakeClock } from '../../support/fake-clock.js';

interface Lab {
  readonly foresight: ClusterForesight;
  readonly registry: SessionRegistry;
  view: ClusterView;
  isOpen: boolean;
  readonly paused: Set<string>;
}

function labWith(standby: Partial<NodeView> = {}): Lab {
  const registry = new SessionRegistry(() => {});
  const room = new ConnectionRoom(new FakeClock(), { onNode: () => ({ total: 0, dialling: 0 }) });
  room.counted(A, 7);
  const nodes = [nodeViewOf(A, { role: 'primary' }), nodeViewOf(B, { role: 'standby', ...standby })];
  const gate = {
    get isOpen() {
      return lab.isOpen;
    },
  } as PrimaryGate;
  const paused = new Set<string>();
  const pauses = { isPaused: (database: string) => paused.has(database) };
  const lab: Lab = {
    registry,
    foresight: new ClusterForesight({ view: () => lab.view, gate, pauses, registry, room }),
    view: viewOf({ nodes, primary: A }),
    isOpen: true,
    paused,
  };
  return lab;
}

test('backends are opened ahead of time on a primary that takes units, with the proof that is due now', () => {
  const lab = labWith();
  assert.deepEqual(lab.foresight.place(A)?.proof, {
    systemIdentifier: lab.view.systemIdentifier,
    timelineMin: lab.view.highestTimeline,
  });
  assert.equal(lab.foresight.room(A), 7);
  assert.equal(lab.foresight.room(B), null);
  lab.isOpen = false;
  assert.equal(lab.foresight.place(A), null);
  lab.view = { ...lab.view, primary: null };
  lab.isOpen = true;
  assert.equal(lab.foresight.place(A), null, 'what was the primary is nothing');
});

test('and on standbys that could take sessions', () => {
  assert.equal(labWith().foresight.place(B)?.proof, null);
  const unfit = [
    { health: 'unreachable' },
    { role: 'unknown' },
    { drained: true },
    { acceptsConnections: false },
  ] as const;
  for (const change of unfit) assert.equal(labWith(change).foresight.place(B), null);
  assert.equal(labWith().foresight.place(C), null);
});

test('credentials are those of a session that is connected, and gone with the last of them', () => {
  const { foresight, registry, paused } = labWith();
  const connect = (id: number, database: string): Session => {
    const cancelKey = { processId: id, key: Buffer.alloc(4) };
    const session = { id, identity: { user: 'app', database, cancelKey, credentials: new NoCredentials() } };
    registry.add(session as unknown as Session);
    return session as unknown as Session;
  };
  const [first, second] = [connect(1, 'app'), connect(2, 'app')];
  connect(3, 'other');
  assert.equal(foresight.credentials('app', 'app'), first.identity.credentials);
  paused.add('app');
  assert.equal(foresight.credentials('app', 'app'), null, 'nothing is opened for a database that is paused');
  paused.clear();
  registry.remove(first, CloseReason.Terminated);
  assert.equal(foresight.credentials('app', 'app'), second.identity.credentials);
  registry.remove(second, CloseReason.Terminated);
  assert.equal(foresight.credentials('app', 'app'), null);
  assert.equal(foresight.credentials('nobody', 'other'), null);
});
