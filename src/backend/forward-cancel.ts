import { SwitchyardError } from '../errors.js';
import { dialStream } from '../net/stream/dial-stream.js';
import { cancelRequest } from '../protocol/frontend-messages.js';
import type { Backend } from './backend.js';

/**
 * Asks the node of `backend` to cancel what it is doing, over a connection of its own, and waits until the node has closed it: only then
 * is the request over. The backend counts it meanwhile, so that it is not given on; it may be closed already on our side. Fails when the
 * node cannot be reached; and when it does not close the connection in `timeoutMs`, in which case it may still carry the request out at
 * any time, so that the backend counts it for good.
 */
export async function forwardCancel(backend: Backend, timeoutMs: number): Promise<void> {
  backend.cancelsInFlight += 1;
  let isDoubtful = false;
  try {
    const { host, port } = backend.identity;
    const wire = await dialStream({ host, port, timeoutMs, keepAliveMs: 0, bufferBytes: 1024 });
    isDoubtful = true;
    await new Promise<void>((resolve, reject) => {
      const late = (): void => {
        reject(new SwitchyardError('backend_lost', `the node did not take the cancel request within ${timeoutMs} ms`));
        wire.destroy();
      };
      const timer = setTimeout(late, timeoutMs);
      wire.handler = {
        onChunk: () => {},
        onDrain: () => {},
        onEnd: () => wire.end(),
        onClose: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      wire.write(cancelRequest(backend.processId, backend.cancelKey));
      wire.resume();
    });
    isDoubtful = false;
  } finally {
    if (!isDoubtful) backend.cancelsInFlight -= 1;
  }
}
