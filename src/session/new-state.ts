import { PinReason } from '../sql/pin-reason.js';
import type { SessionContext } from './context.js';
import type { SessionIdentity } from './identity.js';
import { keptOf } from './pooled/startup-settings.js';
import { nothingInCommon } from './state/common.js';
import { SessionState } from './state/session-state.js';

/** The state of a session that begins. `isPooled`: it shares its backends with others. */
export function newState(identity: SessionIdentity, isPooled: boolean, context: SessionContext): SessionState {
  const { user, database, ownSettings, startSettings, isReplication } = identity;
  const { limits, analyzer, clock, shared } = context;
  const common = isPooled ? shared.commonOf(user, database) : nothingInCommon();
  const start = keptOf(startSettings, common.identities);
  const state = new SessionState(limits.preparedStatements, analyzer, clock, ownSettings, common, start);
  if (isReplication) state.pin(PinReason.Replication);
  return state;
}
