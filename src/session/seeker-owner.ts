import type { SessionTraffic } from '../metrics/traffic.js';
import type { Relay } from '../relay/relay.js';
import type { BackendSourceOwner } from './backend-source.js';
import type { Berth, Target } from './berths.js';
import type { SessionIntent } from './context.js';
import type { UnitChoice } from './split/chooser.js';
import type { SessionState } from './state/session-state.js';
import type { NodeName } from '../util/brand.js';

/** What a seeker needs of its session. None of it is called from inside `admit`, but for `takeUp` and `onAdmitted`. */
export interface SeekerOwner extends BackendSourceOwner {
  readonly id: number;
  readonly intent: SessionIntent;
  readonly state: SessionState;
  readonly relay: Relay;
  readonly traffic: SessionTraffic;
  readonly isInTransaction: boolean;
  /** The nodes on which it has a backend. */
  readonly nodes: readonly NodeName[];
  /** Attaches the backend of a berth to the relay for the unit that asks. False: its state must be brought there first; then `onRetry`. */
  takeUp(berth: Berth, choice: UnitChoice | null): boolean;
  /** The transaction that has begun on the backend of this berth, a standby, is to begin on the next one instead. */
  leaveTransaction(berth: Berth): void;
  /** The unit goes to the attached backend. `choice` null: its session goes one way, and keeps its backends. */
  onAdmitted(target: Target, reason: string, choice: UnitChoice | null): void;
  /** A backend for the waiting unit, or for the greeting. */
  onBackend(berth: Berth): void;
  /** A backend that sessions share is there for the waiting unit: let it ask again. `choice`: what was read of it; null: it is to be read again. */
  onAwaited(berth: Berth, choice: UnitChoice | null): void;
  /** The wait may be over: let the unit, or the greeting, ask again. */
  onRetry(): void;
  /** There is no node for the waiting unit. `isFinal`: nor will there be for any other of this session. */
  onRejected(error: Error, isFinal: boolean): void;
}
