import type { Backend } from '../../../../src/backend/backend.js';
import type { PhaseView } from '../../../../src/session/timeouts/phase.js';
import type { UnitFacts } from '../../../../src/session/state/unit-facts.js';
import type { Wait } from '../../../../src/session/wait.js';
import type { FakeWire } from '../../../support/fake-wire.js';
import { fakeBackend } from '../../relay/relay-bench.js';

/** A unit like any other; only that it is another one is looked at. */
export function unit(): UnitFacts {
  return {} as UnitFacts;
}

/** What can be seen of a session, as the test says. */
export class WatchedSession implements PhaseView {
  readonly identity = { isReplication: false };
  readonly client = { bytesRead: 100, bytesWritten: 0, pendingBytes: 0 };
  readonly state: { oldestUnit: UnitFacts | undefined; isListening: boolean } = {
    oldestUnit: undefined,
    isListening: false,
  };
  wait: Wait | null = null;
  isInTransaction = false;
  isWaiting = false;
  isTransactionLost = false;
  backend: Backend | null = null;
  isUnitOpen = false;

  get relay(): PhaseView['relay'] {
    const { backend, client, isWaiting, isTransactionLost } = this;
    const isQuiet = !this.isUnitOpen && (backend === null || backend.tracker.isEmpty);
    return { backend, client, isWaiting, isTransactionLost, isQuiet };
  }

  /** Attaches a backend. */
  attach(): { readonly backend: Backend; readonly wire: FakeWire } {
    const { backend, wire } = fakeBackend();
    this.backend = backend;
    return { backend, wire };
  }

  /** The client begins a unit with messages of these types. */
  sends(...types: readonly string[]): void {
    this.client.bytesRead += 10 * types.length;
    this.state.oldestUnit ??= unit();
    this.isUnitOpen = true;
    for (const type of types) {
      this.backend?.tracker.sent(type.charCodeAt(0), false);
      this.isUnitOpen = type !== 'Q' && type !== 'S';
    }
  }

  /** The node answers with messages of these types. */
  hears(...types: readonly string[]): void {
    for (const type of types) {
      this.backend?.tracker.received(type.charCodeAt(0));
      if (type === 'Z') this.state.oldestUnit = undefined;
    }
  }
}
