import type { Backend } from '../backend/backend.js';
import { forwardCancel } from '../backend/forward-cancel.js';
import { messageOf } from '../errors.js';
import type { SessionContext } from './context.js';

/** Asks the node to cancel what a backend does for a session. Resolves when it has taken the request; false: it has not. Never throws. */
export async function requestCancel(backend: Backend, sessionId: number, context: SessionContext): Promise<boolean> {
  try {
    await forwardCancel(backend, context.limits.connectTimeoutMs);
    return true;
  } catch (error) {
    const { node } = backend.identity;
    context.logger.warn({ session: sessionId, node, error: messageOf(error) }, 'cancel request failed');
    return false;
  }
}
