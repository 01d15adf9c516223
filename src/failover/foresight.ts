import type { BackendCredentials } from '../auth/credentials.js';
import type { Foresight } from '../backend/pool/ahead.js';
import type { ClusterView } from '../cluster/view.js';
import type { PauseGate, PrimaryGate } from '../session/context.js';
import type { SessionRegistry } from '../session/registry.js';
import type { NodeName } from '../util/brand.js';
import type { ConnectionRoom } from './connection-room.js';

export interface ForesightParts {
  readonly view: () => ClusterView;
  readonly gate: PrimaryGate;
  readonly pauses: Pick<PauseGate, 'isPaused'>;
  readonly registry: SessionRegistry;
  readonly room: ConnectionRoom;
}

/** Tells the pool where, and as whom, it may open backends before a session asks for them. */
export class ClusterForesight implements Foresight {
  readonly #parts: ForesightParts;

  constructor(parts: ForesightParts) {
    this.#parts = parts;
  }

  /** A primary that takes units now, or a standby that could take sessions. */
  place(name: NodeName): ReturnType<Foresight['place']> {
    const { gate } = this.#parts;
    const view = this.#parts.view();
    const node = view.nodes.get(name);
    if (node === undefined || node.drained || !node.acceptsConnections) return null;
    const { host, port } = node;
    if (view.primary === name) {
      const proof = { systemIdentifier: view.systemIdentifier, timelineMin: view.highestTimeline };
      return gate.isOpen ? { host, port, proof } : null;
    }
    return node.role === 'standby' && node.health === 'healthy' ? { host, port, proof: null } : null;
  }

  /** Those of a session that is connected, and whose database is not paused: no secret of a client is kept longer than its session. */
  credentials(user: string, database: string): BackendCredentials | null {
    if (this.#parts.pauses.isPaused(database)) return null;
    return this.#parts.registry.anyOf(user, database)?.identity.credentials ?? null;
  }

  room(node: NodeName): number | null {
    return this.#parts.room.left(node);
  }
}
