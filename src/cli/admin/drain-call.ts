import { drainSchema } from '../../admin/drain-document.js';
import type { DrainDocument, DrainRequest } from '../../admin/drain-document.js';
import { formatAddress } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import { askAdmin, problemOf } from './ask-admin.js';

const PATH = '/api/v1/drain';
const CANCEL_PATH = '/api/v1/drain/cancel';
const ANSWER_TIMEOUT_MS = 5_000;
/** A proxy that waits says something every second. */
const SILENCE_MS = 5_000;

/** Asks one proxy to drain a node; gives the last thing that it says, and tells what it says on the way. */
export async function callDrain(
  address: HostPort,
  token: string | null,
  wish: DrainRequest & { readonly timeoutMs: number },
  tell: (progress: DrainDocument) => void,
): Promise<DrainDocument> {
  let last: DrainDocument | null = null;
  const answer = await askAdmin(address, {
    path: PATH,
    body: wish,
    token,
    timeoutMs: ANSWER_TIMEOUT_MS + (wish.wait === true ? wish.timeoutMs : 0),
    silenceMs: SILENCE_MS,
    onLine: (line) => {
      last = read(address, line);
      tell(last);
    },
  });
  if (answer.status === 202) {
    const begun = read(address, answer.text);
    tell(begun);
    return begun;
  }
  if (answer.status !== 200) throw new Error(problemOf(address, answer));
  if (last === null) throw new Error(`${formatAddress(address)} said nothing about the drain`);
  return last;
}

/** Ends the drain of a node (null: of all) on one proxy; gives the nodes that were drained. */
export async function cancelDrain(
  address: HostPort,
  token: string | null,
  node: string | null,
): Promise<readonly string[]> {
  const body = node === null ? {} : { node };
  const answer = await askAdmin(address, { path: CANCEL_PATH, body, token, timeoutMs: ANSWER_TIMEOUT_MS });
  if (answer.status !== 200) throw new Error(problemOf(address, answer));
  const { cancelled } = JSON.parse(answer.text) as { readonly cancelled?: unknown };
  return Array.isArray(cancelled) ? cancelled.map(String) : [];
}

/** Whether nothing is left there that a stop of the node would end. */
export function isEmptied({ verdict, end }: DrainDocument): boolean {
  return verdict === 'empty' || end === 'gone';
}

/** `2 sessions: 1 open transaction, 1 unit`. */
export function describeLeft({ sessions, reasons }: DrainDocument): string {
  const parts = Object.entries(reasons).map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`);
  return `${sessions} ${sessions === 1 ? 'session' : 'sessions'}${parts.length === 0 ? '' : ` (${parts.join(', ')})`}`;
}

function read(address: HostPort, text: string): DrainDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${formatAddress(address)} answers, but not as an admin server of switchyard`, { cause: error });
  }
  const parsed = drainSchema.safeParse(value);
  if (!parsed.success) throw new Error(`${formatAddress(address)}: its answer cannot be understood: another version?`);
  return parsed.data;
}
