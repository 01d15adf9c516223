import { statusSchema } from '../../admin/status-document.js';
import type { StatusDocument } from '../../admin/status-document.js';
import { formatAddress } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import { askAdmin } from '../admin/ask-admin.js';

const PATH = '/api/v1/status';

/** What the proxy said, as text and understood. */
export interface FetchedStatus {
  readonly text: string;
  readonly status: StatusDocument;
}

/** Asks the admin server for its status; fails, with a sentence for people, when it does not answer in time or is something else. */
export async function fetchStatus(address: HostPort, timeoutMs: number): Promise<FetchedStatus> {
  const where = formatAddress(address);
  const { status, text } = await askAdmin(address, { path: PATH, timeoutMs });
  if (status !== 200) throw new Error(`${where} answers with HTTP status ${status || 'none'}`);
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new Error(`${where} answers, but not as an admin server of switchyard: no JSON`, { cause: error });
  }
  const parsed = statusSchema.safeParse(read);
  if (!parsed.success) {
    const place = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new Error(`${where} answers, but its status cannot be understood (${place}): another version?`);
  }
  return { text, status: parsed.data };
}
