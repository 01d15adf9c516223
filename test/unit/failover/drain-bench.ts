import { SessionRegistry } from '../../../src/session/registry.js';
import type { Session } from '../../../src/session/session.js';
import type { PinReason } from '../../../src/sql/pin-reason.js';
import type { NodeName } from '../../../src/util/brand.js';

/** A session as a drain sees it. */
export class FakeSession {
  readonly id: number;
  node: NodeName | null;
  isAtBoundary = true;
  isClosed = false;
  pinReason: PinReason | null = null;
  /** How often its node was asked what it has there. */
  inspections = 0;
  readonly intent = { route: 'primary' };
  readonly target = 'primary';
  readonly wait = null;
  readonly identity: {
    readonly listener: string;
    readonly cancelKey: { readonly processId: number; readonly key: Buffer };
  };
  readonly #registry: SessionRegistry;

  constructor(registry: SessionRegistry, node: NodeName) {
    this.id = registry.nextId();
    this.identity = { listener: 'rw', cancelKey: { processId: this.id, key: Buffer.alloc(4) } };
    this.node = node;
    this.#registry = registry;
    registry.add(this as unknown as Session);
    registry.attached(node);
  }

  get nodes(): readonly NodeName[] {
    return this.node === null ? [] : [this.node];
  }

  isOn(node: NodeName, target: 'primary' | 'standby'): boolean {
    return this.node === node && this.target === target;
  }

  isBusyOn(node: NodeName): boolean {
    return !this.isClosed && this.node === node && !this.isAtBoundary;
  }

  leaveIfIdle(node: NodeName): void {
    if (this.node === node && this.isAtBoundary && this.pinReason === null) this.leave();
  }

  /** Gives its backend back. */
  leave(): void {
    if (this.node !== null) this.#registry.detached(this.node);
    this.node = null;
  }

  inspect(node: NodeName): void {
    if (this.node === node) this.inspections += 1;
  }

  reconsider(): void {}
}

export function emptyRegistry(): SessionRegistry {
  return new SessionRegistry(() => {});
}
