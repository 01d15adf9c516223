import { request } from 'node:http';
import { statusSchema } from '../../admin/status-document.js';
import type { StatusDocument } from '../../admin/status-document.js';
import { formatAddress } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import { messageOf } from '../../errors.js';

/** Longer answers are none of ours. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const PATH = '/api/v1/status';

/** What the proxy said, as text and understood. */
export interface FetchedStatus {
  readonly text: string;
  readonly status: StatusDocument;
}

/** Asks the admin server for its status; fails, with a sentence for people, when it does not answer in time or is something else. */
export async function fetchStatus(address: HostPort, timeoutMs: number): Promise<FetchedStatus> {
  const where = formatAddress(address);
  const text = await fetchText(address, timeoutMs);
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

function fetchText(address: HostPort, timeoutMs: number): Promise<string> {
  const where = formatAddress(address);
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void => {
      clearTimeout(timer);
      call.destroy();
      reject(new Error(why, { cause }));
    };
    const timer = setTimeout(() => fail(`${where} does not answer within ${timeoutMs / 1000} s`), timeoutMs);
    const call = request({ host: address.host, port: address.port, path: PATH, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) fail(`${where} answers without end`);
        else chunks.push(chunk);
      });
      answer.on('error', (error) => fail(`${where}: the answer broke off: ${error.message}`, error));
      answer.on('end', () => {
        if (answer.statusCode !== 200) fail(`${where} answers with HTTP status ${answer.statusCode ?? 'none'}`);
        else {
          clearTimeout(timer);
          resolve(Buffer.concat(chunks).toString('utf8'));
        }
      });
    });
    call.on('error', (error) => fail(`${where} cannot be reached: ${messageOf(error)}`, error));
    call.end();
  });
}
