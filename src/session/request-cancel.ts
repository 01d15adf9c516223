import type { Backend } from '../backend/backend.js';
import { forwardCancel } from '../backend/forward-cancel.js';
import { messageOf, SwitchyardError } from '../errors.js';
import type { SessionContext } from './context.js';

/** What became of a cancel request. */
export const CancelOutcome = {
  /** The node has carried it out: it cannot hit what comes next. */
  Forwarded: 'forwarded',
  /** It has not reached the node. */
  Failed: 'failed',
  /** The node did not say: it may carry it out at any time. */
  Unknown: 'unknown',
} as const;
export type CancelOutcome = (typeof CancelOutcome)[keyof typeof CancelOutcome];

/** Asks the node to cancel what a backend does for a session. Resolves when the node has taken the request, or will not. Never throws. */
export async function requestCancel(
  backend: Backend,
  sessionId: number,
  context: SessionContext,
): Promise<CancelOutcome> {
  try {
    await forwardCancel(backend, context.limits.connectTimeoutMs);
    return CancelOutcome.Forwarded;
  } catch (error) {
    const { node } = backend.identity;
    context.logger.warn({ session: sessionId, node, error: messageOf(error) }, 'cancel request failed');
    const hasNotLeft = error instanceof SwitchyardError && error.code === 'backend_connect_failed';
    return hasNotLeft ? CancelOutcome.Failed : CancelOutcome.Unknown;
  }
}
