import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import * as tls from 'node:tls';
import { messageOf } from '../errors.js';

const ANSWER_BYTES_MAX = 1024 * 1024;
const QUICK_TIMEOUT_MS = 5_000;
/** Patroni itself waits up to 2 * max(10, loop_wait) seconds for the result. */
const SWITCHOVER_TIMEOUT_MS = 150_000;

/** How Patroni's REST API is spoken to. */
export interface PatroniAccess {
  /** As the member claims it: `http://10.0.0.1:8008/patroni`. */
  readonly apiUrl: string;
  readonly user: string | null;
  readonly password: string | null;
  /** Believe any certificate. */
  readonly insecure: boolean;
}

interface RestAnswer {
  readonly status: number;
  readonly text: string;
}

/** What of Patroni's dynamic configuration matters for a switchover; null: not set. */
export interface PatroniSettings {
  readonly maximumLagBytes: number | null;
}

export async function readSettings(access: PatroniAccess): Promise<PatroniSettings> {
  const answer = await ask(access, 'GET', '/config', null, QUICK_TIMEOUT_MS);
  if (answer.status !== 200) throw new Error(`Patroni says ${answer.status} to GET /config: ${answer.text.trim()}`);
  const read: unknown = JSON.parse(answer.text);
  const lag =
    typeof read === 'object' && read !== null ? (read as Record<string, unknown>)['maximum_lag_on_failover'] : null;
  return { maximumLagBytes: typeof lag === 'number' && lag >= 0 ? lag : null };
}

/** Asks the leader's Patroni to hand over (Patroni documentation, "REST API"); resolves with its words when it has been done. */
export async function requestSwitchover(access: PatroniAccess, leader: string, candidate: string): Promise<string> {
  const answer = await ask(access, 'POST', '/switchover', { leader, candidate }, SWITCHOVER_TIMEOUT_MS);
  const words = answer.text.trim();
  if (answer.status === 200) return words;
  const hint =
    answer.status === 401 || answer.status === 403
      ? '; name the user of its REST API with --patroni-user, or for the console in SWITCHYARD_PATRONI_USER'
      : '';
  throw new Error(`Patroni says ${answer.status}: ${words}${hint}`);
}

function ask(
  access: PatroniAccess,
  method: 'GET' | 'POST',
  path: string,
  body: object | null,
  timeoutMs: number,
): Promise<RestAnswer> {
  const base = new URL(access.apiUrl);
  const isTls = base.protocol === 'https:';
  const payload = body === null ? null : JSON.stringify(body);
  const options = {
    method,
    host: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port,
    path,
    agent: false,
    headers: {
      ...(payload === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      ...(access.user === null ? {} : { authorization: basic(access.user, access.password ?? '') }),
    },
  };
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown): void => {
      clearTimeout(timer);
      call.destroy();
      reject(new Error(`Patroni at ${base.host} ${why}`, { cause }));
    };
    const timer = setTimeout(() => fail(`does not answer within ${timeoutMs / 1000} s`), timeoutMs);
    const call = isTls
      ? requestHttps({ ...options, rejectUnauthorized: !access.insecure, ca: trusted() })
      : requestHttp(options);
    call.on('response', (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > ANSWER_BYTES_MAX) fail('answers without end');
      });
      answer.on('error', (error) => fail(`broke off its answer: ${error.message}`, error));
      answer.on('end', () => {
        clearTimeout(timer);
        resolve({ status: answer.statusCode ?? 0, text });
      });
    });
    call.on('error', (error) => fail(`cannot be asked: ${messageOf(error)}`, error));
    call.end(payload ?? undefined);
  });
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** Node's own list, and the system's where this Node can read it (22.15 and later; NODE_EXTRA_CA_CERTS helps before). */
function trusted(): string[] {
  const more: unknown = 'getCACertificates' in tls ? tls.getCACertificates : null;
  const system: unknown = typeof more === 'function' ? more('system') : [];
  return [...tls.rootCertificates, ...(Array.isArray(system) ? system.map(String) : [])];
}
