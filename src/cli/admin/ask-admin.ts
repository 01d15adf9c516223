import { request } from 'node:http';
import { formatAddress } from '../../config/address.js';
import type { HostPort } from '../../config/address.js';
import { messageOf } from '../../errors.js';

/** Longer answers are none of ours. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** One request to an admin server. */
export interface AdminQuestion {
  readonly path: string;
  /** Sent as JSON with POST; left out: GET. */
  readonly body?: object;
  readonly token?: string | null;
  /** From the call to the end of the answer. */
  readonly timeoutMs: number;
  /** Longest silence, where the answer comes line by line. */
  readonly silenceMs?: number;
  /** Hears each line as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface AdminAnswer {
  readonly status: number;
  readonly text: string;
}

/** Asks an admin server; fails, with a sentence for people, when it does not answer in time. */
export function askAdmin(address: HostPort, question: AdminQuestion): Promise<AdminAnswer> {
  const where = formatAddress(address);
  const { path, body, token, timeoutMs, silenceMs, onLine } = question;
  const payload = body === undefined ? null : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    let silence: NodeJS.Timeout | null = null;
    const stop = (): void => {
      clearTimeout(timer);
      if (silence !== null) clearTimeout(silence);
    };
    const fail = (why: string, cause?: unknown): void => {
      stop();
      call.destroy();
      reject(new Error(why, { cause }));
    };
    const timer = setTimeout(() => fail(`${where} does not answer within ${timeoutMs / 1000} s`), timeoutMs);
    const heard = (): void => {
      if (silenceMs === undefined) return;
      if (silence !== null) clearTimeout(silence);
      silence = setTimeout(() => fail(`${where} has been silent for ${silenceMs / 1000} s`), silenceMs);
    };
    heard();
    const headers = {
      ...(payload === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      ...(token === undefined || token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    const method = payload === null ? 'GET' : 'POST';
    const call = request({ host: address.host, port: address.port, path, method, headers, agent: false }, (answer) => {
      const chunks: string[] = [];
      const lines = new LineCutter(answer.statusCode === 200 ? onLine : undefined);
      let bytes = 0;
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        heard();
        bytes += Buffer.byteLength(chunk);
        if (bytes > ANSWER_BYTES_MAX) {
          fail(`${where} answers without end`);
          return;
        }
        chunks.push(chunk);
        lines.take(chunk);
      });
      answer.on('error', (error) => fail(`${where}: the answer broke off: ${error.message}`, error));
      answer.on('end', () => {
        stop();
        resolve({ status: answer.statusCode ?? 0, text: chunks.join('') });
      });
    });
    call.on('error', (error) => fail(`${where} cannot be reached: ${messageOf(error)}`, error));
    call.end(payload ?? undefined);
  });
}

/** The sentence of an answer that is none of the good ones. */
export function problemOf(address: HostPort, answer: AdminAnswer): string {
  const where = formatAddress(address);
  try {
    const read: unknown = JSON.parse(answer.text);
    if (typeof read === 'object' && read !== null && 'error' in read && typeof read.error === 'string') {
      return `${where}: ${read.error}`;
    }
  } catch {
    // Not one of ours: what follows says enough.
  }
  return `${where} answers with HTTP status ${answer.status || 'none'}`;
}

/** Cuts chunks of text into lines. */
class LineCutter {
  readonly #onLine: ((line: string) => void) | undefined;
  #rest = '';

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  take(chunk: string): void {
    if (this.#onLine === undefined) return;
    const parts = `${this.#rest}${chunk}`.split('\n');
    this.#rest = parts.pop() ?? '';
    for (const line of parts) this.#onLine(line);
  }
}
